"""Step 7c of 8: pairs with their probability -> story threads. Average linkage with emphasis on the pairs that are sure."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from recommender.distinct import distinct
from recommender.pipeline.candidates import Pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkingConfig:
    """When two groups of articles are one thread."""

    join: float = 0.45
    """Power mean of the probabilities between two groups from which they are one thread: a probability of its own, flat from
    .35 to .45 on seven sets (scripts/learn_weights.py prints the table). Lower gains where stories are large and loses where
    they are small; at .3 two in five pairs in one thread of a real stream are no longer of one story, at .45 one in four."""
    emphasis: float = 2.5
    """Exponent of that power mean. 1 is plain average linkage, which breaks large stories apart: most of their pairs are
    far from each other. From 1.5 to 4 the mean B-cubed F1 of seven sets rises by 1.5 points, nearly all of it on uci with
    its huge stories; and two quakes of one month come closer to being one thread."""
    floor: float = 0.15
    """Pairs below say nothing. (.1 and .15 give the same B-cubed F1 within half a point on six of seven sets.)"""


DEFAULT = LinkingConfig()


def thread_groups(
    n_articles: int, pairs: Pairs, same_story: NDArray[np.float32], config: LinkingConfig = DEFAULT
) -> list[list[int]]:
    """Groups of two or more positions, each rising, in the order of their first member; an article is in one at most.

    The pair of groups with the highest mean probability is joined first, until none reaches `join`: average linkage (Sokal
    & Michener, 1958) with a power mean in place of the plain one; a pair that nobody nominated counts as 0. Since a group
    must be close to a whole other group, one odd pair cannot chain two stories into one.
    Groups never reach across parts of the graph that no pair from `join` up connects, so parts may be done one by one: a mean is
    at most its largest value.
    """
    joining = _Joining(n_articles, config)
    usable = same_story >= config.floor
    left, right, same_story = pairs.left[usable].tolist(), pairs.right[usable].tolist(), same_story[usable]
    powers = same_story.astype(np.float64) ** config.emphasis
    for one, other, power in zip(left, right, powers.tolist(), strict=True):
        joining.known[one][other] = joining.known[other][one] = power
    sure = same_story >= config.join
    joining.run(distinct(pairs.left[usable][sure], pairs.right[usable][sure]).tolist())
    return sorted(sorted(group) for group in joining.members if len(group) > 1)


class _Joining:
    """The groups, and between neighbouring groups the sum of the known probabilities, each to the power of `emphasis`.

    A group waits with its best neighbour alone. When that has gone, or has grown, the next best is found: no group can come
    closer to another by joining a third, as the mean of both is at most the higher one (so linkage is *reducible*).
    """

    def __init__(self, n_articles: int, config: LinkingConfig) -> None:
        self.least = config.join**config.emphasis
        self.members: list[list[int]] = [[position] for position in range(n_articles)]
        self.known: list[dict[int, float]] = [{} for _ in range(n_articles)]
        self.waiting: list[tuple[float, int, int, int, int, int]] = []
        """(-mean of the powers, the two groups, their sizes then, which of them waits): the order is that of the power mean."""

    def run(self, sure: list[int]) -> None:
        """Join groups until no two are close enough; `sure` are those with a pair that is so by itself."""
        for position in sure:
            self._wait(position)
        while self.waiting:
            _, one, other, size_one, size_other, waits = heapq.heappop(self.waiting)
            if not self.members[waits]:
                continue
            if len(self.members[one]) != size_one or len(self.members[other]) != size_other:
                if len(self.members[waits]) == (size_one if waits == one else size_other):  # else it waits anew already
                    self._wait(waits)
                continue
            self._wait(self._join(one, other))

    def _wait(self, group: int) -> None:
        """Put a group in line with the neighbour that is closest to it, if any is close enough; in doubt the first pair."""
        members = self.members
        size = len(members[group])
        best, nearest = 0.0, -1
        for neighbour, total in self.known[group].items():
            mean = total / (size * len(members[neighbour]))
            if mean > best or (mean == best and neighbour < nearest):
                best, nearest = mean, neighbour
        if nearest >= 0 and best >= self.least:
            one, other = min(group, nearest), max(group, nearest)
            heapq.heappush(self.waiting, (-best, one, other, len(members[one]), len(members[other]), group))

    def _join(self, one: int, other: int) -> int:
        kept, gone = (one, other) if len(self.known[one]) >= len(self.known[other]) else (other, one)
        self.members[kept] += self.members[gone]
        self.members[gone] = []
        ours = self.known[kept]
        for neighbour, total in self.known[gone].items():
            theirs = self.known[neighbour]
            del theirs[gone]
            if neighbour != kept:
                ours[neighbour] = theirs[kept] = ours.get(neighbour, 0.0) + total
        self.known[gone] = {}
        return kept


def reaches(same_story: NDArray[np.float32], n_pairs: int, config: LinkingConfig = DEFAULT) -> bool:
    """Whether two groups would be joined, with these known among their `n_pairs` pairs."""
    mean = float((same_story.astype(np.float64) ** config.emphasis).sum()) / n_pairs
    return bool(mean >= config.join**config.emphasis)


def connected(
    n_articles: int, pairs: Pairs, same_story: NDArray[np.float32], config: LinkingConfig = DEFAULT
) -> NDArray[np.int64]:
    """(n_articles,) the part of the graph that each article is in; threads never reach across parts."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    usable = same_story >= config.floor
    left, right = pairs.left[usable], pairs.right[usable]
    graph = coo_matrix((np.ones(len(left), np.int8), (left, right)), shape=(n_articles, n_articles))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def mint_thread_id(founder: str, taken: Callable[[str], bool]) -> str:
    """A new thread id, the same whenever the same article founds the thread and the same ids are `taken`."""
    ids = ("t" + blake2b(f"{founder}\n{attempt}".encode(), digest_size=5).hexdigest() for attempt in itertools.count())
    return next(thread_id for thread_id in ids if not taken(thread_id))


def inherit_thread_ids(groups: Sequence[Sequence[str]], previous: dict[str, str], taken: Callable[[str], bool]) -> list[str]:
    """The id of each new group of article ids: that of the old thread it shares most articles with, else a new one.

    An old id goes to the group that shares the most with it, in doubt to the larger one, then to the first. `taken` tells of
    an id whether it belongs to a thread of other articles, or did.
    """
    claims: list[tuple[int, int, int, str]] = []
    for number, group in enumerate(groups):
        shared: dict[str, int] = {}
        for article_id in group:
            if article_id in previous:
                shared[previous[article_id]] = shared.get(previous[article_id], 0) + 1
        claims += [(-count, -len(group), number, thread_id) for thread_id, count in shared.items()]
    ids: dict[int, str] = {}
    given: set[str] = set()
    for _, _, number, thread_id in sorted(claims):
        if number not in ids and thread_id not in given:
            ids[number] = thread_id
            given.add(thread_id)
    used = set(previous.values())
    for number, group in enumerate(groups):
        if number not in ids:
            ids[number] = mint_thread_id(group[0], lambda one: one in used or taken(one))
            used.add(ids[number])
    return [ids[number] for number in range(len(groups))]
