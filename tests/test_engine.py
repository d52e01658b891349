"""The library: what a caller gets from build, add, remove, rebuild and every question."""

from __future__ import annotations

import gc
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from recommender import Article, Explanation, Recommender, RecommenderError, Related, RelatedList, StoryThread
from recommender.archives.loading import load
from recommender.errors import EncoderError, IndexBusyError, IndexUnusableError, UnknownArticleError, UnknownThreadError
from recommender.pipeline.candidates import Pairs
from recommender.pipeline.content import Content
from recommender.pipeline.embedding import HashedEncoder
from recommender.pipeline.index import VectorIndex
from recommender.pipeline.linking import thread_groups
from recommender.pipeline.scoring import shipped_weights
from recommender.pipeline.terms import TermCounts
from recommender.storage.folder import read_manifest
from recommender.storage.store import Store
from recommender.writing import building, updating
from recommender.writing.writer import WriteOptions
from tests.archives import FIRST_DAY, newspaper, planted, report
from tests.links import unfold
from tests.models import WORDS, static_model, transformer_model

ARTICLES = newspaper(4, 3, 3)
HEAVY = ("sklearn", "scipy", "faiss", "torch", "transformers", "sentence_transformers", "numpy", "pyarrow", "selectolax")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of four stories of three articles and three that stand alone; read it, copy it, do not write to it."""
    folder = tmp_path_factory.mktemp("built") / "index"
    Recommender.build(ARTICLES, folder).close()
    return folder


@pytest.fixture
def index(built: Path, tmp_path: Path) -> Path:
    """A copy to write to."""
    return Path(shutil.copytree(built, tmp_path / "index"))


@pytest.fixture
def engine(index: Path) -> Iterator[Recommender]:
    """The copy, open."""
    opened = Recommender.open(index)
    yield opened
    opened.close()


def threads_of(engine: Recommender) -> list[list[str]]:
    """The threads by their articles."""
    return sorted(sorted(thread.article_ids) for thread in engine.threads())


def contents_of(index: Path) -> dict[str, list[Any]]:
    """Every table of an index, row by row, but for what tells one write from another."""
    store = Store.open(index)
    tables = [name for (name,) in store.query("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    contents = {table: store.query(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables}
    contents["meta"] = [row for row in contents["meta"] if row[0] not in ("written", "edition")]
    contents["changes"] = [(number, *rest) for number, _, *rest in contents["changes"]]
    store.close()
    return contents


def check(index: Path) -> None:
    """What must hold in any index, whatever was done to it; read from the tables alone."""
    store = Store.open(index)
    rows = {row for (row,) in store.query("SELECT row FROM articles")}
    for table in ("bodies", "vectors", "terms"):
        assert {row for (row,) in store.query(f"SELECT row FROM {table}")} == rows, table
    check_threads(store)
    check_links(store, rows)
    archive = load(store)
    holders = np.bincount(archive.counts_of(np.arange(len(archive))).text.indices, minlength=len(archive.vocabulary))
    np.testing.assert_array_equal(archive.vocabulary.document_frequency, holders)
    unfold(store.db)
    found = store.query("SELECT row, other, same FROM links WHERE row < other ORDER BY row, other")
    place = {row: number for number, row in enumerate(sorted(rows))}
    pairs = Pairs(*(np.array([place[link[side]] for link in found], np.int64) for side in (0, 1)))
    groups = thread_groups(len(rows), pairs, np.array([link[2] for link in found], np.float32))
    members: dict[int, list[int]] = {}
    for row, thread in store.query("SELECT row, thread FROM articles WHERE thread IS NOT NULL ORDER BY row"):
        members.setdefault(thread, []).append(place[row])
    assert sorted(members.values()) == groups
    store.close()


def check_threads(store: Store) -> None:
    """Two articles or more, in order, led by one of them, and counted rightly."""
    members: dict[int, list[tuple[int, float | None]]] = {}
    for thread, row, instant in store.query(
        "SELECT thread, row, instant FROM articles WHERE thread IS NOT NULL ORDER BY thread, position"
    ):
        members.setdefault(thread, []).append((row, instant))
    threads = store.query("SELECT number, lead, size, first_instant, last_instant FROM threads")
    assert {number for number, *_ in threads} == set(members)
    for number, lead, size, first, last in threads:
        rows = [row for row, _ in members[number]]
        instants = [instant for _, instant in members[number] if instant is not None]
        assert len(rows) == size >= 2
        assert lead in rows
        assert members[number] == sorted(members[number], key=lambda m: (m[1] is None, m[1] or 0, m[0]))
        assert (first, last) == ((instants[0], instants[-1]) if instants else (None, None))
        positions = store.query("SELECT position FROM articles WHERE thread = ? ORDER BY position", number)
        assert [position for (position,) in positions] == list(range(1, size + 1))
    assert store.query("SELECT count(*) FROM articles WHERE thread IS NULL AND position IS NOT NULL") == [(0,)]


def check_links(store: Store, rows: set[int]) -> None:
    """Every link from both sides and between articles that are there; the places of every list without a gap."""
    unfold(store.db)
    links = store.query("SELECT row, other, score, same, nearness, relation, reasons, similar, sidebar FROM links")
    thread = dict(store.query("SELECT row, thread FROM articles"))
    known = {(row, other): values for row, other, *values in links}
    for (row, other), (score, same, nearness, relation, reasons, similar, sidebar) in known.items():
        assert {row, other} <= rows
        assert row != other
        assert known[other, row][:4] == [score, same, nearness, relation]
        assert 0 <= same <= min(score, nearness) <= max(score, nearness) <= 1
        if relation:  # no duplicate
            assert relation == (1 if thread[row] is not None and thread[row] == thread[other] else 2)
        assert reasons is not None or (similar is None and sidebar is None)
    for profile, order in ((5, 2), (6, 0)):
        for row in rows:
            mine = [values for (one, _), values in known.items() if one == row]
            listed = sorted((values[profile], -values[order]) for values in mine if values[profile] is not None)
            assert [place for place, _ in listed] == list(range(len(listed)))
            if profile == 5 or not store.query("SELECT 1 FROM rules"):  # a pin comes first in a sidebar
                assert [value for _, value in listed] == sorted(value for _, value in listed)


def test_a_build_finds_the_planted_stories(built: Path) -> None:
    """Threads are the stories that were planted, and an article that stands alone is in none."""
    engine = Recommender.open(built)
    assert threads_of(engine) == planted(ARTICLES)
    assert len(engine) == len(ARTICLES)
    assert "s00a1" in engine
    assert "nobody" not in engine
    assert engine.thread_of("x0") is None
    check(built)


def test_related_gives_the_rest_of_the_story_and_nothing_else(built: Path) -> None:
    """Both profiles list the story's other articles with all that the contract names; a lone article has an empty list."""
    engine = Recommender.open(built)
    for profile in ("sidebar", "similar"):
        found = engine.related("s01a1", profile=profile)
        assert {item.id for item in found} == {"s01a0", "s01a2"}
        for item in found:
            assert isinstance(item, Related)
            assert item.relation == "same-story"
            assert item.thread_id == engine.thread_of("s01a1").id  # type: ignore[union-attr]
            assert 0.5 < item.score <= 1
            assert item.reasons[-1] == "1 day apart"
            assert len(item.reasons) > 1
    assert engine.related("x1") == []
    assert engine.related_ids("s01a1") == [item.id for item in engine.related("s01a1")]


