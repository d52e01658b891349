"""Graded lists against an index: the stored lists as a reader sees them, beside two baselines.

Every list may show any article of the index. Judgments are pooled as in TREC: nothing is known of
an article outside the pool, so places without a judgment are counted and not guessed. Sparck Jones
and van Rijsbergen (1975), Report on the need for and provision of an "ideal" information retrieval
test collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender.answers import RelatedList
from recommender.archives.archive import Archive
from recommender.errors import UnreadableSourceError
from recommender.evaluation import (
    CALIBRATION_BINS,
    Interval,
    bootstrap,
    calibration_bins,
    ndcg_of_rows,
    weighted_calibration_error,
    weighted_ratio,
)
from recommender.judging.baselines import Labelled, latest_lists, nearest_lists
from recommender.judging.figures import Measures, brief, compare, enter
from recommender.judging.gold import GradedLists
from recommender.judging.measuring import K, sections_of
from recommender.opening import read_list
from recommender.reports import Evaluation, Figure, ReliabilityBin
from recommender.storage.store import Store

SYSTEMS = ("sidebar", "similar", "latest", "tfidf")
"""Random lists are left out: next to none of their places has a judgment."""

MEASURES = ("belongs", "filled", "gain", "ndcg@5", "empty", "unjudged", "shown")

BELONGS = (1, 2)
"""Grades of what belongs in a list, and gains of its places; 0 and a second copy (3) do not belong."""

MOST_UNJUDGED = 0.1
"""Share of unjudged places above which a system is not compared: its gain is a lower bound."""

UNJUDGED = -1
NO_PLACE = -2
"""In place of a grade: a shown article without a judgment, and a place that is not filled."""

Grades = Mapping[str, Mapping[str, int]]
"""Query id -> candidate id -> grade."""

Lists = Mapping[str, Sequence[str]]
"""Query id -> ids of the articles shown, best first."""


def evaluate(
    store: Store, archive: Archive, gold: GradedLists, *, source: str, resamples: int
) -> Evaluation:
    """The measures of an index by graded lists that were read from `source`.

    Queries and candidates that are not in the index are left out and counted. UnreadableSourceError
    where no query is left.
    """
    in_order = store.query("SELECT id, row FROM articles ORDER BY row")
    rows = {str(article): int(row) for article, row in in_order}
    grades = _known(gold.grades, rows)
    if not grades:
        first = f"the first id: {gold.ids[0][:80]!r}"
        reason = f"no query of it is in this index with a candidate ({first})"
        raise UnreadableSourceError(source, reason, "name the index of these articles with --index")
    sidebars = {query: read_list(store, query, K, "sidebar") for query in grades}
    similar = {query: read_list(store, query, K, "similar") for query in grades}
    lists = {"sidebar": _ids(sidebars), "similar": _ids(similar)}
    lists |= _baselines(store, archive, rows, list(grades))
    measures: Measures = {name: dict.fromkeys(SYSTEMS) for name in (*MEASURES, "ece")}
    for system, shown in lists.items():
        enter(measures, system, MEASURES, intervals_of(shown, grades, resamples))
    scored = _scored_places(sidebars, grades)
    enter(measures, "sidebar", ("ece",), [_calibration_error(scored, len(grades), resamples)])
    counts = {
        "queries": len(grades),
        "judgments": sum(map(len, grades.values())),
        "unknown_articles": sum(article not in rows for article in gold.ids),
        "resamples": resamples,
    }
    return Evaluation(
        gold=gold.form,
        counts=counts,
        measures=measures,
        gain=gain_of(measures),
        reliability=reliability_of(scored),
    )


def _known(grades: Grades, rows: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """The judgments between articles of the index; a query without any is left out."""
    kept = {
        query: {candidate: grade for candidate, grade in of.items() if candidate in rows}
        for query, of in grades.items()
        if query in rows
    }
    return {query: of for query, of in kept.items() if of}


def _ids(lists: Mapping[str, RelatedList]) -> Lists:
    return {query: [item.id for item in shown.items] for query, shown in lists.items()}


def _baselines(
    store: Store, archive: Archive, rows: Mapping[str, int], queries: Sequence[str]
) -> dict[str, Lists]:
    """What the latest and TF-IDF show of the whole index; `rows` (id -> row) rise."""
    ids = list(rows)
    every_row = np.array(list(rows.values()), np.int64)
    places = archive.places_of(every_row)
    sections = sections_of(store, every_row)
    articles = Labelled(days=archive.days[places], sections=sections, text=archive.texts(places))
    position = {article: number for number, article in enumerate(ids)}
    asked = np.array([position[query] for query in queries], np.int64)
    found = {
        "latest": latest_lists(articles, K, asked),
        "tfidf": nearest_lists(articles.text, asked, K),
    }
    return {
        system: {
            query: [ids[place] for place in shown if place >= 0]
            for query, shown in zip(queries, lists.tolist(), strict=True)
        }
        for system, lists in found.items()
    }


def intervals_of(lists: Lists, grades: Grades, resamples: int) -> list[Interval]:
    """`MEASURES` of the first K of each list, in that order; nan where the divisor is 0.

    Each is a sum over queries divided by another, and queries are what a resample draws.

    - belongs: judged places that belong, of the judged places.
    - filled: judged places that belong, of the places that could: min(K, candidates that belong).
    - gain: gains of the places, of the gains of the best K candidates.
    - ndcg@5: mean over queries with a candidate that belongs; an unjudged place gains 0.
    - empty: of these queries, those whose list shows nothing.
    - unjudged: places without a judgment, of the places.
    - shown: places a query.
    """
    # (n_queries, K) the grade of each place, and the gains of the best list
    placed = np.array([_placed(lists.get(query, ()), of) for query, of in grades.items()])
    ideal = np.array([_best_gains(of) for of in grades.values()], np.float64)
    gains = np.where(np.isin(placed, BELONGS), placed, 0).astype(np.float64)
    # (n_queries,) sums over the places of a list
    shown, judged = (placed > NO_PLACE).sum(axis=1), (placed > UNJUDGED).sum(axis=1)
    right, could = (gains > 0).sum(axis=1), (ideal > 0).sum(axis=1)
    answerable = could > 0
    parts = (
        (right, judged),
        (right, could),
        (gains.sum(axis=1), ideal.sum(axis=1)),
        (np.nan_to_num(ndcg_of_rows(gains, ideal)), answerable),
        (answerable & (shown == 0), answerable),
        (shown - judged, shown),
        (shown, np.ones(len(grades))),
    )
    ratios = [(part.astype(np.float64), whole.astype(np.float64)) for part, whole in parts]

    def statistics(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([weighted_ratio(part, whole, weights) for part, whole in ratios])

    return bootstrap(statistics, np.arange(len(grades)), resamples=resamples)


def _placed(shown: Sequence[str], grades: Mapping[str, int]) -> list[int]:
    """The grade of each of K places, UNJUDGED or NO_PLACE."""
    found = [grades.get(article, UNJUDGED) for article in shown[:K]]
    return found + [NO_PLACE] * (K - len(found))


def _best_gains(grades: Mapping[str, int]) -> list[int]:
    """The gains of the best K candidates, best first, then 0."""
    best = sorted((grade for grade in grades.values() if grade in BELONGS), reverse=True)[:K]
    return best + [0] * (K - len(best))


class ScoredPlaces(NamedTuple):
    """The judged places of the sidebars; all fields (n,)."""

    queries: NDArray[np.int64]  # number of the query, from 0
    scores: NDArray[np.float64]  # in [0, 1]
    belongs: NDArray[np.bool_]


def _scored_places(sidebars: Mapping[str, RelatedList], grades: Grades) -> ScoredPlaces:
    found = [
        (number, item.score, of[item.id] in BELONGS)
        for number, (query, of) in enumerate(grades.items())
        for item in sidebars[query].items
        if item.id in of
    ]
    queries, scores, belongs = zip(*found, strict=True) if found else ((), (), ())
    return ScoredPlaces(
        np.array(queries, np.int64), np.array(scores, np.float64), np.array(belongs, np.bool_)
    )


def _calibration_error(scored: ScoredPlaces, n_queries: int, resamples: int) -> Interval:
    """The expected calibration error of the score; a resample draws queries.

    Noise makes the error of a resample larger on average, so the interval lies rather high.
    """
    # (n_queries, bins) sum of score less truth; (n_queries,) number of places
    gaps = np.zeros((n_queries, CALIBRATION_BINS))
    bins = calibration_bins(scored.scores)
    np.add.at(gaps, (scored.queries, bins), scored.scores - scored.belongs)
    counts = np.bincount(scored.queries, minlength=n_queries).astype(np.float64)

    def statistics(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return weighted_calibration_error(gaps, counts, weights)[None]

    (found,) = bootstrap(statistics, np.arange(n_queries), resamples=resamples)
    return found


def reliability_of(scored: ScoredPlaces) -> tuple[ReliabilityBin, ...]:
    """The mean score of each bin beside the share of its places that belong."""
    bins = calibration_bins(scored.scores)
    found = []
    for number in range(CALIBRATION_BINS):
        inside = bins == number
        places = int(inside.sum())
        found.append(
            ReliabilityBin(
                low=number / CALIBRATION_BINS,
                high=(number + 1) / CALIBRATION_BINS,
                places=places,
                said=float(scored.scores[inside].mean()) if places else None,
                belongs=float(scored.belongs[inside].mean()) if places else None,
            )
        )
    return tuple(found)


def gain_of(measures: Mapping[str, Mapping[str, Figure | None]]) -> str:
    """What the sidebar gains over the baselines, and which systems have too few judgments."""
    if measures["gain"]["sidebar"] is None:
        return "No query has a candidate that belongs, so no list can be called good or bad."
    unjudged = {system: figure for system, figure in measures["unjudged"].items() if figure}
    many = {
        system: figure for system, figure in unjudged.items() if figure.value > MOST_UNJUDGED
    }
    sentences = []
    for name, called in (
        ("gain", "The gain of the sidebar"),
        ("belongs", "The share of its judged places that belong"),
    ):
        row = {system: figure for system, figure in measures[name].items() if system not in many}
        figure = measures[name]["sidebar"]
        sentences += [compare(called, figure, row)] if figure else []
    if many:
        shares = ", ".join(f"{system} {brief(figure.value)}" for system, figure in many.items())
        bounds = "filled, gain and nDCG@5 are lower bounds there"
        sentences.append(f"Share of places without a judgment: {shares}; {bounds}.")
    return " ".join(sentences)
