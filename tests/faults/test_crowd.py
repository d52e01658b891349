"""Two writers and four readers for some seconds: every answer is of one moment."""

from __future__ import annotations

import threading
import time
from collections import Counter
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


@pytest.mark.slow
@pytest.mark.faults
def test_no_reader_ever_sees_an_inconsistent_answer(tmp_path: Path) -> None:
    """Sizes and members, lists and threads fit together in every answer while stories grow, shrink and the index is replaced."""
    index = tmp_path / "index"
    base: State = {f"s{story:02}a{number}": 0 for story in range(STORIES) for number in range(FEWER)}
    others: State = {f"s{story}a{number}": 0 for story in range(10, 22) for number in range(WHOLE)}
    Recommender.build([article(*one) for one in (base | others).items()], index).close()
    crowd = Crowd(index)
    engines = [crowd.shared, crowd.shared, Recommender.open(index), Recommender.open(index)]
    readers = [threading.Thread(target=crowd.read, args=(engine,)) for engine in engines]
    processes = [Writer(index), Writer(index)]
    writers = [
        threading.Thread(target=write, args=(writer, stories, crowd))
        for writer, stories in zip(processes, ((0, 1), (2, 3)), strict=True)
    ]
    for thread in (*readers, *writers):
        thread.start()
    time.sleep(SECONDS)
    crowd.stop.set()
    for thread in (*readers, *writers):
        thread.join(60)
    crowd.totals["wrong"] = len(crowd.wrong)
    report_totals("crowd", crowd.totals)
    assert not crowd.wrong, Counter(crowd.wrong).most_common(5)
    assert set(state_of(index)) >= set(base)
    assert crowd.totals["writes"] >= 4


def write(writer: Writer, stories: tuple[int, ...], crowd: Crowd) -> None:
    """In a process of its own: let stories grow by a whole half and shrink again, and write the file anew."""
    more = [{f"s{story:02}a{number}": 0 for number in range(FEWER, WHOLE)} for story in stories]
    try:
        while not crowd.stop.is_set():
            for does in ("add", "remove", "compact"):
                for part in more if does != "compact" else [{}]:
                    writer.order(does, part)
                    writer.wait()
                    crowd.totals["writes"] += 1
    except (AssertionError, IndexBusyError) as error:
        crowd.wrong.append(f"writer: {error}")
    writer.kill()