def test_json_has_the_shapes_of_the_contract(built: Path) -> None:
    """Keys, types and nulls of `related`, `thread` and `explain`, through JSON and back."""
    engine = Recommender.open(built)
    found = json.loads(json.dumps(engine.related_list("s00a0", k=1).to_json()))
    thread = engine.thread_of("s00a0")
    assert thread is not None
    assert found["thread"] == {"id": thread.id, "label": thread.label, "position": 1, "size": 3}
    (item,) = found["items"]
    original = next(article for article in ARTICLES if article.id == item["id"])
    assert set(item) == {"id", "title", "url", "published", "score", "relation", "thread_id", "reasons"}
    assert (item["title"], item["url"]) == (original.title, original.url)
    assert item["published"] == f"2024-06-0{original.published.day}T09:00:00+00:00"  # type: ignore[union-attr]
    assert json.loads(json.dumps(thread.to_json())) == {
        "id": thread.id, "label": thread.label, "keywords": list(thread.keywords), "size": 3,
        "first_published": "2024-06-01T09:00:00+00:00", "last_published": "2024-06-03T09:00:00+00:00",
        "lead_id": thread.lead_id, "article_ids": ["s00a0", "s00a1", "s00a2"],
    }  # fmt: skip
    assert thread.lead_id in thread.article_ids
    assert set(engine.explain("s00a0", "x0").to_json()) == {"ids", "score", "relation", "reasons", "evidence"}
    assert json.loads(json.dumps(engine.related_list("x0").to_json())) == {"id": "x0", "thread": None, "items": []}


def test_a_list_is_the_beginning_of_a_longer_one(built: Path) -> None:
    """k cuts and does nothing else; less than 1 is refused."""
    engine = Recommender.open(built)
    assert engine.related("s02a0", k=1) == engine.related("s02a0", k=20)[:1]
    with pytest.raises(ValueError, match="not 0"):
        engine.related("s02a0", k=0)


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_long_answer_may_be_given_up_by_another_thread(built: Path, tmp_path: Path) -> None:
    """Who has read half of it and forgets it, wherever the garbage is collected, leaves neither an error nor an open file."""
    index = shutil.copytree(built, tmp_path / "index")
    answers = [Recommender(index).all_related()]
    next(answers[0])
    with ThreadPoolExecutor(1) as pool:
        pool.submit(answers.clear).result()
    gc.collect()
    if Path("/proc/self/fd").exists():
        assert not [file for file in Path("/proc/self/fd").iterdir() if str(index) in os.path.realpath(file)]


def test_all_related_is_related_of_every_article(built: Path) -> None:
    """Oldest first."""
    engine = Recommender.open(built)
    found = list(engine.all_related(3))
    assert [each.id for each in found] == [a.id for a in sorted(ARTICLES, key=lambda a: (a.published, a.id))]
    assert found == [engine.related_list(str(each.id), 3) for each in found]
    assert all(isinstance(each, RelatedList) for each in found)


def test_threads_come_latest_first(built: Path) -> None:
    """By their last article; min_size leaves the small ones out; each is found by its id and by each of its articles."""
    engine = Recommender.open(built)
    threads = engine.threads()
    assert [thread.last_published for thread in threads] == sorted((t.last_published or "" for t in threads), reverse=True)
    assert engine.threads(min_size=4) == []
    for thread in threads:
        assert isinstance(thread, StoryThread)
        assert engine.thread(thread.id) == thread
        assert all(engine.thread_of(article_id) == thread for article_id in thread.article_ids)


def test_the_label_is_the_headline_of_the_lead(built: Path) -> None:
    """And the keywords are words of the story."""
    engine = Recommender.open(built)
    for thread in engine.threads():
        assert thread.label == engine.article(thread.lead_id).title
        texts = " ".join(f"{a.title} {a.body}" for a in ARTICLES if a.id in thread.article_ids).lower()
        assert thread.keywords
        assert all(keyword.lower() in texts for keyword in thread.keywords)


@pytest.mark.parametrize("ask", ["related", "related_ids", "related_list", "thread_of", "article"])
def test_an_unknown_article_is_an_error(ask: str, built: Path) -> None:
    """Exit code 3, and the id is named."""
    with pytest.raises(UnknownArticleError, match="'nobody'") as error:
        getattr(Recommender.open(built), ask)("nobody")
    assert error.value.exit_code == 3
    assert isinstance(error.value, RecommenderError)


def test_an_unknown_thread_is_an_error(built: Path) -> None:
    """Exit code 3; an article's id is no thread's."""
    with pytest.raises(UnknownThreadError, match="'s00a0'") as error:
        Recommender.open(built).thread("s00a0")
    assert error.value.exit_code == 3


def test_explain_agrees_with_the_lists(built: Path) -> None:
    """Score, relation and reasons worked out anew are those that a build has stored, from either side."""
    engine = Recommender.open(built)
    for article in ARTICLES:
        for item in engine.related(article.id, 20, profile="similar"):
            known = engine.explain(article.id, item.id)
            assert isinstance(known, Explanation)
            assert known.score == pytest.approx(item.score, abs=2e-4)
            assert (known.relation, known.reasons) == (item.relation, item.reasons)
            assert engine.explain(item.id, article.id).evidence == known.evidence
    assert engine.explain("s00a0", "x0").relation is None
    with pytest.raises(UnknownArticleError):
        engine.explain("s00a0", "nobody")


def test_a_draft_finds_its_story_and_stays_out(engine: Recommender, index: Path) -> None:
    """A new report on a story gets that story's articles, and nothing is written."""
    before = {path.name: path.read_bytes() for path in index.iterdir()}
    draft = report("draft", "story 2", 3.0)
    for profile in ("sidebar", "similar"):
        found = engine.related_to(draft, profile=profile)
        assert {item.id for item in found} == {"s02a0", "s02a1", "s02a2"}
        assert all(item.relation == "same-story" and len(item.reasons) > 1 for item in found)
    assert len(engine.related_to(draft, 2)) == 2
    assert engine.related_to(report("draft", "a story of its own", 3.0)) == []
    assert engine.related_to(Article(id="draft", title="the of and")) == []
    assert "draft" not in engine
    assert {path.name: path.read_bytes() for path in index.iterdir()} == before


def test_a_copy_of_an_article_is_its_duplicate(engine: Recommender) -> None:
    """A reader is not shown the same text twice; `similar` says that it is the same text."""
    original = next(article for article in ARTICLES if article.id == "s03a1")
    copy = replace(original, id="copy", title=original.title.upper())
    assert next((item.id, item.relation) for item in engine.related_to(copy, profile="similar")) == ("s03a1", "duplicate")
    assert {item.id for item in engine.related_to(copy)} == {"s03a0", "s03a2"}
    engine.add([copy])
    assert next((item.id, item.relation) for item in engine.related("copy", profile="similar")) == ("s03a1", "duplicate")
    assert set(engine.related_ids("copy")) == set(engine.related_ids("s03a1")) == {"s03a0", "s03a2"}
    assert len(set(engine.related_ids("s03a0")) & {"s03a1", "copy"}) == 1


