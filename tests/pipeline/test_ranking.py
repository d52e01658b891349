"""Step 8: scored candidates and threads -> lists."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recommender.pipeline.evidence import Evidence
from recommender.pipeline.ranking import (
    DEFAULT,
    Candidates,
    RankingConfig,
    floors,
    is_duplicate,
    sidebar,
    similar,
)

SEEDS = st.integers(0, 2**32 - 1)
PLAIN = replace(DEFAULT, first_floor=0.25, floor_step=0.0, last_floor=0.25)
"""One floor for all places: what is left can be worked by hand."""


def candidates(scores: list[float], duplicate: str = "") -> Candidates:
    """Candidates at positions 10, 11, …; `duplicate` marks the article's own copies with an x, in order."""
    n = len(scores)
    return Candidates(
        lists=np.zeros(n, np.int64),
        positions=np.arange(10, 10 + n),
        scores=np.array(scores, np.float32),
        nearness=np.array(scores, np.float32),
        duplicate=np.array([mark == "x" for mark in duplicate.ljust(n)], np.bool_),
        copies=np.arange(n),
    )


def listed(found: Candidates, config: RankingConfig = PLAIN, *, copies: list[int] | None = None) -> list[int]:
    """The sidebar of one article."""
    found = found if copies is None else found._replace(copies=np.array(copies))
    return in_order(sidebar(found, config))


def in_order(places: NDArray[np.int64]) -> list[int]:
    """The candidates that have a place, first to last; the places must be 0, 1, 2, …"""
    listed = sorted((int(place), at) for at, place in enumerate(places) if place >= 0)
    assert [place for place, _ in listed] == list(range(len(listed)))
    return [at for _, at in listed]


def drawn(seed: int) -> Candidates:
    """Candidates of every kind, as the sidebar takes them."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(0, 40))
    return Candidates(
        lists=np.zeros(n, np.int64),
        positions=np.sort(rng.permutation(500)[:n]),
        scores=np.round(rng.random(n), 1).astype(np.float32),
        nearness=np.round(rng.random(n), 1).astype(np.float32),
        duplicate=rng.random(n) < 0.1,
        copies=rng.integers(0, max(n, 1), n),
    )


def pair(**given: float) -> Evidence:
    """Evidence on one pair: what is given, days and title unknown, else 0."""
    unknown = {"days_apart": math.nan, "title": math.nan}
    return Evidence(**{name: np.array([(unknown | given).get(name, 0.0)], np.float32) for name in Evidence.__slots__})


def test_similar_is_the_order_of_nearness() -> None:
    """Best first, ties by position; duplicates stay; what is below the least score is left out."""
    found = candidates([0.3, 0.9, 0.3, 0.05, 0.1], duplicate=" x")
    assert in_order(similar(found, PLAIN)) == [1, 0, 2, 4]
    assert in_order(similar(found, replace(PLAIN, longest=2))) == [1, 0]
    assert in_order(similar(candidates([]))) == []


@given(seed=SEEDS)
@settings(deadline=None)
def test_similar_is_a_plain_sort(seed: int) -> None:
    """It is what Python's own sort gives."""
    found = drawn(seed)
    expected = sorted(range(len(found.scores)), key=lambda place: (-found.nearness[place], found.positions[place]))
    expected = [place for place in expected if found.nearness[place] >= DEFAULT.least_score]
    assert in_order(similar(found)) == expected[: DEFAULT.longest]


def test_each_further_place_asks_for_more() -> None:
    """The floors rise from the first to the last and stay there; a list ends with the first that is not good enough."""
    rising = replace(DEFAULT, first_floor=0.2, floor_step=0.1, last_floor=0.4, longest=5)
    np.testing.assert_allclose(floors(rising), [0.2, 0.3, 0.4, 0.4, 0.4])
    assert listed(candidates([0.25]), rising) == [0]
    assert listed(candidates([0.9, 0.25]), rising) == [0]
    assert listed(candidates([0.45, 0.39, 0.9, 0.5]), rising) == [2, 3, 0]


def test_nothing_unrelated_fills_a_list() -> None:
    """Below the floor there is no place."""
    assert listed(candidates([0.24, 0.25, 0.01])) == [1]
    assert listed(candidates([0.2, 0.1])) == []


def test_of_one_text_the_best_is_shown_and_own_copies_never() -> None:
    """Candidates 1 and 2 are one text: 2 scores higher. Candidate 0 is the article itself once more."""
    found = candidates([1.0, 0.7, 0.8, 0.6], duplicate="x")
    assert listed(found, copies=[9, 5, 5, 6]) == [2, 3]


@given(seed=SEEDS, k=st.integers(0, 20))
@settings(deadline=None)
def test_the_beginning_of_a_list_is_the_list_of_that_length(seed: int, k: int) -> None:
    """Stored once, a list serves every k."""
    found = drawn(seed)
    assert listed(found, replace(DEFAULT, longest=k)) == listed(found, DEFAULT)[:k]


