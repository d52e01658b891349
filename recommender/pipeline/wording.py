"""Step 7e of 8: what a pair or a thread is about, in words that a reader would use."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recommender.pipeline.terms import Vocabulary

MOST_REASONS = 3
"""Words of a reason list beside the time."""

MOST_KEYWORDS = 5
"""Keywords of a thread."""

COMMON_SHARE = 0.1
"""A term that more of the archive holds tells a reader nothing; in an archive of fewer than 30 articles, more than 3."""

PLAIN_WEIGHT = 0.5
"""What a plain word counts beside a name of the same weight, if its articles crowd together in time; else less, as they do
less: a reader asks who and where first, and `meetings` or `shoppers` tell nobody anything."""

PLAIN_SHARE = 0.35
"""Share of the best reason's weight that a plain word must have beside it."""

SMALLEST_SHARE = 0.02
"""Share of the cosine of two articles that a term must bring to be a reason for it."""

SHORTEST_WORD = 3
"""Letters of a word that says something by itself; shorter ones must be abbreviations, as UN and US."""

LABEL_LENGTH = 80
"""Characters of a thread's label."""


class Wording:
    """The terms of an archive as a reader knows them; in one of `one_moment` it is no reason that two are near in time."""

    def __init__(self, vocabulary: Vocabulary, n_articles: int, crowding: NDArray[np.float32], *, one_moment: bool) -> None:
        self.vocabulary = vocabulary
        self.n_articles = n_articles
        self.crowding = crowding
        self.terms = vocabulary.terms()
        self.is_several_words = vocabulary.is_several_words()
        self.one_moment = one_moment

    def worth(self, terms: NDArray[np.integer]) -> NDArray[np.float32]:
        """(n,) in [0, 1]: how much each of n terms tells a reader."""
        common = self.vocabulary.document_frequency[terms] > max(3, COMMON_SHARE * self.n_articles)
        worth = np.where(self.vocabulary.are_names(terms), 1.0, PLAIN_WEIGHT * self.crowding[terms])
        return np.where(common | self.vocabulary.is_number()[terms], 0, worth).astype(np.float32)

    def best(self, terms: NDArray[np.int64], weights: NDArray[np.float32], most: int) -> list[str]:
        """The heaviest terms, spelled; a word that stands in a chosen name, or is a form of a chosen word, is left out.
        A part of a longer name among the terms speaks as the whole name.

        Of equal weights names of several words come first, or `Kim`, `Jong` and `Un` would stand for `Kim Jong Un`.
        """
        order = np.lexsort((~self.is_several_words[terms], -weights))[: 8 * most]
        order = order[weights[order] > 0]
        several = self.is_several_words[terms[order]].tolist()
        names = self.vocabulary.are_names(terms[order]).tolist()
        plain_enough = (weights[order] >= PLAIN_SHARE * weights[order[:1]]).tolist()
        spellings = self.vocabulary.spellings
        words = [
            spellings.get(term, self.terms[term]) if is_name else self.terms[term]
            for term, is_name in zip(terms[order].tolist(), names, strict=True)
        ]
        whole = [word for word, is_whole in zip(words, several, strict=True) if is_whole]
        chosen: list[str] = []
        for word, is_name, is_telling in zip(words, names, plain_enough, strict=True):
            if len(chosen) == most:
                break
            if not is_name and not is_telling:
                continue
            spoken = next((name for name in whole if word in name.split()), word)
            if len(spoken) < SHORTEST_WORD and not spoken.isupper():
                continue
            if not any(_says_the_same(spoken, other) for other in chosen):
                chosen.append(spoken)
        return chosen


def _says_the_same(word: str, other: str) -> bool:
    one, two = word.lower().split(), other.lower().split()
    return any(a == b or (min(len(a), len(b)) >= 4 and (a.startswith(b) or b.startswith(a))) for a in one for b in two)


def reasons_of(
    wording: Wording, one: sparse.csr_matrix, two: sparse.csr_matrix, days_apart: NDArray[np.float32]
) -> list[tuple[str, ...]]:
    """The reasons of n pairs; row i of both matrices, unit rows of TF-IDF, is pair i.

    First the terms that bring most of the cosine, names before other words, then the time between the two.
    """
    shared = one.multiply(two).tocsr()
    found = []
    for number in range(shared.shape[0]):
        begin, end = shared.indptr[number], shared.indptr[number + 1]
        terms, products = shared.indices[begin:end], shared.data[begin:end]
        telling = products >= SMALLEST_SHARE * products.sum()
        weights = np.where(telling, products * wording.worth(terms), 0).astype(np.float32)
        words = wording.best(terms.astype(np.int64), weights, MOST_REASONS)
        apart = float(days_apart[number])
        found.append((*words, *(() if wording.one_moment and apart < 1 else time_between(apart))))
    return found


def time_between(days: float) -> tuple[str, ...]:
    """How far two articles are apart, in words; nothing where a date is not known."""
    if np.isnan(days):
        return ()
    for unit, length, least in (("year", 365.25, 365.25), ("month", 30.44, 60), ("week", 7, 14)):
        if days >= least:
            return (_counted(round(days / length), unit) + " apart",)
    if days >= 1:
        return (_counted(round(days), "day") + " apart",)
    return ("within a day",)


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def keywords_of(
    wording: Wording, counts: sparse.csr_matrix, groups: Sequence[Sequence[int]], occurrences: NDArray[np.float64]
) -> list[tuple[str, ...]]:
    """The keywords of each group of rows of `counts` by class-based TF-IDF: (tf / |c|) ln(1 + A / f), Grootendorst (2022).

    tf counts a term in the group and |c| all words of it; f counts the term in the whole archive (`occurrences`, (n_terms,))
    and A is the mean number of words of an article, so that the keywords of a thread do not hang on which other threads there
    are. A term counts only where at least two articles, and a third of the group, hold it.
    """
    mean_words = occurrences.sum() / max(1, wording.n_articles)
    keywords = []
    for group in groups:
        members = counts[np.asarray(group)]
        terms, place = np.unique(members.indices, return_inverse=True)
        often = np.bincount(place, members.data, minlength=len(terms))
        enough = np.bincount(place, minlength=len(terms)) >= max(2, len(group) / 3)
        rarity = np.log1p(mean_words / np.maximum(occurrences[terms], 1))
        weights = np.where(enough, often / often.sum() * rarity * wording.worth(terms), 0)
        keywords.append(tuple(wording.best(terms.astype(np.int64), weights.astype(np.float32), MOST_KEYWORDS)))
    return keywords


def most_central(texts: sparse.csr_matrix, members: Sequence[int], titles: Sequence[str]) -> int:
    """The member, of rows of `texts` with these titles, whose text is most like all of its thread's; one with a title before one
    without, the older in doubt."""
    rows = texts[np.asarray(members)]
    whole = sparse.csr_matrix(rows.sum(axis=0))
    closeness = np.asarray((rows @ whole.T).todense()).ravel()
    titled = np.array([bool(title) for title in titles])
    return int(members[int(np.argmax(closeness + 1e3 * titled))])


def label_of(title: str, text: str) -> str:
    """A headline short enough for a list of threads; the beginning of the text where there is no headline."""
    label = title or text.split("\n", 1)[0]
    if len(label) <= LABEL_LENGTH:
        return label
    cut = label[: LABEL_LENGTH - 1].rsplit(" ", 1)[0].rstrip(" ,;:-–—")
    return cut + "…"
