"""Step 6 of 8: neighbours and shared rare terms -> the pairs of articles worth a look.

The dense side knows that 'Kremlin leader' is Putin, the lexical side that it is the same shooting; either may nominate.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recommender.distinct import distinct, each_once
from recommender.pipeline.terms import in_blocks

DENSE = 60
"""Nearest articles by vector that each article nominates. With the two below the candidates hold 98 in 100 pairs of one
gold story on gva, nearly all on ecbplus and fnc1, 87 on wikinews; of the stories of hundreds of headlines (uci, og2021) half."""

LEXICAL = 60
"""Articles that share most with it over all its text, by TF-IDF."""

LEXICAL_LEAD = 30
"""The same over title and lead."""

TERMS_OF_QUERY = 60
"""Heaviest terms of an article that its lexical search uses; the rest of its cosine is small."""

MAX_POSTINGS = 2_000
"""A term that more articles hold is no rare term: skipped in the search, so that its cost grows with the archive and no
faster."""

BLOCK = 128
"""Queries that are searched at once: of 100,000 articles each shares a term with tens of thousands."""


class Pairs(NamedTuple):
    """Pairs of positions, each once, left < right, rising."""

    left: NDArray[np.int64]
    right: NDArray[np.int64]


PairCodes = NDArray[np.int64]
"""Pairs as `left << 32 | right`, each once, rising: half the room."""


def codes_of(one: NDArray[np.integer[Any]], other: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """(n,) a number for each pair of numbers below 2 ** 32, in the order of the first and then of the second."""
    return one.astype(np.int64) << 32 | other


def pairs_in(codes: PairCodes) -> Pairs:
    """The pairs that stand behind their codes."""
    return Pairs(codes >> 32, codes & 0xFFFFFFFF)


def unique_pairs(left: NDArray[np.int64], right: NDArray[np.int64]) -> Pairs:
    """Each unordered pair once, without pairs of an article with itself and without places that hold none (-1)."""
    return pairs_in(unique_codes(left, right))


def unique_codes(left: NDArray[np.int64], right: NDArray[np.int64]) -> PairCodes:
    """The same as codes."""
    usable = (left != right) & (left >= 0) & (right >= 0)
    low, high = np.minimum(left, right)[usable], np.maximum(left, right)[usable]
    return distinct(codes_of(low, high))


def merged(parts: Iterable[PairCodes]) -> PairCodes:
    """The pairs of several parts, each once."""
    left = list(parts)
    codes = np.empty(sum(map(len, left)), np.int64)
    end = len(codes)
    while left:  # each leaves room for the next
        part = left.pop()
        codes[end - len(part) : end] = part
        end -= len(part)
    return each_once(codes)


def heaviest_terms(
    weights: sparse.csr_matrix,
    frequency: NDArray[np.int64],
    most: int = TERMS_OF_QUERY,
    *,
    max_postings: int = MAX_POSTINGS,
) -> sparse.csr_matrix:
    """The rows with their heaviest terms only, and without terms that more than `max_postings` rows of the archive hold; how
    many do is their `frequency`, (n_terms,)."""
    kept = [_heaviest(part, frequency, most, max_postings) for _, part in in_blocks(weights)]
    return kept[0] if len(kept) == 1 else sparse.vstack(kept, format="csr")


def _heaviest(weights: sparse.csr_matrix, frequency: NDArray[np.int64], most: int, max_postings: int) -> sparse.csr_matrix:
    rows = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    usable = np.flatnonzero(frequency[weights.indices] <= max_postings)
    order = usable[np.lexsort((-weights.data[usable], rows[usable]))]
    starts = np.searchsorted(rows[order], np.arange(weights.shape[0]))
    rank = np.arange(len(order)) - starts[rows[order]]
    kept = np.sort(order[rank < most])
    return sparse.csr_matrix((weights.data[kept], (rows[kept], weights.indices[kept])), shape=weights.shape)


def most_alike(queries: sparse.csr_matrix, by_term: sparse.csr_matrix, k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(query, position) of the k rows of an archive with the largest inner product, rows that share nothing left out; the archive
    is given `by_term`, (n_terms, rows).

    Ties go to the lower position.
    """
    found_queries, found_rows = [], []
    for start in range(0, queries.shape[0], BLOCK):
        products = (queries[start : start + BLOCK] @ by_term).tocsr()
        for number in range(products.shape[0]):
            begin, end = products.indptr[number], products.indptr[number + 1]
            rows, values = products.indices[begin:end], products.data[begin:end]
            if len(rows) > k:
                bar = np.partition(values, len(values) - k)[len(values) - k]
                above, equal = np.flatnonzero(values > bar), np.flatnonzero(values == bar)
                rows = np.concatenate([rows[above], np.sort(rows[equal])[: k - len(above)]])
            found_queries.append(np.full(len(rows), start + number, np.int64))
            found_rows.append(rows.astype(np.int64))
    if not found_rows:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate(found_queries), np.concatenate(found_rows)


