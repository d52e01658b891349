"""The one durable truth: an index folder with a manifest and one SQLite file (WAL). Reading needs nothing heavier.

    INDEX/manifest.json             format version, the store's file name, model, revision, dimensions
    INDEX/store-<generation>.sqlite everything else
    INDEX/neighbours.faiss          a cache of the neighbour search; made anew when missing, stale or damaged

A new index is written beside the old one under a new generation; renaming the manifest makes it the one that counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recommender.answers import Profile, Related, Relation, StoryThread, ThreadChange, ThreadPlace
from recommender.errors import IndexUnusableError

FORMAT = 2
"""Version of the manifest and of the tables; raised with every change that older code would misread."""

MANIFEST = "manifest.json"
CACHE = "neighbours.faiss"
RELATIONS: tuple[Relation, ...] = ("duplicate", "same-story", "related")
"""`links.relation` holds a place in this tuple."""

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE articles (
    row INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    url TEXT,
    published TEXT,              -- ISO 8601, UTC
    instant REAL,                -- the same in seconds since 1970
    section TEXT,
    language TEXT,
    others TEXT NOT NULL,        -- JSON: updated, authors, tags, image
    hash BLOB NOT NULL,
    thread INTEGER REFERENCES threads (number),
    position INTEGER             -- in the thread, 1 is the oldest
);
CREATE INDEX articles_by_thread ON articles (thread, position) WHERE thread IS NOT NULL;
CREATE INDEX articles_by_section ON articles (section, instant);
CREATE TABLE bodies (row INTEGER PRIMARY KEY, body BLOB NOT NULL);     -- as given, deflated
CREATE TABLE vectors (row INTEGER PRIMARY KEY, vector BLOB NOT NULL);  -- float16
CREATE TABLE terms (row INTEGER PRIMARY KEY, counts BLOB NOT NULL);
CREATE TABLE vocabulary (
    number INTEGER PRIMARY KEY, term TEXT NOT NULL, spelling TEXT NOT NULL,
    articles INTEGER NOT NULL, capitals INTEGER NOT NULL, smalls INTEGER NOT NULL
);
CREATE TABLE links (             -- every pair twice, once from either side
    row INTEGER NOT NULL, other INTEGER NOT NULL,
    score REAL NOT NULL,         -- related
    same REAL NOT NULL,          -- same story
    relation INTEGER NOT NULL,
    reasons TEXT,                -- JSON; null where no list shows the pair
    similar INTEGER,             -- place in the list of that profile, 0 is the first
    sidebar INTEGER,
    PRIMARY KEY (row, other)
) WITHOUT ROWID;
CREATE TABLE threads (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, label TEXT NOT NULL, keywords TEXT NOT NULL,
    lead INTEGER NOT NULL, size INTEGER NOT NULL, first_instant REAL, last_instant REAL
);
CREATE INDEX threads_by_time ON threads (last_instant);
CREATE TABLE blobs (name TEXT PRIMARY KEY, value BLOB NOT NULL);        -- encoder, boilerplate
CREATE TABLE redirects (former TEXT PRIMARY KEY, thread TEXT NOT NULL) WITHOUT ROWID;   -- ids of threads that were merged
CREATE TABLE changes (           -- what happened to threads, oldest first
    number INTEGER PRIMARY KEY,
    at TEXT NOT NULL,            -- ISO 8601, UTC
    kind TEXT NOT NULL,          -- founded, joined, left, merged, split, renamed, closed
    thread TEXT NOT NULL,
    other TEXT,                  -- the thread it was merged into or split off from
    articles TEXT NOT NULL,      -- JSON: ids of the articles that this is about
    label TEXT                   -- of the thread, after
);
CREATE TABLE rules (number INTEGER PRIMARY KEY, rule TEXT NOT NULL UNIQUE);             -- JSON: what editors have decided
"""


