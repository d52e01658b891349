"""`compact`: nothing of what was removed is left, nothing else is changed."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from recommender import Article, Recommender
from recommender.cli import app
from recommender.pipeline.index import VectorIndex
from recommender.pipeline.rules import Rule
from recommender.storage.folder import read_manifest
from recommender.storage.store import Store
from tests.archives import FIRST_DAY, newspaper, report
from tests.links import age, age_to_format_3, links_in
from tests.test_engine import contents_of

ARTICLES = newspaper(8, 5)
SECRET = Article(
    id="withdrawn-7741",
    title="Zyqqorblat seen with Quuxana Vrelm",
    body="so Quuxana Vrelm met zyqqorblat and florpinax again. then zyqqorblat left, 77412 times.",
    published=FIRST_DAY + timedelta(days=2),
    tags=("snarvik",),
)
WORDS = ("zyqqorblat", "quuxana", "vrelm", "florpinax", "77412", "snarvik", SECRET.id)


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """An index that holds the article to be forgotten."""
    Recommender.build(ARTICLES, tmp_path / "index").add([SECRET])
    return tmp_path / "index"


def file_of(index: Path) -> Path:
    """The store that counts."""
    return index / str(read_manifest(index)["store"])


def traces(index: Path) -> set[str]:
    """Which of the words stand in any file of an index, its deflated text and the deflated reasons of lists too."""
    with contextlib.closing(sqlite3.connect(file_of(index))) as db:
        reasons = [str(link[5]) for row, blob in db.execute("SELECT row, packed FROM links") for link in links_in(row, blob)]
    everything = b"\n".join([*(path.read_bytes() for path in index.iterdir()), *(line.encode() for line in reasons)])
    deflated = zlib.compress(json.dumps([SECRET.title, SECRET.body], ensure_ascii=False).encode(), 6)
    found = {word for word in WORDS if word.encode() in everything.lower()}
    return found | ({"the deflated text"} if deflated in everything else set())


def test_no_byte_of_a_removed_article_is_left(index: Path) -> None:
    """Its words, its id and its deflated text stand in the folder before, and in none of its files after."""
    assert traces(index) == {*WORDS, "the deflated text"}
    engine = Recommender.open(index)
    engine.remove([SECRET.id])
    assert traces(index) & {"zyqqorblat", "quuxana vrelm"}
    before, after = engine.compact()
    assert traces(index) == set()
    assert after == sum(path.stat().st_size for path in index.iterdir())
    assert before > after


def test_no_byte_of_an_article_that_the_index_was_built_with_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was learned of it, its place in the saved neighbour search and its line that others have too go like the rest."""
    monkeypatch.setattr(VectorIndex.__init__, "__kwdefaults__", {"exact_limit": 20})
    line = "Subscribe to the Snarvik Zyqqorblat letter, it is free of charge and always will be."
    followed = [replace(one, body=f"{one.body}\n{line}") for one in (SECRET, *ARTICLES[:1])]
    engine = Recommender.build([*followed, *ARTICLES[1:]], tmp_path / "index")
    assert traces(tmp_path / "index") >= {"zyqqorblat", SECRET.id}
    engine.remove([SECRET.id])
    engine.add(ARTICLES[:1])
    engine.compact()
    assert traces(tmp_path / "index") == set()
    assert engine.check() == []


def test_an_article_that_was_updated_leaves_nothing_of_its_former_text(index: Path) -> None:
    """Words that the new text does not hold are gone like those of a removed one."""
    engine = Recommender.open(index)
    engine.add([Article(id=SECRET.id, title="Another headline", body="so another text.", published=SECRET.published)])
    engine.compact()
    assert traces(index) == {SECRET.id}


def test_what_is_left_is_as_it_was(index: Path) -> None:
    """Lists, threads, counts of terms and answers to a draft are the same; the index is sound and goes on growing as before."""
    engine, other = Recommender.open(index), Recommender.open(index)
    engine.remove([SECRET.id])
    draft = report("draft", "story 3", 1.5)
    before = list(engine.all_related(20)), engine.threads(), engine.related_to(draft, 20)
    engine.compact()
    assert (list(engine.all_related(20)), engine.threads(), engine.related_to(draft, 20)) == before
    assert list(other.all_related(20)) == before[0]
    assert engine.check() == []
    engine.add([SECRET, draft])
    assert engine.check() == []
    assert "s03a0" in engine.related_ids("draft", 20)
    assert "zyqqorblat" in traces(index)


