"""`backup` and `restore`: one file, whole or refused."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from recommender import Recommender
from recommender.cli import app
from recommender.errors import BackupError, IndexUnusableError, WriteFailedError
from recommender.pipeline.index import VectorIndex
from recommender.storage.damage import damaged
from recommender.storage.file import PAGE
from recommender.storage.folder import CACHE, read_manifest
from recommender.upkeep import backups
from recommender.writing.writer import WriteOptions, sole_writer
from tests.archives import newspaper, report
from tests.links import age
from tests.test_compaction import without_scores
from tests.test_engine import contents_of

ARTICLES = newspaper(4, 3, 3)
OTHERS = newspaper(2, 2)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index and its backup, `index` and `file`; read them, copy them, do not write to them."""
    folder = tmp_path_factory.mktemp("built")
    Recommender.build(ARTICLES, folder / "index").backup(folder / "file")
    return folder


def answers(index: Path) -> tuple[Any, ...]:
    """All lists and threads."""
    engine = Recommender.open(index)
    return list(engine.all_related(20)), engine.threads(), engine.related_to(report("draft", "story 1", 0.5), 20)


def test_what_is_restored_is_what_was_backed_up(built: Path, tmp_path: Path) -> None:
    """Lists, threads, drafts and facts, in a new folder and in place of another index; it is sound and can be written to."""
    Recommender.build(OTHERS, tmp_path / "other")
    reader = Recommender.open(tmp_path / "other")
    for name in ("new", "other"):
        engine = Recommender.restore(built / "file", tmp_path / name)
        assert answers(tmp_path / name) == answers(built / "index")
        assert engine.check() == []
        assert len(list((tmp_path / name).glob("store-*.sqlite"))) == 1
    assert len(reader) == len(ARTICLES)
    engine.add([report("s00a3", "story 0", 3.0)])
    assert "s00a3" in engine.related_ids("s00a0")
    assert engine.check() == []


def test_a_backup_takes_the_cache_of_the_search_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is the store's; one that is not is left behind."""
    monkeypatch.setattr(VectorIndex.__init__, "__kwdefaults__", {"exact_limit": 50})
    engine = Recommender.build(newspaper(8, 8), tmp_path / "index")
    engine.backup(tmp_path / "file")
    assert Recommender.restore(tmp_path / "file", tmp_path / "new").check() == []
    assert (tmp_path / "new" / CACHE).read_bytes() == (tmp_path / "index" / CACHE).read_bytes()
    (tmp_path / "index" / CACHE).write_bytes(b"stale")
    engine.backup(tmp_path / "file")
    with zipfile.ZipFile(tmp_path / "file") as archive:
        assert CACHE not in archive.namelist()


def test_a_backup_while_others_write_is_of_one_moment(tmp_path: Path) -> None:
    """Each of several backups made while articles come and go is a sound index of some number of articles that there was."""
    engine = Recommender.build(newspaper(6, 6), tmp_path / "index")
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(lambda: [engine.add([report(f"n{n}", f"story {n}", 1.0)]) for n in range(6)])
        count = 0
        while not written.done() or count < 3:
            Recommender.open(tmp_path / "index").backup(tmp_path / f"{count}.backup")
            count += 1
        written.result()
    for number in range(count):
        restored = Recommender.restore(tmp_path / f"{number}.backup", tmp_path / "restored")
        assert 36 <= len(restored) <= 42
        assert restored.check() == []


