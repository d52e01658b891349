"""Step 8: scored candidates and threads -> lists."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recommender.pipeline.ranking import DEFAULT, Candidates, RankingConfig, freshness, is_duplicate, sidebar, similar

NEVER = np.array([np.nan], np.float32)
SEEDS = st.integers(0, 2**32 - 1)
PLAIN = RankingConfig(
    least_score=0.1, least_sidebar=0.25, variety=0.0, least_freshness=1.0, longest=20, thread_run=3, background_run=2
)
"""No variety and no freshness: what is left can be worked by hand."""


def candidates(scores: list[float], thread: str = "", duplicate: str = "", days: list[float] | None = None) -> Candidates:
    """Candidates at positions 10, 11, …; `thread` and `duplicate` mark theirs with an x, in order."""
    n = len(scores)
    return Candidates(
        lists=np.zeros(n, np.int64),
        positions=np.arange(10, 10 + n),
        scores=np.array(scores, np.float32),
        same_thread=np.array([mark == "x" for mark in thread.ljust(n)], np.bool_),
        duplicate=np.array([mark == "x" for mark in duplicate.ljust(n)], np.bool_),
        copies=np.arange(n),
        days=np.array(days if days is not None else [0.0] * n),
        evergreen=np.zeros(n, np.bool_),
    )


def listed(
    found: Candidates, config: RankingConfig = PLAIN, *, copies: list[int] | None = None, own_day: float = 0.0
) -> list[int]:
    """The sidebar where no two candidates are alike."""
    n = len(found.positions)
    found = found if copies is None else found._replace(copies=np.array(copies))
    return shown(found, np.zeros((n, n), np.float32), own_day, config)


def shown(found: Candidates, alike: NDArray[np.float32], own_day: float, config: RankingConfig = DEFAULT) -> list[int]:
    """The sidebar of one article, of candidates that are so much alike."""
    return in_order(sidebar(found, lambda at: alike[at[:, :, None], at[:, None, :]], np.array([own_day]), config))


def in_order(places: NDArray[np.int64]) -> list[int]:
    """The candidates that have a place, first to last; the places must be 0, 1, 2, …"""
    listed = sorted((int(place), at) for at, place in enumerate(places) if place >= 0)
    assert [place for place, _ in listed] == list(range(len(listed)))
    return [at for _, at in listed]


def drawn(seed: int) -> tuple[Candidates, NDArray[np.float32], float]:
    """Candidates of every kind, as the sidebar takes them."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(0, 40))
    days = np.where(rng.random(n) < 0.2, np.nan, rng.uniform(0, 900, n))
    made = Candidates(
        lists=np.zeros(n, np.int64),
        positions=np.sort(rng.permutation(500)[:n]),
        scores=np.round(rng.random(n), 1).astype(np.float32),
        same_thread=rng.random(n) < 0.4,
        duplicate=rng.random(n) < 0.1,
        copies=rng.integers(0, max(n, 1), n),
        days=days,
        evergreen=rng.random(n) < 0.1,
    )
    alike = rng.random((n, n)).astype(np.float32)
    return made, ((alike + alike.T) / 2).astype(np.float32), float(rng.choice([np.nan, 450.0]))


def test_similar_is_the_order_of_the_scores() -> None:
    """Best first, ties by position; duplicates stay; what is below the least score is left out."""
    found = candidates([0.3, 0.9, 0.3, 0.05, 0.1], duplicate=" x")
    assert in_order(similar(found, PLAIN)) == [1, 0, 2, 4]
    assert in_order(similar(found, replace(PLAIN, longest=2))) == [1, 0]
    assert in_order(similar(candidates([]))) == []


@given(seed=SEEDS)
@settings(deadline=None)
def test_similar_is_a_plain_sort(seed: int) -> None:
    """It is what Python's own sort gives."""
    found = drawn(seed)[0]
    expected = sorted(range(len(found.scores)), key=lambda place: (-found.scores[place], found.positions[place]))
    expected = [place for place in expected if found.scores[place] >= DEFAULT.least_score]
    assert in_order(similar(found)) == expected[: DEFAULT.longest]


