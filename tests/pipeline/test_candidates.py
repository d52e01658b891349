"""Step 6: neighbours, rare terms -> pairs worth a look."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse

from recommender.pipeline import candidates, terms
from recommender.pipeline.candidates import Postings, heaviest_terms, most_alike, unique_pairs

PLACES = st.lists(st.tuples(st.integers(-1, 9), st.integers(-1, 9)), max_size=40)


def weighed(seed: int, n: int, terms: int = 30, density: float = 0.2) -> NDArray[np.float32]:
    """A dense matrix of small whole numbers, so that ties are frequent; many rows share nothing."""
    rng = np.random.default_rng(seed)
    return ((rng.random((n, terms)) < density) * rng.integers(1, 4, (n, terms))).astype(np.float32)


@given(places=PLACES)
@settings(deadline=None)
def test_each_pair_stands_there_once(places: list[tuple[int, int]]) -> None:
    """Pairs have no direction; an article makes no pair with itself, and -1 is no article. Both columns rise."""
    left, right = (np.array([place[side] for place in places], np.int64) for side in (0, 1))
    pairs = unique_pairs(left, right)
    expected = sorted({(min(a, b), max(a, b)) for a, b in places if a != b and a >= 0 and b >= 0})
    assert list(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)) == expected


def test_pairs_of_large_archives_do_not_collide() -> None:
    """Positions up to 2^31 keep their pair."""
    pairs = unique_pairs(np.array([2**31 - 1, 0]), np.array([2**31 - 2, 2**31 - 1]))
    assert list(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)) == [(0, 2**31 - 1), (2**31 - 2, 2**31 - 1)]


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 25), k=st.integers(1, 8))
@settings(deadline=None)
def test_most_alike_is_the_top_of_the_full_product(seed: int, n: int, k: int) -> None:
    """Each query gets its k largest products, ties to the lower position, and never a row that shares nothing with it."""
    archive, queries = weighed(seed, n), weighed(seed + 1, 7)
    found_queries, found = most_alike(sparse.csr_matrix(queries), sparse.csr_matrix(archive.T), k)
    products = queries @ archive.T
    for query in range(7):
        order = [row for row in np.argsort(-products[query], kind="stable").tolist() if products[query, row] > 0][:k]
        assert sorted(found[found_queries == query].tolist()) == sorted(order)


def test_blocks_change_nothing() -> None:
    """Queries beyond one block are numbered on."""
    archive = sparse.csr_matrix(weighed(0, 30))
    queries = sparse.csr_matrix(np.tile(weighed(1, 5), (candidates.BLOCK // 5 + 2, 1)))
    asked, found = most_alike(queries, archive.T.tocsr(), 3)
    by_query = [sorted(found[asked == query].tolist()) for query in range(queries.shape[0])]
    assert by_query == by_query[:5] * (candidates.BLOCK // 5 + 2)


def test_no_queries_no_rows() -> None:
    """Nothing asked, nothing found."""
    asked, found = most_alike(sparse.csr_matrix(np.zeros((0, 30), np.float32)), sparse.csr_matrix(weighed(0, 3).T), 3)
    assert (len(asked), len(found)) == (0, 0)


@given(seed=st.integers(0, 2**32 - 1), most=st.integers(1, 6), postings=st.integers(1, 8))
@settings(deadline=None)
def test_heaviest_terms_leaves_the_heavy_and_rare(seed: int, most: int, postings: int) -> None:
    """Of the terms that few rows hold, each row keeps its `most` heaviest, with their weights; among equals the lower term."""
    weights = weighed(seed, 10)
    frequency = (weights > 0).sum(axis=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(terms, "BLOCK", 1 + seed % 12)  # rows at once
        kept = heaviest_terms(sparse.csr_matrix(weights), frequency, most, max_postings=postings).toarray()
    rare = np.where(frequency <= postings, weights, 0)
    for row in range(10):
        order = [term for term in np.argsort(-rare[row], kind="stable").tolist() if rare[row, term] > 0][:most]
        expected = np.zeros(30, np.float32)
        expected[order] = weights[row, order]
        np.testing.assert_array_equal(kept[row], expected)


@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 12), steps=st.integers(0, 12))
@settings(deadline=None)
def test_postings_find_what_the_full_product_finds_whatever_came_and_went(seed: int, k: int, steps: int) -> None:
    """Rows come, go and come again with other terms; the best of the rows that are there are those of `most_alike`."""
    rng = np.random.default_rng(seed)
    held = weighed(seed, 10)
    postings = Postings(sparse.csr_matrix(held))
    for step in range(steps):
        row = int(rng.integers(len(held)))
        postings.remove(row, np.flatnonzero(held[row]).astype(np.int32))
        held[row] = 0
        if rng.random() < 0.7:
            row = row if rng.random() < 0.5 and not held[row].any() else len(held)
            held = np.vstack([held, np.zeros((1, 30), np.float32)]) if row == len(held) else held
            held[row] = weighed(seed + step + 1, 1)[0]
            terms = np.flatnonzero(held[row]).astype(np.int32)
            postings.add(row, terms, held[row, terms])
    queries = sparse.csr_matrix(weighed(seed + 99, 3))
    asked, found = most_alike(queries, sparse.csr_matrix(held.T), k)
    of, rows = postings.most_alike(queries, k, len(held))
    assert sorted(zip(of.tolist(), rows.tolist(), strict=True)) == sorted(zip(asked.tolist(), found.tolist(), strict=True))
