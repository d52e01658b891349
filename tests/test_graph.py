"""The links in memory: after any comings and goings they are what a plain dictionary of pairs would hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.archives.graph import Graph
from recommender.archives.links import Links, worth_keeping
from recommender.archives.rejoining import MOST_REJOINED, rejoined
from recommender.pipeline.candidates import Pairs
from recommender.pipeline.overruling import ruling_of

Known = dict[tuple[int, int], tuple[float, float, bool]]


def drawn(rng: np.random.Generator, n: int, share: float, only: int | None = None) -> Known:
    """Some pairs of n places, all with `only` where it is given."""
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n) if only is None or only in (i, j)]
    chosen = [pair for pair in pairs if rng.random() < share]
    values = rng.integers(1, 10, (len(chosen), 2)) / np.float32(10)
    return {pair: (float(a), float(b), bool(a == 0.9)) for pair, (a, b) in zip(chosen, values.astype(np.float32), strict=True)}


def links_of(known: Known) -> Links:
    """The same as arrays."""
    pairs = np.array(sorted(known), np.int64).reshape(-1, 2)
    values = [known[left, right] for left, right in pairs.tolist()]
    return Links(
        pairs=Pairs(pairs[:, 0], pairs[:, 1]),
        related=np.array([value[0] for value in values], np.float32),
        same_story=np.array([value[1] for value in values], np.float32),
        nearness=np.array([value[0] for value in values], np.float32),
        duplicate=np.array([value[2] for value in values], np.bool_),
    )


def copies_of(known: Known, n: int) -> list[int]:
    """The lowest place that a chain of duplicates leads to, by asking again and again."""
    lowest = list(range(n))
    for _ in range(n):
        for (left, right), (_, _, duplicate) in known.items():
            if duplicate:
                lowest[left] = lowest[right] = min(lowest[left], lowest[right])
    return lowest


@given(seed=st.integers(0, 2**32 - 1), steps=st.integers(0, 25))
@settings(deadline=None, max_examples=60)
def test_links_are_those_of_a_dictionary(seed: int, steps: int) -> None:
    """Articles come with their links, come again with others, and go; each sees its links from its side, by rising other."""
    rng = np.random.default_rng(seed)
    n = 6
    known = drawn(rng, n, 0.5)
    graph = Graph(n, links_of(known))
    for _ in range(steps):
        place = int(rng.integers(n + 1))
        if place == n:
            n += 1
        elif rng.random() < 0.7:
            known = {pair: value for pair, value in known.items() if place not in pair}
            graph.forget(np.array([place]))
        came = drawn(rng, n, 0.5, place)
        known |= came
        graph.connect(n, links_of(came))
        for one in range(n):
            mine = {i + j - one: value for (i, j), value in known.items() if one in (i, j)}
            held = graph.of(one)
            assert held.others.tolist() == sorted(mine)
            assert list(zip(held.related.tolist(), held.same.tolist(), held.duplicate.tolist(), strict=True)) == [
                mine[other] for other in sorted(mine)
            ]
        assert graph.copies.tolist() == copies_of(known, n)
        some = np.sort(rng.choice(n, int(rng.integers(1, n + 1)), replace=False))
        pairs, same = graph.within(some, 0.5)
        expected = {
            (int(some[i]), int(some[j])): known[int(some[i]), int(some[j])][1]
            for i in range(len(some))
            for j in range(i + 1, len(some))
            if known.get((int(some[i]), int(some[j])), (0, 0, 0))[1] >= np.float32(0.5)
        }
        found = zip(some[pairs.left].tolist(), some[pairs.right].tolist(), same.tolist(), strict=True)
        assert {(left, right): value for left, right, value in found} == expected


@given(seed=st.integers(0, 2**32 - 1), at_once=st.integers(1, 60))
@settings(deadline=None, max_examples=60)
def test_links_worth_keeping_are_the_same_however_few_are_weighed_at_once(seed: int, at_once: int) -> None:
    """Of each article, by a sort of its own links: the two best, and whatever may be one story or is a copy."""
    rng = np.random.default_rng(seed)
    known = {pair: (related, same if same > 0.85 else 0.1, copy) for pair, (related, same, copy) in drawn(rng, 12, 0.8).items()}
    items = sorted(known.items())
    best: set[tuple[int, int]] = {pair for pair, (_, same, copy) in items if copy or same >= np.float32(0.15)}
    for place in range(12):
        own = [(-related, number) for number, (pair, (related, _, _)) in enumerate(items) if place in pair]
        best |= {items[number][0] for _, number in sorted(own)[:2]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recommender.archives.links.MOST_KEPT", 2)
        patch.setattr("recommender.archives.links.AT_ONCE", at_once)
        kept = worth_keeping(links_of(dict(items)), 12)
    assert len(best) < len(items) or len(items) < 20
    assert set(zip(kept.pairs.left.tolist(), kept.pairs.right.tolist(), strict=True)) == best


def clusters(rng: np.random.Generator, n: int, size: int) -> Known:
    """Groups of places that are sure of each other, and weak links between all of them: one part, many threads."""
    known: Known = {}
    for i in range(n):
        for j in range(i + 1, n):
            if i // size == j // size:
                known[i, j] = (0.9, float(np.float32(rng.uniform(0.7, 0.95))), False)
            elif rng.random() < 0.05:
                known[i, j] = (0.5, float(np.float32(rng.uniform(0.15, 0.5))), False)
    return known


def test_around_one_article_threads_are_what_they_are_in_the_whole() -> None:
    """In a part of the graph that is too large to thread anew for one article, its thread and those beside it come out alike."""
    rng = np.random.default_rng(7)
    n, size = 3 * MOST_REJOINED, 6
    known = clusters(rng, n, size)
    graph = Graph(n, links_of(known))
    nobody = ruling_of([], {}, n)
    here, whole = rejoined(graph, nobody, np.arange(n))
    assert len(here) == n
    threads = {int(place): number for number, group in enumerate(whole, start=1) for place in group}
    assert len(whole) == n // size
    for place in range(0, n, 97):
        graph.enter_threads(threads | {place: 0})
        here, groups = rejoined(graph, nobody, np.array([place]))
        assert len(here) < MOST_REJOINED
        expected = {number: {p for p, of in threads.items() if of == number} for number in {threads[int(p)] for p in here}}
        assert sorted(map(sorted, (set(group.tolist()) for group in groups))) == sorted(map(sorted, expected.values()))
