"""One SQLite file of an index: opened, read as of one moment, written all or nothing. Knows no table but by its first row."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from recommender.errors import IndexUnusableError
from recommender.storage.damage import damaged, is_damage, unreadable
from recommender.storage.folder import read_manifest


class StoreFile:
    """One open file. Safe to share between threads: one statement runs at a time."""

    def __init__(self, folder: Path, manifest: dict[str, Any], connection: sqlite3.Connection) -> None:
        self.folder = folder
        self.manifest = manifest
        self.db = connection
        self.lock = threading.RLock()
        self.frozen: tuple[object, ...] | None = None
        """Where nobody is watched while reading, since this user may make no file beside the store: what it looked like."""
        self.writing = False
        """Whether what a query meets may be the disk's refusal of a write; SQLite writes while it reads, when memory is short."""

    @classmethod
    def open(cls, folder: str | os.PathLike[str], *, write: bool = False, older: bool = False) -> Self:
        """Open the index that counts now, also one of an `older` format if that is wanted; IndexUnusableError where there is none
        or it cannot be read."""
        path = Path(folder)
        tried = None
        while True:
            manifest = read_manifest(path, older=older)
            file = path / str(manifest["store"])
            try:
                if file.is_file():
                    frozen = None if write or os.access(path, os.W_OK) or _is_shared(file) else _look(file)
                    store = cls(path, manifest, connect(path, file, write=write, frozen=frozen is not None))
                    store.frozen = frozen
                    return store
            except IndexUnusableError:
                if file == tried:
                    raise
            if file == tried:
                reason = f"its file {manifest['store']} is missing"
                raise IndexUnusableError(str(path), reason, "build it again with `recommender build`")
            tried = file  # a replacement may have come between reading the manifest and opening the file

    @classmethod
    @contextlib.contextmanager
    def of_one_moment(cls, folder: str | os.PathLike[str]) -> Iterator[Self]:
        """A store of its own that sees the index as of now until the block ends, in whichever thread that is."""
        with contextlib.closing(cls.open(folder)) as store:
            store.db.execute("BEGIN")
            yield store

    @classmethod
    def damaged(cls, folder: Path, name: str) -> Self:
        """A file of the folder, opened for reading whatever is wrong with it; any query may then be an IndexUnusableError."""
        address = f"{(folder / name).absolute().as_uri()}?mode=ro"
        with unreadable(folder):
            return cls(folder, {"store": name}, sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False))

    def close(self) -> None:
        """Close the file; the store is of no use afterwards."""
        self.db.close()

    def is_overtaken(self) -> bool:
        """Whether somebody writes, or has written, who is not seen from here: open it again."""
        return self.frozen is not None and self.frozen != _look(self.folder / str(self.manifest["store"]))

    def _stands(self) -> None:
        """IndexUnusableError where what was just read may be half of before and half of after."""
        if self.is_overtaken():
            reason = "it was written to while it was read without the right to write in its folder"
            raise IndexUnusableError(str(self.folder), reason, "ask again")

    def query(self, sql: str, *values: Any) -> list[Any]:
        """All rows of a query; a damaged file is an IndexUnusableError, a disk that refuses a write stays an error of SQLite."""
        with self.lock:
            try:
                found = self.db.execute(sql, values).fetchall()
            except sqlite3.DatabaseError as error:
                if self.writing and not is_damage(error):
                    raise
                self._stands()
                raise damaged(self.folder, error) from error
            self._stands()
            return found

    def version(self) -> int:
        """Another number after each change that others have committed; good as long as this store is open."""
        return int(self.query("PRAGMA data_version")[0][0])

    def rows(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """The rows of a query one after another, for what is too much to hold at once; hold a snapshot meanwhile."""
        with unreadable(self.folder):
            for row in self.db.execute(sql):
                self._stands()
                yield row

    def readable_rows(self, sql: str) -> list[Any]:
        """The rows of a query up to the first that cannot be read."""
        found: list[Any] = []
        with contextlib.suppress(IndexUnusableError):
            found.extend(self.rows(sql))
        return found

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """All queries in the block see the index as of one moment, whatever is committed meanwhile; may be nested.

        Other threads that share this store wait: not for long work.
        """
        with self.lock:
            if self.db.in_transaction:
                yield
                return
            self.db.execute("BEGIN")
            try:
                yield
            finally:
                with contextlib.suppress(sqlite3.DatabaseError):  # nothing was written that could be lost
                    self.db.execute("ROLLBACK")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing: committed at the end of the block, rolled back on any error."""
        with self.lock:
            self.db.execute("BEGIN IMMEDIATE")
            self.writing = True
            try:
                yield self.db
            except BaseException:
                self.writing = False
                self.db.execute("ROLLBACK")
                raise
            self.db.execute("COMMIT")
            self.writing = False

    def copy_to(self, file: Path) -> None:
        """Write the whole store as of this moment to a new file, whoever reads or writes meanwhile.

        IndexUnusableError where SQLite finds it damaged, OSError where the new file cannot be written.
        """
        with self.lock, contextlib.closing(sqlite3.connect(file)) as target:
            try:
                self.db.backup(target)
                said = str(target.execute("PRAGMA quick_check(1)").fetchone()[0])
            except sqlite3.Error as error:
                raise damaged(self.folder, error) if is_damage(error) else OSError(str(error)) from error
        if said != "ok":
            raise damaged(self.folder, ValueError(said))


def _is_shared(file: Path) -> bool:
    """Whether somebody has made the files through which readers and a writer see each other."""
    return all(file.with_name(file.name + ending).exists() for ending in ("-wal", "-shm"))


def _look(file: Path) -> tuple[object, ...]:
    """What is another one after, or while, somebody writes."""
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size, _is_shared(file)


def connect(folder: Path, file: Path, *, write: bool, frozen: bool = False) -> sqlite3.Connection:
    """`frozen` reads the file as it stands: who may make no files beside it can read no other way until another has made them."""
    address = f"{file.absolute().as_uri()}?mode={'rw' if write else 'ro'}{'&immutable=1' if frozen else ''}"
    with unreadable(folder):
        connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False, timeout=10)
        connection.execute("PRAGMA mmap_size = 268435456")
        if write:
            connection.execute("PRAGMA synchronous = FULL")
        connection.execute("SELECT value FROM meta WHERE key = 'articles'").fetchall()
    return connection


PAGE = 8_192
"""Bytes of a page of the file. Of 12,000 articles and 160 adds, one by one: 4,096 make the file 4 % larger and a list a quarter
slower; 16,384 make it 1 % smaller, and twice as much is written for an add."""


def created(file: Path) -> sqlite3.Connection:
    """A new, empty file, written as fast as can be: nothing counts on it before all is written and synced."""
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    try:
        for pragma in (f"page_size = {PAGE}", "journal_mode = OFF", "synchronous = OFF"):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection
