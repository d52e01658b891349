"""Compares what an index keeps of links, one article's after another's, with their other sides, the lists and the threads."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from recommender.archives.loading import stored_links
from recommender.archives.packed import Held, held_in
from recommender.distinct import distinct
from recommender.pipeline.candidates import codes_of
from recommender.reports import Finding
from recommender.storage.packing import columns_of, lines_of, shown_in
from recommender.storage.schema import RELATIONS
from recommender.storage.store import Store
from recommender.upkeep.findings import listed


def links(store: Store) -> Iterator[Finding]:
    """Those that cannot be read, and those that their other sides or the threads do not bear out."""
    held, damaged = held_links(store)
    yield listed("links that are not what was written", [str(row) for row in damaged])
    codes, turned = held.codes(), codes_of(held.others, held.owners)
    both = np.isin(turned, codes)
    yield _of(held, "link that stands on one side alone", ~both)
    one = np.flatnonzero(both)
    other = np.searchsorted(codes, turned[one])
    values = (held.related, held.same, held.nearness)
    differ = np.any([value[one] != value[other] for value in values], axis=0)
    yield _of(held, "link with other values on its other side", one[differ])
    yield _of(held, "duplicate on one side alone", one[(held.relation[one] == 0) != (held.relation[other] == 0)])
    outside = ~np.all([(value >= 0) & (value <= 1) for value in values], axis=0) | (held.relation >= len(RELATIONS))
    yield _of(held, "link with a value that cannot be", outside)
    found = np.array(store.query("SELECT row, coalesce(thread, 0) FROM articles ORDER BY row"), np.int64).reshape(-1, 2)
    known, threads = found[:, 0], found[:, 1]
    there = np.isin(held.owners, known) & np.isin(held.others, known) & (held.owners != held.others)
    yield _of(held, "link of an article that is not there", ~there)
    sound = np.flatnonzero(there)
    left, right = (threads[np.searchsorted(known, side[sound])] for side in (held.owners, held.others))
    unlike = (held.relation[sound] > 0) & ((held.relation[sound] == 1) != ((left > 0) & (left == right)))
    yield _of(held, "relation that the threads do not bear out", sound[unlike])


def lists(store: Store) -> Iterator[Finding]:
    """Those with gaps, and those that are out of order."""
    held, _ = held_links(store)
    for profile, place in (("similar", held.similar), ("sidebar", held.sidebar)):
        shown = np.flatnonzero(place >= 0)
        shown = shown[np.lexsort((place[shown], held.owners[shown]))]
        owners = held.owners[shown]
        gaps = place[shown] != np.arange(len(shown)) - np.searchsorted(owners, owners)
        yield listed(f"list with a gap, {profile}", [str(row) for row in distinct(owners[gaps]).tolist()])
        if profile == "similar":
            yield _of(held, "list out of order", shown[1:][(np.diff(held.nearness[shown]) > 0) & (np.diff(owners) == 0)])


def held_links(store: Store) -> tuple[Held, list[int]]:
    """(all links but those that cannot be read, the rows of the articles whose links these are)."""
    found = dict(zip(*stored_links(store), strict=True))
    damaged = [row for row, blob in found.items() if not _is_whole(blob)]
    for row in damaged:
        del found[row]
    return held_in(list(found), list(found.values()))[0], damaged


def _is_whole(blob: bytes) -> bool:
    """Whether it is what was written, with reasons for all that is in a list."""
    try:
        columns = columns_of(blob)
        return len(lines_of(columns)) == len(shown_in(columns))
    except (ValueError, TypeError, zlib.error):
        return False


def _of(held: Held, kind: str, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Finding:
    """One finding of these links, by mask or number."""
    return listed(kind, [f"{one} and {other}" for one, other in zip(held.owners[chosen], held.others[chosen], strict=True)])
