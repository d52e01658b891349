"""Answers that need the archive in memory: the related articles of a draft, and the evidence on a pair."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from recommender.answers import Explanation, Profile, Related, Relation
from recommender.archives.archive import Archive, days_of, wording_of
from recommender.archives.links import Links, linked
from recommender.archives.rulebook import ruling_in
from recommender.distinct import distinct
from recommender.pipeline.articles import Article
from recommender.pipeline.candidates import Pairs
from recommender.pipeline.content import content_of
from recommender.pipeline.counting import count_terms
from recommender.pipeline.embedding import reading, rounded
from recommender.pipeline.evidence import Views, evidence_of
from recommender.pipeline.ranking import DEFAULT, Candidates, is_duplicate, sidebar, similar
from recommender.pipeline.scoring import score
from recommender.pipeline.wording import reasons_of
from recommender.storage.store import Store


def related_to(store: Store, archive: Archive, draft: Article, k: int, profile: Profile) -> list[Related]:
    """The first k of the list that the draft would have; its thread is that of the article most surely of its story."""
    content = content_of(draft, archive.boilerplate)
    scratch = archive.vocabulary.scratch()
    counts = count_terms([content], scratch, learn=False)
    vectors = rounded(reading(archive.encoder, scratch).encode([content], counts))
    dated = draft.published is not None and draft.section not in store.evergreen_sections()
    days = days_of([draft.published.timestamp() if dated and draft.published else None])
    query = archive.views_of(counts, scratch, vectors, days).narrowed(len(archive.vocabulary))
    places = distinct(archive.candidates(query)[1])
    views = archive.views(places)
    terms = distinct(query.terms(), views.terms())
    one, all_others = query.over(terms), views.over(terms)
    zeros, others = np.zeros(len(places), np.int64), np.arange(len(places))
    evidence = evidence_of(one, zeros, all_others, others, archive.background)
    links = linked(Pairs(zeros, others), evidence, archive.weights, (query.words[zeros], views.words))
    barred = np.isin(places[links.pairs.right], list(ruling_in(store, archive).nowhere))
    links = links.only(~barred)
    candidates = Candidates(
        lists=np.zeros(len(links), np.int64),
        positions=links.pairs.right,
        scores=links.related,
        nearness=links.nearness,
        duplicate=links.duplicate,
        copies=np.arange(len(links)),
    )
    together = _in_its_thread(store, archive, links, places)
    listed = similar(candidates) if profile == "similar" else _sidebar(archive, all_others, candidates)
    order = [int(at) for at in np.argsort(listed, kind="stable") if listed[at] >= 0]
    chosen = candidates.positions[np.array(order[:k], np.int64)]
    apart = np.abs(views.days[chosen] - days[0]).astype(np.float32)
    words = reasons_of(wording_of(archive), query.text[np.zeros(len(chosen), np.int64)], views.text[chosen], apart)
    return [
        store.shown(
            int(archive.rows[places[candidates.positions[place]]]),
            score=float(candidates.scores[place]),
            relation=_relation(bool(candidates.duplicate[place]), bool(together[place])),
            reasons=reasons,
        )
        for place, reasons in zip(order[:k], words, strict=True)
    ]


def explain(store: Store, archive: Archive, one: str, other: str) -> Explanation:
    """What the engine holds of two articles of the index now, whether or not any list shows the pair."""
    rows = [row for row in (store.row_of(one), store.row_of(other)) if row is not None]
    views = archive.views(archive.places_of(np.array(rows, np.int64)))
    left, right = np.array([0]), np.array([1])
    evidence = evidence_of(views, left, views, right, archive.background)
    scores = score(evidence, archive.weights)
    words = views.words
    duplicate = bool(is_duplicate(evidence, words[left], words[right])[0])
    threads = [place.id if place else None for place in (store.place(int(row)) for row in rows)]
    together = threads[0] is not None and threads[0] == threads[-1]
    close = duplicate or together or float(scores.related[0]) >= DEFAULT.least_score
    reasons = reasons_of(wording_of(archive), views.text[left], views.text[right], evidence.days_apart)
    return Explanation(
        ids=(one, other),
        score=round(float(scores.related[0]), 4),
        relation=_relation(duplicate, together) if close else None,
        reasons=reasons[0],
        evidence=evidence.of_pair(0) | {"same_story": round(float(scores.same_story[0]), 4)},
    )


def _in_its_thread(store: Store, archive: Archive, links: Links, places: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) which of the linked articles are in the thread of the one that is most surely of the draft's story."""
    rows = archive.rows[places[links.pairs.right]].tolist()
    thread_of = dict(
        store.query("SELECT row, thread FROM articles WHERE row IN (SELECT value FROM json_each(?))", json.dumps(rows))
    )
    threads = np.array([thread_of[row] or 0 for row in rows], np.int64)
    own = int(threads[int(np.argmax(links.same_story))]) if len(links) and links.same_story.max() >= 0.5 else 0
    return np.asarray((threads == own) & (own > 0), np.bool_)


def _sidebar(archive: Archive, views: Views, candidates: Candidates) -> NDArray[np.int64]:
    """As `sidebar`, of candidates of which it is not known yet which are copies of each other."""
    usable = np.flatnonzero((candidates.scores >= DEFAULT.first_floor) & ~candidates.duplicate)
    places = candidates.positions[usable]
    one, two = np.triu_indices(len(usable), 1)
    twice = np.zeros((len(candidates.positions), len(candidates.positions)), np.bool_)
    evidence = evidence_of(views, places[one], views, places[two], archive.background)
    copies = is_duplicate(evidence, views.words[places[one]], views.words[places[two]])
    twice[usable[one], usable[two]] = twice[usable[two], usable[one]] = copies
    return sidebar(candidates._replace(copies=_numbered(twice)))


def _numbered(twice: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n,) the lowest place whose text each place repeats."""
    return np.argmax(twice | np.eye(len(twice), dtype=np.bool_), axis=1).astype(np.int64) if len(twice) else np.zeros(0, np.int64)


def _relation(duplicate: bool, together: bool) -> Relation:
    return "duplicate" if duplicate else "same-story" if together else "related"
