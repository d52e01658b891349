"""Carries articles down the pipeline and what follows from them into the store: build, add, remove, reweigh, overrule."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from recommender.archive import Archive, Links, days_of, joined, rows_of, weights_of, with_more, without, worth_keeping
from recommender.damage import damaged, is_damage
from recommender.errors import IndexBusyError, RecommenderError, UnknownArticleError, WriteFailedError
from recommender.folder import CACHE, MANIFEST, read_manifest
from recommender.pipeline.articles import Article
from recommender.pipeline.content import BoilerplateCounter, content_hash, plain_text, plain_title, without_boilerplate
from recommender.pipeline.embedding import LSA, LsaEncoder, load_model, rounded
from recommender.pipeline.evidence import Views, background_of
from recommender.pipeline.index import VectorIndex
from recommender.pipeline.scoring import Weights, shipped_weights
from recommender.pipeline.terms import Vocabulary, count_terms
from recommender.pipeline.wording import label_of
from recommender.records import (
    NOTHING,
    Former,
    articles_of,
    forget_in_log,
    forget_rows,
    former_of,
    instant_of,
    load_links,
    texts_of,
    write_archive,
    write_article,
    write_fit,
    write_frequencies,
    write_history,
    write_meta,
    write_weights,
)
from recommender.sidebars import write_lists
from recommender.store import Store, replacement
from recommender.stories import write_threads

LOCK = "writer.lock"
HOLDER = "writer.json"
WAIT_SECONDS = 10.0
"""How long a writer waits for another one."""

Notice = Callable[[str], None]
Stage = Callable[[str, int, int], None]
"""Called with the name of a stage, what is done and the total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """How to write; nothing of it changes what is written."""

    device: str | None = None
    notice: Notice = field(default=lambda message: None)
    stage: Stage = field(default=lambda name, done, total: None)
    wait_seconds: float = WAIT_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a write has done, in articles."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0


@contextlib.contextmanager
def sole_writer(folder: Path, options: WriteOptions) -> Iterator[None]:
    """The right to write to an index; IndexBusyError, with the holder's name, after `wait_seconds`.

    What the disk or SQLite refuses inside is a WriteFailedError, what is damaged an IndexUnusableError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / LOCK, timeout=options.wait_seconds):
            (folder / HOLDER).write_text(json.dumps({"pid": os.getpid()}), encoding="utf-8")
            yield
    except Timeout:
        holder = "another process"
        with contextlib.suppress(OSError, ValueError, KeyError):
            holder = f"process {json.loads((folder / HOLDER).read_text(encoding='utf-8'))['pid']}"
        raise IndexBusyError(str(folder), holder) from None
    except zlib.error as error:  # of a stored text: a source is read with errors of its own
        raise damaged(folder, error) from error
    except (sqlite3.Error, OSError) as error:
        if isinstance(error, sqlite3.Error) and is_damage(error):
            raise damaged(folder, error) from error
        raise WriteFailedError(str(folder), str(getattr(error, "strerror", None) or error)) from error


def build(
    articles: Iterable[Article],
    folder: Path,
    model: str,
    options: WriteOptions,
    *,
    weights: Weights | None = None,
    evergreen: Iterable[str] = (),
) -> Written:
    """Make the index of these articles, or replace one; until it is complete, readers see the old one.

    The weights are the shipped ones unless some are given, whatever the index had before. `evergreen` names the sections
    whose articles do not age.
    """
    with sole_writer(folder, options):
        previous, tuned = _known_before(folder, options)
        if tuned and weights is None:
            options.notice("the index had weights of its own; the new one has the shipped ones (--weights FILE keeps yours)")
        settings = Settings(model=model, weights=weights or shipped_weights(), evergreen=tuple(evergreen))
        return replaced(articles, folder, settings, previous, options)


def rebuild(folder: Path, to: Path, model: str | None, options: WriteOptions) -> Written:
    """Make an index anew of the articles that it holds, in its place or in another folder; with its model unless one is given."""
    read_manifest(folder)
    with sole_writer(to, options), contextlib.closing(Store.open(folder)) as store:
        settings = _settings_of(store)
        settings = replace(settings, model=settings.model if model is None else model)
        return replaced(articles_of(store), to, settings, former_of(store, with_history=True), options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the user has chosen of an index; it comes along when the index is made anew."""

    model: str
    weights: Weights
    evergreen: tuple[str, ...]
    """Sections whose articles do not age."""


