"""Step 7 of 8: inner products of pairs of sparse rows, as evidence needs them: of many pairs one by one, of few as one matrix."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

BLOCK = 4_000
"""Pairs whose rows are laid beside each other at once; of 100,000, which no cache holds, each takes nearly twice as long."""

MOST_PER_PAIR = 4
"""Products of a table of rows per pair that is wanted, up to which the table costs less: of all pairs of 90 articles a sixth."""


class Pairing(NamedTuple):
    """Pairs of rows, and the table that they are in where it is nearly full."""

    one: NDArray[np.int64]
    """(n,)"""
    two: NDArray[np.int64]
    """(n,)"""
    table: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]] | None
    """(distinct rows of `one`, of `two`, place of each pair among the former, among the latter)."""


def pairing(one: NDArray[np.int64], two: NDArray[np.int64]) -> Pairing:
    """The pairs (one[i], two[i]), in a table where they are few and hold about every pair of their rows."""
    if not 0 < len(one) <= BLOCK:
        return Pairing(one, two, None)
    (rows, row), (columns, column) = (np.unique(side, return_inverse=True) for side in (one, two))
    full = len(rows) * len(columns) <= MOST_PER_PAIR * len(one)
    return Pairing(one, two, (rows, columns, row, column) if full else None)


def products(
    one: sparse.csr_matrix, two: sparse.csr_matrix, pairs: Pairing, weights: tuple[NDArray[np.float32], ...] = ()
) -> list[NDArray[np.float32]]:
    """The inner products of pairs of unit rows in [0, 1], then the same with every term weighted, for each of the weights."""
    found = _one_by_one(one, two, pairs, weights) if pairs.table is None else _from_table(one, two, pairs.table, weights)
    return list(np.clip(found, 0, 1))


def _one_by_one(
    one: sparse.csr_matrix, two: sparse.csr_matrix, pairs: Pairing, weights: tuple[NDArray[np.float32], ...]
) -> NDArray[np.float32]:
    found = np.empty((1 + len(weights), len(pairs.one)), np.float32)
    for start in range(0, len(pairs.one), BLOCK):
        part = slice(start, start + BLOCK)
        shared = one[pairs.one[part]].multiply(two[pairs.two[part]]).tocsr()
        found[0, part] = np.asarray(shared.sum(axis=1)).ravel()
        for number, weight in enumerate(weights, 1):
            found[number, part] = shared @ weight
    return found


def _from_table(
    one: sparse.csr_matrix,
    two: sparse.csr_matrix,
    table: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    weights: tuple[NDArray[np.float32], ...],
) -> NDArray[np.float32]:
    rows, columns, row, column = table
    left, right = one[rows], two[columns]
    weighed = [left.data, *(left.data * weight[left.indices] for weight in weights)]
    if len(rows) == 1:  # no matrices: they would take longer to make than to multiply
        owner = np.repeat(np.arange(len(columns)), np.diff(right.indptr))
        found = []
        for values in weighed:
            dense = np.zeros(left.shape[1], np.float32)
            dense[left.indices] = values
            found.append(np.bincount(owner, right.data * dense[right.indices], minlength=len(columns))[column])
        return np.array(found, np.float32)
    ends = np.concatenate([[0], *(start * left.nnz + left.indptr[1:] for start in range(len(weighed)))])
    shape = (len(weighed) * len(rows), left.shape[1])
    stacked = sparse.csr_matrix((np.concatenate(weighed), np.tile(left.indices, len(weighed)), ends), shape=shape)
    every = (stacked @ right.T.tocsr()).toarray().reshape(len(weighed), len(rows), len(columns))
    return np.asarray(every[:, row, column], np.float32)