def test_an_added_article_joins_its_story(engine: Recommender, index: Path) -> None:
    """It is in the thread, which keeps its id, and in the lists of the others; they are in its own."""
    thread = engine.thread_of("s00a0")
    written = engine.add([report("s00a3", "story 0", 3.0), report("x9", "single 9", 3.0)])
    assert (written.added, written.updated, written.unchanged) == (2, 0, 0)
    grown = engine.thread_of("s00a3")
    assert thread is not None
    assert grown is not None
    assert (grown.id, grown.article_ids) == (thread.id, ("s00a0", "s00a1", "s00a2", "s00a3"))
    assert set(engine.related_ids("s00a3")) == {"s00a0", "s00a1", "s00a2"}
    assert all("s00a3" in engine.related_ids(article_id) for article_id in thread.article_ids)
    assert engine.thread_of("x9") is None
    assert len(engine) == len(ARTICLES) + 2
    check(index)


def test_two_lone_articles_become_a_thread(engine: Recommender, index: Path) -> None:
    """A second report turns an article that stood alone into a story, and both lists fill."""
    assert engine.related("x0") == []
    engine.add([report("second", "single 0", 1.0)])
    found = engine.thread_of("x0")
    assert found is not None
    assert found.article_ids == ("x0", "second")
    assert (engine.related_ids("x0"), engine.related_ids("second")) == (["second"], ["x0"])
    check(index)


def test_what_is_unchanged_costs_nothing(engine: Recommender, index: Path) -> None:
    """Adding the same articles again writes not one row."""
    before = contents_of(index)
    written = engine.add(ARTICLES)
    assert (written.added, written.updated, written.unchanged) == (0, 0, len(ARTICLES))
    assert contents_of(index) == before


@pytest.mark.parametrize("change", [{"title": "Another headline"}, {"url": "https://news.example/new"}, {"section": "Sports"}])
def test_a_changed_field_updates_the_article(change: dict[str, str], engine: Recommender, index: Path) -> None:
    """A known id with another field is updated in place: the number of articles, its thread and the thread's id stay."""
    thread = engine.thread_of("s01a1")
    original = next(article for article in ARTICLES if article.id == "s01a1")
    written = engine.add([replace(original, **change), ARTICLES[0]])  # type: ignore[arg-type]
    assert (written.added, written.updated, written.unchanged) == (0, 1, 1)
    assert len(engine) == len(ARTICLES)
    found = engine.thread_of("s01a1")
    assert thread is not None
    assert found is not None
    assert (found.id, found.article_ids) == (thread.id, thread.article_ids)
    if "section" in change:
        assert [item.id for item in engine.latest("Sports")] == ["s01a1"]
    else:
        assert change.items() <= engine.article("s01a1").to_json().items()
    assert set(engine.related_ids("s01a1")) == {"s01a0", "s01a2"}