def replaced(articles: Iterable[Article], folder: Path, settings: Settings, previous: Former, options: WriteOptions) -> Written:
    """A whole new index of these articles in place of the old, for who holds `sole_writer`; with what there was `previous`ly."""
    with replacement(folder) as store:
        taken = _take_in(store.db, articles, options)
        archive = _fitted(taken, settings, options)
        everything = np.arange(len(archive))
        write_archive(store.db, archive, everything)
        write_fit(store, archive, settings.model)
        write_meta(store, {"evergreen": json.dumps(settings.evergreen)})
        write_history(store.db, previous)
        views = archive.views()
        links = _compare(archive, views, everything, options)
        _follow(store, archive, views, links, everything, previous, options)
        _keep_cache(store, archive)
    return Written(added=len(archive))


@contextlib.contextmanager
def _sole_transaction(folder: Path, options: WriteOptions) -> Iterator[Store]:
    """The store of an index inside a transaction that no other writer disturbs."""
    read_manifest(folder)  # where there is no index, nothing is left behind
    with sole_writer(folder, options), contextlib.closing(Store.open(folder, write=True)) as store, store.transaction():
        yield store


def add(articles: Iterable[Article], folder: Path, options: WriteOptions) -> Written:
    """Add articles to an index, or bring known ones up to date, all or none.

    An index that has outgrown what it was fitted to is made anew of all its articles, as `build` would.
    """
    read_manifest(folder)  # where there is no index, nothing is left behind
    with sole_writer(folder, options), contextlib.closing(Store.open(folder, write=True)) as store:
        known = {str(i): (int(row), bytes(h)) for i, row, h in store.query("SELECT id, row, hash FROM articles")}
        wanted = _latest(articles, options)
        fresh = [a for a in wanted if a.id not in known]
        changed = [a for a in wanted if a.id in known and known[a.id][1] != content_hash(a)]
        if _is_outgrown(store, len(known) + len(fresh)):
            newer = {a.id: a for a in changed}
            stored = (newer.get(a.id, a) for a in articles_of(store))
            replaced(itertools.chain(stored, fresh), folder, _settings_of(store), former_of(store, with_history=True), options)
        elif fresh or changed:
            with store.transaction():
                archive = _bring_in(store, store.db, fresh + changed, {a.id: known[a.id][0] for a in changed}, options)
                _keep_cache(store, archive)
    return Written(added=len(fresh), updated=len(changed), unchanged=len(wanted) - len(fresh) - len(changed))


OUTGROWN = 1.05
"""Articles per article of the last fit from which `add` makes the index anew: what fewer articles taught (common lines, names,
the axes of the embedding) serves more badly. B-cubed F1 between the threads of adds and of one build is .973 and more so,
and down to .936 at 1.2 (scripts/measure_stream.py)."""

OUTGROWN_AT_MOST = 20_000
"""Articles above which that is left to the next build: it would hold up an `add` for minutes."""


def _settings_of(store: Store) -> Settings:
    meta = dict(store.query("SELECT key, value FROM meta"))
    weights = weights_of(store, meta.get("weights"))
    return Settings(model=str(meta["model"]), weights=weights, evergreen=tuple(json.loads(meta.get("evergreen", "[]"))))


def _is_outgrown(store: Store, articles: int) -> bool:
    fitted = int(dict(store.query("SELECT key, value FROM meta"))["articles_at_build"])
    return store.manifest["model"] == LSA and OUTGROWN * fitted <= articles <= OUTGROWN_AT_MOST


def remove(ids: Iterable[str], folder: Path, options: WriteOptions) -> Written:
    """Forget articles everywhere, all or none; UnknownArticleError names the first that is not there."""
    with _sole_transaction(folder, options) as store:
        rows: list[int] = []
        for article_id in dict.fromkeys(ids):
            row = store.row_of(article_id)
            if row is None:
                raise UnknownArticleError(article_id)
            rows.append(row)
        if rows:
            archive = Archive.load(store, device=options.device)
            if len(rows) == len(archive):
                raise RecommenderError("these are all articles of the index; to be rid of it, delete its folder")
            _keep_cache(store, _take_out(store, store.db, archive, np.array(sorted(rows), np.int64), options))
    return Written(removed=len(rows))


def reweigh(weights: Weights, folder: Path, options: WriteOptions) -> None:
    """Give an index these weights, and make its links, threads and lists again by them, in one transaction."""
    with _sole_transaction(folder, options) as store:
        archive = replace(Archive.load(store, device=options.device), weights=weights)
        write_weights(store, weights)
        everything = np.arange(len(archive))
        views = archive.views()
        links = _compare(archive, views, everything, options)
        _follow(store, archive, views, links, everything, NOTHING, options)
        _keep_cache(store, archive)


