"""Step 7d of 8: threads before and after -> what happened to them. Pure: no store, no clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["founded", "joined", "left", "merged", "split", "renamed", "closed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that happened to a thread."""

    kind: Kind
    thread: str
    """The thread it happened to; of a merge the one that is no more, of a split the new one."""
    other: str | None = None
    """Of a merge the thread that goes on, of a split the one that it comes from."""
    articles: tuple[str, ...] = ()
    """Those that this is about, sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Threads:
    """Threads at one moment."""

    of: Mapping[str, str]
    """Article id -> thread id."""
    labels: Mapping[str, str]
    """Thread id -> label, of all threads, also of those that have lost every article."""


def changes_between(before: Threads, after: Threads) -> list[Change]:
    """What has happened, by thread id; every article whose thread is another one now is named in a change.

    A thread that is gone was merged into the one that most of its articles are in now, or closed where they stand alone. A
    new one that has articles of another was split off from the one most of them come from; else it was founded.
    """
    was, now = _members(before), _members(after)
    merged = {
        thread: heir
        for thread in before.labels
        if thread not in now and (heir := _most(after.of[a] for a in was.get(thread, ()) if a in after.of))
    }
    parents = {
        thread: parent
        for thread, members in now.items()
        if thread not in before.labels and (parent := _most(before.of[a] for a in members if a in before.of))
    }
    found: list[Change] = []
    for thread in sorted({*before.labels, *now}):
        members, former = now.get(thread, set()), was.get(thread, set())
        if thread not in now:
            kind: Kind = "merged" if thread in merged else "closed"
            found.append(Change(kind=kind, thread=thread, other=merged.get(thread), articles=tuple(sorted(former))))
        elif thread not in before.labels:
            kind = "split" if thread in parents else "founded"
            found.append(Change(kind=kind, thread=thread, other=parents.get(thread), articles=tuple(sorted(members))))
        else:
            came = {a for a in members - former if merged.get(before.of.get(a, "")) != thread}
            went = {a for a in former - members if parents.get(after.of.get(a, "")) != thread}
            if came:
                found.append(Change(kind="joined", thread=thread, articles=tuple(sorted(came))))
            if went:
                found.append(Change(kind="left", thread=thread, articles=tuple(sorted(went))))
            if before.labels[thread] != after.labels[thread]:
                found.append(Change(kind="renamed", thread=thread))
    return found


def _members(threads: Threads) -> dict[str, set[str]]:
    members: dict[str, set[str]] = {}
    for article, thread in threads.of.items():
        members.setdefault(thread, set()).add(article)
    return members


def _most(threads: Iterator[str]) -> str | None:
    """The most frequent, in doubt the first by name; None of none."""
    counted = Counter(threads)
    return min(counted, key=lambda thread: (-counted[thread], thread)) if counted else None