class Postings:
    """By term, the rows of an archive that hold it, with their weights; rows may come and go."""

    def __init__(self, rows: sparse.csr_matrix) -> None:
        by_term = rows.tocsc()
        self._starts, self._rows, self._weights = by_term.indptr, by_term.indices, by_term.data
        self._as_made = np.ones(rows.shape[0], np.bool_)
        self._all_as_made = True
        self._since: dict[int, dict[int, float]] = {}

    def add(self, row: int, terms: NDArray[np.int32], weights: NDArray[np.float32]) -> None:
        """A row that is not there, or no longer, is there with these terms."""
        for term, weight in zip(terms.tolist(), weights.tolist(), strict=True):
            self._since.setdefault(term, {})[row] = weight

    def remove(self, row: int, terms: NDArray[np.int32]) -> None:
        """A row, with these terms, is there no longer."""
        if row < len(self._as_made):
            self._as_made[row] = self._all_as_made = False
        for term in terms.tolist():
            self._since.get(term, {}).pop(row, None)

    def rows_of(self, term: int) -> NDArray[np.integer]:
        """The rows that hold a term."""
        return self.of(term)[0]

    def of(self, term: int) -> tuple[NDArray[np.integer], NDArray[np.float32]]:
        """(the rows that hold a term, their weights)."""
        rows, weights = self._rows[:0], self._weights[:0]
        if term + 1 < len(self._starts):
            here = slice(self._starts[term], self._starts[term + 1])
            rows, weights = self._rows[here], self._weights[here]
            if not self._all_as_made:
                left = self._as_made[rows]
                rows, weights = rows[left], weights[left]
        if since := self._since.get(term):
            rows = np.concatenate([rows, np.fromiter(since, np.int64, len(since))])
            weights = np.concatenate([weights, np.fromiter(since.values(), np.float32, len(since))])
        return rows, weights

    def by_term(self, terms: NDArray[np.integer], n_rows: int) -> sparse.csr_matrix:
        """(len(terms), n_rows): the rows that hold each of these terms, with their weights."""
        found = [self.of(term) for term in terms.tolist()]
        starts = np.concatenate([[0], np.cumsum([len(rows) for rows, _ in found], dtype=np.int64)])
        rows = np.concatenate([self._rows[:0], *(rows for rows, _ in found)])
        weights = np.concatenate([self._weights[:0], *(weights for _, weights in found)])
        return sparse.csr_matrix((weights, rows, starts), shape=(len(terms), n_rows))

    def most_alike(self, queries: sparse.csr_matrix, k: int, n_rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(query, row) as of the function of this name, of `n_rows` rows that are there now."""
        terms, columns = np.unique(queries.indices, return_inverse=True)
        held = sparse.csr_matrix((queries.data, columns, queries.indptr), shape=(queries.shape[0], len(terms)))
        return most_alike(held, self.by_term(terms, n_rows), k)
