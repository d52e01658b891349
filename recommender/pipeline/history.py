"""Step 7d of 8: threads before and after -> what happened to them. Pure: no store, no clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["founded", "joined", "left", "merged", "split", "renamed", "closed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that happened to a thread."""

    kind: Kind
    thread: str
    """The thread it happened to; of a merge the one that is no more, of a split the one that the articles are in now."""
    other: str | None = None
    """Of a merge the thread that goes on, of a split the one that the articles come from."""
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
    """What has happened, by thread id; every article whose thread is another one now, or none, is named in one change.

    A thread that is gone was merged into the one that most of its articles are in now, or closed where all stand alone. Any
    other articles that went from one thread to another were split off, be that a new one or not. A new thread into which
    none were split was founded. Who stood alone has joined, who stands alone now has left.
    """
    was, now = _members(before), _members(after)
    gone = before.labels.keys() - now.keys()
    heirs = {thread: heir for thread in gone if (heir := _most(after.of[a] for a in was.get(thread, ()) if a in after.of))}
    moved: dict[str, dict[str, set[str]]] = {}  # to -> from -> articles
    for article, thread in after.of.items():
        if (former := before.of.get(article, thread)) != thread:
            moved.setdefault(thread, {}).setdefault(former, set()).add(article)
    found: list[Change] = []
    for thread in sorted({*before.labels, *now}):
        came = {article for article in now.get(thread, ()) if article not in before.of}
        went = {article for article in was.get(thread, ()) if article not in after.of}
        split = {former: articles for former, articles in moved.get(thread, {}).items() if heirs.get(former) != thread}
        found += [_change("split", thread, split[former], former) for former in sorted(split)]
        if thread not in before.labels and not split:
            found.append(_change("founded", thread, came))
        elif came:
            found.append(_change("joined", thread, came))
        if thread in gone and thread not in heirs:
            found.append(_change("closed", thread, went))
        elif went:
            found.append(_change("left", thread, went))
        if thread in heirs:
            found.append(_change("merged", thread, moved[heirs[thread]][thread], heirs[thread]))
        elif thread in now and before.labels.get(thread, after.labels[thread]) != after.labels[thread]:
            found.append(_change("renamed", thread))
    return found


def _change(kind: Kind, thread: str, articles: Iterable[str] = (), other: str | None = None) -> Change:
    return Change(kind=kind, thread=thread, other=other, articles=tuple(sorted(articles)))


def _members(threads: Threads) -> dict[str, set[str]]:
    members: dict[str, set[str]] = {}
    for article, thread in threads.of.items():
        members.setdefault(thread, set()).add(article)
    return members


def _most(threads: Iterator[str]) -> str | None:
    """The most frequent, in doubt the first by name; None of none."""
    counted = Counter(threads)
    return min(counted, key=lambda thread: (-counted[thread], thread)) if counted else None
