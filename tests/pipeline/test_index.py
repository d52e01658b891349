"""Step 5: vectors -> neighbours."""

from __future__ import annotations

import re
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recommender.pipeline import index as module
from recommender.pipeline.index import VectorIndex

Vectors = NDArray[np.float32]


def unit(vectors: NDArray[np.float64]) -> Vectors:
    """Unit rows in half precision, as the engine keeps them."""
    halved = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    return np.asarray(halved, np.float32)


def scattered(seed: int, n: int, dimensions: int = 8) -> Vectors:
    """Unit vectors in every direction."""
    return unit(np.random.default_rng(seed).normal(size=(n, dimensions)))


def clustered(seed: int, n: int, dimensions: int = 32, clusters: int = 40) -> Vectors:
    """Unit vectors around some centres, as articles stand around stories."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(clusters, dimensions))
    return unit(centres[rng.integers(clusters, size=n)] + 0.4 * rng.normal(size=(n, dimensions)))


def filled(vectors: Vectors, rows: NDArray[np.int64] | None = None, exact_limit: int = 10**6) -> VectorIndex:
    """An index of these vectors, by their places or by other rows."""
    index = VectorIndex(vectors.shape[1], exact_limit=exact_limit)
    index.add(np.arange(len(vectors)) if rows is None else rows, vectors)
    return index


def recall(found: NDArray[np.int64], expected: NDArray[np.int64]) -> float:
    """The mean share of the expected rows that were found."""
    return float(np.mean([len(set(f.tolist()) & set(e.tolist())) / len(e) for f, e in zip(found, expected, strict=True)]))


def nearest(queries: Vectors, vectors: Vectors, k: int) -> NDArray[np.int64]:
    """The k nearest by one matrix product."""
    return np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :k]


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 60), k=st.integers(1, 12))
@settings(deadline=None, max_examples=50)
def test_search_finds_what_brute_force_finds(seed: int, n: int, k: int) -> None:
    """Rows and similarities are those of one full matrix product; places that no vector fills say -1 and -inf."""
    vectors = scattered(seed, n)
    rows = np.random.default_rng(seed).permutation(10 * n)[:n].astype(np.int64)
    found = filled(vectors, rows).search(vectors, k)
    order = nearest(vectors, vectors, k)
    shown = order.shape[1]
    np.testing.assert_array_equal(found.rows[:, :shown], rows[order])
    np.testing.assert_allclose(found.similarities[:, :shown], np.take_along_axis(vectors @ vectors.T, order, axis=1), atol=1e-5)
    assert (found.rows[:, shown:] == -1).all()
    assert np.isneginf(found.similarities[:, shown:]).all()
    assert found.rows.shape == found.similarities.shape == (n, k)


@pytest.mark.parametrize("subset", [10**6, 0], ids=["by comparing", "by faiss"])
@pytest.mark.parametrize("exact_limit", [10**6, 100], ids=["exact", "inverted"])
def test_a_filtered_search_sees_the_chosen_rows_only(subset: int, exact_limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever way a filter is served, it finds the nearest of the chosen rows and no other."""
    monkeypatch.setattr(module, "GATHERED", subset)
    vectors, queries = clustered(0, 600, clusters=6), clustered(1, 20, clusters=6)
    only = np.random.default_rng(2).permutation(600)[:300].astype(np.int64)
    found = filled(vectors, exact_limit=exact_limit).search(queries, 10, only=only).rows
    assert set(found.ravel().tolist()) <= set(only.tolist()) | {-1}
    expected = np.sort(only)[nearest(queries, vectors[np.sort(only)], 10)]
    exact = subset > 0 or exact_limit > 600
    assert recall(found, expected) == 1.0 if exact else recall(found, expected) > 0.5


def test_a_filter_may_be_given_in_any_order_and_twice() -> None:
    """`only` is a set of rows."""
    vectors = scattered(3, 30)
    index = filled(vectors)
    once = index.search(vectors, 5, only=np.array([2, 7, 11, 20]))
    again = index.search(vectors, 5, only=np.array([20, 7, 7, 11, 2, 2]))
    np.testing.assert_array_equal(once.rows, again.rows)
    assert (once.rows[:, 4] == -1).all()


@pytest.mark.parametrize("exact_limit", [10**6, 100], ids=["exact", "inverted"])
def test_what_was_gathered_for_a_filter_is_forgotten_with_the_next_change(exact_limit: int) -> None:
    """The same filter again, another one between, a row that goes and comes back as another vector, a row that is not there."""
    vectors = clustered(6, 400)
    index = filled(vectors, exact_limit=exact_limit)
    only, query = np.arange(0, 400, 2), vectors[7:8]
    first = index.search(query, 3, only=only)
    assert set(index.search(query, 3, only=only + 1).rows.ravel().tolist()) <= set(range(1, 400, 2))
    np.testing.assert_array_equal(index.search(query, 3, only=only).rows, first.rows)
    index.remove(np.array([10]))
    assert 10 not in index.search(vectors[10:11], 3, only=only).rows
    index.add(np.array([10]), query)
    assert index.search(query, 3, only=only).rows[0, 0] == 10
    assert index.search(query, 3, only=np.array([10, 999])).rows.tolist() == [[10, -1, -1]]


def test_an_empty_filter_finds_nothing() -> None:
    """No rows chosen is not the same as no filter."""
    vectors = scattered(3, 5)
    assert (filled(vectors).search(vectors, 2, only=np.zeros(0, np.int64)).rows == -1).all()


def test_an_empty_index_finds_nothing() -> None:
    """A search before anything was added answers with empty places, and a search of no queries with none."""
    assert (VectorIndex(8).search(scattered(0, 3), 4).rows == -1).all()
    assert filled(scattered(0, 3)).search(np.zeros((0, 8), np.float32), 4).rows.shape == (0, 4)


