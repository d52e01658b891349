"""Inner products of pairs of sparse rows, against one full matrix product."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from recommender.pipeline.products import pairing, products


def unit_rows(rng: np.random.Generator, n: int, n_terms: int) -> sparse.csr_matrix:
    """Random rows of which some are empty."""
    dense = rng.random((n, n_terms)) * (rng.random((n, n_terms)) < 0.3)
    lengths = np.linalg.norm(dense, axis=1, keepdims=True)
    return sparse.csr_matrix(np.divide(dense, lengths, out=np.zeros_like(dense), where=lengths > 0).astype(np.float32))


@given(seed=st.integers(0, 2**32 - 1), shape=st.sampled_from(["one", "all", "few", "none"]))
def test_products_are_those_of_the_whole_matrix(seed: int, shape: str) -> None:
    """Whichever way the pairs are gone through, each gets what stands in the product of the matrices, weighted or not."""
    rng = np.random.default_rng(seed)
    one, two, weight = unit_rows(rng, 12, 40), unit_rows(rng, 15, 40), rng.random(40).astype(np.float32)
    left, right = {
        "one": (np.full(9, 3), rng.integers(0, 15, 9)),
        "all": tuple(side.ravel() for side in np.meshgrid(np.arange(12), np.arange(15))),
        "few": (rng.integers(0, 12, 6), rng.permutation(15)[:6]),
        "none": (np.zeros(0, np.int64), np.zeros(0, np.int64)),
    }[shape]
    plain, weighted = products(one, two, pairing(left, right), (weight,))
    np.testing.assert_allclose(plain, np.clip(one.toarray() @ two.toarray().T, 0, 1)[left, right], atol=1e-6)
    np.testing.assert_allclose(weighted, ((one.toarray() * weight) @ two.toarray().T)[left, right], atol=1e-6)


@pytest.mark.parametrize(("n", "full"), [(50, True), (8_001, False)])
def test_only_few_pairs_make_a_table(n: int, full: bool) -> None:
    """All pairs of one article with others are a table; as many as a build compares at once never are, whatever they hold."""
    assert (pairing(np.zeros(n, np.int64), np.arange(n)).table is not None) == full


def test_pairs_that_share_no_article_make_no_table() -> None:
    """Of 50 pairs of 100 articles a table would hold 2,500."""
    assert pairing(np.arange(50), np.arange(50, 100)).table is None
