"""What is wrong with an index that cannot be read: errors of SQLite and of values -> IndexUnusableError."""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

from recommender.errors import IndexUnusableError

SPOILED = (
    sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH,
)  # fmt: skip
"""Of the last three: our statements are right, and break no rule of the tables, as long as the tables are ours."""


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite complains of what is in the file, and not of the disk or the rights."""
    code = getattr(error, "sqlite_errorcode", None) or 0
    return code & 0xFF in SPOILED or code == sqlite3.SQLITE_IOERR_SHORT_READ


def is_refusal(error: BaseException) -> bool:
    """Whether the disk refused: full, read-only, not to be opened; SQLite makes small files even to read."""
    code = getattr(error, "sqlite_errorcode", None) or 0
    refusals = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
    return code & 0xFF in refusals and code != sqlite3.SQLITE_IOERR_SHORT_READ


def damaged(folder: Path, error: Exception) -> IndexUnusableError:
    """What to say of an index whose file holds what no index holds, or cannot be read."""
    if is_refusal(error):
        return IndexUnusableError(str(folder), f"it cannot be read ({error})", "see to the room on its disk and to its rights")
    said = " ".join(str(error).split()) or type(error).__name__
    return IndexUnusableError(str(folder), f"damaged ({said})", "build it again with `recommender build`")


@contextlib.contextmanager
def unreadable(folder: Path) -> Iterator[None]:
    """Around what only reads stored rows and makes values of them: whatever they fail to be is an IndexUnusableError."""
    try:
        yield
    except (sqlite3.DatabaseError, zlib.error, ValueError, TypeError, LookupError, OverflowError) as error:
        raise damaged(folder, error) from error