def test_a_restore_while_others_read_and_write_is_seen_whole(tmp_path: Path) -> None:
    """Whoever asks gets a story as the one backup has it, or the other, in one object that stays open; a writer meanwhile is
    done before or after."""
    sizes, files = (4, 6), [tmp_path / "fewer", tmp_path / "more"]
    for size, file in zip(sizes, files, strict=True):
        Recommender.build(newspaper(3, size), tmp_path / "made").backup(file)
    index = tmp_path / "index"
    engine = Recommender.restore(files[0], index)
    done = False

    def read() -> set[tuple[int, int]]:
        seen = set()
        while not done:
            found = engine.related_list("s00a0", 20, profile="similar")
            seen.add((found.thread.size if found.thread else 0, len(found.items)))
        return seen

    def write() -> None:
        writer = Recommender.open(index)
        while not done:
            writer.add([report("x0", "single", 1.0)])

    with ThreadPoolExecutor(3) as pool:
        readers, writer = [pool.submit(read), pool.submit(read)], pool.submit(write)
        try:
            for turn in range(8):
                Recommender.restore(files[turn % 2], index).close()
        finally:
            done = True
        writer.result()
    assert {pair for reader in readers for pair in reader.result()} == {(size, size - 1) for size in sizes}
    assert engine.check() == []


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_CANTOPEN])
def test_a_disk_that_refuses_a_restore_is_not_the_backups_fault(
    code: int, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite makes small files to look into the new store; where it may not the error names the index, which is as it was."""
    index = Path(shutil.copytree(built / "index", tmp_path / "index"))
    before = answers(index)

    def refusing(folder: Path, manifest: dict[str, Any]) -> None:
        refusal = sqlite3.OperationalError("the disk refuses")
        refusal.sqlite_errorcode = code
        raise damaged(folder, refusal) from refusal

    monkeypatch.setattr(backups, "verify", refusing)
    with pytest.raises(WriteFailedError, match=r"cannot be written \(the disk refuses\); nothing was changed"):
        Recommender.restore(built / "file", index)
    assert answers(index) == before
    assert len(list(index.glob("store-*.sqlite"))) == 1


def test_what_a_disk_has_not_confirmed_may_be_there(tmp_path: Path) -> None:
    """After a sync of SQLite that failed nobody knows, and the error says so; after any other refusal nothing was changed."""
    cases = (sqlite3.SQLITE_IOERR_FSYNC, "may be there after all, or none"), (sqlite3.SQLITE_FULL, "nothing was changed")
    for code, said in cases:
        refusal = sqlite3.OperationalError("disk I/O error")
        refusal.sqlite_errorcode = code
        with pytest.raises(WriteFailedError, match=said), sole_writer(tmp_path, WriteOptions()):
            raise refusal


def refused(file: Path, index: Path) -> str:
    """What restoring says; the index must be as it was, to the byte."""
    before = {path.name: path.read_bytes() for path in index.iterdir()}
    with pytest.raises(BackupError) as error:
        Recommender.restore(file, index)
    assert {path.name: path.read_bytes() for path in index.iterdir()} == before
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_file_that_is_no_backup_is_refused(built: Path, tmp_path: Path) -> None:
    """A missing file, a folder, text, an empty file, a store, a zip of something else: one line, and nothing is changed."""
    index = Path(shutil.copytree(built / "index", tmp_path / "index"))
    (tmp_path / "text").write_text("no backup")
    (tmp_path / "empty").touch()
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("../../escaped", "x")
    for name in ("missing", "index", "text", "empty", "zip", f"index/{read_manifest(index)['store']}"):
        assert str(tmp_path / name) in refused(tmp_path / name, index)
    assert not (tmp_path / "new").exists()
    with pytest.raises(BackupError):
        Recommender.restore(tmp_path / "text", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_no_flipped_byte_and_no_lost_end_gets_through(built: Path, tmp_path: Path) -> None:
    """Of 300 damaged copies each is refused, or restores to the same answers where the byte says nothing."""
    index = Path(shutil.copytree(built / "index", tmp_path / "index"))
    whole, rng, expected = (built / "file").read_bytes(), random.Random(1), answers(built / "index")
    turned_away = 0
    for number in range(300):
        content = bytearray(whole)
        if number % 10 == 0:
            content = content[: rng.randrange(len(content))]
        else:
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        (tmp_path / "file").write_bytes(content)
        try:
            Recommender.restore(tmp_path / "file", index)
        except BackupError:
            turned_away += 1
        assert answers(index) == expected
    assert turned_away > 250


def rewritten(source: Path, target: Path, change: Callable[[dict[str, Any], dict[str, bytes]], None]) -> None:
    """A backup with another head or other members."""
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    head = json.loads(members.pop("backup.json"))
    change(head, members)
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("backup.json", json.dumps(head))
        for name, content in members.items():
            archive.writestr(name, content)


def sign(head: dict[str, Any], name: str, content: bytes) -> None:
    """Describe a member as `backup` does."""
    head["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_a_backup_of_the_second_format_is_brought_up_to_date(built: Path, tmp_path: Path) -> None:
    """Restored, it is the index that it was made of, in today's format."""
    index = Path(shutil.copytree(built / "index", tmp_path / "index"))
    before = contents_of(index)
    age(index)

    def change(head: dict[str, Any], members: dict[str, bytes]) -> None:
        name = json.loads((index / "manifest.json").read_text())["store"]
        members["store.sqlite"] = (index / name).read_bytes()
        head["manifest"]["format"] = 2
        sign(head, "store.sqlite", members["store.sqlite"])

    rewritten(built / "file", tmp_path / "file", change)
    engine = Recommender.restore(tmp_path / "file", tmp_path / "restored")
    assert without_scores(contents_of(tmp_path / "restored")) == without_scores(before)
    assert engine.check() == []


def test_newer_formats_are_refused(built: Path, tmp_path: Path) -> None:
    """Of the backup and of the index in it; both versions are named."""
    index = Path(shutil.copytree(built / "index", tmp_path / "index"))
    rewritten(built / "file", tmp_path / "file", lambda head, members: head.update(format=2))
    assert "backup format 2, this version reads format 1" in refused(tmp_path / "file", index)
    rewritten(built / "file", tmp_path / "file", lambda head, members: head["manifest"].update(format=99))
    assert "index format 99" in refused(tmp_path / "file", index)


def test_a_member_of_another_name_is_never_written(built: Path, tmp_path: Path) -> None:
    """A path that leads out of the folder, signed or not, is refused; nothing appears beside the index."""
    index = Path(shutil.copytree(built / "index", tmp_path / "index"))

    def escape(head: dict[str, Any], members: dict[str, bytes]) -> None:
        members["../escaped"] = b"x"
        sign(head, "../escaped", b"x")

    rewritten(built / "file", tmp_path / "file", escape)
    assert "no backup" in refused(tmp_path / "file", index)
    rewritten(built / "file", tmp_path / "file", lambda head, members: members.update({"/tmp/escaped": b"x"}))
    assert "no backup" in refused(tmp_path / "file", index)
    assert not (tmp_path / "escaped").exists()


def test_a_store_that_is_none_is_refused_however_well_signed(built: Path, tmp_path: Path) -> None:
    """Right checksums do not make an index of text, nor of another program's database."""
    index = Path(shutil.copytree(built / "index", tmp_path / "index"))
    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.execute("CREATE TABLE bookmarks (id)")
    other.close()
    for content in (b"text " * 2000, (tmp_path / "other.sqlite").read_bytes()):

        def swap(head: dict[str, Any], members: dict[str, bytes], content: bytes = content) -> None:
            members["store.sqlite"] = content
            sign(head, "store.sqlite", content)

        rewritten(built / "file", tmp_path / "file", swap)
        assert "store.sqlite is no index" in refused(tmp_path / "file", index)


def test_a_damaged_index_is_not_backed_up(built: Path, tmp_path: Path) -> None:
    """A backup that is there stays; the error is that of a damaged index."""
    index = Path(shutil.copytree(built / "index", tmp_path / "index"))
    file = index / str(read_manifest(index)["store"])
    content = bytearray(file.read_bytes())
    content[5 * PAGE : 6 * PAGE] = b"\xff" * PAGE
    file.write_bytes(content)
    (tmp_path / "file").write_text("the last good one")
    with pytest.raises(IndexUnusableError, match="damaged"):
        Recommender.open(index).backup(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "the last good one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "index"]


def test_the_commands_say_what_they_did(built: Path, tmp_path: Path) -> None:
    """A line on stderr, nothing on stdout; where the file cannot be written or read: exit code 1 and one line."""

    def run(*arguments: object) -> tuple[int, str, str]:
        done = CliRunner().invoke(app, list(map(str, arguments)))
        return done.exit_code, done.stdout, done.stderr

    code, out, err = run("backup", tmp_path / "file", "--index", built / "index")
    assert (code, out) == (0, "")
    assert err.startswith(f"wrote {tmp_path / 'file'}: ")
    code, out, err = run("restore", tmp_path / "file", "--index", tmp_path / "new")
    assert (code, out, err) == (0, "", f"restored {tmp_path / 'new'}: 15 articles, 4 threads\n")
    for arguments in (("backup", tmp_path / "none" / "file", "--index", built / "index"), ("restore", tmp_path / "none")):
        code, out, err = run(*arguments)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert "nothing was changed" in err


def test_a_head_that_is_no_head_is_refused(built: Path, tmp_path: Path) -> None:
    """A list in place of the files, and one that is nested too deep to be read."""
    index = Path(shutil.copytree(built / "index", tmp_path / "index"))
    rewritten(built / "file", tmp_path / "file", lambda head, members: head.update(files=["store.sqlite"]))
    refused(tmp_path / "file", index)
    with zipfile.ZipFile(tmp_path / "file", "w") as archive:
        archive.writestr("backup.json", "[" * 50_000 + "]" * 50_000)
    refused(tmp_path / "file", index)


def test_a_locked_archive_is_refused(built: Path, tmp_path: Path) -> None:
    """A zip file that asks for a password, by the flag of its first member."""
    index = Path(shutil.copytree(built / "index", tmp_path / "index"))
    content = bytearray((built / "file").read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + flags] |= 1
    (tmp_path / "file").write_bytes(content)
    refused(tmp_path / "file", index)
