"""Step 7: probabilities -> story threads. Limits are set here; the shipped ones are not looked at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from recommender.pipeline.candidates import Pairs
from recommender.pipeline.linking import DEFAULT, LinkingConfig, connected, inherit_thread_ids, mint_thread_id, thread_groups

Probabilities = NDArray[np.float32]
SEEDS = st.integers(0, 2**32 - 1)


def config(join: float) -> LinkingConfig:
    """The shipped configuration with this limit, in which every pair says something."""
    return replace(DEFAULT, join=join, floor=0.0)


def complete(n: int) -> Pairs:
    """Every pair of n articles."""
    left, right = np.triu_indices(n, 1)
    return Pairs(left.astype(np.int64), right.astype(np.int64))


def some_pairs(rng: np.random.Generator, n: int, share: float) -> tuple[Pairs, Probabilities]:
    """A share of the pairs of n articles with a probability each, no two the same."""
    every = complete(n)
    chosen = rng.random(len(every.left)) < share
    return Pairs(every.left[chosen], every.right[chosen]), rng.permutation(rng.random(int(chosen.sum()))).astype(np.float32)


def pairs_of(*known: tuple[int, int, float]) -> tuple[Pairs, Probabilities]:
    """Pairs written out by hand."""
    left, right, probability = (np.array(column) for column in zip(*sorted(known), strict=True))
    return Pairs(left.astype(np.int64), right.astype(np.int64)), probability.astype(np.float32)


@given(seed=SEEDS, n=st.integers(2, 25), join=st.floats(0.2, 0.8), emphasis=st.sampled_from([1.0, 2.0, 3.0]))
@settings(deadline=None)
def test_on_all_pairs_it_is_the_average_linkage_of_scipy(seed: int, n: int, join: float, emphasis: float) -> None:
    """Where every pair is known the groups are those of scipy's UPGMA over the powers of the probabilities.

    A power mean is at `join` where the mean of the powers is at join**emphasis.
    """
    probabilities = np.random.default_rng(seed).random(n * (n - 1) // 2).astype(np.float32)
    distances = 1 - probabilities.astype(np.float64) ** emphasis
    labels = fcluster(linkage(distances, "average"), 1 - join**emphasis, "distance")
    expected = sorted(np.flatnonzero(labels == label).tolist() for label in np.unique(labels) if (labels == label).sum() > 1)
    assert thread_groups(n, complete(n), probabilities, replace(config(join), emphasis=emphasis)) == expected


@given(seed=SEEDS, n=st.integers(2, 25))
@settings(deadline=None)
def test_an_article_is_in_one_thread_at_most(seed: int, n: int) -> None:
    """Groups hold two or more articles, rise, come by their first member, and never overlap."""
    groups = thread_groups(n, *some_pairs(np.random.default_rng(seed), n, 0.4))
    members = [member for group in groups for member in group]
    assert len(members) == len(set(members))
    assert set(members) <= set(range(n))
    assert all(len(group) > 1 and group == sorted(group) for group in groups)
    assert groups == sorted(groups)


@given(seed=SEEDS, n=st.integers(2, 20))
@settings(deadline=None)
def test_the_order_of_articles_does_not_matter(seed: int, n: int) -> None:
    """Articles numbered in another order fall into the same threads."""
    rng = np.random.default_rng(seed)
    pairs, probabilities = some_pairs(rng, n, 0.5)
    other = rng.permutation(n)
    left, right = other[pairs.left], other[pairs.right]
    order = np.lexsort((np.maximum(left, right), np.minimum(left, right)))
    turned = Pairs(np.minimum(left, right)[order], np.maximum(left, right)[order])
    expected = sorted(sorted(int(other[member]) for member in group) for group in thread_groups(n, pairs, probabilities))
    assert thread_groups(n, turned, probabilities[order]) == expected


@given(seed=SEEDS, n=st.integers(2, 25), share=st.floats(0.02, 0.3))
@settings(deadline=None)
def test_parts_may_be_done_one_by_one(seed: int, n: int, share: float) -> None:
    """No thread reaches across parts of the graph, and a part looked at alone gives the threads it gives among all."""
    pairs, probabilities = some_pairs(np.random.default_rng(seed), n, share)
    part = connected(n, pairs, probabilities)
    whole = thread_groups(n, pairs, probabilities)
    assert all(len({int(part[member]) for member in group}) == 1 for group in whole)
    one_by_one = []
    for number in np.unique(part):
        inside = part[pairs.left] == number
        one_by_one += thread_groups(n, Pairs(pairs.left[inside], pairs.right[inside]), probabilities[inside])
    assert sorted(one_by_one) == whole


def test_one_odd_pair_does_not_chain_two_stories() -> None:
    """Two tight stories with one strong bridge between two of their articles stay two."""
    inside = [(a, b, 0.9) for story in (range(4), range(4, 8)) for a in story for b in story if a < b]
    between = [(a, b, 0.1) for a in range(4) for b in range(4, 8) if (a, b) != (3, 4)]
    pairs, probabilities = pairs_of(*inside, *between, (3, 4, 0.85))
    assert thread_groups(8, pairs, probabilities) == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_a_chain_of_pairs_is_not_one_thread() -> None:
    """Each article like the next and like no other makes no story of eight."""
    chain = [(a, a + 1, 0.7) for a in range(7)]
    pairs, probabilities = pairs_of(*chain, *[(a, b, 0.06) for a in range(8) for b in range(a + 2, 8)])
    assert max(map(len, thread_groups(8, pairs, probabilities))) == 2


@pytest.mark.parametrize(("probability", "groups"), [(0.5, [[0, 1]]), (0.49, [])])
def test_a_pair_that_reaches_the_limit_is_a_thread(probability: float, groups: list[list[int]]) -> None:
    """`join` itself is enough, anything below is not."""
    assert thread_groups(2, *pairs_of((0, 1, probability)), config(0.5)) == groups


def test_without_pairs_there_is_no_thread() -> None:
    """Articles that nothing links stand alone, and an empty archive has no part."""
    none = Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert thread_groups(3, none, np.zeros(0, np.float32)) == []
    assert thread_groups(0, none, np.zeros(0, np.float32)) == []
    assert len(set(connected(3, none, np.zeros(0, np.float32)).tolist())) == 3


@given(seed=SEEDS, n=st.integers(1, 25), share=st.floats(0, 0.3))
@settings(deadline=None)
def test_connected_is_what_a_walk_along_the_pairs_reaches(seed: int, n: int, share: float) -> None:
    """Two articles are in one part where a walk over pairs above the floor leads from one to the other."""
    pairs, probabilities = some_pairs(np.random.default_rng(seed), n, share)
    limits = replace(DEFAULT, floor=0.3)
    reach = np.eye(n, dtype=np.bool_)
    usable = probabilities >= 0.3
    reach[pairs.left[usable], pairs.right[usable]] = reach[pairs.right[usable], pairs.left[usable]] = True
    for _ in range(n):
        reach = reach | ((reach.astype(int) @ reach.astype(int)) > 0)
    part = connected(n, pairs, probabilities, limits)
    np.testing.assert_array_equal(part[:, None] == part[None, :], reach)


def test_a_founder_gives_its_thread_always_the_same_id() -> None:
    """The id hangs on the founder, gives way where it is taken, and can stand in an address."""
    one = mint_thread_id("a17", set().__contains__)
    assert one == mint_thread_id("a17", {"t1"}.__contains__)
    other = mint_thread_id("a17", {one}.__contains__)
    assert other not in {one, mint_thread_id("a18", set().__contains__)}
    assert one.isalnum()
    assert one.startswith("t")


@pytest.mark.parametrize(
    ("groups", "previous", "ids"),
    [
        pytest.param([["a", "b", "c"]], {"a": "t1", "b": "t1"}, ["t1"], id="a thread that grows keeps its id"),
        pytest.param([["a", "b"], ["c", "d", "e"]], dict.fromkeys("abcde", "t1"), ["new", "t1"], id="a split: to the larger"),
        pytest.param([list("abcde")], dict.fromkeys("ab", "t1") | dict.fromkeys("cde", "t2"), ["t2"], id="a merge: the larger"),
        pytest.param([["a", "b"], ["c", "d"]], {"b": "t1", "c": "t2"}, ["t1", "t2"], id="two threads stay two"),
        pytest.param([["x", "y"]], {"a": "t1", "b": "t1"}, ["new"], id="a new thread gets a new one"),
        pytest.param([["a", "b"], ["c", "x", "y"]], {"a": "t1", "c": "t1"}, ["new", "t1"], id="equal claims: the larger group"),
        pytest.param([["a", "x"], ["b", "y"]], {"a": "t1", "b": "t1"}, ["t1", "new"], id="equal groups: the first"),
        pytest.param(
            [list("abcd"), list("ef")], dict.fromkeys("abc", "t1") | dict.fromkeys("de", "t2"), ["t1", "t2"], id="rest goes on"
        ),
    ],
)  # fmt: skip
def test_threads_inherit_ids(groups: list[list[str]], previous: dict[str, str], ids: list[str]) -> None:
    """Which of the old ids goes to which of the new threads; a new id is one that nobody had."""
    found = inherit_thread_ids(groups, previous, {"t9"}.__contains__)
    assert [("new" if one not in {"t1", "t2", "t9"} else one) for one in found] == ids


@given(seed=SEEDS)
@settings(deadline=None)
def test_no_two_threads_have_one_id(seed: int) -> None:
    """However groups and old threads cross, ids are distinct, none lives elsewhere, and an old one is that of a member."""
    rng = np.random.default_rng(seed)
    articles = [f"a{number}" for number in range(30)]
    previous = {article: f"t{rng.integers(6)}" for article in articles if rng.random() < 0.7}
    label = rng.integers(8, size=30)
    groups = [[articles[i] for i in np.flatnonzero(label == one)] for one in range(8) if (label == one).sum() > 1]
    elsewhere = {"t7", mint_thread_id(groups[0][0], set().__contains__)}
    found = inherit_thread_ids(groups, previous, elsewhere.__contains__)
    assert len(set(found)) == len(groups)
    assert not set(found) & elsewhere
    for group, thread_id in zip(groups, found, strict=True):
        assert thread_id not in set(previous.values()) or thread_id in {previous.get(article) for article in group}