def test_the_thread_comes_first_and_background_is_let_in() -> None:
    """Three of the thread, two of background, again three of the thread, whatever their scores."""
    found = candidates([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.35, 0.3], thread="    xxxx")
    assert listed(found) == [4, 5, 6, 0, 1, 7, 2, 3]


def test_where_the_thread_has_ended_background_goes_on() -> None:
    """A short thread leaves its places to background, and the other way round."""
    assert listed(candidates([0.3, 0.9, 0.8, 0.7], thread="x")) == [0, 1, 2, 3]
    assert listed(candidates([0.9, 0.8, 0.7, 0.6, 0.5], thread="xxxxx")) == [0, 1, 2, 3, 4]


def test_nothing_unrelated_fills_a_list() -> None:
    """Below the limit there is no place, in the thread or out of it."""
    assert listed(candidates([0.24, 0.25, 0.01], thread="x")) == [1]
    assert listed(candidates([0.2, 0.1])) == []


def test_of_one_text_the_best_is_shown_and_own_copies_never() -> None:
    """Candidates 1 and 2 are one text: 2 scores higher. Candidate 0 is the article itself once more."""
    found = candidates([1.0, 0.7, 0.8, 0.6], duplicate="x")
    assert listed(found, copies=[9, 5, 5, 6]) == [2, 3]


def test_variety_puts_the_second_of_a_kind_back() -> None:
    """Of three, two are alike: the third, a little less related, comes between them. By hand: .7 * .8 - .3 * .8 < .7 * .7."""
    alike = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], np.float32)
    found = candidates([0.9, 0.8, 0.7])
    assert shown(found, alike, 0.0, replace(PLAIN, variety=0.3)) == [0, 2, 1]
    assert shown(found, alike, 0.0, PLAIN) == [0, 1, 2]


def test_freshness_halves_on_its_way_to_the_least() -> None:
    """1 on the own day, halfway to the least after the half-life in either direction, and never below the least."""
    config = replace(DEFAULT, half_life_days=100.0, least_freshness=0.6)
    found = freshness(np.array([500.0, 600.0, 400.0, 700.0, 1e6, math.nan]), np.array(500.0), config)
    np.testing.assert_allclose(found, [1.0, 0.8, 0.8, 0.7, 0.6, 0.8])
    np.testing.assert_allclose(freshness(np.array([1.0, math.nan]), np.array(math.nan), config), [0.8, 0.8])


def test_the_fresher_of_two_equals_comes_first() -> None:
    """Age reorders what is equally related, and lifts nothing that is not shown anyway."""
    config = replace(PLAIN, least_freshness=0.6)
    assert listed(candidates([0.5, 0.5], days=[0.0, 400.0]), config, own_day=400.0) == [1, 0]
    assert listed(candidates([0.5, 0.2], days=[0.0, 400.0]), config, own_day=400.0) == [0]


@given(seed=SEEDS, k=st.integers(0, 20))
@settings(deadline=None)
def test_the_beginning_of_a_list_is_the_list_of_that_length(seed: int, k: int) -> None:
    """Stored once, a list serves every k."""
    found = drawn(seed)
    assert shown(*found, replace(DEFAULT, longest=k)) == shown(*found)[:k]


@given(seed=SEEDS)
@settings(deadline=None)
def test_a_sidebar_shows_each_text_once_and_all_that_it_may(seed: int) -> None:
    """No place twice, no text twice, none of the own copies, none below the limit, and no text left out that had room."""
    made, alike, own_day = drawn(seed)
    listed, copies = shown(made, alike, own_day), made.copies
    usable = [place for place in range(len(copies)) if made.scores[place] >= DEFAULT.least_sidebar and not made.duplicate[place]]
    assert set(listed) <= set(usable)
    assert len({int(copies[place]) for place in listed}) == len(listed)
    assert len(listed) == min(len({int(copies[place]) for place in usable}), DEFAULT.longest)
    if any(made.same_thread[place] for place in listed):
        assert made.same_thread[listed[0]]


