"""Brings an index up to date with what came, changed or went: add, remove, reweigh, overrule."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recommender.archives.archive import Archive
from recommender.archives.graph import Graph
from recommender.archives.links import joined, worth_keeping
from recommender.archives.loading import load, stored_threads
from recommender.distinct import distinct, others
from recommender.errors import RecommenderError, UnknownArticleError
from recommender.pipeline.articles import Article
from recommender.pipeline.content import content_hash, plain_text, plain_title, without_boilerplate
from recommender.pipeline.counting import count_terms
from recommender.pipeline.embedding import LSA, rounded
from recommender.pipeline.scoring import Weights
from recommender.pipeline.terms import rows_of
from recommender.pipeline.wording import label_of
from recommender.storage.damage import unreadable
from recommender.storage.folder import read_manifest
from recommender.storage.packing import rows_linked
from recommender.storage.store import GROWN, Store
from recommender.writing.building import compared, replaced, say_twice, settings_of
from recommender.writing.following import Change, follow, keep_cache
from recommender.writing.records import (
    NOTHING,
    articles_of,
    forget_in_log,
    forget_rows,
    former_of,
    given_of,
    instant_of,
    texts_of,
    write_archive,
    write_article,
    write_frequencies,
    write_meta,
    write_weights,
)
from recommender.writing.writer import WriteOptions, Written, sole_transaction, sole_writer, transaction


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
            replaced(itertools.chain(stored, fresh), folder, settings_of(store), former_of(store, with_history=True), options)
        elif fresh or changed:
            with transaction(store, options):
                _bring_in(store, fresh + changed, {a.id: known[a.id][0] for a in changed}, options)
            _say_worth_it(store, len(fresh), options)
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


def _is_outgrown(store: Store, more: int) -> bool:
    articles, fitted = _sizes(store)
    return store.manifest["model"] == LSA and OUTGROWN * fitted <= articles + more <= OUTGROWN_AT_MOST


def _sizes(store: Store) -> tuple[int, int]:
    """(articles, those that it was fitted to)."""
    meta = dict(store.query("SELECT key, value FROM meta WHERE key IN ('articles', 'articles_at_build')"))
    return int(meta["articles"]), int(meta["articles_at_build"])


def _say_worth_it(store: Store, came: int, options: WriteOptions) -> None:
    """Tell, once, that an index has grown so far that a rebuild is worth it."""
    articles, fitted = _sizes(store)
    if articles - came < GROWN * fitted <= articles:
        options.notice(f"fitted to {fitted:,} articles, the index has {articles:,} now: `recommender rebuild` is worth it")


def _latest(articles: Iterable[Article], options: WriteOptions) -> list[Article]:
    """The articles; of two with one id the later."""
    by_id: dict[str, Article] = {}
    total = 0
    for article in articles:
        total += 1
        by_id[article.id] = article
    say_twice(total - len(by_id), options)
    return list(by_id.values())


def remove(ids: Iterable[str], folder: Path, options: WriteOptions) -> Written:
    """Forget articles everywhere, all or none; UnknownArticleError names the first that is not there."""
    with sole_transaction(folder, options) as store:
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
    with sole_transaction(folder, options) as store:
        archive = load(store, device=options.device)
        archive.weights = weights
        write_weights(store, weights)
        everything = np.arange(len(archive))
        graph = Graph(len(archive), compared(archive, options))
        graph.enter_threads(dict(enumerate(stored_threads(store, archive).tolist())))
        change = Change(touched=everything, stirred=everything, again=True)
        store.db.execute("DELETE FROM links")
        follow(store, archive, graph, archive.texts, change, NOTHING, options)
        keep_cache(store, archive, archive.rows)
        options.memory.forget()


def overrule(change: Callable[[Store], Iterable[str]], folder: Path, options: WriteOptions) -> None:
    """Let `change` enter or drop rules, and make again what follows for the articles it names, in one transaction."""
    with sole_transaction(folder, options) as store:
        rows = [row for row in map(store.row_of, set(change(store))) if row is not None]
        if rows:
            archive = options.memory.archive(store, options.device)
            graph = options.memory.graph(store, options.device)
            named = archive.places_of(np.array(sorted(rows), np.int64))
            follow(store, archive, graph, archive.texts, Change(touched=named, stirred=named, again=True), NOTHING, options)


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
    archive.forget_age(np.array(store.evergreen_rows(), np.int64))
    write_archive(db, archive, came)
    parts = []
    for done, part in archive.compare_few(came):
        parts.append(part)
        options.stage("comparing", done, len(came))
    graph.connect(len(archive.rows), worth_keeping(joined(parts), len(archive.rows)))
    change = Change(
        touched=distinct(came, mates),
        stirred=distinct(came, np.flatnonzero(copies != graph.copies[: len(copies)])),
        came=came,
        listed=beside,
    )
    follow(store, archive, graph, archive.texts, change, NOTHING, options)
    keep_cache(store, archive, archive.rows[came])


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
    lost = distinct(graph.threads[places])
    write_frequencies(db, archive.vocabulary, archive.leave(places))
    graph.forget(places)
    forget_rows(db, rows.tolist())
    ids = {store.query("SELECT id FROM articles WHERE row = ?", row)[0][0] for row in rows.tolist()}
    labels = {label_of(*texts_of(db, row)) for row in rows.tolist()}
    db.executemany("DELETE FROM articles WHERE row = ?", [(int(row),) for row in rows])
    db.executemany("DELETE FROM bodies WHERE row = ?", [(int(row),) for row in rows])
    again = others(np.flatnonzero(copies != graph.copies), places)
    change = Change(touched=mates, stirred=again, listed=beside, lost=lost[lost > 0].tolist())
    follow(store, archive, graph, archive.texts, change, NOTHING, options)
    forget_in_log(db, ids, labels)
    keep_cache(store, archive, rows)


def _mates(graph: Graph, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """The others in a thread with any of these."""
    return others(graph.in_threads(graph.threads[places]), places)


def _beside(store: Store, archive: Archive, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """The others in whose lists, or links, any of these stands, links for pins included."""
    found: list[int] = []
    for row in archive.rows[places].tolist():
        for (blob,) in store.query("SELECT packed FROM links WHERE row = ?", row):
            with unreadable(store.folder):
                found += rows_linked(blob)
    return others(distinct(archive.places_of(np.array(found, np.int64))), places)
