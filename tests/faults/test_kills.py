"""A writer is killed at random moments: what had returned is there, what had not is there whole or not at all."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

import pytest

from recommender import Recommender
from tests.faults.harness import TIMES, State, Writer, after, answers_of, article, report_totals, state_of

KILLS = 24 * TIMES
WRITES = ("build", "add", "update", "remove", "rebuild", "compact")
STORIES, ARTICLES = 6, 8


def chosen(rng: random.Random, does: str, state: State) -> State:
    """Articles for an order: new ones to add, known ones to update or remove, many to build of."""
    every = [f"s{story:02}a{number}" for story in range(STORIES) for number in range(ARTICLES)]
    if does == "build":
        return {one: rng.randrange(3) for one in rng.sample(every, 30)}
    known = sorted(state)
    if does == "add":
        fresh = [one for one in every if one not in state]
        return dict.fromkeys(rng.sample(fresh, min(3, len(fresh))), 0)
    if does in ("rebuild", "compact"):
        return {}
    return {one: (state[one] + 1) % 100 for one in rng.sample(known, min(3, len(known) - 1))}


@pytest.mark.slow
@pytest.mark.faults
def test_a_killed_writer_leaves_the_state_before_or_after(tmp_path: Path) -> None:
    """After each kill the index is sound, holds all that had returned, and nothing half; the next writer finds it free.

    Half of the adds and updates make the index anew, half are a transaction in it.
    """
    index, rng, totals = tmp_path / "index", random.Random(7), Counter[str]()
    state: State = {f"s{story:02}a{number}": 0 for story in range(STORIES) for number in range(4)}
    Recommender.build([article(*one) for one in state.items()], index).close()
    usual: dict[tuple[str, bool], float] = {}
    for number in range(KILLS):
        does, refit = WRITES[number % len(WRITES)], number // len(WRITES) % 2 == 1
        writer = Writer(index)
        warm = chosen(rng, "update", state)
        writer.order("update", warm, refit=False)
        writer.wait()
        state = after(state, "update", warm)
        given = chosen(rng, does, state)
        if (does, refit) not in usual:
            started = time.perf_counter()
            writer.order(does, given, refit=refit)
            writer.wait()
            usual[does, refit] = time.perf_counter() - started
            state = after(state, does, given)
            given = chosen(rng, does, state)
        answers = answers_of(index)
        writer.order(does, given, refit=refit)
        time.sleep(rng.uniform(0.0, 1.05) * usual[does, refit])
        returned = writer.kill()
        found = state_of(index)
        if returned:
            assert found == after(state, does, given)
        assert found in (state, after(state, does, given))
        if found != after(state, does, given) or does == "compact":
            assert answers_of(index) == answers  # every list and thread too
        totals["kills"] += 1
        how = " without a new fit" if does in ("add", "update") and not refit else ""
        totals[f"{does}{how} killed {'after it returned' if returned else 'at work'}"] += 1
        totals["left as before" if found == state and found != after(state, does, given) else "left as after"] += 1
        state = found
    totals["damaged"] += 0
    report_totals("kills", totals)
    Recommender.build([article(*one) for one in state.items()], index).close()
    assert len(list(index.glob("store-*.sqlite"))) == 1
