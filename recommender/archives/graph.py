"""The links between articles in memory, and what follows from them alone: copies, and who is in a thread with whom."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recommender.archives.links import Links, LinksOf
from recommender.distinct import are_among, distinct
from recommender.growing import Growing, runs
from recommender.pipeline.candidates import Pairs


class _Pool:
    """Links that grow at their end."""

    def __init__(self, links: LinksOf) -> None:
        self._others, self._related = Growing(links.others), Growing(links.related)
        self._same, self._nearness = Growing(links.same), Growing(links.nearness)
        self._duplicate = Growing(links.duplicate)

    def __len__(self) -> int:
        return len(self._others)

    def extend(self, links: LinksOf) -> None:
        self._others.extend(links.others)
        self._related.extend(links.related)
        self._same.extend(links.same)
        self._nearness.extend(links.nearness)
        self._duplicate.extend(links.duplicate)

    @property
    def links(self) -> LinksOf:
        """Not copied."""
        values = (self._related.values, self._same.values, self._nearness.values)
        return LinksOf(self._others.values, *values, self._duplicate.values)


class Graph:
    """The links of an archive, by place."""

    def __init__(self, n_places: int, links: Links) -> None:
        starts, found = links.seen(n_places)
        self._starts, self._lengths = Growing(starts[:-1].copy()), Growing(np.diff(starts))
        self._pool = _Pool(found)
        self._threads = Growing(np.zeros(n_places, np.int64))
        self._copies = Growing(np.arange(n_places))
        self._number_copies(np.arange(n_places))

    def __len__(self) -> int:
        return len(self._threads)

    @property
    def threads(self) -> NDArray[np.int64]:
        """(places,) the number of the thread that an article is in; 0 where it stands alone."""
        return self._threads.values

    @property
    def copies(self) -> NDArray[np.int64]:
        """(places,) the lowest place of an article with the same text; by it copies of one text know each other."""
        return self._copies.values

    def in_threads(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """The places of the articles in these threads, rising; 0 is no thread."""
        return np.flatnonzero(are_among(self.threads, numbers[numbers > 0], int(self.threads.max(initial=0))))

    def of(self, place: int) -> LinksOf:
        """The links of one article."""
        start = int(self._starts.values[place])
        here = slice(start, start + int(self._lengths.values[place]))
        return self._pool.links.take(here)

    def of_all(self, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], LinksOf]:
        """(numbers, links) of several articles one after another; numbers (n,) says of which of `places` each is."""
        numbers, at = self._at(places)
        return numbers, self._pool.links.take(at)

    def same_of_all(self, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """(numbers, others, `same`) of these links alone."""
        numbers, at = self._at(places)
        return numbers, self._pool.links.others[at], self._pool.links.same[at]

    def _at(self, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        lengths = self._lengths.values[places]
        return np.repeat(np.arange(len(places)), lengths), runs(self._starts.values[places], lengths)

    def beside(self, places: NDArray[np.int64], least: float = 0.0) -> NDArray[np.int64]:
        """The articles that are linked with any of these with `same` at least so high; rising."""
        _, others, same = self.same_of_all(places)
        return distinct(others[same >= least])

    def within(self, places: NDArray[np.int64], least: float = 0.0) -> tuple[Pairs, NDArray[np.float32]]:
        """(pairs, `same`) of the links between these articles, numbered in the order given, from `least` up."""
        left, others, same = self.same_of_all(places)
        number = np.full(len(self), -1, np.int64)
        number[places] = np.arange(len(places))
        right = number[others]
        kept = (right > left) & (same >= least)
        return Pairs(left[kept], right[kept]), same[kept]

    def connect(self, n_places: int, links: Links) -> None:
        """Add links, in place of those that are there between the same articles; the archive may have grown."""
        self._copies.extend(np.arange(len(self), n_places))
        for numbers in (self._threads, self._starts, self._lengths):
            numbers.lengthen(n_places)
        starts, came = links.seen(n_places)
        here = np.flatnonzero(np.diff(starts))
        number, former = self.of_all(here)
        both = former.and_more(came)
        owner = np.concatenate([here[number], np.repeat(here, np.diff(starts)[here])])
        order = np.lexsort(
            (np.arange(len(owner))[::-1], both.others, owner)
        )  # of two links of one pair the one that came is first
        first = np.ones(len(order), np.bool_)
        first[1:] = (np.diff(owner[order]) != 0) | (np.diff(both.others[order]) != 0)
        self._put(here, owner[order[first]], both.take(order[first]))
        self._number_copies(here)

    def forget(self, places: NDArray[np.int64]) -> None:
        """Forget all links of these articles, and their threads."""
        copies = np.flatnonzero(np.isin(self.copies, self.copies[places]))
        here = self.beside(places)
        number, links = self.of_all(here)
        left = ~np.isin(links.others, places)
        self._put(here, here[number[left]], links.take(left))
        self._lengths.values[places] = 0
        self.threads[places] = 0
        self._number_copies(copies)

    def enter_threads(self, threads: Mapping[int, int]) -> None:
        """Place -> the number of the thread that it is in from now on, 0 for none."""
        self.threads[np.fromiter(threads, np.int64, len(threads))] = np.fromiter(threads.values(), np.int64, len(threads))

    def _put(self, places: NDArray[np.int64], owners: NDArray[np.int64], links: LinksOf) -> None:
        """Let these articles, rising, have these links, and no others; `owners` (n,), rising, says whose each is."""
        starts = np.searchsorted(owners, places)
        self._starts.values[places] = len(self._pool) + starts
        self._lengths.values[places] = np.searchsorted(owners, places, side="right") - starts
        self._pool.extend(links)
        if len(self._pool) > SPREAD * (int(self._lengths.values.sum()) + len(self)):
            self._gather()

    def _gather(self) -> None:
        """Leave the room to what counts: links that were replaced are still there."""
        links = self.of_all(np.arange(len(self)))[1]
        self._pool = _Pool(links)
        self._starts.values[:] = np.cumsum(self._lengths.values) - self._lengths.values

    def _number_copies(self, places: NDArray[np.int64]) -> None:
        """Find again the copies of the articles at these places and of those that were their copies."""
        here = np.flatnonzero(are_among(self.copies, self.copies[places], len(self)))
        left, links = self.of_all(here)
        number = np.zeros(len(self), np.int64)
        number[here] = np.arange(len(here))
        twice = left[links.duplicate], number[links.others[links.duplicate]]
        graph = sparse.coo_matrix((np.ones(len(twice[0]), np.int8), twice), shape=(len(here), len(here)))
        labels = sparse.csgraph.connected_components(graph, directed=False)[1] if len(here) else np.zeros(0, np.int64)
        first = np.full(len(here), len(self), np.int64)
        np.minimum.at(first, labels, here)
        self.copies[here] = first[labels]


SPREAD = 2
"""Room for links per link that counts, from which the others are cleared away."""
