"""The index folder: which of its stores counts, and how a new one takes its place.

    INDEX/manifest.json             format version, the store's file name, model, revision, dimensions
    INDEX/store-<generation>.sqlite everything else
    INDEX/neighbours.faiss          a cache of the neighbour search; made anew when missing, stale or damaged

A new index is written beside the old one under a new generation; renaming the manifest makes it the one that counts.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recommender.errors import IndexUnusableError
from recommender.storage.schema import FORMAT, OLDER

MANIFEST = "manifest.json"
CACHE = "neighbours.faiss"


def read_manifest(folder: Path, *, older: bool = False) -> dict[str, Any]:
    """The manifest of an index; IndexUnusableError where there is none, or one of another format.

    Where `older` ones are wanted too, those that `compact` brings up to date are read.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        version, name = manifest["format"], manifest["store"]
    except FileNotFoundError:
        raise IndexUnusableError(str(folder), "there is no index here", "make one with `recommender build`") from None
    except NotADirectoryError:
        raise IndexUnusableError(str(folder), "it is a file", "name the folder of an index") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IndexUnusableError(
            str(folder), f"its manifest cannot be read ({error})", "build it again with `recommender build`"
        ) from error
    if version != FORMAT and not (older and version in OLDER):
        reason = f"it is of format {version}, this version reads format {FORMAT}"
        raise IndexUnusableError(str(folder), reason, _remedy(version))
    if Path(str(name)).name != name:
        raise IndexUnusableError(
            str(folder), "its manifest names a file outside the index", "build it again with `recommender build`"
        )
    return dict(manifest)


def _remedy(version: object) -> str:
    if version in OLDER:
        return "bring it up to date with `recommender compact`, which loses nothing"
    first = "use" if isinstance(version, int) and version > FORMAT else "export its rules with"
    return f"{first} the version that wrote it, or build it again with `recommender build`"


@contextlib.contextmanager
def successor(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """(a file to write a store to, its manifest to complete); they count when the block ends, and are gone if it fails."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"store-{os.urandom(6).hex()}.sqlite"
    file = folder / name
    manifest: dict[str, Any] = {"format": FORMAT, "store": name}
    with contextlib.suppress(IndexUnusableError):  # without a manifest to trust nothing is known to be a leftover
        _forget_all_but(folder, {name, str(read_manifest(folder, older=True)["store"])})  # of a build that was killed
    try:
        yield file, manifest
        _sync(file)
        _publish(folder, manifest)
    except BaseException:
        _forget(file)
        raise
    _forget_all_but(folder, {name})


def _forget_all_but(folder: Path, kept: set[str]) -> None:
    for file in folder.glob("store-*.sqlite"):
        if file.name not in kept:
            _forget(file)


def _publish(folder: Path, manifest: dict[str, Any]) -> None:
    """Let a manifest count, for good or not at all: where the folder cannot be synced the former one counts again."""
    beside, place = folder / f"{MANIFEST}.new", folder / MANIFEST
    former = place.read_bytes() if place.exists() else None
    try:
        beside.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        _sync(beside)
        beside.replace(place)
        _sync(folder)
    except BaseException:
        if former is None:
            place.unlink(missing_ok=True)
        elif place.read_bytes() != former:
            beside.write_bytes(former)
            beside.replace(place)
        beside.unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _forget(file: Path) -> None:
    for path in (
        file,
        file.with_name(file.name + "-wal"),
        file.with_name(file.name + "-shm"),
        file.with_name(file.name + "-journal"),
    ):
        path.unlink(missing_ok=True)
