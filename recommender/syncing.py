"""Keeps an index up to date with a source on the web: what is new, changed or gone there.

    INDEX/sync.json    of each source: its ids, and up to which moment it is known
    INDEX/sync.lock    held while an index is synced

The ids that a source is about to give are written down before its articles, and the moment after them: a sync that is
killed anywhere is made good by the next, which sees some articles twice. Only articles that came from a source by `sync`,
or from the same WordPress site by `build`, are removed for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from recommender.engine import Recommender
from recommender.errors import (
    InvalidArticleError,
    RecommenderError,
    SyncBusyError,
    TooManyRemovalsError,
    UnreadableSourceError,
    WriteFailedError,
)
from recommender.folder import MANIFEST, read_manifest
from recommender.pipeline.articles import Article, article_from_row
from recommender.sources.addresses import Pages, fetched, open_site, plain_address
from recommender.sources.http import Client, Manners
from recommender.sources.wordpress import WordPress, modified_of
from recommender.store import Store

STATE = "sync.json"
LOCK = "sync.lock"
HOLDER = "sync-holder.json"
STATE_FORMAT = 1

OVERLAP = timedelta(minutes=2)
"""How much of what is known is asked for again: a post may appear some seconds after the moment that it carries."""

FULL_CHECK = timedelta(days=1)
"""After this long all ids are compared, and pages without a date asked again, even where the counts agree."""

LARGEST_SHARE_GONE = 1 / 3
"""Of an index that is removed without --allow-removals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOptions:
    """How to sync; nothing of it changes what an article becomes."""

    manners: Manners = field(default_factory=Manners)
    allow_removals: bool = False
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
        return f"{counts}{left}, {self.requests:,} requests, {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
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
        return self.checked is None or not timedelta(0) <= now - datetime.fromisoformat(self.checked) < FULL_CHECK

    def to_json(self) -> dict[str, Any]:
        lists = {"ids": sorted(self.ids), "gone": sorted(self.gone), "pages": dict(self.pages)}
        kept = {"since": self.since, "checked": self.checked, "etag": self.etag, "modified": self.modified}
        return {**{name: value for name, value in kept.items() if value is not None}, **lists}


@dataclass(slots=True, kw_only=True)
class _News:
    """What a source tells this time."""

    articles: list[Article] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)

    def take(self, row: Mapping[str, object], place: str) -> Article | None:
        """Keep the article of a row; None where it is none."""
        try:
            self.articles.append(article_from_row(row))
        except InvalidArticleError as error:
            self.faults.append(f"{place}: {error}")
            self.left_out |= {error.article_id} - {""}
            return None
        return self.articles[-1]

    def seen(self) -> set[str]:
        """The ids that it brought."""
        return {article.id for article in self.articles} | self.left_out


def sync(source: str, folder: Path, options: SyncOptions | None = None) -> Synced:
    """Bring an index up to date with a source, or build it; SyncBusyError where another process does so.

    TooManyRemovalsError, after what is new has been added, where more than a third of the index would go.
    """
    options = options or SyncOptions()
    started = time.monotonic()
    key = plain_address(source).rstrip("/")
    with sole_sync(folder), Client(plain_address(source), options.manners) as client:
        state = _State.read(folder)
        forgotten = key not in state.sources or state.generation != _generation(folder)
        known = _forgotten(state, key) if forgotten else state.sources[key]
        news, after = _asked(client, source, known, options)
        _say_left_out(news, options)
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