def test_only_what_says_something_else_is_encoded_again(engine: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a whole site that is added again: one for another headline, one for another text, none for a date or a section."""
    encoded: list[int] = []
    encode = HashedEncoder.encode  # what an archive of fifteen articles has

    def counted(self: HashedEncoder, contents: Sequence[Content], counts: TermCounts) -> NDArray[np.float32]:
        encoded.append(len(contents))
        return encode(self, contents, counts)

    monkeypatch.setattr(HashedEncoder, "encode", counted)
    changes: list[tuple[dict[str, Any], int]] = [
        ({}, 0), ({"title": "Another headline"}, 1), ({"body": "so another text."}, 1), ({"section": "Sports"}, 0),
        ({"published": None}, 0),
    ]  # fmt: skip
    for change, expected in changes:
        encoded.clear()
        engine.add([*ARTICLES[1:], replace(ARTICLES[0], **change)])
        assert sum(encoded) == expected, change
        engine.add(ARTICLES)


def test_an_article_may_move_to_another_story(engine: Recommender) -> None:
    """Rewritten, it is in the lists of its new story and in none of its old one."""
    engine.add([report("s01a1", "story 2", 1.0, edition=1)])
    assert set(engine.related_ids("s01a1")) == {"s02a0", "s02a1", "s02a2"}
    assert "s01a1" in engine.related_ids("s02a0")
    assert engine.related_ids("s01a0") == ["s01a2"]


def test_the_thread_that_an_article_leaves_is_put_right(engine: Recommender, index: Path) -> None:
    """After a rewrite the old thread counts its articles rightly, is led by one of them, and is gone where one is left."""
    engine.add([report("s01a1", "story 2", 1.0, edition=1)])
    assert threads_of(engine)[1] == ["s01a0", "s01a2"]
    check_threads(Store.open(index))
    engine.add([report("s01a0", "story 3", 1.0, edition=1)])
    assert engine.thread_of("s01a2") is None
    check_threads(Store.open(index))


def test_the_archive_knows_its_words_after_an_update(engine: Recommender, index: Path) -> None:
    """How many articles hold a term follows rewrites, or rare words would grow common by being edited."""
    engine.add([report("s01a1", "story 2", 1.0, edition=1)])
    check(index)


def test_a_thread_keeps_its_id_when_all_of_it_is_updated(engine: Recommender) -> None:
    """An id lives as long as its thread, also where every member is corrected at once."""
    engine.add([report("older", "story 1", -1.0)])
    thread = engine.thread_of("s01a0")
    assert thread is not None
    assert thread.article_ids[0] == "older"
    everything = [report("older", "story 1", -1.0), *(a for a in ARTICLES if a.id.startswith("s01"))]
    engine.add([replace(article, section="Corrected") for article in everything])
    found = engine.thread_of("s01a0")
    assert found is not None
    assert (found.id, found.article_ids) == (thread.id, thread.article_ids)


def test_a_removed_article_is_nowhere(engine: Recommender, index: Path) -> None:
    """No list, no thread, no latest, no row of any table knows its id or its number; asking for it is an error."""
    store = Store.open(index)
    row = store.row_of("s00a1")
    store.close()
    assert engine.remove(["s00a1", "x0"]).removed == 2
    listed = [item.id for each in engine.all_related(20) for item in each.items]
    similar = [item.id for each in engine.all_related(20, profile="similar") for item in each.items]
    threaded = [article_id for thread in engine.threads() for article_id in (*thread.article_ids, thread.lead_id)]
    draft = [item.id for item in engine.related_to(report("draft", "story 0", 1.0), 20, profile="similar")]
    latest = [item.id for item in engine.latest(None, 99)]
    assert not {"s00a1", "x0"} & {*listed, *similar, *threaded, *draft, *latest}
    assert draft
    contents = contents_of(index)
    texts = json.dumps({table: rows for table, rows in contents.items() if table != "blobs"}, default=repr)
    assert "s00a1" not in texts
    for table in ("articles", "bodies", "vectors", "terms", "links"):
        assert row not in {values[0] for values in contents[table]}
    assert row not in {values[1] for values in contents["links"]}
    with pytest.raises(UnknownArticleError):
        engine.related("s00a1")
    check(index)


def test_a_thread_of_which_one_is_left_is_none(engine: Recommender, index: Path) -> None:
    """Two of three removed: no thread any more, and the third has an empty list."""
    thread = engine.thread_of("s00a0")
    engine.remove(["s00a1", "s00a2"])
    assert engine.thread_of("s00a0") is None
    assert engine.related("s00a0") == []
    assert thread is not None
    with pytest.raises(UnknownThreadError):
        engine.thread(thread.id)
    check(index)


def test_a_removed_article_can_come_back(engine: Recommender) -> None:
    """Added again it is where it was, and the thread has had its id all along."""
    before, thread = threads_of(engine), engine.thread_of("s00a1")
    engine.remove(["s00a1"])
    engine.add([article for article in ARTICLES if article.id == "s00a1"])
    again = engine.thread_of("s00a1")
    assert threads_of(engine) == before
    assert thread is not None
    assert again is not None
    assert again.id == thread.id


def test_remove_is_all_or_nothing(engine: Recommender, index: Path) -> None:
    """One unknown id and nothing is removed; removing everything is refused; removing nothing is nothing."""
    before = contents_of(index)
    with pytest.raises(UnknownArticleError, match="'nobody'"):
        engine.remove(["s00a0", "nobody"])
    with pytest.raises(RecommenderError, match="all articles"):
        engine.remove([article.id for article in ARTICLES])
    assert engine.remove([]).removed == 0
    assert contents_of(index) == before


def test_an_add_that_fails_changes_nothing(engine: Recommender, index: Path) -> None:
    """An error in the middle of the articles leaves every table as it was."""
    before = contents_of(index)

    def broken() -> Iterator[Article]:
        yield report("s00a3", "story 0", 3.0)
        raise RuntimeError("the source broke off")

    with pytest.raises(RuntimeError, match="broke off"):
        engine.add(broken())
    assert contents_of(index) == before


@pytest.mark.parametrize("fault", ["broken source", "nothing came", "no such model"])
def test_a_build_that_fails_leaves_the_old_index(fault: str, engine: Recommender, index: Path) -> None:
    """The files are byte for byte the same, and an open Recommender goes on."""
    files = {path.name: path.read_bytes() for path in index.iterdir() if path.name.startswith(("store", "manifest"))}
    before = engine.related("s00a0")

    def source() -> Iterator[Article]:
        yield from ARTICLES[: 0 if fault == "nothing came" else 3]
        if fault == "broken source":
            raise RuntimeError("the source broke off")

    with pytest.raises((RuntimeError, RecommenderError)):
        Recommender.build(source(), index, model="/no/such/model" if fault == "no such model" else "lsa")
    assert {path.name: path.read_bytes() for path in index.iterdir() if path.name.startswith(("store", "manifest"))} == files
    assert engine.related("s00a0") == before


def test_a_failed_first_build_leaves_no_index(tmp_path: Path) -> None:
    """Nothing that could be taken for an index is left behind."""
    with pytest.raises(RecommenderError, match="no articles"):
        Recommender.build([], tmp_path / "index")
    with pytest.raises(IndexUnusableError):
        Recommender.open(tmp_path / "index")
    assert not list(tmp_path.rglob("*.sqlite*"))


def test_an_open_recommender_sees_a_rebuilt_index(engine: Recommender, index: Path) -> None:
    """Without reopening: new articles, new lists, and drafts compared with the new archive."""
    assert engine.related_to(report("draft", "story 7", 1.0)) == []
    Recommender.build(newspaper(8, 2), index).close()
    assert len(engine) == 16
    assert engine.related_ids("s07a0") == ["s07a1"]
    assert {item.id for item in engine.related_to(report("draft", "story 7", 1.0))} == {"s07a0", "s07a1"}
    with pytest.raises(UnknownArticleError):
        engine.related("x0")


def test_drafts_are_compared_with_the_index_of_now(engine: Recommender, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the new store stands at the address that the old one had, as happens once in a hundred rebuilds."""
    monkeypatch.setattr("recommender.opening.id", lambda thing: 7, raising=False)
    draft = report("draft", "story 7", 1.0)
    assert engine.related_to(draft) == []
    Recommender.build(newspaper(8, 2), index).close()
    assert {item.id for item in engine.related_to(draft)} == {"s07a0", "s07a1"}


def test_one_shared_word_does_not_relate_a_draft(engine: Recommender) -> None:
    """A draft about something new has what it would have once added: nothing, though a word of its own stands in an article."""
    word = ARTICLES[0].body.split()[5]
    draft = replace(report("draft", "a story of its own", 0.0), title=f"About {word}")
    before = engine.related_to(draft, profile="similar")
    engine.add([draft])
    assert engine.related("draft", profile="similar") == []
    assert before == []


def test_a_list_of_less_than_one_is_refused_for_drafts_too(built: Path) -> None:
    """As for articles of the index."""
    with pytest.raises(ValueError, match="k must be"):
        Recommender.open(built).related_to(ARTICLES[0], k=-1)


def test_articles_that_share_no_word_are_no_thread(tmp_path: Path) -> None:
    """Thirty stories of three, too many for the directions of so small a fit: none is mixed up with another."""
    articles = newspaper(30, 3)
    engine = Recommender.build(articles, tmp_path / "index")
    assert engine.info()["dimensions"] < 30
    assert threads_of(engine) == planted(articles)


def test_drafts_see_what_was_added_and_removed(engine: Recommender, index: Path) -> None:
    """By this Recommender or by another one."""
    draft = report("draft", "single 9", 3.0)
    assert engine.related_to(draft) == []
    Recommender.open(index).add([report("x9", "single 9", 3.0)])
    assert [item.id for item in engine.related_to(draft)] == ["x9"]
    engine.remove(["x9"])
    assert engine.related_to(draft) == []


def test_an_index_that_was_deleted_is_missing(engine: Recommender, index: Path) -> None:
    """An open Recommender does not go on about an index that is not there any more."""
    shutil.rmtree(index)
    with pytest.raises(IndexUnusableError):
        engine.related("s00a0")


def test_a_closed_recommender_opens_again(engine: Recommender) -> None:
    """close lets go of the files; the next question needs no ceremony."""
    before = engine.related("s00a0")
    engine.close()
    assert engine.related("s00a0") == before


def test_a_rebuild_keeps_thread_ids(engine: Recommender, index: Path) -> None:
    """Threads of the same articles keep their ids although the archive around them has changed."""
    engine.add([report("older", "story 1", -1.0)])
    before = {thread.article_ids: thread.id for thread in engine.threads()}
    Recommender.build([*newspaper(6, 3), report("older", "story 1", -1.0)], index).close()
    after = {thread.article_ids: thread.id for thread in engine.threads()}
    assert set(before) < set(after)
    assert before.items() <= after.items()
    assert len(set(after.values())) == 6


@pytest.mark.parametrize("n", [1, 2, 3, 10])
def test_small_archives_are_served(n: int, tmp_path: Path) -> None:
    """One article has no list; two of a story are a thread; ten are two threads. Then they grow.

    Three articles of one story know no other story to stand out from: two of them at least are a thread.
    """
    articles = newspaper(2, 5)[:n]
    engine = Recommender.build(articles, tmp_path / "index")
    assert len(engine) == n
    if n == 3:
        (thread,) = threads_of(engine)
        assert set(thread) <= {article.id for article in articles}
    else:
        assert threads_of(engine) == planted(articles)
    assert set(engine.related_ids("s00a0", k=9)) == {a.id for a in articles if a.id.startswith("s00")} - {"s00a0"}
    assert engine.explain("s00a0", articles[-1].id).score >= 0
    check(tmp_path / "index")
    engine.add([report("s00a9", "story 0", 1.5)])
    assert "s00a9" in engine.related_ids("s00a0", k=9)
    check(tmp_path / "index")


def test_articles_may_lack_date_title_or_body(tmp_path: Path) -> None:
    """Each is kept, listed and threaded with what it has; without a date it comes last in its thread and is told without time."""
    whole = [report(f"s00a{number}", "story 0", number) for number in range(2)]
    odd = [
        replace(report("s00-no-date", "story 0", None), url=None, section=None),
        replace(report("s00-no-title", "story 0", 2), title=""),
        Article(id="headline", title="Quiet morning at the harbour"),
        Article(id="stop words", title="What is it", body="It is what it is."),
        Article(id="numbers", body="1 2 3"),
    ]
    engine = Recommender.build([*whole, *odd], tmp_path / "index")
    thread = engine.thread_of("s00-no-date")
    assert thread is not None
    assert thread.article_ids == ("s00a0", "s00a1", "s00-no-title", "s00-no-date")
    assert (thread.first_published, thread.last_published) == ("2024-06-01T09:00:00+00:00", "2024-06-03T09:00:00+00:00")
    item = next(item for item in engine.related("s00a0") if item.id == "s00-no-date")
    assert (item.published, item.url) == (None, None)
    assert not any("day" in reason for reason in item.reasons)
    assert engine.explain("s00a0", "s00-no-date").evidence["days_apart"] is None
    assert engine.explain("s00a0", "s00-no-title").evidence["title"] is None
    assert [engine.related(one) for one in ("headline", "stop words", "numbers")] == [[], [], []]
    check(tmp_path / "index")


def test_a_thread_without_any_title_has_a_label(tmp_path: Path) -> None:
    """The first words of its lead's text."""
    articles = [replace(article, title="") for article in newspaper(1, 3, 3)]
    engine = Recommender.build(articles, tmp_path / "index")
    (thread,) = engine.threads()
    lead = next(article for article in articles if article.id == thread.lead_id)
    assert thread.label.endswith("…")
    assert lead.body.startswith(thread.label[:-1])


def test_dates_are_told_in_utc(tmp_path: Path) -> None:
    """Eight in the evening in Delhi is half past two in the afternoon; order and distance are those of the moments."""
    delhi, new_york = timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-4))
    articles = [
        replace(report("later", "story 0", 0), published=datetime(2024, 6, 1, 11, tzinfo=new_york)),
        replace(report("earlier", "story 0", 0), published=datetime(2024, 6, 1, 20, tzinfo=delhi)),
    ]
    engine = Recommender.build(articles, tmp_path / "index")
    assert engine.article("earlier").published == "2024-06-01T14:30:00+00:00"
    assert engine.article("later").published == "2024-06-01T15:00:00+00:00"
    assert engine.threads()[0].article_ids == ("earlier", "later")
    assert engine.explain("earlier", "later").evidence["days_apart"] == pytest.approx(0.5 / 24, abs=1e-4)


