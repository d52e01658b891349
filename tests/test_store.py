"""The index folder: manifest, SQLite file, replacement."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recommender import Recommender
from recommender.cli import app
from recommender.errors import IndexUnusableError
from recommender.storage.file import PAGE
from recommender.storage.folder import MANIFEST, read_manifest
from recommender.storage.schema import FORMAT
from recommender.storage.store import Store, replacement
from recommender.writing import updating
from tests.archives import newspaper, report

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
    assert re.search("`recommender (build|compact)`", str(error.value))
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
        b'{"format": 4}',
        b"\xff\xfe",
        b'{"format": 4, "store": null}',
        b'{"format": [3], "store": "store.sqlite"}',
        b'{"format": {}, "store": "store.sqlite"}',
        b'{"format": 4, "store": 7}',
        b"7",
    ],
)
def test_a_damaged_manifest_is_refused(manifest: bytes, index: Path) -> None:
    """Whatever stands in it, the answer is one error."""
    (index / MANIFEST).write_bytes(manifest)
    refused(index)


@pytest.mark.parametrize("version", [FORMAT + 1, FORMAT - 1, str(FORMAT), None])
def test_another_format_is_refused(version: object, index: Path) -> None:
    """An index of another format version is not read at a guess; the message names both, and what each can do."""
    manifest = read_manifest(index) | {"format": version}
    (index / MANIFEST).write_text(json.dumps(manifest))
    assert f"format {version}" in refused(index)
    assert f"reads format {FORMAT}" in refused(index)
    assert ("use the version that wrote it" in refused(index)) == (version == FORMAT + 1)


def test_an_index_of_the_first_format_is_refused_by_whatever_reads_or_writes(index: Path) -> None:
    """Its tables lacked some of today's: no command reads or writes half of it, and what it holds stays as it is."""
    with contextlib.closing(sqlite3.connect(file_of(index))) as connection:
        for table in ("changes", "redirects", "rules"):
            connection.execute(f"DROP TABLE {table}")
        connection.commit()
    (index / MANIFEST).write_text(json.dumps(read_manifest(index) | {"format": 1}))
    before = {path.name: path.read_bytes() for path in index.iterdir()}
    rows = index.parent / "rows.jsonl"
    rows.write_text('{"id": "a", "title": "so"}\n')
    for words in (
        ("related", "s00a0"), ("related", "--all"), ("related", "--text", "so"), ("threads",), ("changes",), ("info",),
        ("check",), ("explain", "s00a0", "s00a1"), ("add", str(rows)), ("remove", "s00a0"), ("rebuild",), ("compact",),
        ("repair",), ("backup", str(index.parent / "file")), ("rules", "list"), ("rules", "never", "s00a0"),
        ("compare", str(index)),
    ):  # fmt: skip
        done = CliRunner().invoke(app, [*words, "--index", str(index)])
        assert (done.exit_code, done.stdout) == (4, ""), words
        assert "it is of format 1" in done.stderr, words
        assert len(done.stderr.splitlines()) == 1, words
    assert {path.name: path.read_bytes() for path in index.iterdir()} == before
    assert not (index.parent / "file").exists()


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
    file.write_bytes(content[: 2 * PAGE] + b"\xff" * (len(content) - 2 * PAGE))
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


@pytest.fixture
def stranger(index: Path, monkeypatch: pytest.MonkeyPatch) -> Recommender:
    """A reader who may make no file in the folder, of an index beside which SQLite has left none."""
    for ending in ("-wal", "-shm"):
        file_of(index).with_name(file_of(index).name + ending).unlink(missing_ok=True)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(updating, "OUTGROWN_AT_MOST", 0)  # nothing is added by making the index anew
    return Recommender.open(index)


def test_a_reader_without_the_right_to_write_sees_what_is_written(stranger: Recommender, index: Path) -> None:
    """Another user's adds, removals and rebuilds, each as soon as it is done, without opening again."""
    assert len(stranger) == len(ARTICLES)
    editions = [stranger.edition()]
    writes: list[Callable[[Recommender], object]] = [
        lambda engine: engine.add([report("s00a3", "story 0", 3)]),
        lambda engine: engine.remove(["s01a0"]),
        lambda engine: engine.rebuild(),
        lambda engine: engine.add([report("s01a0", "story 1", 0)]),
    ]
    for write in writes:
        watcher = Store.open(index, write=True)  # while it is open, what is written stays in the files that SQLite makes
        watcher.count("articles")
        write(Recommender(index))
        after = Store.open(index, write=True)
        assert sorted(str(one.id) for one in stranger.all_related()) == sorted(after.article_ids())
        assert all(one in stranger for one in after.article_ids())
        assert len(stranger) == after.count("articles")
        editions.append(stranger.edition())
        after.close()
        watcher.close()  # the last one takes these files along
        assert len(stranger) == len(list(stranger.all_related()))
    assert "s00a3" in stranger.related_ids("s00a0")
    assert len(set(editions)) == len(editions)


def test_a_long_answer_without_the_right_to_write_is_of_one_moment_or_refused(stranger: Recommender, index: Path) -> None:
    """Who may make no file beside the store is not seen by a writer: what was read while one wrote is said to be no good."""
    lists = stranger.all_related()
    next(lists)
    Recommender.open(index).remove(["s01a0"])
    with pytest.raises(IndexUnusableError, match="written to while it was read"):
        list(lists)
    assert len(list(stranger.all_related())) == len(ARTICLES) - 1


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


@pytest.mark.parametrize(
    "column",
    ["articles.id", "articles.title", "articles.url", "articles.published", "threads.id", "threads.label", "threads.keywords",
     "changes.label", "changes.thread", "meta.value"],
)  # fmt: skip
def test_bytes_in_place_of_a_text_are_damage(column: str, index: Path) -> None:
    """One flipped bit in the head of a row makes bytes of a text: every command answers rightly, or ends with 4."""
    questions = [
        *(("related", "s00a0", *profile, "--json", "-k", "9") for profile in ((), ("--profile", "similar"))),
        ("related", "--all"), ("threads",), ("threads", "--json"), ("changes", "--json"), ("changes",), ("info", "--json"),
        ("explain", "s00a0", "s00a1", "--json"), ("related", "--text", ARTICLES[0].body, "--json"), ("check",),
    ]  # fmt: skip
    expected = [CliRunner().invoke(app, [*words, "--index", str(index)]) for words in questions]
    table, name = column.split(".")
    with contextlib.closing(sqlite3.connect(file_of(index))) as connection:
        connection.execute(f"UPDATE {table} SET {name} = CAST({name} AS BLOB) WHERE typeof({name}) = 'text'")
        connection.commit()
    codes = []
    for words, right in zip(questions, expected, strict=True):
        done = CliRunner().invoke(app, [*words, "--index", str(index)])
        assert done.exit_code in (0, 3, 4), (words, done.stderr)
        assert "unexpected" not in done.stderr, (words, done.stderr)
        assert done.exit_code != 0 or words[0] == "info" or done.stdout == right.stdout, words  # that tells sizes of files
        codes.append(done.exit_code)
    assert 4 in codes


def test_damage_that_sqlite_cannot_even_put_in_words_is_refused(index: Path) -> None:
    """A schema that is no UTF-8 any more, which makes an error of SQLite's own words, is damage like any other."""
    file = file_of(index)
    file.write_bytes(file.read_bytes().replace(b"CREATE TABLE meta (key", b"CREATE \xec\xec\xecLE meta (key"))
    assert "damaged" in refused(index)
