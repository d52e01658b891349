"""A folder that one process at a time may work on, and the name of the one that does."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout


class ClaimedError(Exception):
    """Another process has it; the message is its name for a person."""


@contextlib.contextmanager
def claimed(folder: Path, lock: str, holder: str, seconds: float) -> Iterator[None]:
    """The folder, made if need be, for this process alone; ClaimedError where another one keeps it longer than so long.

    `lock` and `holder` are names of files in it: the lock, and who has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    waiting = FileLock(folder / lock, timeout=seconds)
    try:
        waiting.acquire()
    except Timeout:
        name = "another process"
        with contextlib.suppress(OSError, ValueError, KeyError):
            name = f"process {json.loads((folder / holder).read_text(encoding='utf-8'))['pid']}"
        raise ClaimedError(name) from None
    try:
        (folder / holder).write_text(json.dumps({"pid": os.getpid()}), encoding="utf-8")
        yield
    finally:
        waiting.release()
