"""Makes an index anew of its own rows: no trace is left of what was removed, and no room is lost to it."""

from __future__ import annotations

import contextlib
import itertools
import json
import struct
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

from recommender.storage.damage import unreadable
from recommender.storage.folder import CACHE, MANIFEST
from recommender.storage.packing import NO_PLACE, Columns, deflated, packed, refolded
from recommender.storage.schema import ROWS_OF_LINKS, WITHOUT_NEARNESS
from recommender.storage.store import Store, replacement
from recommender.writing.writer import WriteOptions, sole_writer

NO_TERM = "∅"
"""Begins what stands in the vocabulary in place of a term that no article holds any more; no text has it in a term."""


def compact(folder: Path, options: WriteOptions) -> tuple[int, int]:
    """(bytes before, bytes after): all rows into a new file, of today's format, that then takes the place of the old one.

    Terms that no article holds are blanked, and keep their numbers, which the embedding and the counts know them by. Ids of
    articles that are gone leave the log of changes, with the labels that no thread bears now: they may be their headlines.
    """
    with contextlib.closing(Store.open(folder, older=True)):  # where there is no index, nothing is left behind
        pass
    with sole_writer(folder, options):
        before = _size(folder)
        with contextlib.closing(Store.open(folder, older=True)) as old, old.snapshot(), replacement(folder) as new:
            for table in [name for (name,) in new.query("SELECT name FROM sqlite_master WHERE type = 'table'")]:
                _copy(old, new, table)
            new.manifest.update({key: value for key, value in old.manifest.items() if key not in new.manifest})
            keep_cache = bool(new.query("SELECT 1 FROM meta WHERE key = 'cache' AND value <> ''"))
        for name in (f"{MANIFEST}.new", f"{CACHE}.new", *([] if keep_cache else [CACHE])):
            (folder / name).unlink(missing_ok=True)
        return before, _size(folder)


def _copy(old: Store, new: Store, table: str) -> None:
    columns = [name for _, name, *_ in new.query(f"PRAGMA table_info({table})")]
    if table == "links" and old.manifest["format"] == ROWS_OF_LINKS:
        rows = _folded_links(old)
    elif table == "links" and old.manifest["format"] == WITHOUT_NEARNESS:
        rows = _refolded_links(old)
    else:
        rows = old.rows(f"SELECT {', '.join(columns)} FROM {table} ORDER BY 1, 2")
    if table == "vocabulary":
        rows = (row if row[3] else (row[0], f"{NO_TERM}{row[0]}", "", 0, 0, 0) for row in rows)
    elif table == "changes":
        rows = _changes(old, rows)
    new.db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", rows)


def _folded_links(old: Store) -> Iterator[tuple[Any, ...]]:
    """The links of format 2, which were a row each: a blob for each article."""
    asked = "SELECT row, other, score, same, relation, similar, sidebar, reasons FROM links ORDER BY row, other"
    for row, links in itertools.groupby(old.rows(asked), key=itemgetter(0)):
        with unreadable(old.folder):
            others, scores, same, relations, similar, sidebar, reasons = zip(*(link[1:] for link in links), strict=True)
            n = len(others)
            one, two = (bytes(NO_PLACE if place is None else place for place in column) for column in (similar, sidebar))
            shown = [text for text, *both in zip(reasons, one, two, strict=True) if min(both) < NO_PLACE]
            yield row, packed(
                Columns(
                    struct.pack(f"<{n}I", *others), struct.pack(f"<{n}f", *scores), struct.pack(f"<{n}f", *same),
                    struct.pack(f"<{n}f", *scores), bytes(relations), one, two,
                    deflated(["\t".join(json.loads(text)) for text in shown]),
                )
            )  # fmt: skip


def _refolded_links(old: Store) -> Iterator[tuple[Any, ...]]:
    """The links of format 3, whose order in `similar` was that of the score."""
    for row, blob in old.rows("SELECT row, packed FROM links ORDER BY row"):
        with unreadable(old.folder):
            yield row, refolded(blob)


def _changes(old: Store, rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """The log of changes without what tells of articles that are gone."""
    ids = set(old.article_ids())
    labels = {label for (label,) in old.query("SELECT label FROM threads")}
    for number, at, kind, thread, other, articles, label in rows:
        with unreadable(old.folder):
            named = json.loads(articles)
        left = json.dumps([one for one in named if one in ids], ensure_ascii=False)
        yield number, at, kind, thread, other, left, label if label in labels else None


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
