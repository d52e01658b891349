"""The index folder: manifest, SQLite file, replacement."""

from __future__ import annotations

import json
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from pathlib import Path

import pytest

from recommender import Recommender
from recommender.errors import IndexUnusableError
from recommender.folder import MANIFEST, read_manifest
from recommender.schema import FORMAT
from recommender.store import Store, replacement
from tests.archives import newspaper

ARTICLES = newspaper(3, 3, 2)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of three stories of three articles and two that stand alone; read it, copy it, do not write to it."""
    folder = tmp_path_factory.mktemp("built") / "index"
    Recommender.build(ARTICLES, folder).close()
    return folder


@pytest.fixture
def index(built: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(built, tmp_path / "index"))


def file_of(index: Path) -> Path:
    """The SQLite file that counts."""
    return index / str(read_manifest(index)["store"])


def refused(index: Path) -> str:
    """What opening an index and reading a list of it says; it must be an IndexUnusableError with a remedy."""
    with pytest.raises(IndexUnusableError) as error:
        Recommender.open(index).related("s00a0")
    assert error.value.exit_code == 4
    assert str(index) in str(error.value)
    assert "recommender build" in str(error.value)
    return str(error.value)


def test_a_folder_without_an_index_says_so(tmp_path: Path) -> None:
    """Neither a missing nor an empty folder is an index, and looking makes none."""
    assert "no index here" in refused(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    assert "no index here" in refused(tmp_path)


def test_a_file_is_no_index(tmp_path: Path) -> None:
    """Somebody who names the SQLite file or an article file gets a clear answer."""
    (tmp_path / "file").write_text("{}")
    with pytest.raises(IndexUnusableError, match="file: it is a file; name the folder of an index") as error:
        Recommender.open(tmp_path / "file")
    assert error.value.exit_code == 4


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"format": 2}',
        b"\xff\xfe",
        b'{"format": 2, "store": null}',
        b'{"format": 2, "store": 7}',
        b"7",
    ],
)
def test_a_damaged_manifest_is_refused(manifest: bytes, index: Path) -> None:
    """Whatever stands in it, the answer is one error."""
    (index / MANIFEST).write_bytes(manifest)
    refused(index)


@pytest.mark.parametrize("version", [FORMAT + 1, FORMAT - 1, str(FORMAT), None])
def test_another_format_is_refused(version: object, index: Path) -> None:
    """An index of another format version is not read at a guess; the message names both."""
    manifest = read_manifest(index) | {"format": version}
    (index / MANIFEST).write_text(json.dumps(manifest))
    assert f"format {version}" in refused(index)
    assert f"reads format {FORMAT}" in refused(index)


@pytest.mark.parametrize("name", ["../secret.sqlite", "/etc/passwd", "a/b.sqlite", "..", ""])
def test_a_manifest_that_points_elsewhere_is_refused(name: str, index: Path) -> None:
    """No file outside the index is ever opened."""
    shutil.copy(file_of(index), index.parent / "secret.sqlite")
    (index / MANIFEST).write_text(json.dumps({"format": FORMAT, "store": name}))
    refused(index)


def test_a_missing_file_is_refused(index: Path) -> None:
    """A manifest without its SQLite file names the file, and opening makes no empty one."""
    file = file_of(index)
    file.unlink()
    assert file.name in refused(index)
    assert not file.exists()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.35, 0.6, 0.9])
def test_a_truncated_file_is_refused(share: float, index: Path) -> None:
    """However much of the SQLite file is left: exit code 4, and no list made of half the rows."""
    file = file_of(index)
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(IndexUnusableError) as error:
        for _ in Recommender.open(index).all_related():
            pass
    assert error.value.exit_code == 4


def test_damage_that_shows_only_in_reading_is_told_too(index: Path) -> None:
    """A file whose first pages are whole opens; what is then read from the broken ones is exit code 4 and no half list."""
    file = file_of(index)
    content = file.read_bytes()
    file.write_bytes(content[:8192] + b"\xff" * (len(content) - 8192))
    store = Store.open(index)
    for table in ("articles", "links"):
        with pytest.raises(IndexUnusableError, match="damaged") as error:
            store.query(f"SELECT * FROM {table}")
        assert error.value.exit_code == 4
    store.close()


def test_a_file_that_is_no_database_is_refused(index: Path) -> None:
    """Neither text nor another program's database is an index."""
    file_of(index).write_text("not a database, " * 1000)
    assert "damaged" in refused(index)
    file_of(index).unlink()
    other = sqlite3.connect(file_of(index))
    other.execute("CREATE TABLE bookmarks (id)")
    other.close()
    assert "damaged" in refused(index)


