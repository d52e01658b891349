"""Who may write to an index, and in what: one process at a time, a transaction, what is told meanwhile."""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from recommender.archives.memory import Memory, edition_of
from recommender.errors import IndexBusyError, WriteFailedError
from recommender.storage.claiming import ClaimedError, claimed
from recommender.storage.damage import damaged, is_damage
from recommender.storage.folder import read_manifest
from recommender.storage.store import Store

LOCK = "writer.lock"

HOLDER = "writer.json"

WAIT_SECONDS = 10.0
"""How long a writer waits for another one."""

Notice = Callable[[str], None]

Stage = Callable[[str, int, int], None]
"""Called with the name of a stage, what is done and the total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """How to write; nothing of it changes what is written."""

    device: str | None = None
    notice: Notice = field(default=lambda message: None)
    stage: Stage = field(default=lambda name, done, total: None)
    wait_seconds: float = WAIT_SECONDS
    memory: Memory = field(default_factory=Memory)
    """What the caller keeps in memory of the index; brought up to date with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a write has done, in articles."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0


@contextlib.contextmanager
def sole_writer(folder: Path, options: WriteOptions) -> Iterator[None]:
    """The right to write to an index; IndexBusyError, with the holder's name, after `wait_seconds`.

    What the disk or SQLite refuses inside is a WriteFailedError, what is damaged an IndexUnusableError.
    """
    try:
        with claimed(folder, LOCK, HOLDER, options.wait_seconds):
            yield
    except ClaimedError as error:
        raise IndexBusyError(str(folder), str(error)) from None
    except zlib.error as error:  # of a stored text: a source is read with errors of its own
        raise damaged(folder, error) from error
    except (sqlite3.Error, OSError) as error:
        if isinstance(error, sqlite3.Error) and is_damage(error):
            raise damaged(folder, error) from error
        unconfirmed = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_IOERR_FSYNC
        said = str(getattr(error, "strerror", None) or error)
        raise WriteFailedError(str(folder), said, unconfirmed=unconfirmed) from error


@contextlib.contextmanager
def sole_transaction(folder: Path, options: WriteOptions) -> Iterator[Store]:
    """The store of an index inside a transaction that no other writer disturbs."""
    read_manifest(folder)  # where there is no index, nothing is left behind
    with sole_writer(folder, options), contextlib.closing(Store.open(folder, write=True)) as store, transaction(store, options):
        yield store


@contextlib.contextmanager
def transaction(store: Store, options: WriteOptions) -> Iterator[None]:
    """A transaction that what is kept in memory goes along with."""
    memory = options.memory
    with memory.lock:
        try:
            with store.transaction():
                before = edition_of(store)
                yield
        except BaseException:
            memory.forget()
            raise
        memory.follow(store, before)
