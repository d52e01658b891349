"""Step 8 of 8: scored candidates and threads -> the lists. Pure: what a reader sees follows from these values alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender.pipeline.evidence import Evidence

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

EDITED_TEXT, EDITED_LEAD = 0.78, 0.6
"""Cosines of the texts and of title with lead from which two texts within `UPDATE_DAYS` are one agency report, edited twice. With
`SHORTENED_TITLE`, of the 46 pairs of a day of 219 outlets that readers call the same text 34 are found (26 without), no other; of
the 29 of an agency's archive 22, with 5 pairs that readers call two reports of one story."""

SHORTENED_TITLE, SHORTENED_LEAD, SHORTENED_TEXT = 0.75, 0.8, 0.5
"""Cosines of the headlines, of title with lead, and of the texts, from which one text is the other cut short."""

DUPLICATE_LENGTHS = 0.7
"""Distinct terms of the shorter text per one of the longer: an excerpt is no copy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingConfig:
    """What a list shows. Scores are probabilities of being related."""

    least_score: float = 0.1
    """Below it nothing is shown, in any list: an empty place is better than a stranger."""
    first_floor: float = 0.3
    """Least score of the first place of a sidebar. See `floor_step`."""
    floor_step: float = 0.05
    """What each further place asks more. A reader looks at the first places most, so there a good article is worth more, while
    a stranger costs the same everywhere. Against one floor of .35 or .5 for all places: scripts/learn_related.py --ablate."""
    last_floor: float = 0.5
    """Largest least score, of the fifth place and all after it."""
    longest: int = 20
    """Articles of one stored list."""


DEFAULT = RankingConfig()


class Candidates(NamedTuple):
    """What may be shown in some lists, each beside one article; all fields (n,)."""

    lists: NDArray[np.int64]  # which list, from 0, rising
    positions: NDArray[np.int64]
    scores: NDArray[np.float32]  # probability of being related, in [0, 1]
    nearness: NDArray[np.float32]  # what orders `similar`, in [0, 1]
    duplicate: NDArray[np.bool_]  # of the article itself
    copies: NDArray[np.int64]  # candidates of one number are one text


def is_duplicate(evidence: Evidence, words_one: NDArray[np.int64], words_two: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) which pairs are one text twice: a copy, a copy under another headline, an agency's report edited by two papers, an
    update under the same headline. `words_one` and `words_two` (n,) are the distinct terms of the two texts."""
    text, lead, title = evidence.text, evidence.lead, np.nan_to_num(evidence.title, nan=0.0)
    shorter, longer = np.minimum(words_one, words_two), np.maximum(words_one, words_two)
    # a date that is not known is no objection
    within_week, within_days = ~(evidence.days_apart > DUPLICATE_DAYS), ~(evidence.days_apart > UPDATE_DAYS)
    whole = (shorter >= DUPLICATE_LENGTHS * longer) & (within_week | (text >= DUPLICATE_ANYWHEN))
    copy = whole & (text >= np.where(shorter >= DUPLICATE_WORDS, DUPLICATE_TEXT, DUPLICATE_SHORT))
    long_enough = (shorter >= DUPLICATE_WORDS) & within_days
    edited = long_enough & whole & (text >= EDITED_TEXT) & (lead >= EDITED_LEAD)
    update = long_enough & (title >= SAME_TITLE) & (text >= DUPLICATE_UPDATE)
    shortened = long_enough & (title >= SHORTENED_TITLE) & (lead >= SHORTENED_LEAD) & (text >= SHORTENED_TEXT)
    return np.asarray(copy | edited | update | shortened, np.bool_)


def similar(candidates: Candidates, config: RankingConfig = DEFAULT) -> NDArray[np.int64]:
    """(n,) the place of each candidate in its list by nearness alone, 0 the first, -1 where it has none; ties by position.
    Nothing is collapsed."""
    order = np.lexsort((candidates.positions, -candidates.nearness, candidates.lists))
    rank = np.empty(len(order), np.int64)
    rank[order] = _counted(candidates.lists[order])
    return np.where((candidates.nearness >= config.least_score) & (rank < config.longest), rank, -1)


def floors(config: RankingConfig = DEFAULT) -> NDArray[np.float64]:
    """(longest,) the least score of each place of a sidebar."""
    rising = config.first_floor + config.floor_step * np.arange(config.longest)
    return np.asarray(np.minimum(rising, config.last_floor), np.float64)


def sidebar(candidates: Candidates, config: RankingConfig = DEFAULT) -> NDArray[np.int64]:
    """(n,) the place of each candidate in its list as a reader should see it, 0 the first, -1 where it has none.

    The order is that of the scores, ties by position. Of candidates that are one text only the best is shown, of the article's
    own copies none. A list ends where the next candidate is not good enough for the next place; any beginning of a list is the
    list of that length.
    """
    usable = np.flatnonzero((candidates.scores >= config.first_floor) & ~candidates.duplicate)
    best = _one_of_each(usable, candidates)
    place = _counted(candidates.lists[best])
    shown = place < config.longest
    best, place = best[shown], place[shown]
    good = candidates.scores[best] >= floors(config)[place]
    found = np.full(len(candidates.lists), -1, np.int64)
    found[best[good]] = place[good]  # scores fall and floors rise: after the first that is not good enough none is
    return found


def _one_of_each(places: NDArray[np.int64], candidates: Candidates) -> NDArray[np.int64]:
    """The best place of every text of a list, ties by position; by list and falling score."""
    order = np.lexsort((candidates.positions[places], -candidates.scores[places], candidates.lists[places]))
    best = places[order]
    by_text = np.lexsort((np.arange(len(best)), candidates.copies[best], candidates.lists[best]))
    lists, copies = candidates.lists[best[by_text]], candidates.copies[best[by_text]]
    first = np.ones(len(best), np.bool_)
    first[1:] = (np.diff(lists) != 0) | (np.diff(copies) != 0)
    return best[np.sort(by_text[first])]


def _counted(lists: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) 0, 1, 2, … for each run of one value."""
    return np.arange(len(lists)) - np.searchsorted(lists, lists)
