"""Two writers and eight readers for some seconds: every answer is of one moment."""

from __future__ import annotations

import itertools
import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from recommender import Recommender
from recommender.errors import IndexBusyError, UnknownArticleError, UnknownThreadError
from tests.faults.harness import TIMES, State, Writer, article, report_totals, state_of

SECONDS = 5 * TIMES
STORIES, WHOLE, FEWER = 4, 6, 3
"""Every story has so many articles at any moment, the one number or the other, all of one thread."""


class Crowd:
    """Readers that ask until they are told to stop, and what they found wrong."""

    def __init__(self, index: Path) -> None:
        self.index = index
        self.shared = Recommender.open(index)
        self.stop = threading.Event()
        self.totals: Counter[str] = Counter()
        self.wrong: list[str] = []

    def read(self, engine: Recommender) -> None:
        """Ask everything again and again."""
        asks = (self.lists, self.threads, self.every_list, self.draft, self.pair)
        while not self.stop.is_set():
            for ask in asks:
                try:
                    ask(engine)
                    self.totals[f"answers {ask.__name__}"] += 1
                except Exception as error:
                    self.wrong.append(f"{ask.__name__}: {error!r}")

    def lists(self, engine: Recommender) -> None:
        for story in range(STORIES):
            found = engine.related_list(f"s{story:02}a0", 20, profile="similar")
            mates = [item.id for item in found.items if item.relation == "same-story"]
            if found.thread is None or found.thread.size not in (FEWER, WHOLE) or len(mates) != found.thread.size - 1:
                self.wrong.append(f"lists: {found.thread} beside {mates}")
            for one in found.items:
                if found.thread and one.relation == "same-story" and one.thread_id != found.thread.id:
                    self.wrong.append(f"lists: {one.id} in {one.thread_id}, {found.thread.id} asked")

    def threads(self, engine: Recommender) -> None:
        threads = [thread for thread in engine.threads() if thread.lead_id < "s04"]
        sizes = [len(thread.article_ids) for thread in threads]
        if len(threads) != STORIES or not set(sizes) <= {FEWER, WHOLE} or sizes != [thread.size for thread in threads]:
            self.wrong.append(f"threads: {sizes} told {[thread.size for thread in threads]}")
        own = engine.thread_of("s01a0")
        if own is None or own.size != len(own.article_ids):
            self.wrong.append(f"threads: {own}")

    def every_list(self, engine: Recommender) -> None:
        sizes = Counter(found.id[:3] for found in engine.all_related(20) if found.id)
        if set(sizes.values()) - {FEWER, WHOLE}:
            self.wrong.append(f"every list: {sizes}")

    def draft(self, engine: Recommender) -> None:
        found = engine.related_to(article("s02a2", 5), 20, profile="similar")
        if sum(item.id.startswith("s02") for item in found) not in (FEWER, WHOLE):
            self.wrong.append(f"draft: {[item.id for item in found]}")

    def pair(self, engine: Recommender) -> None:
        known = engine.explain("s03a0", "s03a1")
        if known.relation != "same-story":
            self.wrong.append(f"pair: {known.relation}")
        for ask in (lambda: engine.related("s03a5"), lambda: engine.explain("s03a0", "s03a5")):
            try:
                ask()
            except (UnknownArticleError, UnknownThreadError):
                self.totals["asked for what had just gone"] += 1


def read_elsewhere(index: Path, pipe: Connection) -> None:
    """Be a reader in a process of its own until told to stop; sends what it has counted and found wrong."""
    crowd = Crowd(index)
    asking = threading.Thread(target=crowd.read, args=(crowd.shared,))
    asking.start()
    pipe.send("ready")
    pipe.recv()
    crowd.stop.set()
    asking.join()
    pipe.send((crowd.totals, crowd.wrong))


@contextmanager
def readers(crowd: Crowd) -> Iterator[None]:
    """Eight of them until the block ends: two threads of one object, two of their own, and four processes."""
    engines = [crowd.shared, crowd.shared, Recommender.open(crowd.index), Recommender.open(crowd.index)]
    threads = [threading.Thread(target=crowd.read, args=(engine,)) for engine in engines]
    spawn = multiprocessing.get_context("spawn")
    pipes = [spawn.Pipe() for _ in range(4)]
    processes = [spawn.Process(target=read_elsewhere, args=(crowd.index, there), daemon=True) for _, there in pipes]
    for start in (*(one.start for one in processes), *(one.start for one in threads)):
        start()
    for here, _ in pipes:
        assert here.recv() == "ready"
    try:
        yield
    finally:
        crowd.stop.set()
    for here, _ in pipes:
        here.send("stop")
        totals, wrong = here.recv()
        crowd.totals += totals
        crowd.wrong += wrong
    for join in (*(one.join for one in processes), *(one.join for one in threads)):
        join(60)


@pytest.mark.slow
@pytest.mark.faults
def test_no_reader_ever_sees_an_inconsistent_answer(tmp_path: Path) -> None:
    """Sizes and members, lists and threads fit together in every answer while stories grow, shrink and the index is replaced."""
    index = tmp_path / "index"
    base: State = {f"s{story:02}a{number}": 0 for story in range(STORIES) for number in range(FEWER)}
    others: State = {f"s{story}a{number}": 0 for story in range(10, 22) for number in range(WHOLE)}
    Recommender.build([article(*one) for one in (base | others).items()], index).close()
    crowd = Crowd(index)
    processes = [Writer(index), Writer(index)]
    writers = [
        threading.Thread(target=write, args=(writer, stories, crowd))
        for writer, stories in zip(processes, ((0, 1), (2, 3)), strict=True)
    ]
    with readers(crowd):
        for thread in writers:
            thread.start()
        time.sleep(SECONDS)
    for thread in writers:
        thread.join(60)
    crowd.totals["wrong"] = len(crowd.wrong)
    report_totals("crowd", crowd.totals)
    assert not crowd.wrong, Counter(crowd.wrong).most_common(5)
    assert set(state_of(index)) >= set(base)
    assert crowd.totals["writes"] >= 4


def write(writer: Writer, stories: tuple[int, ...], crowd: Crowd) -> None:
    """In a process of its own: let stories grow by a whole half and shrink again, write the file anew, make the index anew."""
    more = [{f"s{story:02}a{number}": 0 for number in range(FEWER, WHOLE)} for story in stories]
    try:
        for refit in itertools.cycle((False, True)):
            for does in ("add", "remove", "compact", "rebuild"):
                for part in more if does in ("add", "remove") else [{}]:
                    writer.order(does, part, refit=refit)
                    writer.wait()
                    crowd.totals["writes"] += 1
                if crowd.stop.is_set() and does in ("remove", "rebuild"):
                    return
    except (AssertionError, IndexBusyError) as error:
        crowd.wrong.append(f"writer: {error}")
    finally:
        writer.kill()