def overrule(change: Callable[[Store], Iterable[str]], folder: Path, options: WriteOptions) -> None:
    """Let `change` enter or drop rules, and make again what follows for the articles it names, in one transaction."""
    with _sole_transaction(folder, options) as store:
        rows = [row for row in map(store.row_of, set(change(store))) if row is not None]
        if rows:
            archive = Archive.load(store, device=options.device)
            touched = np.flatnonzero(np.isin(archive.rows, rows))
            _follow(store, archive, archive.views(), load_links(store, archive), touched, NOTHING, options)
            _keep_cache(store, archive)


@dataclass(slots=True)
class _Taken:
    """What has been written of the articles that came in, in the order of their rows."""

    titles: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    instants: list[float | None] = field(default_factory=list)


def _take_in(db: sqlite3.Connection, articles: Iterable[Article], options: WriteOptions) -> _Taken:
    """Write the articles as they come; of two with one id the later wins."""
    taken = _Taken()
    places: dict[str, int] = {}
    twice = 0
    for article in articles:
        place = places.setdefault(article.id, len(places))
        write_article(db, place + 1, article)
        title, text, instant = plain_title(article.title), plain_text(article.body), instant_of(article)
        if place < len(taken.titles):
            twice += 1
            taken.titles[place], taken.texts[place], taken.instants[place] = title, text, instant
        else:
            taken.titles.append(title)
            taken.texts.append(text)
            taken.instants.append(instant)
        if len(places) % 500 == 0:
            options.stage("reading", len(places), 0)
    if not places:
        raise RecommenderError("no articles came in; nothing was changed")
    _say_twice(twice, options)
    return taken


def _latest(articles: Iterable[Article], options: WriteOptions) -> list[Article]:
    """The articles; of two with one id the later."""
    by_id: dict[str, Article] = {}
    total = 0
    for article in articles:
        total += 1
        by_id[article.id] = article
    _say_twice(total - len(by_id), options)
    return list(by_id.values())


def _say_twice(twice: int, options: WriteOptions) -> None:
    if twice:
        rows = "1 row has the id of an earlier one" if twice == 1 else f"{twice} rows have the id of an earlier one"
        options.notice(f"{rows}; the later row counts")


def _fitted(taken: _Taken, settings: Settings, options: WriteOptions) -> Archive:
    """The archive of the articles taken in, with an encoder fitted on it or loaded."""
    total = len(taken.titles)
    encoder_of_name = None if settings.model == LSA else load_model(settings.model, device=options.device)
    counter = BoilerplateCounter()
    for text in taken.texts:
        counter.add(text)
    boilerplate = counter.find()
    contents = []
    for number, (title, text) in enumerate(zip(taken.titles, taken.texts, strict=True)):
        contents.append(without_boilerplate(title, text, boilerplate))
        if number % 500 == 0:
            options.stage("cleaning", number, total)
    options.stage("counting terms", 0, total)
    vocabulary = Vocabulary()
    counts = count_terms(contents, vocabulary, learn=True)
    options.stage("embedding", 0, total)
    encoder = encoder_of_name or LsaEncoder.fit(counts, vocabulary)
    vectors = rounded(encoder.encode(contents, counts, progress=lambda done, of: options.stage("embedding", done, of)))
    rows = np.arange(1, total + 1, dtype=np.int64)
    index = VectorIndex(encoder.dimensions)
    index.add(rows, vectors)
    days = days_of(taken.instants)
    return Archive(
        rows=rows, days=days, counts=counts, vectors=vectors, vocabulary=vocabulary, encoder=encoder,
        boilerplate=boilerplate, background=background_of(vectors, days), weights=settings.weights, index=index,
    )  # fmt: skip


def _compare(archive: Archive, views: Views, positions: NDArray[np.int64], options: WriteOptions) -> Links:
    parts = []
    for done, part in archive.compare(positions, views):
        parts.append(part)
        options.stage("comparing", done, len(positions))
    return worth_keeping(joined(parts), len(archive))


