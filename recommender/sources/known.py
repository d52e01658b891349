"""What is kept of the sources of an index between one sync and the next.

INDEX/sync.json    of each source: its ids, and up to which moment it is known
INDEX/sync.lock    held while an index is synced
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from recommender.errors import RecommenderError, SyncBusyError, WriteFailedError
from recommender.storage.claiming import ClaimedError, claimed
from recommender.storage.folder import MANIFEST, read_manifest
from recommender.storage.store import Store

STATE = "sync.json"
LOCK = "sync.lock"
HOLDER = "sync-holder.json"
STATE_FORMAT = 1

FULL_CHECK = timedelta(days=1)
"""After this long all ids are compared, and pages without a date asked again, even where the counts agree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is kept of a source between one sync and the next."""

    ids: frozenset[str] = frozenset()
    """Of all that came from it, what was left out included."""
    since: str | None = None
    """WordPress: the latest change that is known, UTC. None before a sync has ended."""
    checked: str | None = None
    """When all ids were last compared, UTC."""
    etag: str | None = None
    modified: str | None = None
    """Of a feed, sitemap or list: the headers ETag and Last-Modified."""
    gone: frozenset[str] = frozenset()
    """Of a sitemap or list: what was too much to be removed, as long as that is so."""
    pages: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)
    """Address -> (when it was last changed, as the sitemap says; the id of its article, None where there is none)."""

    def is_due(self, now: datetime) -> bool:
        """Whether it is time to compare everything."""
        return self.checked is None or not timedelta(0) <= now - datetime.fromisoformat(self.checked) < FULL_CHECK

    def to_json(self) -> dict[str, Any]:
        """As `sync.json` holds it."""
        lists = {"ids": sorted(self.ids), "gone": sorted(self.gone), "pages": dict(self.pages)}
        kept = {"since": self.since, "checked": self.checked, "etag": self.etag, "modified": self.modified}
        return {**{name: value for name, value in kept.items() if value is not None}, **lists}


@dataclass(slots=True)
class State:
    """The file `sync.json` of an index."""

    folder: Path
    generation: str | None
    sources: dict[str, Known]

    @classmethod
    def read(cls, folder: Path) -> State:
        """The state; where it is missing or cannot be read all sources are asked for everything again."""
        try:
            kept = json.loads((folder / STATE).read_text(encoding="utf-8"))
            if kept["format"] != STATE_FORMAT:
                raise ValueError("another format")
            return cls(folder, kept["generation"], {key: _known_from(told) for key, told in kept["sources"].items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls(folder, None, {})

    def known_of(self, key: str) -> Known:
        """What is known of a source; only its ids where its articles may not be in the index as they were: all is asked anew."""
        known = self.sources.get(key)
        if known is None:
            return Known(ids=built_of(key, self.folder))
        return known if self.generation == generation_of(self.folder) else Known(ids=known.ids)

    def write(self, key: str, known: Known) -> None:
        """Keep what is known of a source, at once or not at all."""
        generation = generation_of(self.folder)
        if generation != self.generation:  # of the other sources, too, only the ids are certain
            self.sources = {other: Known(ids=it.ids) for other, it in self.sources.items()}
        self.generation = generation
        self.sources[key] = known
        told = {"format": STATE_FORMAT, "generation": generation, "sources": {k: v.to_json() for k, v in self.sources.items()}}
        beside = self.folder / f"{STATE}.new"
        with open(beside, "w", encoding="utf-8") as file:
            json.dump(told, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.folder / STATE)

    def refuse_ids_of_others(self, key: str, ids: set[str]) -> None:
        """RecommenderError where another source has an article of the same id: each would overwrite the other's."""
        for other, known in self.sources.items():
            if other != key and (both := sorted(known.ids & ids)):
                reason = f"{key}: article {both[0]!r} and {len(both) - 1:,} more have the ids of articles of {other}"
                raise RecommenderError(f"{reason}; give each source an index of its own with --index")


def built_of(key: str, folder: Path) -> frozenset[str]:
    """The posts of a WordPress site that a `build` of its address or its export has brought, by their numbers and addresses."""
    if not (folder / MANIFEST).exists():
        return frozenset()
    with contextlib.closing(Store.open(folder)) as store:
        rows = store.query("SELECT id, url FROM articles")
        return frozenset(str(number) for number, url in rows if number.isdecimal() and _within(url, key))


def _within(url: str | None, site: str) -> bool:
    return (url or "").partition("://")[2].startswith(site.partition("://")[2] + "/")


def _known_from(told: Mapping[str, Any]) -> Known:
    pages = {str(url): (str(changed), article_id) for url, (changed, article_id) in told["pages"].items()}
    kept = {name: told.get(name) for name in ("since", "checked", "etag", "modified")}
    for moment in (kept["since"], kept["checked"]):
        if moment is not None:
            datetime.fromisoformat(moment)
    ids, gone = (frozenset(map(str, told[name])) for name in ("ids", "gone"))
    return Known(ids=ids, gone=gone, pages=pages, **kept)


@contextlib.contextmanager
def sole_sync(folder: Path) -> Iterator[None]:
    """The right to sync an index; SyncBusyError, with the holder's name, where another process has it."""
    try:
        with claimed(folder, LOCK, HOLDER, 0):
            yield
    except ClaimedError as error:
        raise SyncBusyError(str(folder), str(error)) from None
    except OSError as error:
        raise WriteFailedError(str(folder), error.strerror or str(error)) from error


def generation_of(folder: Path) -> str | None:
    """Which store counts: another one than before is one that was built, rebuilt or restored. None where there is no index."""
    return str(read_manifest(folder)["store"]) if (folder / MANIFEST).exists() else None
