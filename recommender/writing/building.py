"""Carries all articles of an index down the pipeline and puts it in the place of the one that is there: build, rebuild."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recommender.archives.archive import Archive, days_of
from recommender.archives.graph import Graph
from recommender.archives.links import Links, in_a_row, worth_keeping
from recommender.archives.loading import weights_of
from recommender.archives.spool import SpooledArticles, SpooledContents, SpooledTexts
from recommender.errors import RecommenderError
from recommender.pipeline.articles import Article
from recommender.pipeline.content import BoilerplateCounter, Content, plain_text, plain_title
from recommender.pipeline.counting import count_terms
from recommender.pipeline.embedding import LSA, LsaEncoder, full_name, load_model, rounded
from recommender.pipeline.evidence import background_of
from recommender.pipeline.index import VectorIndex
from recommender.pipeline.scoring import Weights, shipped_weights
from recommender.pipeline.terms import Vocabulary
from recommender.storage.folder import MANIFEST, read_manifest
from recommender.storage.store import Store, replacement
from recommender.writing.following import Change, follow, keep_cache
from recommender.writing.records import (
    NOTHING,
    Former,
    articles_of,
    former_of,
    instant_of,
    write_archive,
    write_article,
    write_fit,
    write_history,
    write_meta,
)
from recommender.writing.room import give_back, giving_back
from recommender.writing.writer import WriteOptions, Written, sole_writer


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
    model = full_name(model)
    with sole_writer(folder, options):
        previous, tuned = _known_before(folder, options)
        if tuned and weights is None:
            options.notice("the index had weights of its own; the new one has the shipped ones (--weights FILE keeps yours)")
        settings = Settings(model=model, weights=weights or shipped_weights(), evergreen=tuple(evergreen))
        return replaced(articles, folder, settings, previous, options)


def rebuild(folder: Path, to: Path, model: str | None, options: WriteOptions) -> Written:
    """Make an index anew of the articles that it holds, in its place or in another folder; with its model unless one is given."""
    read_manifest(folder)
    model = None if model is None else full_name(model)
    with sole_writer(to, options), contextlib.closing(Store.open(folder)) as store:
        settings = settings_of(store)
        settings = replace(settings, model=settings.model if model is None else model)
        return replaced(articles_of(store), to, settings, former_of(store, with_history=True), options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the user has chosen of an index; it comes along when the index is made anew."""

    model: str
    weights: Weights
    evergreen: tuple[str, ...]
    """Sections whose articles do not age."""


def settings_of(store: Store) -> Settings:
    """Those of an index."""
    meta = dict(store.query("SELECT key, value FROM meta"))
    weights = weights_of(store, meta.get("weights"))
    return Settings(model=str(meta["model"]), weights=weights, evergreen=tuple(json.loads(meta.get("evergreen", "[]"))))


def replaced(articles: Iterable[Article], folder: Path, settings: Settings, previous: Former, options: WriteOptions) -> Written:
    """A whole new index of these articles in place of the old, for who holds `sole_writer`; with what there was `previous`ly."""
    with replacement(folder) as store:
        taken = _take_in(store, articles, options)
        archive = _fitted(taken, settings, options)
        everything = np.arange(len(archive))
        write_archive(store.db, archive, everything)
        write_fit(store, archive, settings.model)
        write_meta(store, {"evergreen": json.dumps(settings.evergreen)})
        archive.forget_age(np.array(store.evergreen_rows(), np.int64))
        write_history(store.db, previous)
        graph = Graph(len(archive), compared(archive, options))
        give_back()
        change = Change(touched=everything, stirred=everything)
        follow(store, archive, graph, archive.texts, change, previous, options)
        keep_cache(store, archive, archive.rows)
    return Written(added=len(archive))


class _Taken(NamedTuple):
    """What is left to do with the articles that came in, in the order of their rows."""

    texts: SpooledTexts
    instants: list[float | None]


def _take_in(store: Store, articles: Iterable[Article], options: WriteOptions) -> _Taken:
    """Write the articles in the order of time, then of ids: an index hangs on what came in, not on the order in which it came. Of
    two with one id the later wins."""
    came = SpooledArticles(store.folder)
    places: dict[str, int] = {}
    instants: list[float | None] = []
    twice = 0
    for article in articles:
        place = places.setdefault(article.id, len(places))
        twice += place < len(came)
        came.put(place, article)
        instants[place : place + 1] = [instant_of(article)]
        if len(places) % 500 == 0:
            options.stage("reading", len(places), 0)
    if not places:
        raise RecommenderError("no articles came in; nothing was changed")
    say_twice(twice, options)
    known = sorted((math.inf if instants[place] is None else instants[place], one, place) for one, place in places.items())
    order = [place for _, _, place in known]
    texts = SpooledTexts(store.folder)
    for row, article in enumerate(came.read(order), 1):
        write_article(store.db, row, article)
        texts.append(plain_title(article.title), plain_text(article.body))
        if row % 500 == 0:
            options.stage("storing", row, len(order))
    return _Taken(texts, [instants[place] for place in order])


def say_twice(twice: int, options: WriteOptions) -> None:
    """Tell of rows that later ones have replaced."""
    if twice:
        rows = "1 row has the id of an earlier one" if twice == 1 else f"{twice} rows have the id of an earlier one"
        options.notice(f"{rows}; the later row counts")


def _fitted(taken: _Taken, settings: Settings, options: WriteOptions) -> Archive:
    """The archive of the articles taken in, with an encoder fitted on it or loaded."""
    total = len(taken.texts)
    encoder_of_name = None if settings.model == LSA else load_model(settings.model, device=options.device)
    counter = BoilerplateCounter()
    for number, text in enumerate(taken.texts.texts()):
        counter.add(text)
        if number % 500 == 0:
            options.stage("cleaning", number, total)
    boilerplate = counter.find()
    contents = SpooledContents(taken.texts, boilerplate)
    vocabulary = Vocabulary()
    counts = count_terms(_told("counting terms", contents, options), vocabulary, learn=True)
    options.stage("embedding", 0, total)
    encoder = encoder_of_name or LsaEncoder.fit(counts, vocabulary)
    vectors = rounded(encoder.encode(contents, counts, progress=partial(options.stage, "embedding")))
    rows = np.arange(1, total + 1, dtype=np.int64)
    index = VectorIndex(encoder.dimensions)
    index.add(rows, vectors)
    days = days_of(taken.instants)
    background = background_of(vectors, days, np.diff(counts.text.indptr))
    return Archive(
        rows=rows, days=days, counts=counts, vectors=vectors, vocabulary=vocabulary, encoder=encoder,
        boilerplate=boilerplate, background=background, weights=settings.weights, index=index,
    )  # fmt: skip


def _told(stage: str, contents: Sequence[Content], options: WriteOptions) -> Iterator[Content]:
    for number, content in enumerate(contents):
        if number % 500 == 0:
            options.stage(stage, number, len(contents))
        yield content


def compared(archive: Archive, options: WriteOptions) -> Links:
    """The links worth keeping between all articles."""
    give_back()
    views = archive.views()
    codes = archive.nominated(np.arange(len(archive)), views, giving_back(partial(options.stage, "looking around")))
    give_back()
    parts = archive.compare(codes, views, giving_back(partial(options.stage, "comparing")))
    links = in_a_row(parts, len(codes))
    del views, codes, parts  # before more room is needed
    give_back()
    return worth_keeping(links, len(archive))


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
