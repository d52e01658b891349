"""`repair`: what is saved is whole, what is lost is told, the damaged file is kept."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recommender import Recommender
from recommender.cli import app
from recommender.errors import IndexUnusableError
from recommender.pipeline.rules import Rule
from recommender.storage.file import PAGE
from recommender.storage.folder import read_manifest
from recommender.storage.store import Store
from recommender.writing.records import articles_of
from tests.archives import newspaper

ARTICLES = newspaper(20, 4, 10)
GIVEN = {article.id: article for article in ARTICLES}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of ninety articles; read it, copy it, do not write to it."""
    folder = tmp_path_factory.mktemp("built") / "index"
    Recommender.build(ARTICLES, folder, evergreen=["Recipes"]).close()
    return folder


@pytest.fixture
def index(built: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(built, tmp_path / "index"))


def pages_of(index: Path, name: str) -> list[int]:
    """The pages of a table or index, its root first."""
    connection = sqlite3.connect(index / str(read_manifest(index)["store"]))
    pages = [page for (page,) in connection.execute("SELECT pageno FROM dbstat WHERE name = ? ORDER BY path", (name,))]
    connection.close()
    return pages


def overwrite(index: Path, page: int) -> None:
    """Fill one page with nonsense."""
    file = index / str(read_manifest(index)["store"])
    content = bytearray(file.read_bytes())
    content[(page - 1) * PAGE : page * PAGE] = b"\xa5" * PAGE
    file.write_bytes(content)


def whole(index: Path) -> set[str]:
    """The ids of an index, each of whose articles must be what was given; the index must be sound."""
    assert Recommender.open(index).check() == []
    store = Store.open(index)
    articles = list(articles_of(store))
    store.close()
    assert all(article == GIVEN[article.id] for article in articles)
    return {article.id for article in articles}


@pytest.mark.parametrize("table", ["links", "threads", "vectors", "terms", "vocabulary", "blobs", "articles_by_thread"])
def test_what_can_be_made_again_is_made_again(table: str, index: Path) -> None:
    """With the root page of a table that follows from the articles gone, all articles are saved and nothing is lost."""
    before = {thread.id: thread.article_ids for thread in Recommender.open(index).threads()}
    overwrite(index, pages_of(index, table)[0])
    done = Recommender.repair(index)
    assert (done.saved, done.lost, done.lost_ids) == (len(ARTICLES), 0, ())
    assert whole(index) == set(GIVEN)
    if table != "threads":
        assert {thread.id: thread.article_ids for thread in Recommender.open(index).threads()} == before
    assert Recommender.open(index).info()["evergreen"] == ["Recipes"]


@pytest.mark.parametrize("table", ["articles", "bodies"])
def test_a_lost_page_costs_its_articles_and_no_others(table: str, index: Path) -> None:
    """Of some leaf pages one is lost: saved and lost add up to all, the lost are named, each of the saved is whole."""
    name = str(read_manifest(index)["store"])
    before = (index / name).read_bytes()
    pages = pages_of(index, table)
    assert len(pages) > 3
    overwrite(index, pages[2])
    damaged = (index / name).read_bytes()
    done = Recommender.repair(index)
    assert 0 < done.lost < len(ARTICLES) / 2
    assert done.saved + done.lost == len(ARTICLES)
    assert whole(index) == set(GIVEN) - set(done.lost_ids)
    assert len(done.lost_ids) == done.lost
    assert done.kept == f"{name}.damaged"
    assert (index / done.kept).read_bytes() == damaged != before
    Recommender.open(index).add(ARTICLES)
    assert whole(index) == set(GIVEN)


def test_a_text_that_was_changed_is_lost_and_not_passed_on(index: Path) -> None:
    """An article that its own digest does not bear out is not saved; its id is told."""
    connection = sqlite3.connect(index / str(read_manifest(index)["store"]), isolation_level=None)
    connection.execute("UPDATE articles SET url = 'https://elsewhere.example' WHERE id = 's03a1'")
    connection.execute("UPDATE bodies SET body = x'00' WHERE row = (SELECT row FROM articles WHERE id = 'x4')")
    connection.close()
    done = Recommender.repair(index)
    assert (done.saved, done.lost, done.lost_ids) == (len(ARTICLES) - 2, 2, ("s03a1", "x4"))
    assert whole(index) == set(GIVEN) - {"s03a1", "x4"}


