"""Step 6 of 8: neighbours and shared rare terms -> the pairs of articles worth a look.

The dense side knows that 'Kremlin leader' is Putin, the lexical side that it is the same shooting; either may nominate.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

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

BLOCK = 512
"""Queries that are searched at once."""


class Pairs(NamedTuple):
    """Pairs of positions, each once, left < right, rising."""

    left: NDArray[np.int64]
    right: NDArray[np.int64]


def unique_pairs(left: NDArray[np.int64], right: NDArray[np.int64]) -> Pairs:
    """Each unordered pair once, without pairs of an article with itself and without places that hold none (-1)."""
    usable = (left != right) & (left >= 0) & (right >= 0)
    low, high = np.minimum(left, right)[usable], np.maximum(left, right)[usable]
    codes = np.unique(low.astype(np.int64) << 32 | high.astype(np.int64))
    return Pairs(codes >> 32, codes & 0xFFFFFFFF)


def heaviest_terms(
    weights: sparse.csr_matrix, most: int = TERMS_OF_QUERY, *, max_postings: int = MAX_POSTINGS
) -> sparse.csr_matrix:
    """The rows with their heaviest terms only, and without terms that more than `max_postings` rows hold."""
    frequency = np.bincount(weights.indices, minlength=weights.shape[1])
    rows = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    usable = np.flatnonzero(frequency[weights.indices] <= max_postings)
    order = usable[np.lexsort((-weights.data[usable], rows[usable]))]
    starts = np.searchsorted(rows[order], np.arange(weights.shape[0]))
    rank = np.arange(len(order)) - starts[rows[order]]
    kept = np.sort(order[rank < most])
    return sparse.csr_matrix((weights.data[kept], (rows[kept], weights.indices[kept])), shape=weights.shape)


def most_alike(queries: sparse.csr_matrix, archive: sparse.csr_matrix, k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(query, position) of the k rows of the archive with the largest inner product, rows that share nothing left out.

    Ties go to the lower position.
    """
    columns = archive.T.tocsr()
    found_queries, found_rows = [], []
    for start in range(0, queries.shape[0], BLOCK):
        products = (queries[start : start + BLOCK] @ columns).tocsr()
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
