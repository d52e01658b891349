"""Step 8 of 8: scored candidates and threads -> the lists. Pure: what a reader sees follows from these values alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DUPLICATE_TEXT = 0.85
"""TF-IDF cosine of two full texts from which they are the same text: a copy with another headline and a few changed words.
Of 30 pairs between .84 and .92 read on three archives 27 were copies or updates of one report, the others a weekly report, a
follow-up and a page with a stranger's text; of 15 between .78 and .84 some 10 were."""

DUPLICATE_DAYS = 7.0
"""Days within which a copy comes; later, the same words are this month's issue of a report made from a template."""

DUPLICATE_ANYWHEN = 0.97
"""The cosine from which two texts are the same however many days apart."""

DUPLICATE_WORDS = 30
"""Distinct terms an article must have for that; shorter texts are the same only when nearly every term is."""

DUPLICATE_SHORT = 0.98
"""The same limit for shorter texts, bare headlines among them."""

DUPLICATE_UPDATE = 0.6
"""The cosine from which two texts under one headline are one report and its update, within `UPDATE_DAYS`. In a stream of 20,000
articles 587 sidebars held their own article's headline before this."""

UPDATE_DAYS = 3.0
"""Days within which an update comes; a weekly report has its headline again after seven."""

SAME_TITLE = 0.98
"""Cosine of two headlines from which they are one."""

DUPLICATE_LENGTHS = 0.7
"""Distinct terms of the shorter text per one of the longer: an excerpt is no copy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingConfig:
    """What a list shows."""

    least_score: float = 0.1
    """Below it nothing is shown, in any list: an empty place is better than a stranger. (Probability of being related.)"""
    least_sidebar: float = 0.7
    """The same for what a reader sees. Of the judged pairs of one day of 219 outlets 19 in 20 between .25 and .4 are not
    related, 2 in 3 between .4 and .6, 2 in 5 between .6 and .8, 1 in 50 above (scripts/judgments.csv); of the items of 50
    lists of that day read one by one, 17 of 23 between .6 and .7 were strangers, 13 of 28 to .8, 14 of 109 above."""
    longest: int = 20
    """Articles of one stored list."""
    half_life_days: float = 180.0
    """Days from the article's own date after which freshness has halved; it multiplies, so it reorders what is related
    and never lifts what is not."""
    least_freshness: float = 0.6
    """What age can take at most."""
    variety: float = 0.15
    """Weight of the likeness to what the list holds already (maximal marginal relevance; Carbonell & Goldstein, 1998). At .3
    a stranger of .6 came before a seventh report of .97."""
    thread_run: int = 3
    """Articles of the running thread before background is let in."""
    background_run: int = 2
    """Articles of background before the thread goes on."""


DEFAULT = RankingConfig()


class Candidates(NamedTuple):
    """What may be shown beside one article; all fields (n,)."""

    positions: NDArray[np.int64]
    scores: NDArray[np.float32]  # probability of being related, in [0, 1]
    same_thread: NDArray[np.bool_]
    duplicate: NDArray[np.bool_]  # of the article itself
    days: NDArray[np.float64]  # since 1970, nan where unknown
    evergreen: NDArray[np.bool_]  # does not age

    def take(self, places: NDArray[np.int64]) -> Candidates:
        """Some of them, in this order."""
        return Candidates(
            self.positions[places], self.scores[places], self.same_thread[places], self.duplicate[places], self.days[places],
            self.evergreen[places],
        )  # fmt: skip


def is_duplicate(
    text: NDArray[np.float32],
    lengths_one: NDArray[np.int64],
    lengths_two: NDArray[np.int64],
    days_apart: NDArray[np.float32],
    title: NDArray[np.float32],
) -> NDArray[np.bool_]:
    """(n,) which pairs are one text twice; from the cosine of the full texts, the numbers of distinct terms, the days between
    the two (nan where unknown: no objection), and the cosine of the titles (nan where one has none)."""
    shorter, longer = np.minimum(lengths_one, lengths_two), np.maximum(lengths_one, lengths_two)
    limit = np.where(shorter >= DUPLICATE_WORDS, DUPLICATE_TEXT, DUPLICATE_SHORT)
    soon = ~(days_apart > DUPLICATE_DAYS) | (text >= DUPLICATE_ANYWHEN)
    copy = (text >= limit) & soon & (shorter >= DUPLICATE_LENGTHS * longer)
    update = (title >= SAME_TITLE) & (text >= DUPLICATE_UPDATE) & ~(days_apart > UPDATE_DAYS) & (shorter >= DUPLICATE_WORDS)
    return copy | update


def similar(candidates: Candidates, config: RankingConfig = DEFAULT) -> list[int]:
    """Places of the candidates by score alone, best first; ties by position. Nothing is collapsed."""
    order = np.lexsort((candidates.positions, -candidates.scores))
    shown = order[candidates.scores[order] >= config.least_score]
    return [int(place) for place in shown[: config.longest]]


def freshness(days: NDArray[np.float64], own_day: float, config: RankingConfig = DEFAULT) -> NDArray[np.float64]:
    """(n,) in [least_freshness, 1]: 1 on the article's own day, halfway down to the least after half_life_days."""
    age = np.nan_to_num(np.abs(days - own_day), nan=config.half_life_days)
    return config.least_freshness + (1 - config.least_freshness) * 0.5 ** (age / config.half_life_days)


def sidebar(
    candidates: Candidates, alike: NDArray[np.float32], copies: NDArray[np.int64], own_day: float, config: RankingConfig = DEFAULT
) -> list[int]:
    """Places of the candidates as a reader should see them, best first.

    `alike` (n, n) says how close the candidates are to each other, in [0, 1]; `copies` (n,) numbers the texts: candidates
    of one number are one text, of which only the best is shown. The article's own copies are not shown at all. The list
    begins with the thread, lets background in after `thread_run` articles, and goes on in turn; any beginning of it is
    the list of that length.
    """
    worth = candidates.scores.astype(np.float64) * np.where(
        candidates.evergreen, 1.0, freshness(candidates.days, own_day, config)
    )
    usable = (candidates.scores >= config.least_sidebar) & ~candidates.duplicate
    left = _one_of_each(np.flatnonzero(usable), worth, copies, candidates.positions)
    worth, alike = worth[left], alike[np.ix_(left, left)]
    together = candidates.same_thread[left]
    barred = {inside: np.where(together == inside, 0.0, -np.inf) for inside in (True, False)}
    waiting = {True: int(np.count_nonzero(together)), False: int(np.count_nonzero(~together))}
    chosen: list[int] = []
    likeness = np.zeros(len(left), np.float64)
    while len(chosen) < min(len(left), config.longest):
        wanted = len(chosen) % (config.thread_run + config.background_run) < config.thread_run
        pool = wanted if waiting[wanted] else not wanted
        best = int(np.argmax(worth * (1 - config.variety * (1 + likeness)) + barred[pool]))
        chosen.append(left[best])
        barred[pool][best] = -np.inf
        waiting[pool] -= 1
        np.maximum(likeness, alike[best], out=likeness)
    return chosen


def _one_of_each(
    places: NDArray[np.int64], worth: NDArray[np.float64], copies: NDArray[np.int64], positions: NDArray[np.int64]
) -> list[int]:
    """The best place of every text, ties by position; in the order of worth."""
    best = places[np.lexsort((positions[places], -worth[places]))]
    _, first = np.unique(copies[best], return_index=True)
    return [int(place) for place in best[np.sort(first)]]
