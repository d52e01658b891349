"""A truth against an index: measures of the engine and of the baselines over the same articles, as data.

Lists are condensed: what nobody judged is left out of every list before it is measured, so a system is not blamed for showing
what the truth does not know. Sakai (2007), Alternatives to Bpref.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender.archives.archive import Archive
from recommender.archives.loading import stored_links
from recommender.archives.packed import held_in
from recommender.errors import UnreadableSourceError
from recommender.evaluation import (
    Elements,
    bootstrap,
    elements_of,
    ndcg_of_rows,
    weighted_auc,
    weighted_bcubed,
    weighted_pairwise_f1,
    weighted_ratio,
)
from recommender.judging.baselines import (
    TFIDF_CUT,
    Labelled,
    average_linkage,
    cosines_of,
    latest_lists,
    nearness,
    random_lists,
    tfidf_lists,
)
from recommender.judging.figures import Measures, compare, enter
from recommender.judging.gold import JudgedPairs, StoriesOrPairs, StoryLabels
from recommender.pipeline.evidence import Views, evidence_of
from recommender.pipeline.ranking import DEFAULT as LISTS
from recommender.pipeline.ranking import is_duplicate
from recommender.pipeline.scoring import score
from recommender.reports import Evaluation, Figure
from recommender.storage.store import Store

K = 5
"""Places of a list that are measured."""

SEED = 0
"""Of the random baseline and of the bootstrap: the same truth and index give the same numbers."""

SYSTEMS = ("engine", "latest", "tfidf", "random")
THREADS = ("bcubed_f1", "bcubed_precision", "bcubed_recall", "pairwise_f1")

_Statistics = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the index holds of n judged articles; position i of every field is the same article."""

    lists: tuple[NDArray[np.int64], ...]
    """The positions of each one's `similar` list that are judged articles, best first."""
    threads: NDArray[np.int64]
    """(n,) a number for each thread; one of its own where an article stands alone."""
    views: Views
    """What is compared of them."""
    seen: Labelled
    """What the baselines see of them."""


def evaluate(store: Store, archive: Archive, gold: StoriesOrPairs, *, source: str, resamples: int) -> Evaluation:
    """The measures of an index by a truth that was read from `source`.

    Articles that are not in the index are left out and counted; UnreadableSourceError where none is in it.
    """
    known, rows, unknown = known_part(store, gold, source)
    held = held_of(store, archive, rows)
    counts = {"articles": len(known.ids), "unknown_articles": unknown}
    if isinstance(known, StoryLabels):
        measures, told = _by_labels(known, held, resamples)
    else:
        measures, told = _by_pairs(known, held, archive, resamples)
    counts |= told | {"resamples": resamples}
    return Evaluation(gold=gold.form, counts=counts, measures=measures, gain=gain_of(measures))


def known_part(store: Store, gold: StoriesOrPairs, source: str) -> tuple[StoriesOrPairs, NDArray[np.int64], int]:
    """The truth on articles of the index, the rows of its ids, and how many articles it names that are not in the index.

    UnreadableSourceError where none is in it.
    """
    rows = {str(article): int(row) for row, article in store.query("SELECT row, id FROM articles")}
    known, unknown = _known(gold, rows)
    if not known.ids:
        what = "article" if isinstance(gold, StoryLabels) else "whole pair"
        reason = f"no {what} of it is in this index (the first id: {gold.ids[0][:80]!r})"
        raise UnreadableSourceError(source, reason, "name the index of these articles with --index")
    return known, np.array([rows[article] for article in known.ids], np.int64), unknown


def _known(gold: StoriesOrPairs, rows: Mapping[str, int]) -> tuple[StoriesOrPairs, int]:
    """The truth on articles of the index, and how many articles it names that are not in it."""
    unknown = sum(article not in rows for article in gold.ids)
    if isinstance(gold, StoryLabels):
        of_article = [one for one in zip(gold.ids, gold.stories, gold.topics, strict=True) if one[0] in rows]
        ids, stories, topics = zip(*of_article, strict=True) if of_article else ((), (), ())
        return StoryLabels(ids=ids, stories=stories, topics=topics), unknown
    kept = [(pair, grade) for pair, grade in zip(gold.pairs, gold.grades, strict=True) if pair[0] in rows and pair[1] in rows]
    return JudgedPairs(pairs=tuple(pair for pair, _ in kept), grades=tuple(grade for _, grade in kept)), unknown


