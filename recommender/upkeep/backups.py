"""An index in one file, and back: a zip of the store with a manifest and checksums; nothing in it is believed unchecked.

backup.json         format, the index's manifest, bytes and SHA-256 of the other members
store.sqlite        the store as of one moment
neighbours.faiss    the cache of the neighbour search, where it is the store's
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import blake2b, sha256
from pathlib import Path
from typing import IO, Any

from recommender import __version__
from recommender.errors import BackupError, IndexUnusableError
from recommender.storage.damage import is_refusal
from recommender.storage.folder import CACHE, successor
from recommender.storage.schema import FORMAT, OLDER
from recommender.storage.store import Store, verify
from recommender.upkeep.compaction import compact
from recommender.writing.writer import WriteOptions, sole_writer

BACKUP_FORMAT = 1
"""Version of the members of the file; raised with every change that older code would misread."""

HEAD, STORE = "backup.json", "store.sqlite"
LONGEST_HEAD = 100_000
"""Bytes of the manifest of a backup at most; ours have less than a thousand."""

UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError),
    *(ValueError, TypeError, AttributeError, LookupError),
)
"""What a file that is no backup may do to who reads it."""

REMEDY = "name a file that `recommender backup` has written"

PIECE = 1 << 20
"""Bytes that are copied at once."""


def backup(folder: Path, file: Path) -> int:
    """Write an index to one file, in place of one that is there, and return its size in bytes.

    It is the index as of one moment, whoever reads or writes meanwhile. IndexUnusableError where SQLite finds it damaged,
    BackupError where the file cannot be written; then nothing is changed.
    """
    with contextlib.closing(Store.open(folder)) as store:
        try:
            with tempfile.TemporaryDirectory(prefix=f".{file.name}-", dir=file.parent) as beside:
                _write(store, Path(beside), Path(beside) / file.name)
                (Path(beside) / file.name).replace(file)
        except OSError as error:
            raise BackupError(
                str(file), f"it cannot be written ({error.strerror or error})", "check path, rights and room"
            ) from None
    return file.stat().st_size


def _write(store: Store, beside: Path, file: Path) -> None:
    members = {STORE: beside / "store"}
    store.copy_to(members[STORE])
    digest = dict(store.query("SELECT key, value FROM meta")).get("cache")
    with contextlib.suppress(FileNotFoundError):
        cache = (store.folder / CACHE).read_bytes()
        if blake2b(cache, digest_size=16).hexdigest() == digest:
            members[CACHE] = beside / "cache"
            members[CACHE].write_bytes(cache)
    head = {
        "format": BACKUP_FORMAT,
        "version": __version__,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "manifest": {key: value for key, value in store.manifest.items() if key != "store"},
        "files": {name: _described(path) for name, path in members.items()},
    }
    with open(file, "wb") as stream:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr(HEAD, json.dumps(head, indent=1))
            for name, path in members.items():
                archive.write(path, name)
        stream.flush()
        os.fsync(stream.fileno())


def _described(path: Path) -> dict[str, Any]:
    with open(path, "rb") as stream:
        return {"bytes": path.stat().st_size, "sha256": _digest(stream)}


def _digest(stream: IO[bytes]) -> str:
    digest = sha256()
    while piece := stream.read(PIECE):
        digest.update(piece)
    return digest.hexdigest()


def restore(file: Path, folder: Path, options: WriteOptions) -> None:
    """Make the index of a backup, in place of one that is there; readers see the old one until it is complete.

    The whole file is checked before anything is changed; BackupError where it is not what `backup` has written, or of a
    newer format. An index of an older one is brought up to date.
    """
    with _opened(file) as (archive, head), sole_writer(folder, options), successor(folder) as (store, manifest):
        for name, path in ((STORE, store), (CACHE, folder / f"{CACHE}.new")):
            if name in head["files"]:
                with archive.open(name) as source, open(path, "wb") as target:
                    shutil.copyfileobj(source, target, PIECE)
        try:
            verify(folder, manifest)
        except IndexUnusableError as error:
            if error.__cause__ is not None and is_refusal(error.__cause__):
                raise error.__cause__ from None  # the disk's fault, and not the backup's
            raise BackupError(str(file), f"{STORE} is no index ({error.__cause__ or 'other tables'})", REMEDY) from None
        manifest.update({key: value for key, value in head["manifest"].items() if key not in manifest})
        if CACHE in head["files"]:
            (folder / f"{CACHE}.new").replace(folder / CACHE)
        manifest["format"] = head["manifest"]["format"]
    if head["manifest"]["format"] in OLDER:
        compact(folder, options)


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[tuple[zipfile.ZipFile, dict[str, Any]]]:
    """A backup that has been checked from end to end."""
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise BackupError(str(file), f"it cannot be read ({getattr(error, 'strerror', None) or error})", REMEDY) from None
    with archive:
        try:
            head = _head(file, archive)
            for name, described in head["files"].items():
                member = archive.getinfo(name)
                if member.file_size != described["bytes"]:
                    raise ValueError(f"{name} is of another size")
                with archive.open(member) as stream:
                    if _digest(stream) != described["sha256"]:
                        raise ValueError(f"{name} does not match its checksum")
        except UNREADABLE as error:
            said = " ".join(str(error).split()) or type(error).__name__
            raise BackupError(str(file), f"it is damaged or no backup ({said})", REMEDY) from None
        yield archive, head


def _head(file: Path, archive: zipfile.ZipFile) -> dict[str, Any]:
    if archive.getinfo(HEAD).file_size > LONGEST_HEAD:
        raise ValueError(f"{HEAD} is too long")
    head: dict[str, Any] = json.loads(archive.read(HEAD))
    for what, found, known, read in (
        ("backup", head["format"], BACKUP_FORMAT, (BACKUP_FORMAT,)),
        ("index", head["manifest"]["format"], FORMAT, (FORMAT, *OLDER)),
    ):
        if found not in read:
            reason = f"it holds {what} format {found}, this version reads format {known}"
            raise BackupError(str(file), reason, "restore it with the version that wrote it, or build the index again")
    names = sorted(archive.namelist())
    if names != sorted({HEAD, *head["files"]}) or STORE not in names or not set(names) <= {HEAD, STORE, CACHE}:
        raise ValueError(f"its members are {', '.join(names)[:200]}")
    return head
