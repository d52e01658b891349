"""The folder of an export: claimed for one writer, each file whole at any time, nothing outside it and nobody else's touched."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from recommender.errors import ExportError

MARKER = ".recommender-export"
"""Says that a folder holds an export, and that files of such names in it are ours to replace and remove."""
LOCK = ".recommender-export.lock"
JOURNAL = ".recommender-export.changed"
"""What has changed since the last export that ended: one that was killed owes a cache these paths too."""
BESIDE = ".recommender-export.new"
"""The file that is being written."""
MANIFEST = "manifest.json"

ENDINGS = {"related": (".json", ".html"), "threads": (".json", ".html"), "feeds": (".xml",)}

_SHARD = re.compile("[0-9a-f]{2}")
_NAME = re.compile(r"[0-9a-f]{64}\.(?:json|html|xml)")
_OURS = re.compile(rf"manifest\.json|(?:{'|'.join(ENDINGS)})/[0-9a-f]{{2}}/{_NAME.pattern}")


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """The folder, if it is ours or may be, and nobody else's meanwhile."""
    _refuse_foreign(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / LOCK).is_symlink():
        raise ExportError(folder, f"{LOCK} is a link", "remove it and export again")
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ExportError(folder, "another export writes to it", "try again when it has ended") from None
    try:
        _refuse_foreign(folder)
        yield
    finally:
        lock.release()


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ExportError(folder, "it is a file", "name a folder")
    if _is_file(folder / MARKER) or not folder.exists():
        return
    if foreign := sorted({entry.name for entry in folder.iterdir()} - {LOCK}):
        raise ExportError(folder, f"it holds {foreign[0]!r}, which no export has written", "name a new or an empty folder")


class Tree:
    """The files of an export: what was written, and what was there before."""

    def __init__(self, folder: Path, journal: int, owed: set[str]) -> None:
        self.folder = folder
        self.owed = owed
        """Paths that were changed or removed since the last export that ended."""
        self.written = self.unchanged = self.removed = 0
        self._journal = journal
        self._kept: set[str] = set()
        self._folders: set[str] = set()

    @classmethod
    @contextlib.contextmanager
    def opened(cls, folder: Path) -> Iterator[Tree]:
        """The files of a folder that is claimed."""
        if not _is_file(folder / MARKER):
            with os.fdopen(_open_new(folder / MARKER), "w", encoding="utf-8") as marker:
                marker.write("written by `recommender export`, which replaces and removes files of its names here\n")
        owed = set()
        if _is_file(folder / JOURNAL):
            lines = (folder / JOURNAL).read_text(encoding="utf-8", errors="replace").splitlines()
            owed = {line for line in lines if _OURS.fullmatch(line)}
        elif (folder / JOURNAL).is_symlink():
            (folder / JOURNAL).unlink()
        journal = os.open(folder / JOURNAL, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)
        try:
            os.write(journal, b"\n")  # ends a line that was cut off
            yield cls(folder, journal, owed)
        finally:
            os.close(journal)
            (folder / BESIDE).unlink(missing_ok=True)

    def write(self, path: str, text: str) -> None:
        """Let a file hold this text; one that does is left alone."""
        content = text.encode()
        self._kept.add(path)
        self._make_folder(path)
        place = self.folder / path
        if _holds(place, content):
            self.unchanged += 1
            return
        beside = self.folder / BESIDE
        beside.unlink(missing_ok=True)
        with os.fdopen(_open_new(beside), "wb") as file:
            file.write(content)
        self._note(path)
        beside.replace(place)
        self.written += 1

    def prune(self) -> None:
        """Remove the files of lists and threads that are gone; what does not have a name of ours stays."""
        for kind in ENDINGS:
            for shard in _folders_in(self.folder / kind, _SHARD):
                for name in sorted(entry.name for entry in shard.iterdir()):
                    path = f"{kind}/{shard.name}/{name}"
                    if _OURS.fullmatch(path) and path not in self._kept and not stat.S_ISDIR((shard / name).lstat().st_mode):
                        self._note(path)
                        (shard / name).unlink()
                        self.removed += 1
                with contextlib.suppress(OSError):  # not empty
                    shard.rmdir()

    def settle(self) -> None:
        """The export has ended: nothing is owed any more."""
        (self.folder / JOURNAL).unlink(missing_ok=True)

    def _note(self, path: str) -> None:
        """Written down before it is done: a path too many costs a cache little."""
        if path not in self.owed:
            os.write(self._journal, f"{path}\n".encode())
            self.owed.add(path)

    def _make_folder(self, path: str) -> None:
        """The folder of a file, without following a link out of the export."""
        parts = path.split("/")[:-1]
        for length in range(1, len(parts) + 1):
            name = "/".join(parts[:length])
            if name not in self._folders:
                place = self.folder / name
                with contextlib.suppress(FileExistsError):
                    place.mkdir()
                if not stat.S_ISDIR(place.lstat().st_mode):
                    raise ExportError(self.folder, f"{name} is a file or a link", "remove it and export again")
                self._folders.add(name)


def _folders_in(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    """The folders of such names in a folder; links are none."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(Path(entry) for entry in entries if pattern.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False))


def _is_file(place: Path) -> bool:
    """Whether a file stands there itself; a link to one is none."""
    try:
        return stat.S_ISREG(place.lstat().st_mode)
    except OSError:
        return False


def _holds(place: Path, content: bytes) -> bool:
    try:
        found = place.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == len(content) and place.read_bytes() == content


def _open_new(place: Path) -> int:
    """A descriptor of a file that was not there; nothing is written through a link."""
    return os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