def test_a_store_opened_for_reading_cannot_be_written(built: Path) -> None:
    """Readers are held to reading by SQLite itself."""
    store = Store.open(built)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        store.db.execute("DELETE FROM articles")
    store.close()


def test_a_transaction_is_all_or_nothing(index: Path) -> None:
    """An error in the block takes back all of it; without one, another connection sees all of it at once."""
    store, reader = Store.open(index, write=True), Store.open(index)

    def failing() -> None:
        with store.transaction() as db:
            db.execute("DELETE FROM articles WHERE id = 's00a0'")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        failing()
    assert reader.count("articles") == store.count("articles") == len(ARTICLES)
    with store.transaction() as db:
        db.execute("DELETE FROM articles WHERE id = 's00a0'")
        assert reader.count("articles") == len(ARTICLES)
        db.execute("DELETE FROM articles WHERE id = 's00a1'")
    assert reader.count("articles") == len(ARTICLES) - 2
    store.close()
    reader.close()


def test_a_replacement_that_fails_leaves_nothing(index: Path) -> None:
    """The folder holds the same files with the same bytes as before."""
    before = {path.name: path.read_bytes() for path in index.iterdir()}

    def failing() -> None:
        with replacement(index) as store:
            store.db.execute("INSERT INTO meta VALUES ('articles', 1)")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        failing()
    assert {path.name: path.read_bytes() for path in index.iterdir()} == before


def test_a_replacement_is_unseen_until_it_is_complete(index: Path) -> None:
    """Whoever opens the index meanwhile gets the old one; an old reader keeps its own; afterwards one file is left."""
    old = Store.open(index)
    with replacement(index) as store:
        store.db.execute("INSERT INTO meta VALUES ('articles', 0)")
        during = Store.open(index)
        assert during.count("articles") == len(ARTICLES)
        during.close()
    new = Store.open(index)
    assert new.count("articles") == 0
    assert old.count("articles") == len(ARTICLES)
    new.close()
    old.close()
    assert [path.name for path in index.glob("store-*.sqlite")] == [new.manifest["store"]]
    assert not list(index.glob("*.new"))


def test_the_store_is_in_wal_mode(built: Path) -> None:
    """Readers never wait for a writer."""
    store = Store.open(built)
    assert store.query("PRAGMA journal_mode") == [("wal",)]
    store.close()


def test_ids_come_in_the_order_of_the_articles(built: Path) -> None:
    """Oldest first; a row number belongs to each id and to no other."""
    store = Store.open(built)
    assert list(store.article_ids()) == [article.id for article in sorted(ARTICLES, key=lambda a: (a.published, a.id))]
    assert len({store.row_of(article.id) for article in ARTICLES}) == len(ARTICLES)
    assert store.row_of("nobody") is None
    assert store.row_of("s00a0' OR '1'='1") is None
    store.close()


def test_latest_is_the_last_of_a_section(built: Path) -> None:
    """Newest first, of one section or of all, nothing after `until`."""
    store = Store.open(built)
    by_date = sorted(ARTICLES, key=lambda a: (a.published, [b.id for b in ARTICLES].index(a.id)), reverse=True)
    assert [item.id for item in store.latest("World", 4, None)] == [article.id for article in by_date[:4]]
    assert [item.id for item in store.latest(None, 99, None)] == [article.id for article in by_date]
    assert store.latest("Sports", 4, None) == []
    first = min(a.published for a in ARTICLES if a.published)
    shown = store.latest(None, 99, first.astimezone(UTC).isoformat())
    assert {item.id for item in shown} == {a.id for a in ARTICLES if a.published == first}
    store.close()


def test_one_store_may_be_shared_between_threads(built: Path) -> None:
    """Forty readers at once get what one reader gets."""
    store = Store.open(built)
    ids = [article.id for article in ARTICLES]
    alone = [store.listed(article_id, 5, "similar") for article_id in ids]
    assert any(found and found.items for found in alone)
    with ThreadPoolExecutor(8) as pool:
        crowd = list(pool.map(lambda article_id: store.listed(article_id, 5, "similar"), ids * 40))
    assert crowd == alone * 40
    store.close()


def test_damage_that_sqlite_cannot_even_put_in_words_is_refused(index: Path) -> None:
    """A schema that is no UTF-8 any more, which makes an error of SQLite's own words, is damage like any other."""
    file = file_of(index)
    file.write_bytes(file.read_bytes().replace(b"CREATE TABLE meta (key", b"CREATE \xec\xec\xecLE meta (key"))
    assert "damaged" in refused(index)
