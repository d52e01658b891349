"""Step 7e of 8: rules -> what they ask of threads and lists, by position. Pure; nothing here knows of a store."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.pipeline.candidates import Pairs
from recommender.pipeline.rules import Kind, Rule

CHOSEN = "chosen by an editor"
"""First reason of an item that stands in a list because of a pin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What the rules ask of the articles at positions 0, 1, 2, …; what rules say of articles that are not there waits."""

    regions: NDArray[np.int64]
    """(n,) articles of different regions are in no thread together."""
    ties: tuple[tuple[int, int], ...]
    """Pairs that are in one thread; of one region each."""
    labels: tuple[tuple[int, str], ...]
    """(an article, the label of its thread), the decision that counts last."""
    pins: Mapping[int, tuple[int, ...]]
    """Article -> what stands first beside it, in this order."""
    apart: Mapping[int, frozenset[int]]
    """Article -> what is not shown beside it; each pair from either side."""
    nowhere: frozenset[int]
    """Articles that no list shows."""

    def allowed(self, pairs: Pairs) -> NDArray[np.bool_]:
        """(n,) which pairs may be in one thread."""
        return np.asarray(self.regions[pairs.left] == self.regions[pairs.right], np.bool_)

    def widened(self, pairs: Pairs, same_story: NDArray[np.float32]) -> tuple[Pairs, NDArray[np.float32]]:
        """The pairs and their probabilities, with those that rules tie as sure ones."""
        ties = np.array(self.ties, np.int64).reshape(-1, 2)
        joined = Pairs(np.concatenate([pairs.left, ties[:, 0]]), np.concatenate([pairs.right, ties[:, 1]]))
        return joined, np.concatenate([same_story, np.ones(len(ties), np.float32)])

    def label_of(self, group: Iterable[int]) -> str | None:
        """The label that an editor gave to the thread of these articles, the last one where there are several."""
        members = set(group)
        return next((label for article, label in reversed(self.labels) if article in members), None)

    def hidden(self, position: int, others: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n,) which of the others no list may show beside an article."""
        banned = self.nowhere | self.apart.get(position, frozenset())
        return np.isin(others, list(banned)) if banned else np.zeros(len(others), np.bool_)

    def partners(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """These positions and those that pins bind them to, from either side and on from there; rising."""
        inside = set(positions.tolist())
        pins = self.pinned()
        while bound := {side for pair in pins if len(inside.intersection(pair)) == 1 for side in pair} - inside:
            inside |= bound
        return np.array(sorted(inside), np.int64)

    def pinned(self) -> list[tuple[int, int]]:
        """(beside which, what) of every pin."""
        return [(position, other) for position, others in self.pins.items() for other in others]


def ruling_of(rules: Sequence[Rule], position: Mapping[str, int], n_articles: int) -> Ruling:
    """What the rules, in the order they were made, ask of the articles that are there.

    Where rules contradict each other after all, a lock goes before a split, a split before a merge, never before a pin.
    """
    regions = _regions(rules, position, n_articles)
    apart: dict[int, frozenset[int]] = {}
    for one, *rest in _there(rules, "never", position, whole=True):
        for other in rest:
            apart[one] = apart.get(one, frozenset()) | {other}
            apart[other] = apart.get(other, frozenset()) | {one}
    nowhere = {position[rule.articles[0]] for rule in rules if _is_alone(rule) and rule.articles[0] in position}
    pins: dict[int, tuple[int, ...]] = {}
    for one, other in _there(rules, "pin", position, whole=True):
        if other not in apart.get(one, ()) and other not in nowhere:
            pins[one] = (*pins.get(one, ()), other)
    chains = [*_there(rules, "merge", position), *_there(rules, "lock", position)]
    ties = [(one, other) for chain in chains for one, other in itertools.pairwise(chain)]
    labels = [(position[rule.articles[0]], rule.label) for rule in rules if rule.label and rule.articles[0] in position]
    return Ruling(
        regions=regions,
        ties=tuple((one, other) for one, other in ties if regions[one] == regions[other]),
        labels=tuple(labels),
        pins=pins,
        apart=apart,
        nowhere=frozenset(nowhere),
    )


def _is_alone(rule: Rule) -> bool:
    return rule.kind == "never" and len(rule.articles) == 1


def _there(rules: Sequence[Rule], kind: Kind, position: Mapping[str, int], *, whole: bool = False) -> list[list[int]]:
    """The positions of the articles of each rule of one kind; only rules of which all are there where `whole`."""
    found = [rule.articles for rule in rules if rule.kind == kind]
    return [
        [position[article] for article in articles if article in position]
        for articles in found
        if not whole or all(article in position for article in articles)
    ]


def _regions(rules: Sequence[Rule], position: Mapping[str, int], n_articles: int) -> NDArray[np.int64]:
    """(n,) 0 where no rule says anything; a locked article is of its lock alone."""
    marks: dict[int, tuple[int, ...]] = {}
    for number, articles in enumerate(_there(rules, "split", position), start=1):
        for article in articles:
            marks[article] = (*marks.get(article, ()), number)
    for number, articles in enumerate(_there(rules, "lock", position), start=1):
        for article in articles:
            if marks.get(article, (1,))[0] > 0:  # of two locks the first
                marks[article] = (-number,)
    numbers = {mark: number for number, mark in enumerate(sorted(set(marks.values())), start=1)}
    regions = np.zeros(n_articles, np.int64)
    for article, mark in marks.items():
        regions[article] = numbers[mark]
    return regions


def overruled_groups(groups: Sequence[Sequence[int]], ties: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The groups of the machine with those joined that ties bind; each rising, in the order of their first member."""
    group_of: dict[int, list[int]] = {}
    for members in map(list, groups):
        group_of.update((member, members) for member in members)
    for one, other in ties:
        left, right = group_of.setdefault(one, [one]), group_of.setdefault(other, [other])
        if left is not right:
            left += right
            group_of.update((member, left) for member in right)
    whole = {id(group): sorted(group) for group in group_of.values()}
    return sorted(group for group in whole.values() if len(group) > 1)


def overruled_list(order: Sequence[int], pinned: Sequence[int], longest: int) -> list[int]:
    """The places of a list with the pinned ones first, all of them, and no place twice."""
    rest = [place for place in order if place not in set(pinned)]
    return [*pinned, *rest[: max(0, longest - len(pinned))]]