def test_one_file_is_left_and_its_log_is_empty(index: Path) -> None:
    """One generation, no half-written file; a write-ahead log, where there is one, has no byte."""
    (index / "manifest.json.new").write_text("half")
    (index / "neighbours.faiss.new").write_bytes(b"half")
    Recommender.open(index).compact()
    assert [path.name for path in index.glob("store-*.sqlite")] == [read_manifest(index)["store"]]
    assert not list(index.glob("*.new"))
    assert all(path.stat().st_size == 0 for path in index.glob("*-wal"))


def test_the_log_of_changes_forgets_articles_that_are_gone(index: Path) -> None:
    """Their ids and labels that no thread bears go; the rest of the log, and redirects and rules, stay."""
    label = Recommender.open(index).threads()[0].label
    connection = sqlite3.connect(index / str(read_manifest(index)["store"]), isolation_level=None)
    ids = json.dumps(["s00a0", SECRET.id])
    connection.execute("INSERT INTO changes VALUES (9001, '2024', 'joined', 't', NULL, ?, ?)", (ids, SECRET.title))
    connection.execute("INSERT INTO changes VALUES (9002, '2024', 'merged', 't', 'u', '[]', ?)", (label,))
    connection.execute("INSERT INTO redirects VALUES ('t', 'u')")
    rule = json.dumps(Rule(kind="never", articles=("s00a0", "s01a0")).to_json())
    connection.execute("INSERT INTO rules VALUES (1, ?)", (rule,))
    connection.close()
    engine = Recommender.open(index)
    engine.remove([SECRET.id])
    engine.compact()
    store = Store.open(index)
    assert store.query("SELECT * FROM changes WHERE number > 9000") == [
        (9001, "2024", "joined", "t", None, '["s00a0"]', None),
        (9002, "2024", "merged", "t", "u", "[]", label),
    ]
    assert store.query("SELECT * FROM redirects") == [("t", "u")]
    assert store.query("SELECT * FROM rules") == [(1, rule)]
    store.close()
    assert traces(index) == set()


def test_the_command_says_what_it_gave_back(index: Path, tmp_path: Path) -> None:
    """A line on stderr, nothing on stdout; where there is no index none is made."""
    done = CliRunner().invoke(app, ["compact", "--index", str(index)])
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr.startswith(f"compacted {index}: ")
    assert CliRunner().invoke(app, ["compact", "--index", str(tmp_path / "none")]).exit_code == 4
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("make_older", [age, age_to_format_3])
def test_an_index_of_an_older_format_is_brought_up_to_date(make_older: Callable[[Path], None], index: Path) -> None:
    """Refused by all else, `compact` makes of its links what they are now; all that was in it is the same. Older formats had one
    number for the score and for the order of `similar`."""
    engine = Recommender.open(index)
    engine.add_rule("pin s00a0 s01a0")
    engine.add_rule("never s02a0 s02a1")
    engine.compact()
    engine.close()
    today = Path(shutil.copytree(index, index.parent / "today"))
    make_older(index)
    done = CliRunner().invoke(app, ["related", "s00a0", "--index", str(index)])
    assert (done.exit_code, done.stdout) == (4, "")
    assert "bring it up to date with `recommender compact`, which loses nothing" in done.stderr
    assert CliRunner().invoke(app, ["compact", "--index", str(index)]).exit_code == 0
    assert without_scores(contents_of(index)) == without_scores(contents_of(today))
    assert Recommender.open(index).check() == []
    assert Recommender.open(index).rules() == Recommender.open(today).rules()
    Recommender.open(index).add([report("late", "story 0", 1.0)])
    assert Recommender.open(index).check() == []


def without_scores(tables: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The tables with all of each link but its score, and without what an older version did not keep."""
    links = [link for row, blob in tables["links"] for link in links_in(row, blob)]
    meta = [entry for entry in tables["meta"] if entry[0] != "usual_words"]
    return tables | {"links": [(row, other, *rest) for row, other, _, *rest in links], "meta": meta}
