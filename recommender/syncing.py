"""Keeps an index up to date with a source on the web: what is new, changed or gone there.

The ids that a source is about to give are written down before its articles, and the moment after them: a sync that is
killed anywhere is made good by the next, which sees some articles twice. Only articles that came from a source by `sync`,
or from the same WordPress site by `build`, are removed for it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from recommender.engine import Recommender
from recommender.errors import EncoderError, TooManyRemovalsError, UnreadableSourceError
from recommender.pipeline.articles import Article
from recommender.pipeline.embedding import full_name
from recommender.sources.addresses import plain_address
from recommender.sources.changes import Inquiry, changes_at
from recommender.sources.http import Client, Manners
from recommender.sources.known import State, sole_sync
from recommender.storage.folder import MANIFEST, read_manifest
from recommender.storage.store import Store

LARGEST_SHARE_GONE = 1 / 3
"""Of an index that is removed without --allow-removals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOptions:
    """How to sync."""

    manners: Manners = field(default_factory=Manners)
    allow_removals: bool = False
    model: str | None = None
    """As of `Recommender.build`, where there is no index yet; None for lsa. An index that is there keeps its own."""
    device: str | None = None
    notice: Callable[[str], None] = lambda message: None
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What a sync has done, in articles."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    left_out: int = 0
    """What the source gives that is no article."""
    requests: int = 0
    seconds: float = 0.0

    def told(self) -> str:
        """The summary line."""
        counts = f"added {self.added:,}, updated {self.updated:,}, unchanged {self.unchanged:,}, removed {self.removed:,}"
        left = f", left out {self.left_out:,}" if self.left_out else ""
        requests = f"{self.requests:,} request{'' if self.requests == 1 else 's'}"
        return f"{counts}{left}, {requests}, {self.seconds:.1f} s"


def sync(source: str, folder: Path, options: SyncOptions | None = None) -> Synced:
    """Bring an index up to date with a source, or build it; SyncBusyError where another process does so.

    TooManyRemovalsError, after what is new has been added, where more than a third of the index would go.
    """
    options = options or SyncOptions()
    started = time.monotonic()
    key = plain_address(source).rstrip("/")
    _say_model(folder, options)
    with sole_sync(folder), Client(plain_address(source), options.manners) as client:
        state = State.read(folder)
        known = state.known_of(key)
        inquiry = Inquiry(client=client, known=known, now=datetime.now(UTC), notice=options.notice, progress=options.progress)
        news, after = changes_at(source, inquiry)
        if news.faults:
            first = "; the first" if len(news.faults) > 1 else ""
            options.notice(f"{key}: {len(news.faults):,} left out{first}: {news.faults[0]}")
        state.refuse_ids_of_others(key, news.seen())
        state.write(key, replace(known, ids=known.ids | after.ids))
        done = _written(news.articles, folder, options, key)
        gone = news.gone & _held(folder)
        removed = _removed(gone, folder, options)
        kept = (
            after
            if removed == len(gone)
            else replace(after, ids=after.ids | gone, gone=frozenset(gone if after.pages else ()), checked=None)
        )
        state.write(key, kept)
        if removed < len(gone):
            raise TooManyRemovalsError(key, len(gone), len(_held(folder)))
        seconds = time.monotonic() - started
        return replace(done, removed=removed, left_out=len(news.faults), requests=client.requests, seconds=seconds)


def _say_model(folder: Path, options: SyncOptions) -> None:
    own = read_manifest(folder).get("model") if (folder / MANIFEST).exists() else options.model
    if options.model is not None and own not in (options.model, _full_name_if_any(options.model)):
        why = f"this index was made with the model {own} and keeps it, so --model {options.model} is not used"
        options.notice(f"{folder}: {why}; `recommender rebuild --model {options.model}` changes it")


def _full_name_if_any(model: str) -> str | None:
    """The full name of a model; None where there is no such model, which does not matter to an index that has its own."""
    with contextlib.suppress(EncoderError):
        return full_name(model)
    return None


def _written(articles: Sequence[Article], folder: Path, options: SyncOptions, key: str) -> Synced:
    """Let the articles into the index, or make one of them."""
    if (folder / MANIFEST).exists():
        if not articles:
            return Synced()
        with contextlib.closing(Recommender.open(folder, device=options.device)) as engine:
            done = engine.add(articles, notice=options.notice, progress=options.progress)
        return Synced(added=done.added, updated=done.updated, unchanged=done.unchanged)
    if not articles:
        raise UnreadableSourceError(key, "it has no articles", "check the address; no index was made")
    built = Recommender.build(
        articles,
        folder,
        model=options.model or "lsa",
        device=options.device,
        notice=options.notice,
        progress=options.progress,
    )
    built.close()
    return Synced(added=len({article.id for article in articles}))


def _held(folder: Path) -> set[str]:
    """The ids of all articles of an index."""
    with contextlib.closing(Store.open(folder)) as store:
        return set(store.article_ids())


def _removed(gone: set[str], folder: Path, options: SyncOptions) -> int:
    """How many were removed: all of them, or none where they are too many."""
    if not gone or (len(gone) > LARGEST_SHARE_GONE * len(_held(folder)) and not options.allow_removals):
        return 0
    with contextlib.closing(Recommender.open(folder, device=options.device)) as engine:
        return engine.remove(sorted(gone)).removed
