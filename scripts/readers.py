"""Readers in processes of their own that ask an index all along, and what can be wrong with an answer."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from recommender import Recommender, RelatedList, StoryThread
from recommender.answers import Profile
from recommender.pipeline.overruling import CHOSEN
from recommender.pipeline.rules import Rule

PAUSE = 0.002
"""Seconds between two questions of a reader: the writer needs a core too."""

KEPT = 20
"""Wrong answers and errors of a reader that are kept in words."""

PROFILES: tuple[Profile, ...] = ("sidebar", "similar")


@dataclass(slots=True)
class Tally:
    """What readers have seen."""

    answers: int = 0
    inconsistent: int = 0
    errors: int = 0
    longest: float = 0.0
    """Seconds that one reader has waited for one list, one thread or all threads."""
    told: list[str] = field(default_factory=list)
    """The first of what was wrong."""

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            answers=self.answers + other.answers,
            inconsistent=self.inconsistent + other.inconsistent,
            errors=self.errors + other.errors,
            longest=max(self.longest, other.longest),
            told=[*self.told, *other.told],
        )


class Known(NamedTuple):
    """What is sure of an index when a question is asked: it was committed before."""

    articles: int
    """So many of the ids, from the first, are there."""
    rules: tuple[Rule, ...]


class Crowd:
    """Readers in processes of their own."""

    def __init__(self, index: Path, ids: list[str], readers: int) -> None:
        self.tally = Tally()
        spawn = multiprocessing.get_context("spawn")  # a fork would share open files with the writer
        pipes = [spawn.Pipe() for _ in range(readers)]
        self._pipes = [here for here, _ in pipes]
        self._processes = [
            spawn.Process(target=read, args=(str(index), ids, there, seed), daemon=True) for seed, (_, there) in enumerate(pipes)
        ]
        for process in self._processes:
            process.start()
        for _, there in pipes:
            there.close()
        for pipe in self._pipes:
            pipe.recv()

    def tell(self, known: Known | None) -> None:
        """Let every reader know what is sure from now on; None ends them."""
        for pipe in self._pipes:
            pipe.send(known)

    def end(self) -> None:
        """Let them end, and take in what they have seen."""
        self.tell(None)
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            self.tally += pipe.recv()
            process.join()

    def kill(self) -> None:
        """End them at once."""
        for process in self._processes:
            process.kill()


@contextmanager
def asking(index: Path, ids: list[str], readers: int) -> Iterator[Crowd]:
    """Readers that ask all along the block; their tally is there after it."""
    crowd = Crowd(index, ids, readers)
    try:
        yield crowd
        crowd.end()
    except BaseException:
        crowd.kill()
        raise


def read(index: str, ids: list[str], pipe: Connection, seed: int) -> None:
    """Be a reader until told to end; sends what it has seen."""
    reader = Reader(Recommender.open(index), ids, random.Random(seed))
    pipe.send("ready")
    while True:
        if pipe.poll():
            told = pipe.recv()
            if told is None:
                break
            reader.known = told
        reader.ask()
        time.sleep(PAUSE)
    pipe.send(reader.tally)


class Reader:
    """Asks at random and holds every answer against what is sure."""

    def __init__(self, engine: Recommender, ids: list[str], rng: random.Random) -> None:
        self.engine = engine
        self.ids = ids
        self.rng = rng
        self.known = Known(0, ())
        self.tally = Tally()

    def ask(self) -> None:
        """One question; all lists so rarely that about a third of the time goes to them."""
        known = max(self.known.articles, 1)
        asks = (self.one_list, self.one_thread, self.one_rule, self.all_threads, self.all_lists)
        (ask,) = self.rng.choices(asks, (60, 30, 10, 1, 500 / known))
        began = time.perf_counter()
        try:
            faults = list(ask())
        except Exception as error:
            self.tally.errors += 1
            self._tell([f"{ask.__name__}: {error!r}"])
            return
        if ask != self.all_lists:
            self.tally.longest = max(self.tally.longest, time.perf_counter() - began)
        self.tally.answers += 1
        self.tally.inconsistent += bool(faults)
        self._tell([f"{ask.__name__}: {fault}" for fault in faults])

    def _tell(self, wrong: list[str]) -> None:
        self.tally.told += wrong[: KEPT - len(self.tally.told)]

    def _one(self) -> str:
        return self.ids[self.rng.randrange(self.known.articles)] if self.known.articles else self.ids[0]

    def one_list(self) -> Iterator[str]:
        """The list of an article that is there."""
        article, profile = self._one(), self.rng.choice(PROFILES)
        found = self.engine.related_list(article, self.rng.choice((1, 5, 20)), profile=profile)
        if found.id != article:
            yield f"the list of {found.id}, asked for {article}"
        yield from faults_of_list(found, profile, self.known.rules)

    def one_thread(self) -> Iterator[str]:
        """The thread of an article that is there."""
        article = self._one()
        thread = self.engine.thread_of(article)
        if thread is not None:
            if article not in thread.article_ids:
                yield f"{article} is not in its thread {thread.id}"
            yield from faults_of_thread(thread)

    def one_rule(self) -> Iterator[str]:
        """What a rule is about."""
        if self.known.rules:
            rule = self.rng.choice(self.known.rules)
            if not is_obeyed(rule, self.engine):
                yield f"{rule.brief} is not obeyed"

    def all_threads(self) -> Iterator[str]:
        """All threads."""
        threads = self.engine.threads()
        yield from (fault for thread in threads for fault in faults_of_thread(thread))
        members = Counter(article for thread in threads for article in thread.article_ids)
        yield from (f"{article} is in {count} threads" for article, count in members.items() if count > 1)

    def all_lists(self) -> Iterator[str]:
        """All lists, which are as of one moment."""
        lists = list(self.engine.all_related())
        if lacking := set(self.ids[: self.known.articles]) - {found.id for found in lists}:
            yield f"no lists of {sorted(lacking)[:5]}"
        yield from (fault for found in lists for fault in faults_of_list(found, "sidebar", self.known.rules))
        yield from faults_among(lists)


def is_obeyed(rule: Rule, engine: Recommender) -> bool:
    """Whether the answers about its articles are what a rule asks; what is looked at together comes from one answer."""
    one, *others = rule.articles
    if rule.kind == "pin":
        return engine.related_ids(one)[:1] == others
    if rule.kind == "never":
        lists = [engine.related_ids(article, 40, profile=profile) for article in rule.articles for profile in PROFILES]
        return not any(set(rule.articles) & set(shown) for shown in lists)
    thread = engine.thread_of(one)
    members = set(thread.article_ids) if thread else {one}
    if rule.kind == "rename":
        return thread is not None and thread.label == rule.label
    if rule.kind == "merge":
        return members >= set(rule.articles)
    return members <= set(rule.articles) if rule.kind == "split" else members == set(rule.articles)


def faults_of_list(found: RelatedList, profile: Profile, rules: Iterable[Rule]) -> Iterator[str]:
    """What is wrong with one list in itself, under these rules."""
    shown = [item.id for item in found.items]
    pins = [rule.articles[1] for rule in rules if rule.kind == "pin" and rule.articles[0] == found.id and profile == "sidebar"]
    own = found.thread.id if found.thread else None
    if len(set(shown)) < len(shown):
        yield f"{found.id} shows an article twice: {shown}"
    if found.id in shown:
        yield f"{found.id} shows itself"
    if found.thread and not (1 <= found.thread.position <= found.thread.size and found.thread.size >= 2 and found.thread.label):
        yield f"{found.id} has no such place: {found.thread}"
    for item in found.items:
        mates = own is not None and item.thread_id == own
        if item.relation != "duplicate" and mates != (item.relation == "same-story"):
            yield f"{found.id} in {own} shows {item.id} in {item.thread_id} as {item.relation}"
        if not 0 <= item.score <= 1:
            yield f"{found.id} shows {item.id} with a score of {item.score}"
        if profile == "sidebar" and item.relation == "duplicate" and item.id not in pins:
            yield f"{found.id} shows its copy {item.id}"
    scores = [item.score for item in found.items if CHOSEN not in item.reasons]  # pins may be newer than the rules
    if profile == "sidebar" and scores != sorted(scores, reverse=True):
        yield f"{found.id} is not in the order of the scores"
    if pins and shown[:1] != pins[:1]:
        yield f"{found.id} does not begin with {pins}: {shown}"
    for rule in rules:
        if rule.kind == "never" and found.id in rule.articles and set(rule.articles) & set(shown) - {found.id}:
            yield f"{found.id} shows what is never to be beside it: {shown}"


def faults_of_thread(thread: StoryThread) -> Iterator[str]:
    """What is wrong with one thread in itself."""
    members = set(thread.article_ids)
    if not len(members) == len(thread.article_ids) == thread.size >= 2:
        yield f"{thread.id} says {thread.size} of {len(thread.article_ids)} articles, {len(members)} different ones"
    if thread.lead_id not in members:
        yield f"{thread.id} is led by {thread.lead_id}, which is not in it"


def faults_among(lists: Sequence[RelatedList]) -> Iterator[str]:
    """What does not fit together in all lists of one moment: places in threads, and the threads of what is shown."""
    threads: dict[str | None, str | None] = {found.id: found.thread.id if found.thread else None for found in lists}
    places: dict[tuple[str, str, int], list[int]] = {}
    for found in lists:
        if found.thread:
            places.setdefault((found.thread.id, found.thread.label, found.thread.size), []).append(found.thread.position)
        for item in found.items:
            if item.id not in threads:
                yield f"{found.id} shows {item.id}, which is not there"
            elif item.thread_id != threads[item.id]:
                yield f"{found.id} shows {item.id} in {item.thread_id}, whose own list says {threads[item.id]}"
    for (thread, _, size), positions in places.items():
        if sorted(positions) != list(range(1, size + 1)):
            yield f"{thread} of {size} articles has the positions {sorted(positions)}"