def test_equal_vectors_come_by_row() -> None:
    """Ties are in the order of the rows, whatever the order they came in."""
    vectors = np.tile(scattered(0, 1), (6, 1))
    found = filled(vectors, np.array([30, 10, 50, 20, 40, 60])).search(vectors[:1], 6)
    assert found.rows.tolist() == [[10, 20, 30, 40, 50, 60]]


@pytest.mark.slow
def test_the_inverted_file_finds_nearly_all_and_ranks_what_it_finds_truly() -> None:
    """Above the limit recall@10 is .95 or more on clustered vectors, and every similarity told is the true cosine."""
    vectors, queries = clustered(4, 6000), clustered(4, 6000)[::20]
    index = filled(vectors, exact_limit=1000)
    assert not index.is_exact
    found = index.search(queries, 10)
    assert recall(found.rows, nearest(queries, vectors, 10)) >= 0.95
    np.testing.assert_allclose(found.similarities, np.einsum("ij,ikj->ik", queries, vectors[found.rows]), atol=1e-5)
    assert (np.diff(found.similarities, axis=1) <= 0).all()


def test_growing_past_the_limit_keeps_what_was_there() -> None:
    """The articles of before and after the move into an inverted file are all found by their own vectors."""
    vectors = clustered(5, 700)
    index = filled(vectors[:400], exact_limit=500)
    assert index.is_exact
    index.add(np.arange(400, 600), vectors[400:600])
    assert not index.is_exact
    index.add(np.arange(600, 700), vectors[600:])
    assert len(index) == 700
    np.testing.assert_array_equal(index.search(vectors, 1).rows.ravel(), np.arange(700))
    np.testing.assert_array_equal(index.vectors(np.arange(700)), vectors)


@pytest.mark.parametrize("exact_limit", [10**6, 100], ids=["exact", "inverted"])
def test_removed_rows_are_never_found_again(exact_limit: int) -> None:
    """remove says how many it took; a search afterwards is that of an index which never had them."""
    vectors = clustered(6, 400, clusters=4)
    index = filled(vectors, exact_limit=exact_limit)
    gone = np.arange(0, 400, 3)
    assert index.remove(np.concatenate([gone, [999]])) == len(gone)
    assert len(index) == 400 - len(gone)
    kept = np.setdiff1d(np.arange(400), gone)
    found = index.search(vectors, 5).rows
    assert not np.isin(found, gone).any()
    np.testing.assert_array_equal(index.search(vectors[kept], 1).rows.ravel(), kept)
    if exact_limit > 400:
        np.testing.assert_array_equal(found, kept[nearest(vectors, vectors[kept], 5)])
    with pytest.raises(KeyError):
        index.vectors(gone[:1])
    index.add(gone, vectors[gone])
    np.testing.assert_array_equal(index.search(vectors[gone], 1).rows.ravel(), gone)


@pytest.mark.parametrize("exact_limit", [10**6, 100], ids=["exact", "inverted"])
def test_a_saved_index_comes_back_whole(exact_limit: int, tmp_path: Path) -> None:
    """What is loaded finds the same, and can still grow and forget."""
    vectors = clustered(7, 300)
    index = filled(vectors, exact_limit=exact_limit)
    digest = index.save(tmp_path / "cache")
    again = VectorIndex.load(tmp_path / "cache", digest, exact_limit=exact_limit)
    assert again is not None
    assert (len(again), again.dimensions, again.is_exact) == (300, 32, exact_limit > 300)
    for ours, theirs in zip(index.search(vectors, 7), again.search(vectors, 7), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert again.remove(np.arange(10)) == 10
    again.add(np.arange(1000, 1010), vectors[:10])
    np.testing.assert_array_equal(again.search(vectors[:10], 1).rows.ravel(), np.arange(1000, 1010))
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


@pytest.mark.parametrize("damage", ["missing", "folder", "empty", "cut", "flipped", "foreign"])
def test_a_file_that_is_not_the_one_saved_is_refused_unread(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """faiss is never given bytes other than those that were saved: it would crash on some."""
    path = tmp_path / "cache"
    digest = filled(scattered(0, 50)).save(path)
    content = bytearray(path.read_bytes())
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage == "foreign":
        filled(scattered(1, 50)).save(path)
    elif damage != "missing":
        content[len(content) // 2] ^= 1
        path.write_bytes({"empty": b"", "cut": bytes(content[:-7]), "flipped": bytes(content)}[damage])

    def parsed(content: object) -> None:
        raise AssertionError("faiss was given a foreign file")

    monkeypatch.setattr(faiss, "deserialize_index", parsed)
    assert VectorIndex.load(path, digest) is None


def test_vectors_of_another_shape_are_refused() -> None:
    """A mismatch of rows or dimensions is an error that names both shapes, and nothing is added."""
    index = VectorIndex(8)
    with pytest.raises(ValueError, match=re.escape("(3, 8), got (3, 7)")):
        index.add(np.arange(3), scattered(0, 3, 7))
    with pytest.raises(ValueError, match=re.escape("(2, 8), got (3, 8)")):
        index.add(np.arange(2), scattered(0, 3))
    assert len(index) == 0


def test_two_builds_of_one_archive_find_the_same() -> None:
    """The inverted file is trained without chance: the same vectors give the same answers and the same bytes."""
    vectors = clustered(8, 800)
    one, two = (filled(vectors, exact_limit=100) for _ in range(2))
    np.testing.assert_array_equal(one.search(vectors, 10).rows, two.search(vectors, 10).rows)
    assert faiss.serialize_index(one._index).tobytes() == faiss.serialize_index(two._index).tobytes()
