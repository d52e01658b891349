"""Step 8 of 8: scored candidates and threads -> the lists. Pure: what a reader sees follows from these values alone."""

from __future__ import annotations

from collections.abc import Callable
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
    """What may be shown in some lists, each beside one article; all fields (n,)."""

    lists: NDArray[np.int64]  # which list, from 0, rising
    positions: NDArray[np.int64]
    scores: NDArray[np.float32]  # probability of being related, in [0, 1]
    same_thread: NDArray[np.bool_]
    duplicate: NDArray[np.bool_]  # of the article itself
    copies: NDArray[np.int64]  # candidates of one number are one text
    days: NDArray[np.float64]  # since 1970, nan where unknown
    evergreen: NDArray[np.bool_]  # does not age


Alike = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""Of (lists, m) numbers of candidates, -1 where there is none, (lists, m, m): how close those of a list are to each other, in
[0, 1]."""


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


def similar(candidates: Candidates, config: RankingConfig = DEFAULT) -> NDArray[np.int64]:
    """(n,) the place of each candidate in its list by score alone, 0 the first, -1 where it has none; ties by position. Nothing
    is collapsed."""
    order = np.lexsort((candidates.positions, -candidates.scores, candidates.lists))
    rank = np.empty(len(order), np.int64)
    rank[order] = _counted(candidates.lists[order])
    return np.where((candidates.scores >= config.least_score) & (rank < config.longest), rank, -1)


def freshness(days: NDArray[np.float64], own_day: NDArray[np.float64], config: RankingConfig = DEFAULT) -> NDArray[np.float64]:
    """(n,) in [least_freshness, 1]: 1 on the article's own day, halfway down to the least after half_life_days."""
    age = np.nan_to_num(np.abs(days - own_day), nan=config.half_life_days)
    return config.least_freshness + (1 - config.least_freshness) * 0.5 ** (age / config.half_life_days)


def sidebar(
    candidates: Candidates, alike: Alike, own_days: NDArray[np.float64], config: RankingConfig = DEFAULT
) -> NDArray[np.int64]:
    """(n,) the place of each candidate in its list as a reader should see it, 0 the first, -1 where it has none.

    `own_days` (lists,) are those of the articles beside which the lists stand. Of candidates that are one text only the best
    is shown, of the article's own copies none. A list begins with the thread, lets background in after `thread_run` articles,
    and goes on in turn; any beginning of it is the list of that length.
    """
    fresh = freshness(candidates.days, own_days[candidates.lists], config)
    worth = candidates.scores.astype(np.float64) * np.where(candidates.evergreen, 1.0, fresh)
    usable = (candidates.scores >= config.least_sidebar) & ~candidates.duplicate
    left = _one_of_each(np.flatnonzero(usable), worth, candidates)
    found = np.full(len(worth), -1, np.int64)
    sizes = np.unique(candidates.lists[left], return_counts=True)[1]
    starts = np.cumsum(sizes) - sizes
    by_size = np.argsort(sizes, kind="stable")
    while len(by_size):
        part, by_size = _split(by_size, sizes)
        number = np.arange(sizes[part].max())
        numbers = np.where(number < sizes[part, None], left[np.minimum(starts[part, None] + number, len(left) - 1)], -1)
        chosen = _in_turn(numbers, worth, candidates.same_thread, alike(numbers), config)
        row, place = np.nonzero(chosen >= 0)
        found[numbers[row, chosen[row, place]]] = place
    return found


MOST_AT_ONCE = 2_000_000
"""Pairs of candidates of lists that are chosen at once; bounds the memory."""


def _split(by_size: NDArray[np.int64], sizes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(the next lists, by rising size, that are not too much at once; the others)."""
    pairs = sizes[by_size].astype(np.int64) ** 2 * np.arange(1, len(by_size) + 1)  # each takes the room of the largest
    many = max(1, int(np.searchsorted(pairs, MOST_AT_ONCE)))
    return by_size[:many], by_size[many:]


def _in_turn(
    numbers: NDArray[np.int64],
    worth: NDArray[np.float64],
    same_thread: NDArray[np.bool_],
    alike: NDArray[np.float32],
    config: RankingConfig,
) -> NDArray[np.int64]:
    """(lists, longest) which of the candidates in `numbers` (lists, m; -1 for none) is chosen in each turn, by place there."""
    here = np.arange(len(numbers))
    free = numbers >= 0
    worth, together = worth[numbers], same_thread[numbers]
    likeness = np.zeros(numbers.shape, np.float64)
    turns = min(numbers.shape[1], config.longest)
    chosen = np.full((len(numbers), turns), -1, np.int64)
    for turn in range(turns):
        wanted = turn % (config.thread_run + config.background_run) < config.thread_run
        pool = free & (together == wanted)
        pool = np.where(pool.any(axis=1, keepdims=True), pool, free)
        best = np.argmax(np.where(pool, worth * (1 - config.variety * (1 + likeness)), -np.inf), axis=1)
        goes_on = free[here, best]
        chosen[goes_on, turn] = best[goes_on]
        free[here, best] = False
        np.maximum(likeness, alike[here, best], out=likeness)
    return chosen


def _one_of_each(places: NDArray[np.int64], worth: NDArray[np.float64], candidates: Candidates) -> NDArray[np.int64]:
    """The best place of every text of a list, ties by position; by list and worth."""
    order = np.lexsort((candidates.positions[places], -worth[places], candidates.lists[places]))
    best = places[order]
    by_text = np.lexsort((np.arange(len(best)), candidates.copies[best], candidates.lists[best]))
    lists, copies = candidates.lists[best[by_text]], candidates.copies[best[by_text]]
    first = np.ones(len(best), np.bool_)
    first[1:] = (np.diff(lists) != 0) | (np.diff(copies) != 0)
    return best[np.sort(by_text[first])]


def _counted(lists: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) 0, 1, 2, … for each run of one value."""
    return np.arange(len(lists)) - np.searchsorted(lists, lists)