def test_a_sound_index_is_left_as_it_is(index: Path) -> None:
    """Not a byte of its store is changed, and nothing is kept aside."""
    file = index / str(read_manifest(index)["store"])
    before = file.read_bytes()
    done = Recommender.repair(index)
    assert (done.saved, done.lost, done.kept) == (len(ARTICLES), 0, None)
    assert file.read_bytes() == before
    assert not list(index.glob("*.damaged"))


@pytest.mark.parametrize("manifest", [None, b"", b"{", b'{"format": 4, "store": "store-0.sqlite"}'])
def test_a_manifest_that_says_nothing_is_made_again(manifest: bytes | None, index: Path) -> None:
    """The latest complete store of the folder is read; the leftover of a build that was killed is not taken for it."""
    (index / "store-ffffffffffff.sqlite").write_bytes(b"unfinished")
    if manifest is None:
        (index / "manifest.json").unlink()
    else:
        (index / "manifest.json").write_bytes(manifest)
    assert Recommender.repair(index).saved == len(ARTICLES)
    assert whole(index) == set(GIVEN)


def test_what_holds_no_article_is_refused_and_left(index: Path, tmp_path: Path) -> None:
    """No index, a file of nonsense, an index of a newer format: exit code 4, and every byte is as it was."""
    with pytest.raises(IndexUnusableError):
        Recommender.repair(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    file = index / str(read_manifest(index)["store"])
    manifest = (index / "manifest.json").read_bytes()
    for content, head in ((b"\xa5" * 99_999, manifest), (file.read_bytes(), manifest.replace(b'"format": 4', b'"format": 5'))):
        file.write_bytes(content)
        (index / "manifest.json").write_bytes(head)
        with pytest.raises(IndexUnusableError):
            Recommender.repair(index)
        assert (file.read_bytes(), (index / "manifest.json").read_bytes()) == (content, head)
        assert not list(index.glob("*.damaged"))


def test_redirects_changes_and_rules_come_along(index: Path) -> None:
    """What of them can be read stands in the new index; a redirect to nowhere does not."""
    living = Recommender.open(index).threads()[0].id
    connection = sqlite3.connect(index / str(read_manifest(index)["store"]), isolation_level=None)
    connection.execute("INSERT INTO changes VALUES (9001, '2024', 'merged', 'tgone', ?, '[]', NULL)", (living,))
    rule = json.dumps(Rule(kind="never", articles=("s00a0", "s01a0")).to_json())
    connection.execute("INSERT INTO rules VALUES (1, ?), (2, '{}')", (rule,))
    connection.execute("INSERT INTO redirects VALUES ('tgone', ?), ('tlost', 'tnowhere')", (living,))
    connection.execute("DELETE FROM links")
    connection.execute("DELETE FROM terms")
    connection.close()
    assert Recommender.repair(index).lost == 0
    store = Store.open(index)
    assert store.query("SELECT * FROM redirects") == [("tgone", living)]
    assert store.query("SELECT rule FROM rules") == [(rule,)]
    assert (9001, "2024", "merged", "tgone", living, "[]", None) in store.query("SELECT * FROM changes")
    store.close()
    whole(index)


def test_the_command_prints_what_is_lost(index: Path) -> None:
    """Ids on stdout, the counts on stderr, JSON on demand; afterwards the index is sound."""
    connection = sqlite3.connect(index / str(read_manifest(index)["store"]), isolation_level=None)
    connection.execute("DELETE FROM bodies WHERE row IN (SELECT row FROM articles WHERE id IN ('s00a1', 's00a2'))")
    connection.close()
    done = CliRunner().invoke(app, ["repair", "--index", str(index), "--quiet"])
    assert (done.exit_code, done.stdout, done.stderr) == (0, "s00a1\ns00a2\n", "")
    again = CliRunner().invoke(app, ["repair", "--index", str(index), "--json"])
    assert json.loads(again.stdout) == {"saved": len(ARTICLES) - 2, "lost": 0, "lost_ids": [], "kept": None}
    assert again.stderr == f"{index} is sound; nothing was changed\n"


def test_a_write_that_comes_across_a_damaged_text_says_so(index: Path) -> None:
    """Exit code 4 and the index as it was, not an unexpected error."""
    connection = sqlite3.connect(index / str(read_manifest(index)["store"]), isolation_level=None)
    connection.execute("UPDATE bodies SET body = x'789c00ff'")
    connection.close()
    with pytest.raises(IndexUnusableError, match="damaged"):
        Recommender.open(index).remove(["s03a1"])
    assert len(Recommender.open(index)) == len(ARTICLES)
