"""What things cost, in counts that are the same on every machine: statements, rows, pairs, modules, calls. No clock is asked.

A bound is what was counted when it was set and a little more. Whoever must raise one says why in the commit.
"""

from __future__ import annotations

import contextlib
import cProfile
import pstats
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recommender import Article, Recommender, read_articles
from recommender.archives import archive
from recommender.pipeline.evidence import Evidence, evidence_of
from recommender.storage.store import Store
from tests.conftest import SAMPLE

HERO = "putin-arrives-north-korea"
OTHER = "kremlin-leader-lands-pyongyang"
NEW = Article(id="new", title="Kim sees off Putin", body="Vladimir Putin left Pyongyang after talks with Kim Jong Un.")


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that any connection to a store, opened from now on, runs; emptied by whoever counts."""
    run: list[str] = []
    connect = sqlite3.connect

    def traced(*given: object, **named: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*given, **named)  # type: ignore[call-overload]
        connection.set_trace_callback(run.append)
        return connection

    monkeypatch.setattr("recommender.storage.file.sqlite3.connect", traced)
    return run


@pytest.fixture
def engine(statements: list[str], newsroom_index: Path) -> Recommender:
    """The sample newsroom, read only."""
    opened = Recommender.open(newsroom_index)
    statements.clear()
    return opened


@pytest.fixture
def own(tmp_path: Path, newsroom_index: Path) -> Recommender:
    """A copy of it that may be written to."""
    return Recommender.open(shutil.copytree(newsroom_index, tmp_path / "index"))


def test_a_list_is_two_statements_and_then_none(engine: Recommender, statements: list[str]) -> None:
    """Beside the question whether the index is the same, a list takes two, of one moment; asked for again, none."""
    engine.related(HERO)
    engine.related(HERO)
    whether = "PRAGMA data_version"
    assert [said.split()[0] for said in statements if said != whether] == ["BEGIN", "SELECT", "SELECT", "ROLLBACK"]
    assert statements.count(whether) == 2


@pytest.mark.parametrize(("question", "most"), [("thread_of", 6), ("thread", 5), ("article", 4), ("timeline", 5)])
def test_statements_of_a_question(question: str, most: int, engine: Recommender, statements: list[str]) -> None:
    """A thread, a place in it and an article take a few statements, BEGIN and ROLLBACK among them; a timeline two an article."""
    thread = engine.thread_of(HERO)
    assert thread
    statements.clear()
    getattr(engine, question)(HERO if question in {"thread_of", "article"} else thread.id)
    assert 0 < len(statements) <= most + (2 * thread.size if question == "timeline" else 0)


def test_statements_of_explain(engine: Recommender, statements: list[str]) -> None:
    """Once the archive is in memory, a pair takes as many statements as any other, and no table is read."""
    engine.explain(HERO, OTHER)
    statements.clear()
    engine.explain(OTHER, HERO)
    assert 0 < len(statements) <= 10
    assert not [said for said in statements if said.startswith("SELECT") and "WHERE" not in said]


def test_statements_of_a_draft(engine: Recommender, statements: list[str]) -> None:
    """A draft's list takes one statement an item and a few more."""
    engine.related_to(NEW)
    statements.clear()
    items = engine.related_to(NEW, 5)
    assert len(items) == 5
    assert 5 < len(statements) <= 5 + 8


def test_no_question_goes_through_a_table(newsroom_index: Path, engine: Recommender, statements: list[str]) -> None:
    """Of what a list, a thread, a timeline and an article ask, SQLite looks everything up: each step of its plans is a search."""
    thread = engine.thread_of(HERO)
    assert thread
    engine.related_list(HERO, profile="similar")
    engine.related(HERO)
    engine.timeline(thread.id)
    with contextlib.closing(Store.open(newsroom_index)) as store:
        asked = {said for said in statements if said.startswith("SELECT")}
        steps = [step for said in asked for *_, step in store.query(f"EXPLAIN QUERY PLAN {said}")]
    assert len(asked) > 4
    assert [step for step in steps if "SCAN" in step and "json_each" not in step] == []


def test_calls_of_a_list(engine: Recommender) -> None:
    """Of a list that is kept, Python calls some fifteen functions; of one that is read, some for each item."""
    first, again = calls(engine), calls(engine)
    assert again <= 15
    assert first <= 135


def calls(engine: Recommender) -> int:
    """Functions called for one list of five."""
    profile = cProfile.Profile()
    profile.enable()
    engine.related(HERO)
    profile.disable()
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]


def test_modules_of_the_command(newsroom_index: Path) -> None:
    """`recommender related ID` imports 43 modules more than typer alone, of ours those that the commands are in."""
    ours = imported(RELATED, "related", HERO, "--index", str(newsroom_index))
    more = ours - imported("import typer")
    assert len([name for name in more if name.startswith("recommender")]) <= 31
    assert len(more) <= 44


RELATED = """
from recommender.cli import app
try:
    app()
except SystemExit as end:
    assert not end.code, end.code
"""


def imported(code: str, *arguments: str) -> set[str]:
    """The modules that a fresh process has imported at its end."""
    told = "import sys\n" + code + "\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", told, *arguments], check=True, capture_output=True, text=True)
    return set(done.stderr.split())


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pairs were compared, call after call."""
    counts: list[int] = []

    def counted(*given: object) -> Evidence:
        found = evidence_of(*given)  # type: ignore[arg-type]
        counts.append(len(found))
        return found

    monkeypatch.setattr(archive, "evidence_of", counted)
    return counts


def test_pairs_that_a_build_compares(compared: list[int], tmp_path: Path) -> None:
    """Of the 41,905 pairs of the sample newsroom a build compares those that neighbours and rare terms nominate, once each."""
    Recommender.build(read_articles([SAMPLE / "articles.jsonl"]), tmp_path / "index").close()
    assert 1_000 < sum(compared) <= MOST_PAIRS


MOST_PAIRS = 17_000


def test_pairs_that_an_add_compares(compared: list[int], own: Recommender) -> None:
    """A short one is compared with the 73 that it nominates, in one go; none nominates more than 150."""
    own.add([NEW])
    assert len(compared) == 1
    assert 5 < compared[0] <= 80


def test_rows_and_statements_of_an_add(statements: list[str], own: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    """One article more writes its own rows, its terms, its links from both sides and the lists that it enters."""
    written: list[int] = []
    transaction = Store.transaction

    @contextlib.contextmanager
    def counted(store: Store) -> Iterator[sqlite3.Connection]:
        with transaction(store) as db:
            before = db.total_changes
            yield db
            written.append(db.total_changes - before)

    monkeypatch.setattr(Store, "transaction", counted)
    own.add([NEW])
    statements.clear()
    own.add([NEW])
    assert [said for said in statements if said.startswith(("INSERT", "UPDATE", "DELETE"))] == []
    assert len(written) == 1
    assert 40 < written[0] <= MOST_ROWS


MOST_ROWS = 75