@given(seed=SEEDS)
@settings(deadline=None)
def test_a_sidebar_is_what_choosing_one_by_one_gives(seed: int) -> None:
    """Written out for one list in plain Python: by falling score, each text once, each place to who earns it."""
    made = drawn(seed)
    best = sorted(range(len(made.scores)), key=lambda at: (-made.scores[at], made.positions[at]))
    usable = [at for at in best if made.scores[at] >= np.float32(DEFAULT.first_floor) and not made.duplicate[at]]
    chosen: list[int] = []
    texts: set[int] = set()
    for at in usable:
        if int(made.copies[at]) in texts:
            continue
        texts.add(int(made.copies[at]))
        floor = min(DEFAULT.first_floor + DEFAULT.floor_step * len(chosen), DEFAULT.last_floor)
        if len(chosen) < DEFAULT.longest and made.scores[at] >= floor:
            chosen.append(at)
    assert listed(made, DEFAULT) == chosen


@given(seeds=st.lists(SEEDS, max_size=8))
@settings(deadline=None)
def test_lists_made_at_once_are_those_made_one_by_one(seeds: list[int]) -> None:
    """No list hangs on its company."""
    found = [drawn(seed) for seed in seeds]
    sizes = [len(made.scores) for made in found]
    starts = np.cumsum([0, *sizes])
    fields = [np.concatenate([np.zeros(0), *(made[n] for made in found)]) for n in range(1, len(Candidates._fields))]
    several = Candidates(np.repeat(np.arange(len(found)), sizes), *fields)
    types = {name: np.asarray(of).dtype for name, of in zip(Candidates._fields, drawn(0), strict=True)}
    several = several._replace(**{name: getattr(several, name).astype(kind) for name, kind in types.items()})
    places, similars = sidebar(several), similar(several)
    for number, made in enumerate(found):
        here = slice(starts[number], starts[number + 1])
        assert in_order(places[here]) == listed(made, DEFAULT)
        assert in_order(similars[here]) == in_order(similar(made))


@pytest.mark.parametrize(
    ("cosine", "one", "two", "same"),
    [
        (0.95, 200, 210, True),
        (0.80, 200, 210, False),
        (0.95, 200, 100, False),
        (0.95, 100, 200, False),
        (0.95, 8, 8, False),
        (1.00, 8, 8, True),
    ],
)
def test_a_duplicate_is_the_same_text_at_the_same_length(cosine: float, one: int, two: int, same: bool) -> None:
    """A copy with a few changed words is one; an excerpt, a rewritten report and a like short headline are none."""
    found = is_duplicate(pair(text=cosine), np.array([one]), np.array([two]))
    assert found.tolist() == [same]


@pytest.mark.parametrize(
    ("cosine", "days", "same"),
    [(0.9, 1.0, True), (0.9, float("nan"), True), (0.9, 30.0, False), (0.99, 30.0, True)],
)
def test_a_copy_comes_within_days(cosine: float, days: float, same: bool) -> None:
    """Nearly the same words a month later are another issue of a series; the very same words are a copy at any time."""
    long = np.array([200])
    found = is_duplicate(pair(text=cosine, days_apart=days), long, long)
    assert found.tolist() == [same]


def test_an_update_under_one_headline_is_a_copy() -> None:
    """Two texts two thirds alike are one report if the headline is one and it is the same day; not a week later."""
    words = np.array([200])
    for title, days, copy in ((1.0, 0.2, True), (0.7, 0.2, False), (1.0, 7.0, False), (np.nan, 0.2, False)):
        assert bool(is_duplicate(pair(text=0.65, title=title, days_apart=days), words, words)[0]) is copy


@pytest.mark.parametrize(
    ("text", "lead", "title", "days", "words", "same"),
    [
        (0.80, 0.70, 0.3, 0.3, (200, 210), True),  # an agency's report edited by two papers
        (0.80, 0.40, 0.3, 0.3, (200, 210), False),  # the same facts told anew
        (0.80, 0.70, 0.3, 5.0, (200, 210), False),  # next week's report from the same mould
        (0.55, 0.80, 0.8, 0.3, (80, 300), True),  # cut short
        (0.55, 0.80, 0.5, 0.3, (80, 300), False),
        (0.80, 0.70, 0.3, 0.3, (20, 21), False),  # too short to say
    ],
)
def test_an_edited_or_shortened_report_is_a_copy(
    text: float, lead: float, title: float, days: float, words: tuple[int, int], same: bool
) -> None:
    """What two papers make of one agency report is one text, where text and lead, or headline and lead, agree."""
    found = is_duplicate(pair(text=text, lead=lead, title=title, days_apart=days), *(np.array([one]) for one in words))
    assert bool(found[0]) is same