@given(seed=SEEDS)
@settings(deadline=None)
def test_a_sidebar_is_what_choosing_one_by_one_gives(seed: int) -> None:
    """Written out for one list in plain Python: in turn the most worth, less what is like something that is shown already."""
    made, alike, own_day = drawn(seed)
    worth = {
        at: float(made.scores[at]) * (1 if made.evergreen[at] else float(freshness(made.days[at], np.array(own_day))))
        for at in range(len(made.scores))
        if made.scores[at] >= np.float32(DEFAULT.least_sidebar) and not made.duplicate[at]
    }
    best = sorted(worth, key=lambda at: (-worth[at], made.positions[at]))
    left = [at for n, at in enumerate(best) if made.copies[at] not in {made.copies[one] for one in best[:n]}]
    chosen: list[int] = []
    while left and len(chosen) < DEFAULT.longest:
        wanted = len(chosen) % (DEFAULT.thread_run + DEFAULT.background_run) < DEFAULT.thread_run
        pool = [at for at in left if bool(made.same_thread[at]) == wanted] or left
        value = [
            worth[at] * (1 - DEFAULT.variety * (1 + max((float(alike[at, one]) for one in chosen), default=0))) for at in pool
        ]
        chosen.append(pool[value.index(max(value))])
        left.remove(chosen[-1])
    assert shown(made, alike, own_day) == chosen


@given(seeds=st.lists(SEEDS, max_size=8), most=st.integers(1, 2000))
@settings(deadline=None)
def test_lists_made_at_once_are_those_made_one_by_one(seeds: list[int], most: int) -> None:
    """Of any sizes, in portions of any size: no list hangs on its company."""
    found = [drawn(seed) for seed in seeds]
    sizes = [len(made.scores) for made, _, _ in found]
    starts = np.cumsum([0, *sizes])
    fields = [np.concatenate([np.zeros(0), *(made[n] for made, _, _ in found)]) for n in range(1, len(Candidates._fields))]
    several = Candidates(np.repeat(np.arange(len(found)), sizes), *fields)
    types = {name: np.asarray(of).dtype for name, of in zip(Candidates._fields, drawn(0)[0], strict=True)}
    several = several._replace(**{name: getattr(several, name).astype(kind) for name, kind in types.items()})

    def alike(numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        made = np.zeros((*numbers.shape, numbers.shape[1]), np.float32)
        for row, of_one in enumerate(numbers):
            at = of_one[of_one >= 0]
            number = int(several.lists[at[0]])
            made[row, : len(at), : len(at)] = found[number][1][np.ix_(at - starts[number], at - starts[number])]
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recommender.pipeline.ranking.MOST_AT_ONCE", most)
        places = sidebar(several, alike, np.array([own_day for *_, own_day in found]))
    similars = similar(several)
    for number, (made, _, _) in enumerate(found):
        here = slice(starts[number], starts[number + 1])
        assert in_order(places[here]) == shown(*found[number])
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
    found = is_duplicate(np.array([cosine], np.float32), np.array([one]), np.array([two]), NEVER, NEVER)
    assert found.tolist() == [same]


@pytest.mark.parametrize(
    ("cosine", "days", "same"),
    [(0.9, 1.0, True), (0.9, float("nan"), True), (0.9, 30.0, False), (0.99, 30.0, True)],
)
def test_a_copy_comes_within_days(cosine: float, days: float, same: bool) -> None:
    """Nearly the same words a month later are another issue of a series; the very same words are a copy at any time."""
    long = np.array([200])
    found = is_duplicate(np.array([cosine], np.float32), long, long, np.array([days], np.float32), NEVER)
    assert found.tolist() == [same]


def test_evergreen_articles_do_not_age() -> None:
    """A year-old article comes after a slightly weaker one of today; if it is evergreen, before."""
    found = candidates([0.9, 0.88], days=[-365.0, 0.0])
    fresh = replace(DEFAULT, variety=0.0)
    assert listed(found, fresh) == [1, 0]
    assert listed(found._replace(evergreen=np.array([True, False])), fresh) == [0, 1]


def test_an_update_under_one_headline_is_a_copy() -> None:
    """Two texts two thirds alike are one report if the headline is one and it is the same day; not a week later."""
    words, alike = np.array([200]), np.array([0.65], np.float32)
    for title, days, copy in ((1.0, 0.2, True), (0.7, 0.2, False), (1.0, 7.0, False), (np.nan, 0.2, False)):
        found = is_duplicate(alike, words, words, np.array([days], np.float32), np.array([title], np.float32))
        assert bool(found[0]) is copy