def held_of(store: Store, archive: Archive, rows: NDArray[np.int64]) -> Held:
    """What the index holds of the articles of these rows."""
    position = {row: number for number, row in enumerate(rows.tolist())}
    lists: list[list[int]] = [[] for _ in position]
    held, _ = held_in(*stored_links(store))
    listed = np.flatnonzero(held.similar >= 0)
    listed = listed[np.lexsort((held.similar[listed], held.owners[listed]))]
    for row, other in zip(held.owners[listed].tolist(), held.others[listed].tolist(), strict=True):
        if row in position and other in position:
            lists[position[row]].append(position[other])
    thread_of = dict(store.query("SELECT row, thread FROM articles WHERE thread IS NOT NULL"))
    threads = [thread_of.get(row, -1 - row) for row in rows.tolist()]
    places = archive.places_of(rows)
    views = archive.views(places)
    return Held(
        lists=tuple(np.array(one, np.int64) for one in lists),
        threads=np.array(threads, np.int64),
        views=views,
        seen=Labelled(days=views.days, sections=sections_of(store, rows), text=views.text),
    )


def sections_of(store: Store, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) a number for the section of each of these articles; -1 where none is known."""
    section_of = dict(store.query("SELECT row, section FROM articles WHERE section IS NOT NULL"))
    numbers = {section: number for number, section in enumerate(sorted(set(section_of.values())))}
    return np.array([numbers.get(section_of.get(row), -1) for row in rows.tolist()], np.int64)


def _by_labels(gold: StoryLabels, held: Held, resamples: int) -> tuple[Measures, dict[str, int]]:
    stories, topics = numbered(gold.stories), numbered(gold.topics)
    ideal = _ideal_gains(stories, topics)
    asked = np.flatnonzero(ideal[:, 0] == 2)
    rng = np.random.default_rng(SEED)
    nearest, alike = tfidf_lists(held.seen, K, TFIDF_CUT)
    lists = {
        "engine": np.array([np.pad(one[:K], (0, K - len(one[:K])), constant_values=-1) for one in held.lists]),
        "latest": latest_lists(held.seen, K),
        "tfidf": nearest,
        "random": random_lists(len(stories), K, rng),
    }
    threads = {
        "engine": held.threads,
        "tfidf": average_linkage(held.seen.text, alike, TFIDF_CUT),
        "random": rng.permutation(held.threads),
    }
    measures: Measures = {name: dict.fromkeys(SYSTEMS) for name in ("ndcg@5", "p@1", *THREADS)}
    for system, shown in lists.items():
        gains = _gains(shown, stories, topics)[asked]
        values = np.stack([ndcg_of_rows(gains, ideal[asked]), gains[:, 0] == 2])
        enter(measures, system, ("ndcg@5", "p@1"), bootstrap(_means(values), np.arange(len(asked)), resamples=resamples))
    for system, predicted in threads.items():
        elements = elements_of(predicted, stories)
        enter(measures, system, THREADS, bootstrap(_of_threads(elements), np.arange(len(stories)), resamples=resamples))
    return measures, {"articles_with_a_mate": len(asked)}


def numbered(labels: tuple[str, ...]) -> NDArray[np.int64]:
    """(n,) a number for each label; one of its own, below 0, for every empty one."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(one, len(numbers)) if one else -1 - i for i, one in enumerate(labels)], np.int64)


def _gains(lists: NDArray[np.int64], stories: NDArray[np.int64], topics: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, k) 2 where the listed article is of the same story, 1 where it is of the same topic alone."""
    same_story, same_topic = stories[lists] == stories[:, None], topics[lists] == topics[:, None]
    return np.where(lists < 0, 0, np.where(same_story, 2, same_topic)).astype(np.float64)


def _ideal_gains(stories: NDArray[np.int64], topics: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, K) the gains of the best list of each article."""
    both = list(zip(stories.tolist(), topics.tolist(), strict=True))
    in_story, in_topic, in_both = (Counter(one) for one in (stories.tolist(), topics.tolist(), both))
    best = np.zeros((len(stories), K))
    for article, (story, topic) in enumerate(both):
        mates, near = in_story[story] - 1, in_topic[topic] - in_both[story, topic]
        best[article, : mates + near] = 1
        best[article, :mates] = 2
    return best


class _Pairs(NamedTuple):
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    grades: NDArray[np.int64]