def test_of_two_articles_with_one_id_the_later_counts(tmp_path: Path) -> None:
    """In a build and in an add, with one notice that says how many."""
    notices: list[str] = []
    twice = [*newspaper(1, 2), report("s00a0", "single 5", 0.0, edition=1), report("x5", "single 5", 1.0)]
    engine = Recommender.build(twice, tmp_path / "index", notice=notices.append)
    assert len(engine) == 3
    assert threads_of(engine) == [["s00a0", "x5"]]
    assert engine.article("s00a0").title == twice[2].title
    assert notices == ["1 row has the id of an earlier one; the later row counts"]
    again = [report("x6", "single 6", 1.0), report("x6", "story 0", 1.0), report("x6", "single 5", 2.0, edition=2)]
    written = engine.add(again, notice=notices.append)
    assert (written.added, len(engine)) == (1, 4)
    assert threads_of(engine) == [["s00a0", "x5", "x6"]]
    assert notices[1:] == ["2 rows have the id of an earlier one; the later row counts"]
    check(tmp_path / "index")


@pytest.mark.parametrize("stories", [4, pytest.param(40, marks=pytest.mark.slow)])
def test_the_same_articles_make_the_same_index(stories: int, tmp_path: Path) -> None:
    """Twice built, by the hashed and by the fitted encoder: every row is equal, vectors, lists and threads byte for byte."""
    articles = newspaper(stories, 3, 5)
    Recommender.build(articles, tmp_path / "one").close()
    Recommender.build(iter(articles), tmp_path / "two").close()
    one, two = contents_of(tmp_path / "one"), contents_of(tmp_path / "two")
    assert len(one["vectors"]) == len(articles)
    for table in one:
        assert one[table] == two[table], table
    Recommender.build(articles, tmp_path / "two").close()
    assert contents_of(tmp_path / "two") == one


