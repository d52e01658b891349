"""A day replayed: what becomes of thread ids, rules and readers while articles come in batches.

    python -m scripts.measure_replay ARTICLES.jsonl[.gz] [--batch 20] [--first 20] [--most N] [--readers 2]

The articles are taken in the order of their dates. Half-way editors set a rule of each kind, then the index is rebuilt.
After every write the threads are compared with those before it and with the log: an article that went from one thread to
another has *moved*, and is *unlogged* where no merge or split names it with these two; one that stands alone now has *left*.
The readers are processes of their own, each with an open Recommender, that ask all along and check every answer.
In the end the threads are compared with those of a build at once under the same rules (B-cubed F1).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from recommender import Article, Recommender
from recommender.answers import ThreadChange
from recommender.evaluation import bcubed
from recommender.pipeline.rules import Rule
from scripts.measure_stream import articles_in, threads_in
from scripts.readers import Known, Tally, asking, is_obeyed

SHOWN = 20
"""Unlogged articles that the report names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a replay has shown."""

    batches: int
    seconds: tuple[float, ...]
    """Of each add."""
    watched: int
    """Articles in threads before a write, over all writes."""
    moved: int
    left: int
    unlogged: tuple[str, ...]
    """Articles that have moved or left, and no change says so."""
    kinds: Mapping[str, int]
    """The changes of the log by kind."""
    agreement: float
    """B-cubed F1 of the final threads against a build at once, in [0, 1]."""
    disobeyed: tuple[str, ...]
    """Rules that do not hold in the end."""
    damage: tuple[str, ...]
    """What `check` finds in the end."""
    readers: Tally


def replay(articles: Sequence[Article], folder: Path, *, batch: int = 20, first: int = 20, readers: int = 2) -> Replayed:
    """Let the articles come in their order; the indexes are made in `folder`."""
    engine = Recommender.build(articles[:first], folder / "index")
    watch = Watch(engine)
    starts = range(first, len(articles), batch)
    seconds: list[float] = []
    rules: tuple[Rule, ...] = ()
    with asking(folder / "index", [article.id for article in articles], readers) as crowd:
        crowd.tell(Known(first, rules))
        for number, start in enumerate(starts):
            known = min(start + batch, len(articles))
            began = time.perf_counter()
            engine.add(articles[start:known])
            seconds.append(time.perf_counter() - began)
            watch.look()
            if number == len(starts) // 2:
                rules = chosen_rules(engine)
                for rule in rules:
                    engine.add_rule(rule)
                    watch.look()
                crowd.tell(Known(known, rules))
                engine.rebuild()
                watch.look()
            crowd.tell(Known(known, rules))
    whole = Recommender.build(articles, folder / "whole")
    whole.import_rules(engine.export_rules())
    return Replayed(
        batches=len(starts),
        seconds=tuple(seconds),
        watched=watch.watched,
        moved=watch.moved,
        left=watch.left,
        unlogged=tuple(watch.unlogged),
        kinds=dict(sorted(watch.kinds.items())),
        agreement=bcubed(threads_in(engine, list(articles)), threads_in(whole, list(articles))).f1,
        disobeyed=tuple(rule.brief for rule in rules if not is_obeyed(rule, engine)),
        damage=tuple(f"{one.kind}: {one.example}" for one in engine.check()),
        readers=crowd.tally,
    )


class Watch:
    """Follows the thread of every article from write to write, and what the log says of it."""

    def __init__(self, engine: Recommender) -> None:
        self.engine = engine
        self.watched = self.moved = self.left = 0
        self.unlogged: list[str] = []
        self.kinds: Counter[str] = Counter()
        self._threads = self._threads_now()
        self._seen = len(engine.changes())

    def look(self) -> None:
        """Count what the last write has done."""
        changes, after = self.engine.changes()[self._seen :], self._threads_now()
        self._seen += len(changes)
        self.kinds.update(one.kind for one in changes)
        others = {article: after.get(article) for article, thread in self._threads.items() if after.get(article) != thread}
        self.watched += len(self._threads)
        self.left += sum(thread is None for thread in others.values())
        self.moved += sum(thread is not None for thread in others.values())
        self.unlogged += unlogged(self._threads, after, changes)
        self._threads = after

    def _threads_now(self) -> dict[str, str]:
        return {article: thread.id for thread in self.engine.threads() for article in thread.article_ids}


def unlogged(before: Mapping[str, str], after: Mapping[str, str], changes: Iterable[ThreadChange]) -> list[str]:
    """The articles of a thread that are in another one now, or alone, without a change that says from where to where."""
    named: set[tuple[str, str | None, str | None]] = set()
    for one in changes:
        if one.kind == "split":
            named.update((article, one.other_id, one.thread_id) for article in one.article_ids)
        elif one.kind in ("merged", "left", "closed"):
            named.update((article, one.thread_id, one.other_id) for article in one.article_ids)
    moves = {(article, thread, after.get(article)) for article, thread in before.items() if after.get(article) != thread}
    return sorted(article for article, _, _ in moves - named)


def chosen_rules(engine: Recommender) -> tuple[Rule, ...]:
    """A rule of each kind, about the largest threads, none about what another is about."""
    threads = sorted(engine.threads(min_size=3), key=lambda thread: (-thread.size, thread.id))
    pinned, guest, banned, one, other, shrunk, locked = threads[:7]
    shown = engine.related_ids(banned.lead_id)[0]
    return (
        Rule(kind="pin", articles=(pinned.lead_id, guest.lead_id)),
        Rule(kind="never", articles=(banned.lead_id, shown)),
        Rule(kind="merge", articles=(one.lead_id, other.lead_id)),
        Rule(kind="split", articles=(shrunk.article_ids[-1],)),
        Rule(kind="rename", articles=(guest.lead_id,), label="What the desk calls it"),
        Rule(kind="lock", articles=locked.article_ids),
    )


def lines_of(found: Replayed) -> Iterator[str]:
    """The report."""
    yield f"{found.batches} batches, an add {statistics.median(found.seconds):.1f} s, the longest {max(found.seconds):.1f} s"
    told = f"{found.moved} moved to another, {found.left} left for none, {len(found.unlogged)} unlogged"
    yield f"of {found.watched:,} articles in threads before a write {told}"
    yield f"changes: {', '.join(f'{kind} {count}' for kind, count in found.kinds.items())}"
    yield f"threads agree with a build at once: B-cubed F1 {found.agreement:.4f}"
    yield f"rules not obeyed: {len(found.disobeyed)}; findings of check: {len(found.damage)}"
    seen = found.readers
    wrong = f"{seen.inconsistent} inconsistent, {seen.errors} errors"
    yield f"readers: {seen.answers:,} answers, {wrong}; the longest wait for one {seen.longest:.2f} s"
    yield from (f"  {line}" for line in (*found.unlogged[:SHOWN], *found.disobeyed, *found.damage, *seen.told))


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("articles", type=Path)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--first", type=int, default=20, help="articles of the build that the adds begin with")
    parser.add_argument("--most", type=int, help="only the first so many articles")
    parser.add_argument("--readers", type=int, default=2)
    arguments = parser.parse_args()
    articles = articles_in(arguments.articles)[0][: arguments.most]
    with tempfile.TemporaryDirectory() as folder:
        found = replay(articles, Path(folder), batch=arguments.batch, first=arguments.first, readers=arguments.readers)
    for line in lines_of(found):
        print(line)


if __name__ == "__main__":
    main()
