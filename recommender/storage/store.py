"""The one durable truth: an SQLite file (WAL) in the index folder, and what it answers. Reading needs nothing heavier."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from recommender.answers import Profile, Related, RelatedList, Relation, StoryThread, ThreadChange, ThreadPlace
from recommender.storage.damage import damaged, unreadable
from recommender.storage.file import StoreFile, connect, created
from recommender.storage.folder import successor
from recommender.storage.packing import Shown, list_of
from recommender.storage.schema import RELATIONS, SCHEMA


class Store(StoreFile):
    """One open index."""

    def row_of(self, article_id: str) -> int | None:
        """The number of an article in this store."""
        found = self.query("SELECT row FROM articles WHERE id = ?", article_id)
        return int(found[0][0]) if found else None

    def last_row(self) -> int:
        """The highest number that an article has, or had: none is given twice."""
        ((there,),) = self.query("SELECT coalesce(max(row), 0) FROM articles")
        ever = self.query("SELECT value FROM meta WHERE key = 'last_row'")
        return max(int(there), int(ever[0][0]) if ever else 0)

    def article_ids(self) -> Iterator[str]:
        """Every article id, in the order of rows: of a build oldest first, then what was added."""
        for (article_id,) in self.query("SELECT id FROM articles ORDER BY row"):
            yield str(article_id)

    def listed(self, article_id: str, k: int, profile: Profile) -> RelatedList | None:
        """The first k of a stored list, and the thread of its article; None where there is no such article."""
        with self.snapshot():
            rows = self.query(
                "SELECT s.id, t.id, t.label, s.position, t.size, l.packed FROM articles s"
                " LEFT JOIN threads t ON t.number = s.thread LEFT JOIN links l ON l.row = s.row WHERE s.id = ?",
                article_id,
            )
            if not rows:
                return None
            ((own_id, thread_id, label, position, size, blob),) = rows
            listed = [] if blob is None else self._list(blob, profile, k)
            found = self.query(_articles_of(len(listed)), *[one.row for one in listed]) if listed else []
        self._require_texts([own_id, thread_id, label, *[text for r in found for text in r[1:]]])
        thread = None if thread_id is None else ThreadPlace(id=thread_id, label=label, position=position, size=size)
        by_row = {r[0]: r for r in found}
        if len(by_row) < len(listed):
            raise damaged(self.folder, ValueError("a link to an article that is not there"))
        items = [
            Related(
                id=r[1], title=r[2], url=r[3], published=r[4], score=round(one.score, 4), relation=RELATIONS[one.relation],
                thread_id=r[5], reasons=one.reasons,
            )
            for one in listed
            for r in (by_row[one.row],)
        ]  # fmt: skip
        return RelatedList(id=article_id, thread=thread, items=tuple(items))

    def _list(self, blob: bytes, profile: Profile, k: int) -> list[Shown]:
        with unreadable(self.folder):
            return list_of(blob, profile, k)

    def shown(self, row: int, *, score: float = 1.0, relation: Relation = "duplicate", reasons: tuple[str, ...] = ()) -> Related:
        """What a list shows of one article."""
        ((article_id, title, url, published, thread_id),) = self.query(
            "SELECT a.id, a.title, a.url, a.published, t.id FROM articles a LEFT JOIN threads t ON t.number = a.thread"
            " WHERE a.row = ?",
            row,
        )
        self._require_texts((article_id, title, url, published, thread_id))
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

    def search(self, words: str, limit: int) -> list[Related]:
        """The articles whose title or id holds every word, newest first, the one of that very id before all.

        No sign in a word has a meaning of its own. Capitals make no difference at the beginning of a word or in all of it.
        """
        exact = self.row_of(words)
        asked = [word[:LONGEST_WORD] for word in words.replace("\0", " ").split()[:MOST_WORDS]]  # LIKE ends at a NUL
        if not asked:
            return []
        patterns = [f"%{_plain(form)}%" for word in asked for form in _spellings(word)]
        one = rf"({_TITLE_LIKE} OR id LIKE ? ESCAPE '\')"
        found = self.query(
            f"SELECT row FROM articles WHERE {' AND '.join([one] * len(asked))} ORDER BY instant DESC, row DESC LIMIT ?",
            *patterns, limit,
        )  # fmt: skip
        rows = [int(row) for (row,) in found if int(row) != exact]
        return [self.shown(row) for row in ([] if exact is None else [exact]) + rows][:limit]

    def info(self) -> dict[str, Any]:
        """Counts, model, dimensions, sizes and versions."""
        meta = dict(self.query("SELECT key, value FROM meta"))
        ((first, last),) = self.query("SELECT min(published), max(published) FROM articles")
        self._require_texts((*(meta[key] for key in ("model", "revision", "written", "version")), first, last))
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

    def evergreen_sections(self) -> list[str]:
        """The sections whose articles do not age."""
        kept = self.query("SELECT value FROM meta WHERE key = 'evergreen'")
        return list(json.loads(kept[0][0])) if kept else []

    def evergreen_rows(self) -> list[int]:
        """The rows of the articles in these sections, rising."""
        asked = "SELECT row FROM articles WHERE section IN (SELECT value FROM json_each(?)) ORDER BY row"
        return [int(row) for (row,) in self.query(asked, json.dumps(self.evergreen_sections()))]

    def redirected(self, thread_id: str) -> str:
        """The id of the thread that goes on where this one was merged; else the same."""
        found = self.query("SELECT thread FROM redirects WHERE former = ?", thread_id)
        return str(found[0][0]) if found else thread_id

    def redirects(self) -> dict[str, str]:
        """The id of each thread that was merged, and of the one that goes on."""
        return dict(self.query("SELECT former, thread FROM redirects WHERE thread IN (SELECT id FROM threads) ORDER BY former"))

    def changes(self, since: str) -> Iterator[ThreadChange]:
        """What happened to threads at or after a moment (ISO 8601 in UTC), oldest first."""
        for at, kind, thread, other, articles, label in self.query(
            "SELECT at, kind, thread, other, articles, label FROM changes WHERE at >= ? ORDER BY number", since
        ):
            self._require_texts((at, kind, thread, other, label))
            yield ThreadChange(
                at=at, kind=kind, thread_id=thread, other_id=other, article_ids=tuple(json.loads(articles)), label=label
            )

    def last_change(self) -> str:
        """When something happened to a thread last, ISO 8601; empty where nothing ever did."""
        found = self.query("SELECT at FROM changes ORDER BY number DESC LIMIT 1")
        return str(found[0][0]) if found else ""

    def hub_share(self, k: int = 5) -> float | None:
        """Share of the first k places of all sidebars that the most shown hundredth of the articles takes; None without any."""
        times = Counter(one.row for (blob,) in self.query("SELECT packed FROM links") for one in self._list(blob, "sidebar", k))
        shown = list(times.values())
        most = sorted(shown, reverse=True)[: max(1, self.count("articles") // 100)]
        return round(sum(most) / sum(shown), 4) if shown else None

    def place(self, row: int) -> ThreadPlace | None:
        """Where an article stands in its thread; None where it stands alone."""
        found = self.query(
            "SELECT t.id, t.label, a.position, t.size FROM articles a JOIN threads t ON t.number = a.thread WHERE a.row = ?", row
        )
        if not found:
            return None
        thread_id, label, position, size = found[0]
        self._require_texts((thread_id, label))
        return ThreadPlace(id=thread_id, label=label, position=int(position), size=int(size))

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
        self._require_texts(value for row in rows for value in (*row[1:4], row[5]))
        self._require_texts(value for row in rows for member in members[row[0]] for value in member)
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

    def _require_texts(self, values: Iterable[Any]) -> None:
        """IndexUnusableError where one is no text: a flipped bit in the head of a row makes bytes or a number of it."""
        if not TEXTS.issuperset(map(type, values)):
            raise damaged(self.folder, ValueError("bytes or a number in place of a text"))

    def count(self, table: str) -> int:
        """How many rows a table holds."""
        return int(self.query(f"SELECT count(*) FROM {table}")[0][0])


TEXTS = frozenset({str, type(None)})


@cache
def _articles_of(n: int) -> str:
    """The query for what lists show of n articles, by row."""
    return (
        "SELECT a.row, a.id, a.title, a.url, a.published, t.id FROM articles a LEFT JOIN threads t ON t.number = a.thread"
        f" WHERE a.row IN ({', '.join('?' * n)})"
    )


MOST_WORDS = 8
LONGEST_WORD = 80
"""Of a search: more of either finds nothing more, and costs time."""
SPELLINGS = 4


_TITLE_LIKE = " OR ".join([r"title LIKE ? ESCAPE '\'"] * SPELLINGS)


def _plain(word: str) -> str:
    """A word for LIKE, whose signs mean nothing."""
    return re.sub(r"([\\%_])", r"\\\1", word)


def _spellings(word: str) -> tuple[str, ...]:
    """A word as titles may have it, `SPELLINGS` times, and then as an id has it; LIKE knows capitals of ASCII alone."""
    return (word, word.lower(), word.upper(), word.capitalize(), word)


GROWN = 1.2
"""Articles per article of the last fit from which a rebuild is worth it. B-cubed F1 between the threads of an index that grew
so and those of a build is down to .934; against gold no more than 1.4 points are lost yet, at 1.5 up to 3.4, at 2 up to 6.5
(scripts/measure_stream.py)."""


def _rebuild_advice(articles: int, fitted: int) -> str:
    grown = articles >= GROWN * fitted
    return f"worth it: fitted to {fitted:,} articles, now {articles:,}" if grown else "not needed"


def verify(folder: Path, manifest: dict[str, Any]) -> None:
    """IndexUnusableError where the file that a manifest names is not a store with our tables and nothing else."""
    with contextlib.closing(Store(folder, manifest, connect(folder, folder / str(manifest["store"]), write=True))) as store:
        found = {name for (name,) in store.query("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")}
        if found != set(re.findall(r"^CREATE (?:TABLE|INDEX) (\w+)", SCHEMA, re.MULTILINE)):
            raise damaged(folder, ValueError("its tables are not those of an index"))


@contextlib.contextmanager
def replacement(folder: Path) -> Iterator[Store]:
    """A new, empty store beside the one that counts; it takes its place when the block ends, and is gone if the block fails."""
    with successor(folder) as (file, manifest):
        connection = created(file)
        try:
            connection.executescript(SCHEMA)
            connection.execute("BEGIN")
            store = Store(folder, manifest, connection)
            store.writing = True
            yield store
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()