@contextlib.contextmanager
def sole_sync(folder: Path) -> Iterator[None]:
    """The right to sync an index; SyncBusyError, with the holder's name, where another process has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / LOCK, timeout=0):
            (folder / HOLDER).write_text(json.dumps({"pid": os.getpid()}), encoding="utf-8")
            yield
    except Timeout:
        holder = "another process"
        with contextlib.suppress(OSError, ValueError, KeyError):
            holder = f"process {json.loads((folder / HOLDER).read_text(encoding='utf-8'))['pid']}"
        raise SyncBusyError(str(folder), holder) from None
    except OSError as error:
        raise WriteFailedError(str(folder), error.strerror or str(error)) from error


def _asked(client: Client, source: str, known: _Known, options: SyncOptions) -> tuple[_News, _Known]:
    """(what the source tells, what is known of it when that has been written)."""
    now = datetime.now(UTC)
    conditions = {"If-None-Match": known.etag, "If-Modified-Since": known.modified}
    given = {name: value for name, value in conditions.items() if value is not None and not known.is_due(now)}
    front = client.get(plain_address(source), headers=given) if given else None
    if front is not None and front.status == 304:
        return _News(), known
    site = open_site(client, source, front)
    options.notice(f"{plain_address(source)}: {site.kind}")
    if isinstance(site, WordPress):
        return _asked_wordpress(site, known, now, options)
    if isinstance(site, Pages):
        return _asked_pages(client, site, known, now, options)
    news = _News()
    for number, row in enumerate(site.rows(), 1):
        news.take(row, f"entry {number}")
    headers = site.answer.headers
    return news, replace(
        known,
        ids=known.ids | news.seen(),
        etag=headers.get("etag"),
        modified=headers.get("last-modified"),
        checked=now.isoformat() if known.is_due(now) else known.checked,
    )


def _asked_wordpress(site: WordPress, known: _Known, now: datetime, options: SyncOptions) -> tuple[_News, _Known]:
    """Posts that have changed, then, if the count says that more is new or gone, those that the ids tell of."""
    news = _News()
    latest = known.since or ""
    since = None if known.since is None else (datetime.fromisoformat(known.since) - OVERLAP).isoformat()

    def take(rows: Iterable[dict[str, object]]) -> None:
        nonlocal latest
        for row in rows:
            article = news.take(row, f"post {row['id']}")
            if article and article.updated and modified_of(row):
                latest = max(latest, _as_wordpress_writes(min(article.updated, now)))
            if len(news.articles) % 100 == 0:
                options.progress("fetching", len(news.articles), 0)
        news.left_out |= site.protected

    take(site.posts(since))
    ids = set(known.ids | news.seen())
    checked = known.checked
    all_seen = since is None and known.ids <= news.seen()
    if all_seen:
        checked = now.isoformat()
    if (known.is_due(now) and not all_seen) or site.count() != len(ids):
        listed = set(site.ids())
        unlisted = sorted(ids - listed)
        news.gone = set(unlisted) - site.still_there(unlisted)
        news.articles = [article for article in news.articles if article.id not in news.gone]
        take(site.posts_of(sorted(listed - ids)))  # a scheduled post carries the moment at which it was written
        ids = (ids | listed) - news.gone
        checked = now.isoformat()
    news.gone |= site.protected
    return news, replace(known, ids=frozenset(ids), since=latest or None, checked=checked)


def _as_wordpress_writes(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")


def _asked_pages(client: Client, site: Pages, known: _Known, now: datetime, options: SyncOptions) -> tuple[_News, _Known]:
    """Pages that are new or changed by the word of the sitemap, and of those that it no longer names the ones that are gone."""
    news = _News()
    due = known.is_due(now)
    pages = dict(known.pages)
    asked_again = {url for url, (changed, _) in pages.items() if due and not changed}
    wanted = [page for page in site.pages if page.url in asked_again or pages.get(page.url, (None,))[0] != page.changed]
    named = {page.url for page in site.pages}
    for number, (page, row) in enumerate(fetched(client, wanted), 1):
        if isinstance(row, RecommenderError):
            news.faults.append(f"{page.url}: {row}")
            if _is_gone(row):
                news.gone |= {article_id for article_id in (pages.pop(page.url, ("", None))[1],) if article_id}
            continue
        article = news.take(row, page.url)
        pages[page.url] = (page.changed, article.id if article else None)
        options.progress("fetching", number, len(wanted))
    unnamed = [] if site.news else [url for url in pages if url not in named]
    for url in unnamed:
        article_id = pages.pop(url)[1]
        if article_id and _answers_gone(client, url):
            news.gone.add(article_id)
    news.gone = (news.gone | known.gone) - news.seen()
    return news, replace(
        known,
        ids=(known.ids | news.seen()) - news.gone,
        gone=frozenset(),
        pages=pages,
        checked=now.isoformat() if due else known.checked,
    )


def _is_gone(error: RecommenderError) -> bool:
    return getattr(error, "status", None) in (404, 410)


def _answers_gone(client: Client, url: str) -> bool:
    try:
        client.get(url)
    except UnreadableSourceError as error:
        return _is_gone(error)
    return False


def _say_left_out(news: _News, options: SyncOptions) -> None:
    if news.faults:
        options.notice(f"{len(news.faults):,} left out; the first: {news.faults[0]}")


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
    built = Recommender.build(articles, folder, device=options.device, notice=options.notice, progress=options.progress)
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


def _generation(folder: Path) -> str | None:
    """Which store counts: another one than before is one that was built, rebuilt or restored. None where there is no index."""
    return str(read_manifest(folder)["store"]) if (folder / MANIFEST).exists() else None


def _forgotten(state: _State, key: str) -> _Known:
    """A source whose articles may not be in the index as they were: all is asked for again, but its ids are known."""
    return _Known(ids=state.sources[key].ids if key in state.sources else _built_of(key, state.folder))


def _built_of(key: str, folder: Path) -> frozenset[str]:
    """The posts of a WordPress site that a `build` of its address or its export has brought, by their numbers and addresses."""
    if not (folder / MANIFEST).exists():
        return frozenset()
    with contextlib.closing(Store.open(folder)) as store:
        rows = store.query("SELECT id, url FROM articles")
        return frozenset(str(number) for number, url in rows if number.isdecimal() and _within(url, key))


def _within(url: str | None, site: str) -> bool:
    return (url or "").partition("://")[2].startswith(site.partition("://")[2] + "/")


@dataclass(slots=True)
class _State:
    """The file `sync.json` of an index."""

    folder: Path
    generation: str | None
    sources: dict[str, _Known]

    @classmethod
    def read(cls, folder: Path) -> _State:
        """The state; where it is missing or cannot be read all sources are asked for everything again."""
        try:
            kept = json.loads((folder / STATE).read_text(encoding="utf-8"))
            if kept["format"] != STATE_FORMAT:
                raise ValueError("another format")
            return cls(folder, kept["generation"], {key: _known_from(told) for key, told in kept["sources"].items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls(folder, None, {})

    def write(self, key: str, known: _Known) -> None:
        """Keep what is known of a source, at once or not at all."""
        generation = _generation(self.folder)
        if generation != self.generation:  # of the other sources, too, only the ids are certain
            self.sources = {other: _Known(ids=it.ids) for other, it in self.sources.items()}
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


def _known_from(told: Mapping[str, Any]) -> _Known:
    pages = {str(url): (str(changed), article_id) for url, (changed, article_id) in told["pages"].items()}
    kept = {name: told.get(name) for name in ("since", "checked", "etag", "modified")}
    for moment in (kept["since"], kept["checked"]):
        if moment is not None:
            datetime.fromisoformat(moment)
    ids, gone = (frozenset(map(str, told[name])) for name in ("ids", "gone"))
    return _Known(ids=ids, gone=gone, pages=pages, **kept)
