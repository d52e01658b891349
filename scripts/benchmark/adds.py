"""Row add: one article, durable, beside SQLite writing the same rows in one transaction into a copy of the file."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from pathlib import Path
from statistics import median
from typing import Any

from recommender import Recommender
from recommender.writing import updating
from scripts.benchmark.children import in_child
from scripts.benchmark.measures import Goal, Measure, percentile
from scripts.benchmark.workshop import Workshop, articles_of


def add(shop: Workshop) -> list[Measure]:
    """Row add, on a copy of the index."""
    count = shop.largest
    copy = shop.folder / "index-added-to"
    shutil.copytree(shop.built(count).index, copy)
    found = in_child(add_one_by_one, str(copy), str(shop.texts(count).later), shop.size.adds, shop.size.replayed)
    shutil.rmtree(copy)
    return [
        Measure(
            row="add", what=f"adding one article, durable, to {count:,}", against="one SQLite commit of the same rows", unit="ms",
            ours=found["ours"], reference=found["reference"], goal=Goal(bound=5.0),
            note=f"p90 {found['p90']:.1f} ms; rows an add, median: {found['rows']:,} ({found['kilobytes']:.0f} kB);"
            f" the first add, which reads the index into memory, {found['first']:.1f} s",
        )
    ]  # fmt: skip


def add_one_by_one(index: str, file: str, count: int, replayed: int) -> dict[str, Any]:
    """In a child: medians in milliseconds of adds, and of commits of the rows that the first few of them wrote."""
    from scripts.measure_adds import seconds

    updating.OUTGROWN_AT_MOST = 0  # a new fit is a build
    articles = articles_of(file)
    engine = Recommender.open(index)
    (store,) = Path(index).glob("store-*.sqlite")
    first = seconds(engine, [articles[0]])
    ours, reference, rows, sizes = [], [], [], []
    for number, article in enumerate(articles[1 : 1 + count]):
        before = store.with_name("before.db")
        if number < replayed:
            _copy(store, before)
        ours.append(1000 * seconds(engine, [article]))
        if number < replayed:
            spent, written, size = replay(before, store)
            reference.append(1000 * spent)
            rows.append(written)
            sizes.append(size)
    return {
        "ours": median(ours), "p90": percentile(ours, 0.9), "reference": median(reference), "first": first,
        "rows": int(median(rows)), "kilobytes": median(sizes) / 1000,
    }  # fmt: skip


def replay(before: Path, after: Path) -> tuple[float, int, int]:
    """Make of one file the other in one durable transaction: its seconds, the rows written, their bytes."""
    with contextlib.closing(sqlite3.connect(before, isolation_level=None)) as db:
        db.execute("PRAGMA mmap_size = 268435456")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA journal_mode = WAL").fetchall()
        db.execute("ATTACH ? AS later", (str(after),))
        work = [change for table in _tables(db) for change in _differences(db, table)]
        db.execute("DETACH later")
        start = time.perf_counter()
        db.execute("BEGIN IMMEDIATE")
        for statement, values in work:
            db.executemany(statement, values)
        db.execute("COMMIT")
        spent = time.perf_counter() - start
    written = [row for _, values in work for row in values]
    return spent, len(written), sum(_bytes(value) for row in written for value in row)


def _tables(db: sqlite3.Connection) -> list[str]:
    return [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]


def _differences(db: sqlite3.Connection, table: str) -> list[tuple[str, list[tuple[Any, ...]]]]:
    """Statements, each with its rows, that make a table what it is in the later file."""
    columns = db.execute(f"PRAGMA table_info({table})").fetchall()
    names = [name for _, name, *_ in columns]
    keys = [name for _, name, *_, key in columns if key]
    others = [name for name in names if name not in keys]
    same_key = " AND ".join(f"o.{name} = n.{name}" for name in keys)
    same_rest = " AND ".join(f"o.{name} IS n.{name}" for name in others) or "1"
    changed = f"o.{keys[0]} IS NULL OR NOT ({same_rest})"
    came = f"SELECT n.* FROM later.{table} n LEFT JOIN main.{table} o ON {same_key} WHERE {changed}"
    gone = ", ".join(f"o.{name}" for name in keys)
    went = f"SELECT {gone} FROM main.{table} o LEFT JOIN later.{table} n ON {same_key} WHERE n.{keys[0]} IS NULL"
    where = " AND ".join(f"{name} = ?" for name in keys)
    return [
        (f"DELETE FROM {table} WHERE {where}", db.execute(went).fetchall()),
        (f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(names))})", db.execute(came).fetchall()),
    ]


def _copy(store: Path, to: Path) -> None:
    """A copy of a store as it is now, whatever is still in its log."""
    for name in (to.name, f"{to.name}-wal", f"{to.name}-shm"):
        to.with_name(name).unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(store)) as source, contextlib.closing(sqlite3.connect(to)) as target:
        source.backup(target)


def _bytes(value: object) -> int:
    return len(value) if isinstance(value, str | bytes) else 0 if value is None else 8
