"""What is kept in memory between writes is what the store would give: nothing hangs on who writes, or for how long already."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from recommender import Article, Recommender
from recommender.archives import rejoining
from recommender.archives.memory import Memory
from recommender.errors import IndexUnusableError
from recommender.storage.store import Store
from recommender.writing import following, sidebars, updating
from tests.archives import newspaper, report
from tests.links import unfold
from tests.test_engine import contents_of

Step = Callable[[Recommender], object]


def steps_of(seed: int, n: int) -> list[Step]:
    """Comings, goings and rules over a newspaper of eight stories of four articles, drawn at random."""
    rng = np.random.default_rng(seed)
    there = {article.id for article in newspaper(8, 4)}
    steps: list[Step] = []

    def add(articles: list[Article]) -> Step:
        return lambda engine: engine.add(articles)

    for number in range(n):
        story, day, kind = int(rng.integers(9)), int(rng.integers(8)), rng.random()
        chosen = str(rng.choice(sorted(there)))
        if kind < 0.5:
            came = [report(f"s{story:02}a{day}", f"story {story}", float(day), edition=int(rng.integers(2)))]
            came += [report(f"n{number}", f"story {int(rng.integers(9))}", 2.0)] * int(rng.integers(2))
            there.update(article.id for article in came)
            steps.append(add(came))
        elif kind < 0.75 and len(there) > 8:
            there.remove(chosen)
            steps.append(lambda engine, gone=chosen: engine.remove([gone]))  # type: ignore[misc]
        else:
            other = str(rng.choice(sorted(there - {chosen})))
            rule = str(rng.choice(["pin {} {}", "never {} {}", "merge {} {}", "never {}"])).format(chosen, other)
            steps.append(lambda engine, rule=rule: _rule(engine, rule))  # type: ignore[misc]
    return steps


def _rule(engine: Recommender, rule: str) -> None:
    """A rule, unless it contradicts another."""
    from recommender.errors import InvalidRuleError

    try:
        engine.add_rule(rule)
    except InvalidRuleError:
        return


@pytest.fixture(autouse=True)
def growing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that is never made anew for its growth."""
    monkeypatch.setattr(updating, "OUTGROWN", 100.0)


