"""The links of a store as a table for SQL, read and written by the layout that `storage/packing.py` tells of, not by its code."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import struct
import zlib
from pathlib import Path

COLUMNS = (
    "row INTEGER, other INTEGER, score REAL, same REAL, nearness REAL, relation INTEGER, reasons TEXT, similar INTEGER,"
    " sidebar INTEGER"
)


def unfold(db: sqlite3.Connection) -> None:
    """Let `links` be a temporary table of this connection, a row a link; it hides what the store keeps."""
    stored = db.execute("SELECT row, packed FROM main.links").fetchall()
    db.execute("DROP TABLE IF EXISTS temp.links")
    db.execute(f"CREATE TEMP TABLE links ({COLUMNS}, PRIMARY KEY (row, other))")
    for row, blob in stored:
        db.executemany("INSERT INTO temp.links VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", links_in(row, blob))


def links_in(row: int, blob: bytes) -> list[tuple[object, ...]]:
    """(row, other, score, same, nearness, relation, reasons, similar, sidebar) of each link of an article."""
    checksum, n = struct.unpack("<II", blob[:8])
    assert checksum == zlib.crc32(blob[4:])
    others, scores, same, nearness = (
        struct.unpack(f"<{n}{kind}", blob[8 + 4 * n * i : 8 + 4 * n * (i + 1)]) for i, kind in enumerate("Ifff")
    )
    relation, similar, sidebar = (blob[8 + 16 * n + n * i : 8 + 16 * n + n * (i + 1)] for i in range(3))
    told = blob[8 + 19 * n :]
    lines = zlib.decompress(told).decode().split("\n") if told else []
    found: list[tuple[object, ...]] = []
    for i in range(n):
        places = [None if place == 255 else place for place in (similar[i], sidebar[i])]
        reasons = None if places == [None, None] else lines.pop(0)
        found.append((row, others[i], scores[i], same[i], nearness[i], relation[i], reasons, *places))
    assert not lines
    return found


def fold(db: sqlite3.Connection) -> None:
    """Let the store keep what is in the temporary table now, and be seen again."""
    rows: dict[int, list[tuple[object, ...]]] = {}
    for link in db.execute("SELECT * FROM temp.links ORDER BY row, other").fetchall():
        rows.setdefault(link[0], []).append(link[1:])
    db.execute("DROP TABLE temp.links")
    db.execute("DELETE FROM main.links")
    for row, links in rows.items():
        n = len(links)
        others, scores, same, nearness, relation, reasons, similar, sidebar = zip(*links, strict=True)
        body = struct.pack(f"<I{n}I{n}f{n}f{n}f{n}B", n, *others, *scores, *same, *nearness, *relation)
        body += bytes(255 if place is None else place for place in (*similar, *sidebar))
        shown = [text or "" for text, *places in zip(reasons, similar, sidebar, strict=True) if places != [None, None]]
        body += zlib.compress("\n".join(shown).encode()) if shown else b""
        db.execute("INSERT INTO main.links VALUES (?, ?)", (row, struct.pack("<I", zlib.crc32(body)) + body))


FORMAT_2 = """
DROP TABLE main.links;
CREATE TABLE main.links (
    row INTEGER NOT NULL, other INTEGER NOT NULL, score REAL NOT NULL, same REAL NOT NULL, relation INTEGER NOT NULL,
    reasons TEXT, similar INTEGER, sidebar INTEGER, PRIMARY KEY (row, other)
) WITHOUT ROWID;
"""


def age(index: Path) -> None:
    """Make an index what one of the second format was: a row for each link, `similar` in the order of the score."""
    manifest = json.loads((index / "manifest.json").read_text(encoding="utf-8"))
    with contextlib.closing(sqlite3.connect(index / manifest["store"])) as db:
        unfold(db)
        db.executescript(FORMAT_2)
        for *link, reasons, similar, sidebar in db.execute(
            "SELECT row, other, nearness, same, relation, reasons, similar, sidebar FROM temp.links ORDER BY row, other"
        ).fetchall():
            told = None if reasons is None else json.dumps(reasons.split("\t") if reasons else [])
            db.execute("INSERT INTO main.links VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*link, told, similar, sidebar))
        db.commit()
    (index / "manifest.json").write_text(json.dumps(manifest | {"format": 2}), encoding="utf-8")


def age_to_format_3(index: Path) -> None:
    """Make an index what one of the third format was: links without a nearness, `similar` in the order of the score."""
    manifest = json.loads((index / "manifest.json").read_text(encoding="utf-8"))
    with contextlib.closing(sqlite3.connect(index / manifest["store"])) as db:
        for row, blob in db.execute("SELECT row, packed FROM links").fetchall():
            (n,) = struct.unpack("<I", blob[4:8])
            body = blob[4 : 8 + 4 * n] + blob[8 + 12 * n : 8 + 16 * n] + blob[8 + 8 * n : 8 + 12 * n] + blob[8 + 16 * n :]
            db.execute("UPDATE links SET packed = ? WHERE row = ?", (struct.pack("<I", zlib.crc32(body)) + body, row))
        db.execute("DELETE FROM meta WHERE key = 'usual_words'")
        db.commit()
    (index / "manifest.json").write_text(json.dumps(manifest | {"format": 3}), encoding="utf-8")
