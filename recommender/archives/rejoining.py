"""Finds the threads around what has come, changed or gone again: the whole of a small part of the graph, else what lies near."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recommender.archives.graph import Graph
from recommender.distinct import distinct
from recommender.pipeline.candidates import Pairs
from recommender.pipeline.linking import DEFAULT, reaches, thread_groups
from recommender.pipeline.overruling import Ruling, overruled_groups

MOST_REJOINED = 400
"""Articles of a part of the graph up to which the whole part is threaded anew when an article of it comes, changes or goes, so
that the outcome is that of a build. Of a larger part, as the whole of a big archive is nearly one, only what lies around the
article is: the threads it might be joined to, and those that these might then be joined to."""

MOST_RINGS = 10
"""How often what lies around may be widened because a thread that has changed now reaches another."""


def rejoined(graph: Graph, ruling: Ruling, touched: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
    """(places, the groups they form now); whole threads of before, around the `touched` places.

    No two groups are joined without a pair of them from `join` up, so parts that no such pair connects are threaded apart. What
    rules tie together is one part, and what they keep apart may be in one.
    """
    here, is_part = _around(graph, ruling, touched)
    for _ in range(MOST_RINGS):
        pairs, same_story = graph.within(here, DEFAULT.floor)
        allowed = ruling.allowed(Pairs(here[pairs.left], here[pairs.right]))
        groups = thread_groups(len(here), Pairs(pairs.left[allowed], pairs.right[allowed]), same_story[allowed])
        found = [here[np.array(group, np.int64)] for group in groups]
        wider = here if is_part else _with_mates(graph, distinct(here, _reached(graph, ruling, here, found)))
        if len(wider) == len(here):
            break
        here = wider
    inside = set(here.tolist()) if ruling.ties else set()
    ties = [tie for tie in ruling.ties if inside.issuperset(tie)]
    ruled = overruled_groups([group.tolist() for group in found], ties)
    return here, [np.array(group, np.int64) for group in ruled]


def _around(graph: Graph, ruling: Ruling, touched: NDArray[np.int64]) -> tuple[NDArray[np.int64], bool]:
    """(what has to be looked at for the touched places, whether it is a whole part of the graph)."""
    nearest = here = _wider(graph, ruling, _with_mates(graph, touched))
    while (wider := _wider(graph, ruling, here)).size != here.size:
        if len(wider) > MOST_REJOINED:
            return nearest, False
        here = wider
    return here, True


def _wider(graph: Graph, ruling: Ruling, here: NDArray[np.int64]) -> NDArray[np.int64]:
    """These places, what might be joined to one of them, and all in a thread with any of those."""
    inside = set(here.tolist()) if ruling.ties else set()
    tied = [side for tie in ruling.ties if inside.intersection(tie) for side in tie]
    beside = graph.beside(here, DEFAULT.join)
    return _with_mates(graph, distinct(here, beside, np.array(tied, np.int64)))


def _with_mates(graph: Graph, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """These places and all in a thread with one of them; rising."""
    return distinct(places, graph.in_threads(graph.threads[places]))


def _reached(graph: Graph, ruling: Ruling, here: NDArray[np.int64], groups: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """The places elsewhere whose threads, or which alone, a group that has changed would be joined to."""
    inside = np.zeros(len(graph), np.bool_)
    inside[here] = True
    sizes = np.bincount(graph.threads)
    changed = [group for group in groups if not _is_thread(graph.threads[group], sizes)]
    if not changed:
        return np.zeros(0, np.int64)
    members = np.concatenate(changed)
    number = np.repeat(np.arange(len(changed)), [len(group) for group in changed])
    own, others, same_story = graph.same_of_all(members)
    outside = ~inside[others] & (same_story >= DEFAULT.floor)
    own, others, same_story = own[outside], others[outside], same_story[outside]
    allowed = ruling.allowed(Pairs(members[own], others))
    number, others, same_story = number[own][allowed], others[allowed], same_story[allowed]
    units = np.where(graph.threads[others] > 0, graph.threads[others], -1 - others)
    reached = [np.zeros(0, np.int64)]
    order = np.lexsort((units, number))
    ends = np.flatnonzero((np.diff(number[order]) != 0) | (np.diff(units[order]) != 0)) + 1
    for between in np.split(order, ends) if len(order) else []:
        unit = int(units[between[0]])
        size = int(sizes[unit]) if unit > 0 else 1
        if reaches(same_story[between], len(changed[number[between[0]]]) * size):
            reached.append(others[between[:1]])
    return np.concatenate(reached)


def _is_thread(numbers: NDArray[np.int64], sizes: NDArray[np.int64]) -> bool:
    """Whether articles of these threads are all of one, and it is no larger."""
    return bool(numbers[0] > 0 and (numbers == numbers[0]).all() and sizes[numbers[0]] == len(numbers))