@pytest.mark.parametrize("seed", range(6))
def test_one_who_stays_and_those_who_come_write_the_same(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty-five steps by one open Recommender and by a new one for each: the tables are the same, row by row.

    In the second half little is looked at around an article, as in a large archive.
    """
    stays = Recommender.build(newspaper(8, 4), tmp_path / "one")
    Recommender.build(newspaper(8, 4), tmp_path / "other")
    for number, step in enumerate(steps_of(seed, 25)):
        if number == 12:
            monkeypatch.setattr(rejoining, "MOST_REJOINED", 3)
        step(stays)
        step(Recommender.open(tmp_path / "other"))
        assert stays.check() == []
    assert contents_of(tmp_path / "one") == contents_of(tmp_path / "other")


@pytest.mark.parametrize("seed", range(6))
def test_lists_that_were_left_alone_are_those_that_would_be_written(tmp_path: Path, seed: int) -> None:
    """After twenty steps, writing all lists again changes nothing but words of reasons, which stay as they were first told."""
    engine = Recommender.build(newspaper(8, 4), tmp_path / "index")
    for step in steps_of(seed, 20):
        step(engine)
    store = Store.open(tmp_path / "index", write=True)
    asked = "SELECT row, other, score, same, relation, similar, sidebar, reasons IS NULL FROM links ORDER BY row, other"
    with store.transaction():
        unfold(store.db)
        before = store.query(asked)
        store.db.execute("DROP TABLE temp.links")
        memory = Memory()
        archive, graph = memory.archive(store), memory.graph(store)
        store.db.execute("DELETE FROM links")
        progress: Callable[[int, int], None] = lambda done, of: None  # noqa: E731
        everything = np.flatnonzero(np.isin(archive.rows, [row for (row,) in store.query("SELECT row FROM articles")]))
        sidebars.write_lists(store, archive, graph, archive.texts, everything, everything, everything, progress, again=True)
        unfold(store.db)
        pinned = {tuple(sorted(pair)) for pair in _pins(store)}
        after = store.query(asked)
        drifts = [
            row for row in before if tuple(sorted(row[:2])) in pinned
        ]  # a link for a pin alone is judged when it is written
        assert [row for row in after if row[:2] not in [d[:2] for d in drifts]] == [row for row in before if row not in drifts]
    store.close()


def _pins(store: Store) -> list[tuple[int, int]]:
    rules = [json.loads(rule) for (rule,) in store.query("SELECT rule FROM rules")]
    pairs = [rule["articles"] for rule in rules if rule["kind"] == "pin"]
    rows = [tuple(store.row_of(article) or 0 for article in pair) for pair in pairs]
    return [(one, other) for one, other in rows]


def test_a_write_that_fails_leaves_nothing_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What had been taken in before the failure is asked of the store again: drafts and the next write see none of it."""
    engine = Recommender.build(newspaper(8, 4), tmp_path / "index")
    draft = report("draft", "story 9", 1.0)
    assert engine.related_to(draft) == []
    with monkeypatch.context() as broken:
        broken.setattr(following, "write_lists", lambda *given, **more: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            engine.add([report("s09a0", "story 9", 1.0), report("s09a1", "story 9", 1.5)])
    assert engine.related_to(draft) == []
    assert engine.check() == []
    engine.add([report("s09a0", "story 9", 1.0)])
    assert [item.id for item in engine.related_to(draft)] == ["s09a0"]


def test_what_others_write_is_seen(tmp_path: Path) -> None:
    """Two open Recommenders that write in turn, one of them a rebuild: each goes on from where the other has left it."""
    one = Recommender.build(newspaper(8, 4), tmp_path / "index")
    other = Recommender.open(tmp_path / "index")
    for number in range(6):
        writer, reader = (one, other) if number % 2 else (other, one)
        writer.add([report(f"n{number}", "story 3", 1.0 + number / 10)])
        assert f"n{number}" in {item.id for item in reader.related_to(report("draft", "story 3", 1.0), 20)}
        if number == 3:
            other.rebuild()
        assert writer.check() == []
    assert len(one) == 38


def test_threads_of_a_process_may_write_and_ask_at_once(tmp_path: Path) -> None:
    """Drafts asked while another thread adds through the same object are answered, and nothing is amiss afterwards."""
    engine = Recommender.build(newspaper(8, 4), tmp_path / "index")
    failed: list[BaseException] = []
    done = False

    def ask() -> None:
        try:
            while not done:
                assert {item.id for item in engine.related_to(report("draft", "story 3", 1.0), 20)} >= {"s03a1", "s03a2"}
                assert engine.explain("s03a1", "s03a2").relation == "same-story"
        except BaseException as error:
            failed.append(error)

    threads = [Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(15):
            engine.add([report(f"n{number}", "story 3", 1.0 + number / 10)])
            engine.remove([f"n{number}"] if number % 3 else [])
    finally:
        done = True
        for thread in threads:
            thread.join()
    assert failed == []
    assert engine.check() == []


def rows_written(engine: Recommender, articles: list[Article], monkeypatch: pytest.MonkeyPatch) -> int:
    """Rows that one add inserts, changes or deletes."""
    counts: list[int] = []
    transaction = Store.transaction

    @contextlib.contextmanager
    def counted(store: Store) -> Iterator[sqlite3.Connection]:
        before = store.db.total_changes
        with transaction(store) as db:
            yield db
            counts.append(store.db.total_changes - before)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "transaction", counted)
        engine.add(articles)
    return counts[0]


def test_what_an_add_writes_hangs_on_what_lies_around_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An article of a story of four is as many rows in an archive of 60 stories as in one of 240: no table is gone through."""
    new = [report("new", "story 3", 1.0)]
    few = rows_written(Recommender.build(newspaper(60, 4), tmp_path / "few"), new, monkeypatch)
    many = rows_written(Recommender.build(newspaper(240, 4), tmp_path / "many"), new, monkeypatch)
    assert few > 20
    assert many < 1.2 * few


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE vocabulary SET term = (SELECT term FROM vocabulary WHERE number = 3) WHERE number = 4",
        "UPDATE vocabulary SET number = 1000000 WHERE number = 4",
        "DELETE FROM meta WHERE key = 'edition'",
    ],
    ids=["a term twice", "a term elsewhere", "no edition"],
)
def test_what_is_not_whole_is_damage(tmp_path: Path, damage: str) -> None:
    """A term that stands twice, or under a number that is none, shifts all others: nothing is compared by such a one."""
    engine = Recommender.build(newspaper(8, 4), tmp_path / "index")
    store = Store.open(tmp_path / "index", write=True)
    store.db.execute(damage)
    store.close()
    with pytest.raises(IndexUnusableError, match="damaged"):
        engine.related_to(report("draft", "story 3", 1.0))
    with pytest.raises(IndexUnusableError, match="damaged"):
        engine.add([report("new", "story 3", 1.0)])
