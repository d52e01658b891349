"""All answers of one moment as static files: written where they differ, removed where nothing stands behind them.

    DIR/related/ab/abcd….json    the list of an article, as `related --json` prints it; .html is the same as a fragment
    DIR/threads/ab/abcd….json    a thread, as `thread --json` prints it; .html is its timeline
    DIR/feeds/ab/abcd….xml       the same as a feed
    DIR/manifest.json            format, counts, and the rule of the names

The name of a file is the hex SHA-256 of the id in UTF-8, its folder the first two digits of that.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from recommender.answers import Profile, Related, RelatedList, StoryThread
from recommender.engine import Recommender
from recommender.errors import ExportError, RecommenderError
from recommender.web import fragments

FORMAT = 1
"""Version of the layout."""

MARKER = ".recommender-export"
"""Says that a folder holds an export, and that files of such names in it are ours to replace and remove."""
LOCK = ".recommender-export.lock"
JOURNAL = ".recommender-export.changed"
"""What has changed since the last export that ended: one that was killed owes a cache these paths too."""
BESIDE = ".recommender-export.new"
"""The file that is being written."""
MANIFEST = "manifest.json"

ENDINGS = {"related": (".json", ".html"), "threads": (".json", ".html"), "feeds": (".xml",)}
RULE = "KIND/first two digits/DIGEST.ending, where DIGEST is the hex SHA-256 of the id in UTF-8"

_SHARD = re.compile("[0-9a-f]{2}")
_NAME = re.compile(r"[0-9a-f]{64}\.(?:json|html|xml)")
_OURS = re.compile(rf"manifest\.json|(?:{'|'.join(ENDINGS)})/[0-9a-f]{{2}}/{_NAME.pattern}")

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """What is exported and how."""

    k: int = 5
    profile: Profile = "sidebar"
    base_url: str | None = None
    """Where DIR will be found on the web; without it no page links to another page of the export."""
    changed_list: Path | None = None
    """Gets the paths that were changed or removed, relative to DIR, one a line, sorted."""
    progress: Progress = lambda stage, done, total: None

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k must be 1 or more, not {self.k}")
        if self.base_url is not None and not _is_base(self.base_url):
            raise RecommenderError(f"{self.base_url!r} is no address for an export; write one as https://cdn.example/related")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export has done; all but the first two count files."""

    articles: int
    threads: int
    written: int
    unchanged: int
    removed: int


def path_of(kind: str, id: str, ending: str) -> str:
    """The path of a file in an export: `path_of("related", "a17", ".json")`."""
    digest = hashlib.sha256(id.encode()).hexdigest()
    return f"{kind}/{digest[:2]}/{digest}{ending}"


def export(engine: Recommender, folder: str | os.PathLike[str], options: ExportOptions | None = None) -> Exported:
    """Bring a folder up to date with an index; ExportError, and nothing changed, where the folder holds something else.

    Each file is whole at any time. Where an export is killed or fails the next one ends what it began.
    """
    chosen = options or ExportOptions()
    path = Path(folder)
    try:
        with _claimed(path), _Tree.opened(path) as tree, engine.moment() as now:
            found = _export(now, tree, chosen)
            if chosen.changed_list is not None:
                _write_list(chosen.changed_list, tree.owed)
            tree.settle()
            return found
    except OSError as error:
        about = error.strerror or str(error)
        raise ExportError(path, f"it cannot be written ({about})", "make room or mend the rights and export again") from error


def _export(engine: Recommender, tree: _Tree, options: ExportOptions) -> Exported:
    threads = engine.threads()
    for done, thread in enumerate(threads):
        options.progress("threads", done, len(threads))
        for path, content in _thread_files(thread, [engine.article(one) for one in thread.article_ids], options):
            tree.write(path, content)
    articles, total = 0, len(engine)
    for found in engine.all_related(options.k, profile=options.profile):
        if not articles % 100:
            options.progress("articles", articles, total)
        for path, content in _list_files(found, options):
            tree.write(path, content)
        articles += 1
    manifest = _manifest(engine, articles, len(threads), options)
    tree.write(MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=1) + "\n")
    options.progress("removing", 0, 0)
    tree.prune()  # last: until now whatever is linked to was there
    return Exported(articles=articles, threads=len(threads), written=tree.written, unchanged=tree.unchanged, removed=tree.removed)


def _list_files(found: RelatedList, options: ExportOptions) -> Iterator[tuple[str, str]]:
    article = str(found.id)
    page = None if found.thread is None else _address(options, path_of("threads", found.thread.id, ".html"))
    yield path_of("related", article, ".json"), json.dumps(found.to_json(), ensure_ascii=False) + "\n"
    yield path_of("related", article, ".html"), fragments.related_html(found, thread_url=page)


def _thread_files(thread: StoryThread, articles: Sequence[Related], options: ExportOptions) -> Iterator[tuple[str, str]]:
    page, feed = path_of("threads", thread.id, ".html"), path_of("feeds", thread.id, ".xml")
    page_url, feed_url = _address(options, page), _address(options, feed)
    yield path_of("threads", thread.id, ".json"), json.dumps(thread.to_json(), ensure_ascii=False) + "\n"
    yield feed, fragments.thread_feed(thread, articles, page_url=page_url, feed_url=feed_url)
    yield page, fragments.thread_html(thread, articles, feed_url=feed_url)


def _address(options: ExportOptions, path: str) -> str | None:
    return None if options.base_url is None else f"{options.base_url.rstrip('/')}/{path}"


def _manifest(engine: Recommender, articles: int, threads: int, options: ExportOptions) -> dict[str, Any]:
    """What the export says of itself; the same for the same index, so that an export of nothing new changes nothing."""
    known = engine.info()
    return {
        "format": FORMAT, "version": known["version"], "written": known["written"], "articles": articles, "threads": threads,
        "k": options.k, "profile": options.profile, "base_url": options.base_url, "rule": RULE,
        "endings": {kind: list(endings) for kind, endings in ENDINGS.items()},
    }  # fmt: skip


def _is_base(url: str) -> bool:
    try:
        parts = urlsplit(url)
        plain_enough = url.isprintable() and not re.search(r"[\s\\<>\"']", url) and not (parts.query or parts.fragment)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and plain_enough
    except ValueError:
        return False


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[None]:
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


class _Tree:
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
    def opened(cls, folder: Path) -> Iterator[_Tree]:
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


def _write_list(file: Path, paths: set[str]) -> None:
    beside = file.with_name(f"{file.name}.new")
    try:
        beside.write_text("".join(f"{path}\n" for path in sorted(paths)), encoding="utf-8")
        beside.replace(file)
    except OSError as error:
        reason = f"the list of what changed cannot be written ({error.strerror})"
        raise ExportError(file, reason, "mend that and export again: the next list has it all") from error
