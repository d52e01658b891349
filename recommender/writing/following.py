"""Writes what follows from a change of the archive: threads, lists, and what is kept of the neighbour search."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import numpy as np
from numpy.typing import NDArray

from recommender.archives.archive import Archive
from recommender.archives.graph import Graph
from recommender.distinct import distinct
from recommender.storage.folder import CACHE
from recommender.storage.store import Store
from recommender.writing.records import (
    Former,
    write_meta,
)
from recommender.writing.room import giving_back
from recommender.writing.sidebars import write_lists
from recommender.writing.stories import Texts, write_threads
from recommender.writing.writer import WriteOptions

NO_PLACES: NDArray[np.int64] = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What has changed in an archive and its links, by place."""

    touched: NDArray[np.int64]
    """What may be in another thread now."""
    stirred: NDArray[np.int64]
    """What may stand in other lists now than before."""
    came: NDArray[np.int64] = field(default_factory=lambda: NO_PLACES)
    """What is new there, or another article than before."""
    listed: NDArray[np.int64] = field(default_factory=lambda: NO_PLACES)
    """What may have another list now."""
    again: bool = False
    """Whether all is to be written that follows, as if nothing were there: rules speak in reasons too."""
    lost: Sequence[int] = ()
    """Numbers of threads that have lost an article which is gone."""


def follow(
    store: Store, archive: Archive, graph: Graph, texts: Texts, change: Change, previous: Former, options: WriteOptions
) -> None:
    """Write all that follows from a change: threads, links, lists."""
    options.stage("threading", 0, len(archive))
    now = max(datetime.now(UTC).isoformat(timespec="seconds"), store.last_change())  # a clock may go back, the log does not
    moved = write_threads(store, archive, graph, texts, change.touched, change.lost, previous, now)
    stirred = distinct(change.stirred, moved)
    listed = distinct(stirred, change.listed)
    ranked = giving_back(partial(options.stage, "ranking"))
    write_lists(store, archive, graph, texts, listed, stirred, change.came, ranked, again=change.again)
    edition = int(dict(store.query("SELECT key, value FROM meta WHERE key = 'edition'")).get("edition", 0))
    write_meta(store, {"articles": len(archive), "edition": edition + 1, "written": now})


def keep_cache(store: Store, archive: Archive, changed: NDArray[np.int64]) -> None:
    """Keep the neighbour search where it is dear to make, `changed` rows aside; an exact one is made faster than it is read.

    A file that the store does not name after all (the write fails later) is known by its digest and passed over.
    """
    if archive.index.is_exact:
        (store.folder / CACHE).unlink(missing_ok=True)
        write_meta(store, {"cache": ""})
        return
    meta = dict(store.query("SELECT key, value FROM meta WHERE key IN ('cache', 'cache_lacks')"))
    lacks = sorted({*json.loads(str(meta.get("cache_lacks", "[]"))), *changed.tolist()})
    if not meta.get("cache") or len(lacks) > MOST_LACKING:
        write_meta(store, {"cache": archive.index.save(store.folder / CACHE)})
        lacks = []
    write_meta(store, {"cache_lacks": json.dumps(lacks)})


MOST_LACKING = 2_000
"""Rows that may be other in the saved neighbour search than in the store; they are put right when it is read."""
