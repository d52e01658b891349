"""Carries articles down the pipeline and what follows from them into the store: build, add, remove, reweigh, overrule."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from recommender.archive import Archive, days_of, load, weights_of
from recommender.damage import damaged, is_damage
from recommender.errors import IndexBusyError, RecommenderError, UnknownArticleError, WriteFailedError
from recommender.folder import CACHE, MANIFEST, read_manifest
from recommender.graph import Graph, Links, joined, worth_keeping
from recommender.memory import Memory, edition_of
from recommender.pipeline.articles import Article
from recommender.pipeline.content import BoilerplateCounter, content_hash, plain_text, plain_title, without_boilerplate
from recommender.pipeline.embedding import LSA, LsaEncoder, load_model, rounded
from recommender.pipeline.evidence import Views, background_of
from recommender.pipeline.index import VectorIndex
from recommender.pipeline.scoring import Weights, shipped_weights
from recommender.pipeline.terms import Vocabulary, count_terms, rows_of
from recommender.pipeline.wording import label_of
from recommender.records import (
    NOTHING,
    Former,
    articles_of,
    forget_in_log,
    forget_rows,
    former_of,
    given_of,
    instant_of,
    stored_threads,
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
from recommender.stories import Texts, write_threads

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
    memory: Memory = field(default_factory=Memory)
    """What the caller keeps in memory of the index; brought up to date with it."""


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
        graph = Graph(len(archive), _compare(archive, views, everything, options))
        change = _Change(touched=everything, stirred=everything)
        _follow(store, archive, graph, lambda places: views.text[places], change, previous, options)
        _keep_cache(store, archive, archive.rows)
    return Written(added=len(archive))


@contextlib.contextmanager
def _sole_transaction(folder: Path, options: WriteOptions) -> Iterator[Store]:
    """The store of an index inside a transaction that no other writer disturbs."""
    read_manifest(folder)  # where there is no index, nothing is left behind
    with sole_writer(folder, options), contextlib.closing(Store.open(folder, write=True)) as store, _transaction(store, options):
        yield store


@contextlib.contextmanager
def _transaction(store: Store, options: WriteOptions) -> Iterator[None]:
    """A transaction that what is kept in memory goes along with."""
    memory = options.memory
    with memory.lock:
        try:
            with store.transaction():
                before = edition_of(store)
                yield
        except BaseException:
            memory.forget()
            raise
        memory.follow(store, before)


def add(articles: Iterable[Article], folder: Path, options: WriteOptions) -> Written:
    """Add articles to an index, or bring known ones up to date, all or none.

    A small index that has outgrown what it was fitted to is made anew of all its articles, as `build` would.
    """
    read_manifest(folder)  # where there is no index, nothing is left behind
    with sole_writer(folder, options), contextlib.closing(Store.open(folder, write=True)) as store:
        wanted = _latest(articles, options)
        known = _known(store, [article.id for article in wanted])
        fresh = [a for a in wanted if a.id not in known]
        changed = [a for a in wanted if a.id in known and known[a.id][1] != content_hash(a)]
        if _is_outgrown(store, len(fresh)):
            newer = {a.id: a for a in changed}
            stored = (newer.get(a.id, a) for a in articles_of(store))
            replaced(itertools.chain(stored, fresh), folder, _settings_of(store), former_of(store, with_history=True), options)
        elif fresh or changed:
            with _transaction(store, options):
                _bring_in(store, fresh + changed, {a.id: known[a.id][0] for a in changed}, options)
    return Written(added=len(fresh), updated=len(changed), unchanged=len(wanted) - len(fresh) - len(changed))


def _known(store: Store, ids: list[str]) -> dict[str, tuple[int, bytes]]:
    """Of these articles those that the index has: id -> (row, hash)."""
    asked = json.dumps(ids)
    found = store.query("SELECT id, row, hash FROM articles WHERE id IN (SELECT value FROM json_each(?))", asked)
    return {str(article_id): (int(row), bytes(digest)) for article_id, row, digest in found}


OUTGROWN = 1.05
"""Articles per article of the last fit from which `add` makes the index anew: what fewer articles taught (common lines, names,
the axes of the embedding) serves more badly. B-cubed F1 between the threads of adds and of one build is .973 and more so,
and down to .936 at 1.2 (scripts/measure_stream.py)."""

OUTGROWN_AT_MOST = 5_000
"""Articles above which that is left to `rebuild`: it would hold up an `add` for more than some seconds."""


def _settings_of(store: Store) -> Settings:
    meta = dict(store.query("SELECT key, value FROM meta"))
    weights = weights_of(store, meta.get("weights"))
    return Settings(model=str(meta["model"]), weights=weights, evergreen=tuple(json.loads(meta.get("evergreen", "[]"))))


def _is_outgrown(store: Store, more: int) -> bool:
    meta = dict(store.query("SELECT key, value FROM meta WHERE key IN ('articles', 'articles_at_build')"))
    articles = int(meta["articles"]) + more
    return store.manifest["model"] == LSA and OUTGROWN * int(meta["articles_at_build"]) <= articles <= OUTGROWN_AT_MOST


def remove(ids: Iterable[str], folder: Path, options: WriteOptions) -> Written:
    """Forget articles everywhere, all or none; UnknownArticleError names the first that is not there."""
    with _sole_transaction(folder, options) as store:
        rows: list[int] = []
        for article_id in dict.fromkeys(ids):
            row = store.row_of(article_id)
            if row is None:
                raise UnknownArticleError(article_id)
            rows.append(row)
        if len(rows) == store.count("articles"):
            raise RecommenderError("these are all articles of the index; to be rid of it, delete its folder")
        if rows:
            _take_out(store, np.array(sorted(rows), np.int64), options)
    return Written(removed=len(rows))


def reweigh(weights: Weights, folder: Path, options: WriteOptions) -> None:
    """Give an index these weights, and make its links, threads and lists again by them, in one transaction."""
    with _sole_transaction(folder, options) as store:
        archive = load(store, device=options.device)
        archive.weights = weights
        write_weights(store, weights)
        everything = np.arange(len(archive))
        views = archive.views()
        graph = Graph(len(archive), _compare(archive, views, everything, options))
        graph.enter_threads(dict(enumerate(stored_threads(store, archive).tolist())))
        change = _Change(touched=everything, stirred=everything, again=True)
        store.db.execute("DELETE FROM links")
        _follow(store, archive, graph, lambda places: views.text[places], change, NOTHING, options)
        _keep_cache(store, archive, archive.rows)
        options.memory.forget()


def overrule(change: Callable[[Store], Iterable[str]], folder: Path, options: WriteOptions) -> None:
    """Let `change` enter or drop rules, and make again what follows for the articles it names, in one transaction."""
    with _sole_transaction(folder, options) as store:
        rows = [row for row in map(store.row_of, set(change(store))) if row is not None]
        if rows:
            archive = options.memory.archive(store, options.device)
            graph = options.memory.graph(store, options.device)
            named = archive.places_of(np.array(sorted(rows), np.int64))
            _follow(store, archive, graph, archive.texts, _Change(touched=named, stirred=named, again=True), NOTHING, options)


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


def _bring_in(store: Store, articles: list[Article], known: dict[str, int], options: WriteOptions) -> None:
    """Add articles that are new, and those in `known` (id -> row) in place of what is there."""
    db = store.db
    archive, graph = options.memory.archive(store, options.device), options.memory.graph(store, options.device)
    again = archive.places_of(np.array(sorted(known.values()), np.int64))
    mates, beside, copies = _mates(graph, again), _beside(store, archive, again), graph.copies.copy()
    vectors = _vectors_that_stay(store, archive, articles, known)
    if known:
        write_frequencies(db, archive.vocabulary, archive.leave(again))
        graph.forget(again)
        forget_rows(db, archive.rows[again].tolist())
    next_row = 1 + store.last_row()
    rows = []
    for article in articles:
        row = known.get(article.id)
        if row is None:
            row, next_row = next_row, next_row + 1
        write_article(db, row, article)
        rows.append(row)
    contents = [without_boilerplate(plain_title(a.title), plain_text(a.body), archive.boilerplate) for a in articles]
    counts = count_terms(contents, archive.vocabulary, learn=True)
    new = [number for number, article in enumerate(articles) if article.id not in vectors]
    encoded = np.zeros((len(articles), archive.encoder.dimensions), np.float32)
    encoded[new] = rounded(archive.encoder.encode([contents[number] for number in new], rows_of(counts, np.array(new, np.int64))))
    for number, article in enumerate(articles):
        if article.id in vectors:
            encoded[number] = vectors[article.id]
    write_meta(store, {"last_row": next_row - 1})
    came = archive.take_in(np.array(rows, np.int64), [instant_of(a) for a in articles], counts, encoded)
    write_archive(db, archive, came)
    parts = []
    for done, part in archive.compare_few(came):
        parts.append(part)
        options.stage("comparing", done, len(came))
    graph.connect(len(archive.rows), worth_keeping(joined(parts), len(archive.rows)))
    change = _Change(
        touched=np.union1d(came, mates),
        stirred=np.union1d(came, np.flatnonzero(copies != graph.copies[: len(copies)])),
        listed=beside,
    )
    _follow(store, archive, graph, archive.texts, change, NOTHING, options)
    _keep_cache(store, archive, archive.rows[came])


def _vectors_that_stay(
    store: Store, archive: Archive, articles: list[Article], known: dict[str, int]
) -> dict[str, NDArray[np.float32]]:
    """The vectors of the articles of which only a date, a section or the like has changed: they are not encoded again."""
    of_text = {}
    for article in articles:
        row = known.get(article.id)
        if row is not None and given_of(store.db, row) == (article.title, article.body):
            of_text[article.id] = archive.vectors[int(archive.places_of(np.array(row)))].copy()
    return of_text


def _take_out(store: Store, rows: NDArray[np.int64], options: WriteOptions) -> None:
    db = store.db
    archive, graph = options.memory.archive(store, options.device), options.memory.graph(store, options.device)
    places = archive.places_of(rows)
    mates, beside, copies = _mates(graph, places), _beside(store, archive, places), graph.copies.copy()
    lost = np.unique(graph.threads[places])
    write_frequencies(db, archive.vocabulary, archive.leave(places))
    graph.forget(places)
    forget_rows(db, rows.tolist())
    ids = {store.query("SELECT id FROM articles WHERE row = ?", row)[0][0] for row in rows.tolist()}
    labels = {label_of(*texts_of(db, row)) for row in rows.tolist()}
    db.executemany("DELETE FROM articles WHERE row = ?", [(int(row),) for row in rows])
    db.executemany("DELETE FROM bodies WHERE row = ?", [(int(row),) for row in rows])
    again = np.setdiff1d(np.flatnonzero(copies != graph.copies), places)
    change = _Change(touched=mates, stirred=again, listed=beside, lost=lost[lost > 0].tolist())
    _follow(store, archive, graph, archive.texts, change, NOTHING, options)
    forget_in_log(db, ids, labels)
    _keep_cache(store, archive, rows)


def _mates(graph: Graph, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """The others in a thread with any of these."""
    numbers = np.unique(graph.threads[places])
    return np.setdiff1d(np.flatnonzero(np.isin(graph.threads, numbers[numbers > 0])), places)


def _beside(store: Store, archive: Archive, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """The others in whose lists, or links, any of these stands, links for pins included."""
    rows = archive.rows[places].tolist()
    found = [other for row in rows for (other,) in store.query("SELECT other FROM links WHERE row = ?", row)]
    return np.setdiff1d(archive.places_of(np.array(found, np.int64)), places)


NO_PLACES: NDArray[np.int64] = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """What has changed in an archive and its links, by place."""

    touched: NDArray[np.int64]
    """What may be in another thread now."""
    stirred: NDArray[np.int64]
    """What may stand in other lists now than before."""
    listed: NDArray[np.int64] = field(default_factory=lambda: NO_PLACES)
    """What may have another list now."""
    again: bool = False
    """Whether all is to be written that follows, as if nothing were there: rules speak in reasons too."""
    lost: Sequence[int] = ()
    """Numbers of threads that have lost an article which is gone."""


def _follow(
    store: Store, archive: Archive, graph: Graph, texts: Texts, change: _Change, previous: Former, options: WriteOptions
) -> None:
    """Write all that follows from a change: threads, links, lists."""
    options.stage("threading", 0, len(archive))
    now = max(datetime.now(UTC).isoformat(timespec="seconds"), store.last_change())  # a clock may go back, the log does not
    moved = write_threads(store, archive, graph, texts, change.touched, change.lost, previous, now)
    stirred = np.union1d(change.stirred, moved)
    listed = np.union1d(stirred, change.listed)
    ranked = partial(options.stage, "ranking")
    write_lists(store, archive, graph, texts, listed, stirred, ranked, again=change.again)
    edition = int(dict(store.query("SELECT key, value FROM meta WHERE key = 'edition'")).get("edition", 0))
    write_meta(store, {"articles": len(archive), "edition": edition + 1, "written": now})


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


def _keep_cache(store: Store, archive: Archive, changed: NDArray[np.int64]) -> None:
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