def _by_pairs(gold: JudgedPairs, held: Held, archive: Archive, resamples: int) -> tuple[Measures, dict[str, int]]:
    position = {article: number for number, article in enumerate(gold.ids)}
    left, right = np.array([[position[one], position[other]] for one, other in gold.pairs], np.int64).T
    grades = np.array(gold.grades, np.int64)
    evidence = evidence_of(held.views, left, held.views, right, archive.background)
    scores = score(evidence, archive.weights).related.astype(np.float64)
    duplicate = is_duplicate(evidence, held.views.words[left], held.views.words[right])
    one_story = duplicate | (held.threads[left] == held.threads[right])
    of_pairs = {
        "engine": scores,
        "latest": nearness(held.seen, left, right),
        "tfidf": cosines_of(held.seen.text, left, right),
        "random": np.random.default_rng(SEED).random(len(grades)),
    }
    relations = {"related": one_story | (scores >= LISTS.least_score), "same_story": one_story}
    kinds = {"related": grades >= 1, "same_story": grades == 2}
    measures: Measures = {name: dict.fromkeys(SYSTEMS) for name in ("ndcg@5", "p@1", *(f"auc_{kind}" for kind in kinds))}
    asked = 0
    for system, values in of_pairs.items():
        found = np.array(list(_of_lists(system, values, held, _Pairs(left, right, grades)))).reshape(-1, 2)
        asked = len(found)
        enter(measures, system, ("ndcg@5", "p@1"), bootstrap(_means(found.T), np.arange(asked), resamples=resamples))
        names = tuple(f"auc_{kind}" for kind in kinds)
        areas = _joined([_area(values, positive) for positive in kinds.values()])
        enter(measures, system, names, bootstrap(areas, _units(left), resamples=resamples))
    for kind, positive in kinds.items():
        names = (f"{kind}_precision", f"{kind}_recall")
        measures |= {name: dict.fromkeys(SYSTEMS) for name in names}
        both = (relations[kind] & positive).astype(np.float64)
        ratios = _joined([_ratio(both, relations[kind].astype(np.float64)), _ratio(both, positive.astype(np.float64))])
        enter(measures, "engine", names, bootstrap(ratios, _units(left), resamples=resamples))
    return measures, {"pairs": len(grades), "articles_with_an_order": asked}


def _of_lists(system: str, values: NDArray[np.float64], held: Held, pairs: _Pairs) -> Iterator[tuple[float, float]]:
    """nDCG and P@1 of every article with judged mates of different grades: where all are alike no order is right or wrong."""
    judged: dict[int, list[tuple[int, int, float]]] = {}
    columns = (pairs.left.tolist(), pairs.right.tolist(), pairs.grades.tolist(), values.tolist())
    for one, other, grade, value in zip(*columns, strict=True):
        judged.setdefault(one, []).append((other, grade, value))
        judged.setdefault(other, []).append((one, grade, value))
    for article, others in judged.items():
        if len({grade for _, grade, _ in others}) < 2:
            continue
        gains = {other: grade for other, grade, _ in others}
        ranked = _condensed(system, article, {other: value for other, _, value in others}, held)
        reached = np.array([[float(gains[other]) for other in ranked[:K]] + [0.0] * (K - len(ranked[:K]))])
        ideal = np.array([(sorted(gains.values(), reverse=True) + [0] * K)[:K]], np.float64)
        yield float(ndcg_of_rows(reached, ideal)[0]), float(reached[0, 0] >= 1)


def _condensed(system: str, article: int, values: dict[int, float], held: Held) -> list[int]:
    """The judged articles that the list of a system would show if it went on and on, best first."""
    by_value = sorted(values, key=lambda other: -values[other])
    if system == "engine":
        listed = [other for other in held.lists[article].tolist() if other in values]
        return list(dict.fromkeys([*listed, *(other for other in by_value if values[other] >= LISTS.least_score)]))
    if system == "latest":
        return [other for other in by_value if not held.seen.days[other] > held.seen.days[article]]
    return by_value


def _units(left: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) the number of each pair's first article: pairs are drawn with it."""
    return np.unique(left, return_inverse=True)[1].ravel()


def _means(values: NDArray[np.float64]) -> _Statistics:
    ones = np.ones(values.shape[1])
    return lambda weights: np.stack([weighted_ratio(row, ones, weights) for row in values])


def _of_threads(elements: Elements) -> _Statistics:
    def statistics(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        precision, recall, f1 = weighted_bcubed(elements, weights)
        return np.stack([f1, precision, recall, weighted_pairwise_f1(elements, weights)])

    return statistics


def _area(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> _Statistics:
    return lambda weights: weighted_auc(scores, positive, weights)


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> _Statistics:
    return lambda weights: weighted_ratio(part, whole, weights)


def _joined(statistics: list[_Statistics]) -> _Statistics:
    return lambda weights: np.stack([one(weights) for one in statistics])


def gain_of(measures: Mapping[str, Mapping[str, Figure | None]]) -> str:
    """One sentence: what the lists gain, else what the score does, else that the truth does not say."""
    for name, called in (("ndcg@5", "nDCG@5 of the lists"), ("auc_related", "AUC of the score")):
        row = measures.get(name, {})
        engine = row.get("engine")
        if engine and row.get("latest") and row.get("tfidf"):
            return compare(called, engine, row)
    return "No article of this truth has a mate, so it does not say how good a list is."
