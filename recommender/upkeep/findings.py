"""What does not fit together in an index -> findings, a kind at a time."""

from __future__ import annotations

from recommender.reports import Finding
from recommender.storage.store import Store


def counted(store: Store, kind: str, sql: str) -> Finding:
    """One finding of all rows of a query, whose first column names the thing."""
    ((count, example),) = store.query(f"SELECT count(*), min(thing) FROM (SELECT 0 AS thing WHERE 0 UNION ALL {sql})")
    return Finding(kind=kind, count=int(count), example="" if example is None else str(example))


def listed(kind: str, things: list[str]) -> Finding:
    """One finding of all these things."""
    return Finding(kind=kind, count=len(things), example=things[0] if things else "")