@pytest.mark.slow
def test_another_process_makes_the_same_index(built: Path, tmp_path: Path) -> None:
    """No order of a set or hash of a string, which differ from process to process, gets into an index."""
    script = (
        "import sys; from recommender import Recommender; from tests.archives import newspaper;"
        "Recommender.build(newspaper(4, 3, 3), sys.argv[1])"
    )
    environment = os.environ | {"PYTHONHASHSEED": "77", "PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "index")], check=True, env=environment)
    assert contents_of(tmp_path / "index") == contents_of(built)


@pytest.mark.parametrize("seed", range(4))
def test_any_sequence_of_writes_leaves_a_sound_index(seed: int, tmp_path: Path) -> None:
    """After each of many adds and removals all that must hold holds, and the threads are the planted ones."""
    rng = random.Random(seed)
    every = newspaper(6, 4, 6)
    rng.shuffle(every)
    present, absent = every[:8], every[8:]
    engine = Recommender.build(present, tmp_path / "index")
    for _ in range(8):
        if absent and rng.random() < 0.6:
            come, absent = absent[:3], absent[3:]
            assert engine.add(come).added == len(come)
            present += come
        else:
            gone = rng.sample(present, min(2, len(present) - 1))
            assert engine.remove(article.id for article in gone).removed == len(gone)
            present = [article for article in present if article not in gone]
            absent += gone
        check(tmp_path / "index")
        assert threads_of(engine) == sorted(sorted(ids) for ids in planted(present))


def test_the_approximate_search_serves_an_index_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a limit of fifty vectors the neighbours are saved, used again with what has come and gone since, saved anew when that
    is much, and made anew when damaged."""
    articles, index = newspaper(8, 8), tmp_path / "index"
    exact = Recommender.build(articles, tmp_path / "exact")
    monkeypatch.setattr(VectorIndex.__init__, "__kwdefaults__", {"exact_limit": 50})
    engine = Recommender.build(articles, index)
    assert [list(engine.all_related()), engine.threads()] == [list(exact.all_related()), exact.threads()]
    cache = index / "neighbours.faiss"
    before = cache.read_bytes()
    engine.add([report("s00a9", "story 0", 1.5)])
    engine.add([report("s00a1", "story 0", 1.0, edition=1)])
    assert cache.read_bytes() == before
    assert "s00a9" in engine.related_ids("s00a0", 20)
    assert "s00a9" in {item.id for item in Recommender.open(index).related_to(report("draft", "story 0", 1.0), 20)}
    monkeypatch.setattr("recommender.writing.following.MOST_LACKING", 2)
    engine.add([report("s00a1", "story 0", 1.0)])
    assert cache.read_bytes() == before
    engine.add([report("s00a8", "story 0", 1.6)])
    engine.remove(["s00a8"])
    assert cache.read_bytes() != before
    for damage in (b"", b"not faiss", cache.read_bytes()[:-1]):
        cache.write_bytes(damage)
        assert "s00a9" in {item.id for item in Recommender.open(index).related_to(report("draft", "story 0", 1.0), 20)}
    engine.remove(["s00a9"])
    assert threads_of(engine) == threads_of(exact)
    check(index)


def test_reading_while_others_write(engine: Recommender, index: Path) -> None:
    """Readers in other threads get whole lists while articles are added and the index is replaced."""
    done = False

    def read(article_id: str) -> set[int]:
        sizes = set()
        while not done:
            sizes.add(len(engine.related(article_id, k=20)))
        return sizes

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read, "s00a0") for _ in range(3)]
        try:
            writer = Recommender.open(index)
            for number in range(3, 6):
                writer.add([report(f"s00a{number}", "story 0", number)])
            Recommender.build(newspaper(2, 7), index).close()
        finally:
            time.sleep(0.05)
            done = True
        sizes = [reader.result() for reader in readers]
    assert all(seen <= {2, 3, 4, 5, 6} for seen in sizes)
    assert all(6 in seen for seen in sizes)


WRITER = """
import sys, time
from recommender import Recommender
from tests.archives import newspaper

def slow():
    articles = newspaper(9, 2)
    yield from articles[:9]
    print("writing", flush=True)
    sys.stdin.readline()
    yield from articles[9:]

Recommender.build(slow(), sys.argv[1])
"""


@pytest.fixture
def writer(index: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process in the middle of a build."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", WRITER, str(index)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        yield process
        process.kill()


@pytest.mark.slow
def test_of_two_writers_the_second_is_told_who_writes(writer: subprocess.Popen[str], engine: Recommender, index: Path) -> None:
    """IndexBusyError names the process; readers have the old index meanwhile and the new one afterwards."""
    options = WriteOptions(wait_seconds=0.1)
    writes: list[Callable[[], object]] = [
        lambda: updating.add([report("new", "story 0", 1.0)], index, options),
        lambda: updating.remove(["x0"], index, options),
        lambda: building.build(ARTICLES, index, "lsa", options),
    ]
    for write in writes:
        with pytest.raises(IndexBusyError, match=f"process {writer.pid}") as error:
            write()
        assert error.value.exit_code == 1
    assert len(engine.related("s00a0")) == 2
    assert writer.stdin is not None
    writer.stdin.write("\n")
    writer.stdin.close()
    assert writer.wait(60) == 0
    assert len(engine) == 18
    assert updating.remove(["s00a0"], index, options).removed == 1


@pytest.mark.slow
def test_a_writer_that_was_killed_holds_nobody_up(writer: subprocess.Popen[str], engine: Recommender, index: Path) -> None:
    """The old index still counts, can be written to, and the next build clears what the dead one left."""
    writer.kill()
    writer.wait(60)
    assert len(engine) == len(ARTICLES)
    assert len(list(index.glob("store-*.sqlite"))) == 2
    engine.add([report("s00a3", "story 0", 3.0)])
    assert "s00a3" in engine.related_ids("s00a0")
    Recommender.build(ARTICLES, index).close()
    assert [path.name for path in index.glob("store-*.sqlite")] == [read_manifest(index)["store"]]


@pytest.mark.slow
def test_reading_imports_nothing_heavy(built: Path) -> None:
    """Lists, threads and info are read without numpy, scikit-learn, faiss or torch in the process."""
    script = (
        "import sys; from recommender import Recommender; e = Recommender.open(sys.argv[1]);"
        "e.related('s00a0'); list(e.all_related()); e.threads(); e.thread_of('s00a0'); e.latest(None); e.info();"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(built)], check=True, capture_output=True, text=True)
    assert not set(done.stdout.split()) & set(HEAVY)


def test_info_counts(built: Path) -> None:
    """What stands in `info` is what is in the index."""
    info = Recommender.open(built).info()
    expected = {
        "articles": 15, "threads": 4, "articles_in_threads": 12, "largest_thread": 3, "model": "lsa", "articles_at_build": 15,
        "first_published": "2024-06-01T09:00:00+00:00", "last_published": "2024-06-03T09:00:00+00:00",
    }  # fmt: skip
    assert expected.items() <= info.items()
    assert info["bytes"] == sum(path.stat().st_size for path in built.iterdir())
    json.dumps(info)


def test_progress_names_stages_and_counts(tmp_path: Path) -> None:
    """Every stage is told of, and no stage does more than its total."""
    told: list[tuple[str, int, int]] = []
    Recommender.build(ARTICLES, tmp_path / "index", progress=lambda *stage: told.append(stage))
    assert {stage for stage, _, _ in told} >= {"embedding", "comparing", "threading", "ranking"}
    assert all(0 <= done <= total for _, done, total in told if total)
    assert ("looking around", len(ARTICLES), len(ARTICLES)) in told


def vocabulary_news() -> list[Article]:
    """Three stories in words that the test models know, four articles each."""
    stories = [WORDS[start : start + 14] for start in (0, 14, 28)]
    articles = []
    for (story, words), number in itertools.product(enumerate(stories), range(4)):
        rng = random.Random(f"{story} {number}")
        text, day = " ".join(rng.sample(words, 11) * 3), FIRST_DAY + timedelta(days=number)
        articles.append(Article(id=f"s{story:02}a{number}", title=" ".join(words[:3]), body=text, published=day))
    return articles


@pytest.fixture(scope="module", params=["static", "transformer"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small real sentence-transformers model of either kind."""
    make = static_model if request.param == "static" else transformer_model
    return make(tmp_path_factory.mktemp("models") / str(request.param))


@pytest.mark.slow
def test_a_sentence_transformers_model_serves_the_whole_pipeline(model: Path, tmp_path: Path) -> None:
    """Build, lists, draft, explanation, add and remove with a model of one's own; the index says which it was."""
    articles, index = vocabulary_news(), tmp_path / "index"
    engine = Recommender.build(articles[:-1], index, model=str(model))
    info = engine.info()
    assert (info["model"], info["dimensions"]) == (str(model), 32)
    manifest = read_manifest(index)
    assert (manifest["model"], manifest["revision"], manifest["dimensions"]) == (str(model), info["revision"], 32)
    assert [engine.related_ids(f"s{story:02}a0")[0][:3] for story in range(3)] == ["s00", "s01", "s02"]
    check(index)
    fresh = Recommender.open(index)
    own_story = {"s02a0", "s02a1", "s02a2"}
    assert {item.id for item in fresh.related_to(articles[-1], 3, profile="similar")} == own_story
    fresh.add(articles[-1:])
    assert set(engine.related_ids("s02a3", 3, profile="similar")) == own_story
    for item in engine.related("s02a3", profile="similar"):
        assert engine.explain("s02a3", item.id).score == pytest.approx(item.score, abs=2e-4)
    check(index)
    engine.remove(["s02a3"])
    check(index)
    Recommender.build(articles[:-1], tmp_path / "again", model=str(model)).close()
    Recommender.build(articles[:-1], index, model=str(model)).close()
    replaced, again = contents_of(index), contents_of(tmp_path / "again")
    del replaced["changes"], again["changes"]  # one of them has a past
    assert replaced == again


@pytest.mark.slow
def test_an_index_finds_its_model_folder_from_any_working_directory(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Built and rebuilt with a relative model folder, an index stores the absolute path and takes articles from elsewhere."""
    articles, index = vocabulary_news(), tmp_path / "index"
    monkeypatch.chdir(model.parent)
    engine = Recommender.build(articles[:-2], index, model=model.name)
    assert (engine.info()["model"], read_manifest(index)["model"]) == (str(model.resolve()), str(model.resolve()))
    engine.rebuild(model=f"./{model.name}")
    monkeypatch.chdir(tmp_path)
    assert Recommender.open(index).add(articles[-2:]).added == 2


@pytest.mark.slow
def test_a_model_that_has_changed_since_the_build_is_refused(model: Path, tmp_path: Path) -> None:
    """Vectors of two models are never mixed: add and drafts stop with one error; what is stored can still be read."""
    folder, index = Path(shutil.copytree(model, tmp_path / "model")), tmp_path / "index"
    articles = vocabulary_news()
    engine = Recommender.build(articles[:-1], index, model=str(folder))
    before = contents_of(index)
    weights = next(path for path in folder.rglob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-3] ^= 1
    weights.write_bytes(content)
    asks: list[Callable[[], object]] = [lambda: engine.add(articles[-1:]), lambda: engine.related_to(articles[-1])]
    for ask in asks:
        with pytest.raises(EncoderError, match="now of revision"):
            ask()
    shutil.rmtree(folder)
    with pytest.raises(EncoderError, match="model"):
        Recommender.open(index).add(articles[-1:])
    assert contents_of(index) == before
    assert engine.related("s00a0")


def test_a_build_that_was_killed_leaves_nothing_for_long(index: Path, tmp_path: Path) -> None:
    """Its unfinished file is gone after the next build; the index that counts never is."""
    engine = Recommender.open(index)
    before = engine.related_ids("s01a0")
    (index / "store-0123456789ab.sqlite").write_bytes(b"half a file")
    assert engine.related_ids("s01a0") == before
    Recommender.build(ARTICLES, index)
    assert len(list(index.glob("store-*.sqlite"))) == 1
    assert engine.related_ids("s01a0") == before


@pytest.mark.slow
def test_a_full_disk_is_one_clear_error_and_changes_nothing(index: Path) -> None:
    """With no room for a file of more than 64 KB a build fails in one line, and the old index answers as before."""
    before = sorted(path.name for path in index.glob("store-*.sqlite"))
    script = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
        "from recommender import Article, Recommender, RecommenderError\n"
        "articles = [Article(id=str(n), title=f'story {n}', body=f'word{n} ' * 2000) for n in range(50)]\n"
        "try:\n"
        "    Recommender.build(articles, sys.argv[1])\n"
        "except RecommenderError as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(index)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("WriteFailedError index")
    assert "nothing was changed" in done.stdout
    assert sorted(path.name for path in index.glob("store-*.sqlite")) == before
    assert Recommender.open(index).related_ids("s01a0")


def test_a_failed_build_over_an_index_of_another_format_leaves_its_file(index: Path) -> None:
    """Whoever goes back to the version that can read it still has it."""
    manifest = json.loads((index / "manifest.json").read_text())
    (index / "manifest.json").write_text(json.dumps(manifest | {"format": 999}))
    with pytest.raises(RecommenderError):
        Recommender.build([], index)
    assert (index / manifest["store"]).is_file()


def test_an_index_that_grows_by_adds_is_that_of_a_build(tmp_path: Path) -> None:
    """Five articles and then forty in adds of five: the same threads and lists as of one build, and nothing counts as changed."""
    articles = newspaper(stories=9, articles=5)
    random.Random(3).shuffle(articles)
    whole = Recommender.build(articles, tmp_path / "whole")
    grown = Recommender.build(articles[:5], tmp_path / "grown")
    for start in range(5, len(articles), 5):
        grown.add(articles[start : start + 5])
    assert {frozenset(thread.article_ids) for thread in grown.threads()} == {frozenset(one) for one in planted(articles)}
    for article in articles:
        assert set(grown.related_ids(article.id)) == set(whole.related_ids(article.id))
    before = grown.info()["articles_at_build"]
    assert before > 30  # it was made anew on the way
    grown.add(articles)
    assert grown.info()["articles_at_build"] == before
    grown.add([replace(article, title=f"{article.title} again") for article in articles[:1]])
    assert grown.article(articles[0].id).title.endswith("again")


def test_a_thread_keeps_its_headline_as_it_grows(engine: Recommender) -> None:
    """Whatever joins it, and after a build of everything anew, a thread is shown under the headline it had; unless that goes."""
    before = engine.thread_of("s00a0")
    assert before is not None
    late = [report(f"late{number}", "story 0", 3 + number) for number in range(9)]
    engine.add(late)
    grown = engine.thread(before.id)
    assert grown.size == before.size + 9
    assert (grown.label, grown.lead_id) == (before.label, before.lead_id)
    engine.remove([before.lead_id])
    assert engine.thread(before.id).label != before.label


def test_what_was_chosen_for_an_index_outlives_its_growth(tmp_path: Path) -> None:
    """Evergreen sections and weights of its own are still there when adds have made the index anew."""
    weights = tmp_path / "weights.json"
    chosen = shipped_weights().to_json()
    chosen["related"]["intercept"] += 0.5
    weights.write_text(json.dumps({"weights": chosen}), encoding="utf-8")
    articles = newspaper(stories=6, articles=5)
    engine = Recommender.build(articles[:10], tmp_path / "index", weights=weights, evergreen=["Recipes"])
    engine.add(articles[10:])
    facts = engine.info()
    assert facts["articles_at_build"] == 30
    assert (facts["weights"], facts["evergreen"]) == ("tuned", ["Recipes"])


def test_the_hub_share_is_that_of_the_lists(built: Path) -> None:
    """`hub_share` is counted over the very lists that `related` gives: the places of the most shown article in a hundred."""
    engine = Recommender.open(built)
    shown = Counter(item for listed in engine.all_related(k=5) for item in (one.id for one in listed.items))
    assert engine.info()["hub_share"] == pytest.approx(max(shown.values()) / sum(shown.values()), abs=1e-3)


def test_a_merged_thread_leads_to_the_one_that_goes_on(tmp_path: Path) -> None:
    """Where two threads are one now, the id of the one that is no more answers with the other, also after a rebuild."""
    told = [report(f"m{number}", "one story", number) for number in range(8)]
    engine = Recommender.build([*told, *newspaper(20, 3)], tmp_path / "index")
    whole = engine.thread_of("m0")
    assert whole is not None
    store = Store.open(tmp_path / "index", write=True)
    with store.transaction() as db:  # as if a former write had held two threads
        copied = "SELECT 999, 'tformer', label, keywords, lead, 2, first_instant, last_instant FROM threads WHERE id = ?"
        db.execute(f"INSERT INTO threads {copied}", (whole.id,))
        db.execute("UPDATE articles SET thread = 999 WHERE id IN ('m6', 'm7')")
    store.close()
    engine.add([report("m8", "one story", 8)])
    assert engine.thread("tformer").id == whole.id
    merged = [one for one in engine.changes() if one.kind == "merged"]
    assert [(one.thread_id, one.other_id, one.article_ids) for one in merged] == [("tformer", whole.id, ("m6", "m7"))]
    engine.rebuild()
    assert engine.thread("tformer").id == whole.id
    assert [one for one in engine.changes() if one.kind == "merged"] == merged
    check(tmp_path / "index")


def test_a_thread_that_broke_up_leads_to_where_most_of_it_is(tmp_path: Path) -> None:
    """Merged into the one, split off into another, left alone: all is logged, and the id answers with the heir."""
    articles = [*newspaper(6, 5), report("x0", "single", 0)]
    engine = Recommender.build(articles, tmp_path / "index")
    heir, other = engine.thread_of("s00a0"), engine.thread_of("s01a0")
    assert heir is not None
    assert other is not None
    store = Store.open(tmp_path / "index", write=True)
    with store.transaction() as db:  # as if a former write had held another thread, the first by name
        copied = "SELECT 999, 't', label, keywords, lead, 4, first_instant, last_instant FROM threads WHERE id = ?"
        db.execute(f"INSERT INTO threads {copied}", (heir.id,))
        db.execute("UPDATE articles SET thread = 999 WHERE id IN ('s00a3', 's00a4', 's01a4', 'x0')")
    store.close()
    since = len(engine.changes())
    engine.rebuild()
    assert [(one.kind, one.thread_id, one.other_id, one.article_ids) for one in engine.changes()[since:]] == [
        ("left", "t", None, ("x0",)),
        ("merged", "t", heir.id, ("s00a3", "s00a4")),
        ("split", other.id, "t", ("s01a4",)),
    ]
    assert engine.thread("t").id == heir.id


def test_the_log_tells_where_every_article_stands(engine: Recommender) -> None:
    """Read from the beginning, the log of any sequence of writes ends in the threads of now: no id changes unlogged."""
    rng = random.Random(5)
    coming = [report(f"n{number}", f"story {number % 6}", 2 + number / 8) for number in range(30)]
    for _ in range(6):
        engine.add(rng.sample(coming, 7))
        engine.remove(rng.sample([article.id for article in engine.latest(None, 99)], 3))
    members: dict[str, set[str]] = {}
    for one in engine.changes():
        articles = set(one.article_ids)
        if one.kind in ("founded", "split", "joined"):
            members = {thread: held - articles for thread, held in members.items()}
            members[one.thread_id] = members.get(one.thread_id, set()) | articles
        elif one.kind in ("left", "closed", "merged"):
            members[one.thread_id] -= articles
        if one.kind == "merged":
            assert one.other_id is not None
            members[one.other_id] |= articles
    present = {article.id for article in engine.latest(None, 999)}
    told = {thread: held & present for thread, held in members.items() if held & present}
    assert told == {thread.id: set(thread.article_ids) for thread in engine.threads()}


def test_changes_since_a_moment(engine: Recommender) -> None:
    """Only what happened at or after it; nothing of the future."""
    first = engine.changes()
    assert {one.kind for one in first} == {"founded"}
    assert engine.changes(datetime.fromisoformat(first[0].at)) == first
    assert engine.changes(datetime.fromisoformat("2999-01-01T00:00:00+02:00")) == []


def test_a_rebuild_into_another_folder_can_be_compared(engine: Recommender, index: Path, tmp_path: Path) -> None:
    """The index itself stays as it is; the new one has its ids, and a comparison says that they agree in all, or how far."""
    before = contents_of(index)
    engine.rebuild(to=tmp_path / "trial")
    assert contents_of(index) == before
    trial = Recommender.open(tmp_path / "trial")
    same = engine.compare(trial)
    assert (same.threads_agree, same.ids_kept, same.lists_agree, same.moved) == (1.0, 1.0, 1.0, ())
    trial.remove(["s00a0", "s00a1"])
    other = engine.compare(trial)
    assert (other.only_one, other.only_other, other.articles) == (2, 0, same.articles - 2)
    assert other.ids_kept is not None
    assert other.ids_kept < 1
    strangers = engine.compare(Recommender.build([Article(id="else", title="Ferry sinks off Sumatra")], tmp_path / "else"))
    assert (strangers.articles, strangers.threads_agree, strangers.ids_kept, strangers.lists_agree) == (0, None, None, None)


def test_info_says_when_a_rebuild_is_worth_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where adds no longer make the index anew, an archive that has grown by a fifth is worth a rebuild; after it, no more.

    The add that has made it so says so, and none after it.
    """
    monkeypatch.setattr(updating, "OUTGROWN_AT_MOST", 20)
    articles = newspaper(stories=8, articles=5)
    engine = Recommender.build(articles[:30], tmp_path / "index")
    assert engine.info()["rebuild"] == "not needed"
    told: list[str] = []
    for start in range(30, 40, 2):  # to 36 with the third
        engine.add(articles[start : start + 2], notice=told.append)
        assert len(told) == (start >= 34)
    assert told == ["fitted to 30 articles, the index has 36 now: `recommender rebuild` is worth it"]
    assert engine.info()["rebuild"] == "worth it: fitted to 30 articles, now 40"
    engine.rebuild()
    assert engine.info()["rebuild"] == "not needed"
    assert threads_of(engine) == planted(articles)


def test_time_is_no_evidence_on_articles_that_do_not_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe has no days to any other article, whether it was built or added, in a fresh process too; reports keep theirs."""
    monkeypatch.setattr(updating, "OUTGROWN_AT_MOST", 0)  # so that an add is no build
    recipes = [report(f"r{number}", "story 0", float(number), section="Recipes") for number in range(2)]
    engine = Recommender.build([*ARTICLES, recipes[0]], tmp_path / "index", evergreen=["Recipes"])
    engine.add(recipes[1:])
    apart = engine.explain("r0", "s00a2").evidence["time"]
    assert [one.score for one in engine.related("r1", 20, profile="similar") if one.id == "s00a2"] == [
        pytest.approx(engine.explain("r1", "s00a2").score, abs=1e-4)
    ]
    assert apart == 0
    for opened in (engine, Recommender.open(tmp_path / "index")):
        for recipe in recipes:
            assert opened.explain(recipe.id, "s00a0").evidence["days_apart"] is None
        assert opened.explain("s00a0", "s00a2").evidence["days_apart"] == 2
    assert Recommender.open(tmp_path / "index").check() == []
