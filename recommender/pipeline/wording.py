"""Step 7e of 8: what a pair or a thread is about, in words that a reader would use."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

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
        self.one_moment = one_moment
        self._spelled: dict[int, _Word] = {}

    def worth(self, terms: NDArray[np.integer]) -> NDArray[np.float32]:
        """(n,) in [0, 1]: how much each of n terms tells a reader."""
        common = self.vocabulary.document_frequency[terms] > max(3, COMMON_SHARE * self.n_articles)
        worth = np.where(self.vocabulary.are_names(terms), 1.0, PLAIN_WEIGHT * self.crowding[terms])
        return np.where(common | self.vocabulary.is_number()[terms], 0, worth).astype(np.float32)

    def best(
        self, lists: NDArray[np.int64], terms: NDArray[np.integer], weights: NDArray[np.float32], n_lists: int, most: int
    ) -> list[list[str]]:
        """Of each of `n_lists` lists of terms the heaviest, spelled; a word that stands in a chosen name, or is a form of a
        chosen word, is left out. A part of a longer name among the terms speaks as the whole name.

        Of n terms are given the list that each is of, and its weight, (n,); terms without weight are left out. Of equal weights
        names of several words come first, or `Kim`, `Jong` and `Un` would stand for `Kim Jong Un`.
        """
        heavy = np.flatnonzero(weights > 0)
        several = self.vocabulary.is_several_words()[terms[heavy]]
        order = heavy[np.lexsort((~several, -weights[heavy], lists[heavy]))]
        starts = np.searchsorted(lists[order], np.arange(n_lists))
        near = np.arange(len(order)) - starts[lists[order]] < 8 * most
        telling = weights[order] >= PLAIN_SHARE * weights[order[starts[lists[order]]]]
        is_name = self.vocabulary.are_names(terms[order])
        kept = np.flatnonzero(near & (telling | is_name))
        words = [self._word(term, name) for term, name in zip(terms[order[kept]].tolist(), is_name[kept].tolist(), strict=True)]
        ends = np.searchsorted(lists[order[kept]], np.arange(n_lists + 1)).tolist()
        return [_chosen(words[begin:end], most) for begin, end in itertools.pairwise(ends)]

    def _word(self, term: int, is_name: bool) -> _Word:
        word = self._spelled.get(term)
        if word is None:
            plain = self.vocabulary.terms()[term]
            spelled = self.vocabulary.spellings.get(term, plain) if is_name else plain
            word = self._spelled[term] = _Word(spelled, frozenset(spelled.split()), tuple(spelled.lower().split()))
        return word


class _Word(NamedTuple):
    """A term as a reader would see it."""

    spelled: str
    words: frozenset[str]
    small: tuple[str, ...]
    """Its words in lower case."""


def _chosen(words: list[_Word], most: int) -> list[str]:
    """The first words that say something, each something else."""
    whole = {part: word for word in reversed(words) if len(word.small) > 1 for part in word.words}
    chosen: list[_Word] = []
    for word in words:
        spoken = whole.get(word.spelled, word)
        if len(spoken.spelled) < SHORTEST_WORD and not spoken.spelled.isupper():
            continue
        for other in chosen:
            if _says_the_same(spoken.small, other.small):
                break
        else:
            chosen.append(spoken)
            if len(chosen) == most:
                break
    return [word.spelled for word in chosen]


def _says_the_same(one: tuple[str, ...], two: tuple[str, ...]) -> bool:
    for a in one:
        for b in two:
            if a == b or (a[:4] == b[:4] and min(len(a), len(b)) >= 4 and (a.startswith(b) or b.startswith(a))):
                return True
    return False


def reasons_of(
    wording: Wording, one: sparse.csr_matrix, two: sparse.csr_matrix, days_apart: NDArray[np.float32]
) -> list[tuple[str, ...]]:
    """The reasons of n pairs; row i of both matrices, unit rows of TF-IDF, is pair i.

    First the terms that bring most of the cosine, names before other words, then the time between the two.
    """
    shared = one.multiply(two).tocsr()
    pairs = np.repeat(np.arange(shared.shape[0]), np.diff(shared.indptr))
    cosines = np.bincount(pairs, shared.data, minlength=shared.shape[0])
    telling = np.flatnonzero(shared.data >= SMALLEST_SHARE * cosines[pairs])
    terms = shared.indices[telling]
    weights = shared.data[telling] * wording.worth(terms)
    words = wording.best(pairs[telling], terms, weights, shared.shape[0], MOST_REASONS)
    return [
        (*best, *(() if wording.one_moment and apart < 1 else time_between(apart)))
        for best, apart in zip(words, days_apart.tolist(), strict=True)
    ]


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
    if not groups:
        return []
    sizes = np.array([len(group) for group in groups], np.int64)
    members = counts[np.concatenate([np.asarray(group, np.int64) for group in groups])]
    group_of = np.repeat(np.repeat(np.arange(len(groups)), sizes), np.diff(members.indptr))
    codes, place = np.unique(group_of << 32 | members.indices, return_inverse=True)
    lists, terms = codes >> 32, codes & 0xFFFFFFFF
    often = np.bincount(place, members.data, minlength=len(codes))
    enough = np.bincount(place, minlength=len(codes)) >= np.maximum(2, sizes / 3)[lists]
    mean_words = occurrences.sum() / max(1, wording.n_articles)
    rarity = np.log1p(mean_words / np.maximum(occurrences[terms], 1))
    share = often / np.bincount(lists, often, minlength=len(groups))[lists]
    weights = np.where(enough, share * rarity * wording.worth(terms), 0).astype(np.float32)
    return [tuple(words) for words in wording.best(lists, terms, weights, len(groups), MOST_KEYWORDS)]


def most_central(texts: sparse.csr_matrix, groups: NDArray[np.int64], titled: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n_groups,) of each group the row whose text is most like all of its group; one with a title before one without, the
    higher in doubt.

    `texts` (n, n_terms) are unit rows of TF-IDF, `groups` (n,) says which group each is of, 0, 1, 2, …, rising.
    """
    n_groups = int(groups[-1]) + 1 if len(groups) else 0
    members = sparse.csr_matrix((np.ones(len(groups), np.float32), (groups, np.arange(len(groups)))), (n_groups, len(groups)))
    closeness = np.zeros(len(groups))
    for rows in np.array_split(np.arange(len(groups)), 1 + len(groups) // BLOCK):
        first, last = (int(groups[rows[0]]), int(groups[rows[-1]])) if len(rows) else (0, -1)
        whole = members[first : last + 1] @ texts
        closeness[rows] = np.asarray(texts[rows].multiply(whole[groups[rows] - first]).sum(axis=1)).ravel()
    order = np.lexsort((np.arange(len(groups)), -np.round(closeness, 5), ~titled, groups))  # two are as near to each other
    return order[np.searchsorted(groups, np.arange(n_groups))]


BLOCK = 5_000
"""Articles whose nearness to their group is found at once; bounds the memory."""


def label_of(title: str, text: str) -> str:
    """A headline short enough for a list of threads; the beginning of the text where there is no headline."""
    label = title or text.split("\n", 1)[0]
    if len(label) <= LABEL_LENGTH:
        return label
    cut = label[: LABEL_LENGTH - 1].rsplit(" ", 1)[0].rstrip(" ,;:-–—")
    return cut + "…"