class Store:
    """One open index. Safe to share between threads: one statement runs at a time."""

    def __init__(self, folder: Path, manifest: dict[str, Any], connection: sqlite3.Connection) -> None:
        self.folder = folder
        self.manifest = manifest
        self.db = connection
        self.lock = threading.RLock()
        self.writing = False
        """Whether what a query meets may be the disk's refusal of a write; SQLite writes while it reads, when memory is short."""

    @classmethod
    def open(cls, folder: str | os.PathLike[str], *, write: bool = False) -> Store:
        """Open the index that counts now; IndexUnusableError where there is none or it cannot be read."""
        path = Path(folder)
        tried = None
        while True:
            manifest = read_manifest(path)
            file = path / str(manifest["store"])
            try:
                if file.is_file():
                    return cls(path, manifest, _connect(path, file, write=write))
            except IndexUnusableError:
                if file == tried:
                    raise
            if file == tried:
                reason = f"its file {manifest['store']} is missing"
                raise IndexUnusableError(str(path), reason, "build it again with `recommender build`")
            tried = file  # a replacement may have come between reading the manifest and opening the file

    @classmethod
    def damaged(cls, folder: Path, name: str) -> Store:
        """A file of the folder, opened for reading whatever is wrong with it; any query may then be an IndexUnusableError."""
        address = f"{(folder / name).absolute().as_uri()}?mode=ro"
        with unreadable(folder):
            return cls(folder, {"store": name}, sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False))

    def close(self) -> None:
        """Close the file; the store is of no use afterwards."""
        self.db.close()

    def query(self, sql: str, *values: Any) -> list[Any]:
        """All rows of a query; a damaged file is an IndexUnusableError, a disk that refuses a write stays an error of SQLite."""
        with self.lock:
            try:
                return self.db.execute(sql, values).fetchall()
            except sqlite3.DatabaseError as error:
                if self.writing and not is_damage(error):
                    raise
                raise damaged(self.folder, error) from error

    def rows(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """The rows of a query one after another, for what is too much to hold at once; hold a snapshot meanwhile."""
        with unreadable(self.folder):
            yield from self.db.execute(sql)

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

    def row_of(self, article_id: str) -> int | None:
        """The number of an article in this store."""
        found = self.query("SELECT row FROM articles WHERE id = ?", article_id)
        return int(found[0][0]) if found else None

    def article_ids(self) -> Iterator[str]:
        """Every article id in the order the articles came in."""
        for (article_id,) in self.query("SELECT id FROM articles ORDER BY row"):
            yield str(article_id)

    def items(self, row: int, k: int, profile: Profile) -> tuple[Related, ...]:
        """The first k of a stored list."""
        place = "similar" if profile == "similar" else "sidebar"
        rows = self.query(
            f"SELECT a.id, a.title, a.url, a.published, l.score, l.relation, t.id, l.reasons FROM links l"
            f" JOIN articles a ON a.row = l.other LEFT JOIN threads t ON t.number = a.thread"
            f" WHERE l.row = ? AND l.{place} IS NOT NULL ORDER BY l.{place} LIMIT ?",
            row,
            k,
        )
        return tuple(
            Related(
                id=r[0], title=r[1], url=r[2], published=r[3], score=round(r[4], 4), relation=RELATIONS[r[5]],
                thread_id=r[6], reasons=tuple(json.loads(r[7] or "[]")),
            )
            for r in rows
        )  # fmt: skip

    def shown(self, row: int, *, score: float = 1.0, relation: Relation = "duplicate", reasons: tuple[str, ...] = ()) -> Related:
        """What a list shows of one article."""
        ((article_id, title, url, published, thread_id),) = self.query(
            "SELECT a.id, a.title, a.url, a.published, t.id FROM articles a LEFT JOIN threads t ON t.number = a.thread"
            " WHERE a.row = ?",
            row,
        )
        return Related(
            id=article_id, title=title, url=url, published=published, score=round(score, 4), relation=relation,
            thread_id=thread_id, reasons=reasons,
        )  # fmt: skip

    def latest(self, section: str | None, k: int, until: str | None) -> list[Related]:
        """The last k articles of a section with a date, newest first."""
        rows = self.query(
            "SELECT row FROM articles WHERE published <= coalesce(?, published) AND (? IS NULL OR section = ?)"
            " ORDER BY instant DESC, row DESC LIMIT ?",
            until, section, section, k,
        )  # fmt: skip
        return [self.shown(int(row)) for (row,) in rows]

    def info(self) -> dict[str, Any]:
        """Counts, model, dimensions, sizes and versions."""
        meta = dict(self.query("SELECT key, value FROM meta"))
        ((first, last),) = self.query("SELECT min(published), max(published) FROM articles")
        ((largest, threaded),) = self.query("SELECT coalesce(max(size), 0), coalesce(sum(size), 0) FROM threads")
        return {
            "index": str(self.folder),
            "articles": self.count("articles"),
            "threads": self.count("threads"),
            "articles_in_threads": threaded,
            "largest_thread": largest,
            "first_published": first,
            "last_published": last,
            "model": meta["model"],
            "revision": meta["revision"],
            "dimensions": meta["dimensions"],
            "weights": "tuned" if "weights" in meta else "shipped",
            "articles_at_build": meta["articles_at_build"],
            "rebuild": _rebuild_advice(self.count("articles"), int(meta["articles_at_build"])),
            "evergreen": json.loads(meta.get("evergreen", "[]")),
            "hub_share": self.hub_share(),
            "written": meta["written"],
            "bytes": sum(file.stat().st_size for file in self.folder.iterdir() if file.is_file()),
            "format": self.manifest["format"],
            "version": meta["version"],
        }

    def evergreen_rows(self) -> set[int]:
        """The rows of articles that do not age."""
        kept = self.query("SELECT value FROM meta WHERE key = 'evergreen'")
        sections = json.loads(kept[0][0]) if kept else []
        return {int(row) for section in sections for (row,) in self.query("SELECT row FROM articles WHERE section = ?", section)}

    def redirected(self, thread_id: str) -> str:
        """The id of the thread that goes on where this one was merged; else the same."""
        found = self.query("SELECT thread FROM redirects WHERE former = ?", thread_id)
        return str(found[0][0]) if found else thread_id

    def changes(self, since: str) -> Iterator[ThreadChange]:
        """What happened to threads at or after a moment (ISO 8601 in UTC), oldest first."""
        for at, kind, thread, other, articles, label in self.query(
            "SELECT at, kind, thread, other, articles, label FROM changes WHERE at >= ? ORDER BY number", since
        ):
            yield ThreadChange(
                at=at, kind=kind, thread_id=thread, other_id=other, article_ids=tuple(json.loads(articles)), label=label
            )

    def hub_share(self, k: int = 5) -> float | None:
        """Share of the first k places of all sidebars that the most shown hundredth of the articles takes; None without any."""
        shown = [count for (count,) in self.query("SELECT count(*) FROM links WHERE sidebar < ? GROUP BY other", k)]
        most = sorted(shown, reverse=True)[: max(1, self.count("articles") // 100)]
        return round(sum(most) / sum(shown), 4) if shown else None

    def place(self, row: int) -> ThreadPlace | None:
        """Where an article stands in its thread; None where it stands alone."""
        found = self.query(
            "SELECT t.id, t.label, a.position, t.size FROM articles a JOIN threads t ON t.number = a.thread WHERE a.row = ?", row
        )
        return ThreadPlace(id=found[0][0], label=found[0][1], position=found[0][2], size=found[0][3]) if found else None

    def threads(self, *, min_size: int = 2, thread_id: str | None = None) -> list[StoryThread]:
        """Threads, the one with the latest article first; only one of them where an id is given."""
        where, value = ("t.id = ?", thread_id) if thread_id is not None else ("t.size >= ?", min_size)
        rows = self.query(
            f"SELECT t.number, t.id, t.label, t.keywords, t.size, l.id FROM threads t JOIN articles l ON l.row = t.lead"
            f" WHERE {where} ORDER BY t.last_instant DESC NULLS LAST, t.number",
            value,
        )
        members: dict[int, list[tuple[str, str | None]]] = {}
        which = f"WHERE thread = {int(rows[0][0])}" if thread_id is not None and rows else "WHERE thread IS NOT NULL"
        for number, article_id, published in self.query(
            f"SELECT thread, id, published FROM articles {which} ORDER BY thread, position"
        ):
            members.setdefault(number, []).append((article_id, published))
        return [self._thread(row, members[row[0]]) for row in rows]

    @staticmethod
    def _thread(row: tuple[Any, ...], members: list[tuple[str, str | None]]) -> StoryThread:
        _, thread_id, label, keywords, size, lead = row
        dates = [published for _, published in members if published]
        return StoryThread(
            id=thread_id, label=label, keywords=tuple(json.loads(keywords)), size=size, lead_id=lead,
            first_published=dates[0] if dates else None, last_published=dates[-1] if dates else None,
            article_ids=tuple(article_id for article_id, _ in members),
        )  # fmt: skip

    def count(self, table: str) -> int:
        """How many rows a table holds."""
        return int(self.query(f"SELECT count(*) FROM {table}")[0][0])


GROWN = 1.2
"""Articles per article of the last fit from which a rebuild is worth it. B-cubed F1 between the threads of an index that grew
so and those of a build is down to .936 (scripts/measure_stream.py)."""


def _rebuild_advice(articles: int, fitted: int) -> str:
    grown = articles >= GROWN * fitted
    return f"worth it: fitted to {fitted:,} articles, now {articles:,}" if grown else "not needed"


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an index; IndexUnusableError where there is none, or one of another format."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        version, name = manifest["format"], manifest["store"]
    except FileNotFoundError:
        raise IndexUnusableError(str(folder), "there is no index here", "make one with `recommender build`") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IndexUnusableError(
            str(folder), f"its manifest cannot be read ({error})", "build it again with `recommender build`"
        ) from error
    if version != FORMAT:
        raise IndexUnusableError(
            str(folder),
            f"it is of format {version}, this version reads format {FORMAT}",
            "build it again with `recommender build`",
        )
    if Path(str(name)).name != name:
        raise IndexUnusableError(
            str(folder), "its manifest names a file outside the index", "build it again with `recommender build`"
        )
    return dict(manifest)


def _connect(folder: Path, file: Path, *, write: bool) -> sqlite3.Connection:
    if write:
        address = f"{file.absolute().as_uri()}?mode=rw"
    elif os.access(folder, os.W_OK):
        address = f"{file.absolute().as_uri()}?mode=ro"
    else:  # a WAL needs files beside it; where none can be made nobody writes either
        address = f"{file.absolute().as_uri()}?mode=ro&immutable=1"
    with unreadable(folder):
        connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False, timeout=10)
        connection.execute("PRAGMA mmap_size = 268435456")
        if write:
            connection.execute("PRAGMA synchronous = FULL")
        connection.execute("SELECT value FROM meta WHERE key = 'articles'").fetchall()
    return connection


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite complains of what is in the file, and not of the disk or the rights."""
    code = getattr(error, "sqlite_errorcode", None) or 0
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or code == sqlite3.SQLITE_IOERR_SHORT_READ


def _is_refusal(error: Exception) -> bool:
    """Whether the disk refused: full, read-only, not to be opened; SQLite makes small files even to read."""
    code = getattr(error, "sqlite_errorcode", None) or 0
    refusals = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
    return code & 0xFF in refusals and code != sqlite3.SQLITE_IOERR_SHORT_READ


def damaged(folder: Path, error: Exception) -> IndexUnusableError:
    """What to say of an index whose file holds what no index holds, or cannot be read."""
    if _is_refusal(error):
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


def verify(folder: Path, manifest: dict[str, Any]) -> None:
    """IndexUnusableError where the file that a manifest names is not a store with our tables and nothing else."""
    with contextlib.closing(Store(folder, manifest, _connect(folder, folder / str(manifest["store"]), write=True))) as store:
        found = {name for (name,) in store.query("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")}
        if found != set(re.findall(r"^CREATE (?:TABLE|INDEX) (\w+)", SCHEMA, re.MULTILINE)):
            raise damaged(folder, ValueError("its tables are not those of an index"))


@contextlib.contextmanager
def replacement(folder: Path) -> Iterator[Store]:
    """A new, empty store beside the one that counts; it takes its place when the block ends, and is gone if the block fails."""
    with successor(folder) as (file, manifest):
        connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            connection.executescript(SCHEMA)
            connection.execute("BEGIN")
            store = Store(folder, manifest, connection)
            store.writing = True
            yield store
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()


@contextlib.contextmanager
def successor(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """(a file to write a store to, its manifest to complete); they count when the block ends, and are gone if it fails."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"store-{os.urandom(6).hex()}.sqlite"
    file = folder / name
    manifest: dict[str, Any] = {"format": FORMAT, "store": name}
    with contextlib.suppress(IndexUnusableError):  # without a manifest to trust nothing is known to be a leftover
        _forget_all_but(folder, {name, str(read_manifest(folder)["store"])})  # of a build that was killed
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