def _bring_in(
    store: Store, db: sqlite3.Connection, articles: list[Article], known: dict[str, int], options: WriteOptions
) -> Archive:
    """Add articles that are new, and those in `known` (id -> row) in place of what is there."""
    archive = Archive.load(store, device=options.device)
    links = load_links(store, archive)
    threads = former_of(store)
    rewritten = np.array(sorted(known.values()), np.int64)
    beside = _beside(store, rewritten)
    if known:
        former = np.unique(rows_of(archive.counts, np.flatnonzero(np.isin(archive.rows, rewritten))).text.indices)
        archive, links = without(archive, links, rewritten)
        write_frequencies(db, archive.vocabulary, former)
    next_row = int(store.query("SELECT coalesce(max(row), 0) + 1 FROM articles")[0][0])
    rows = []
    for article in articles:
        row = known.get(article.id)
        if row is None:
            row, next_row = next_row, next_row + 1
        else:
            forget_rows(db, [row])
        write_article(db, row, article)
        rows.append(row)
    contents = [without_boilerplate(plain_title(a.title), plain_text(a.body), archive.boilerplate) for a in articles]
    counts = count_terms(contents, archive.vocabulary, learn=True)
    vectors = rounded(archive.encoder.encode(contents, counts))
    archive, links, came = with_more(archive, links, np.array(rows, np.int64), [instant_of(a) for a in articles], counts, vectors)
    write_archive(db, archive, came)
    views = archive.views()
    links = joined([_compare(archive, views, came, options), links])
    touched = np.union1d(came, np.flatnonzero(np.isin(archive.rows, beside)))
    _follow(store, archive, views, links, touched, threads, options)
    return archive


def _take_out(store: Store, db: sqlite3.Connection, archive: Archive, rows: NDArray[np.int64], options: WriteOptions) -> Archive:
    links = load_links(store, archive)
    gone = np.isin(archive.rows, rows)
    beside = _beside(store, rows)
    left, links = without(archive, links, rows)
    write_frequencies(db, left.vocabulary, np.unique(archive.counts.text[gone].indices))
    forget_rows(db, rows.tolist())
    ids = {store.query("SELECT id FROM articles WHERE row = ?", row)[0][0] for row in rows.tolist()}
    labels = {label_of(*texts_of(db, row)) for row in rows.tolist()}
    db.executemany("DELETE FROM articles WHERE row = ?", [(int(row),) for row in rows])
    db.executemany("DELETE FROM bodies WHERE row = ?", [(int(row),) for row in rows])
    _follow(store, left, left.views(), links, np.flatnonzero(np.isin(left.rows, beside)), NOTHING, options)
    forget_in_log(db, ids, labels)
    return left


def _beside(store: Store, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of what is linked with these articles or stands in a thread with them, themselves included."""
    linked = [other for row in rows.tolist() for (other,) in store.query("SELECT other FROM links WHERE row = ?", row)]
    threads = dict(store.query("SELECT row, thread FROM articles WHERE thread IS NOT NULL"))
    theirs = {threads[row] for row in rows.tolist() if row in threads}
    mates = [row for row, thread in threads.items() if thread in theirs]
    return np.unique(np.concatenate([np.array([*linked, *mates], np.int64), rows]))


def _follow(
    store: Store, archive: Archive, views: Views, links: Links, touched: NDArray[np.int64], previous: Former,
    options: WriteOptions,
) -> None:  # fmt: skip
    """Write all that follows from the articles at the `touched` positions: threads, links, lists."""
    options.stage("threading", 0, len(archive))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    stirred = write_threads(store, archive, views, links, touched, previous, now)
    write_lists(store, archive, views, links, stirred, lambda done, of: options.stage("ranking", done, of))
    edition = int(dict(store.query("SELECT key, value FROM meta")).get("edition", 0))
    write_meta(
        store,
        {
            "articles": len(archive),
            "cache": "",
            "edition": edition + 1,
            "written": now,
        },
    )


def _known_before(folder: Path, options: WriteOptions) -> tuple[Former, bool]:
    """Of the index that is about to be replaced: its threads, and whether its weights are tuned; none and False where no index
    can be read."""
    try:
        with contextlib.closing(Store.open(folder)) as store:
            return former_of(store, with_history=True), bool(store.query("SELECT 1 FROM meta WHERE key = 'weights'"))
    except RecommenderError as error:
        if (folder / MANIFEST).exists():
            options.notice(f"thread ids and rules of the index could not be carried over: {error}")
        return NOTHING, False


def _keep_cache(store: Store, archive: Archive) -> None:
    """Keep the neighbour search where it is dear to make; an exact one is made faster than it is read.

    A file that the store does not name after all (the write fails later) is known by its digest and passed over.
    """
    if archive.index.is_exact:
        (store.folder / CACHE).unlink(missing_ok=True)
    else:
        write_meta(store, {"cache": archive.index.save(store.folder / CACHE)})
