"""A writer is killed at random moments: what had returned is there, what had not is there whole or not at all."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

import pytest

from recommender import Recommender
from tests.faults.harness import TIMES, State, Writer, after, article, report_totals, state_of

KILLS = 20 * TIMES
WRITES = ("build", "add", "update", "remove", "compact")
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
    if does == "compact":
        return {}
    return {one: (state[one] + 1) % 100 for one in rng.sample(known, min(3, len(known) - 1))}


@pytest.mark.slow
@pytest.mark.faults
def test_a_killed_writer_leaves_the_state_before_or_after(tmp_path: Path) -> None:
    """After each kill the index is sound, holds all that had returned, and nothing half; the next writer finds it free."""
    index, rng, totals = tmp_path / "index", random.Random(7), Counter[str]()
    state: State = {f"s{story:02}a{number}": 0 for story in range(STORIES) for number in range(4)}
    Recommender.build([article(*one) for one in state.items()], index).close()
    usual = dict.fromkeys(WRITES, 0.2)
    for number in range(KILLS):
        does = WRITES[number % len(WRITES)]
        writer = Writer(index)
        warm = chosen(rng, "update", state)
        writer.order("update", warm)
        writer.wait()
        state = after(state, "update", warm)
        given = chosen(rng, does, state)
        started = time.perf_counter()
        writer.order(does, given)
        if number < len(WRITES):
            writer.wait()
            usual[does] = time.perf_counter() - started
            state = after(state, does, given)
            given = chosen(rng, does, state)
            writer.order(does, given)
        time.sleep(rng.uniform(0.0, 1.05) * usual[does])
        returned = writer.kill()
        found = state_of(index)
        if returned:
            assert found == after(state, does, given)
        assert found in (state, after(state, does, given))
        totals["kills"] += 1
        totals[f"{does} killed {'after it returned' if returned else 'at work'}"] += 1
        totals["left as before" if found == state and found != after(state, does, given) else "left as after"] += 1
        state = found
    totals["damaged"] += 0
    report_totals("kills", totals)
    Recommender.build([article(*one) for one in state.items()], index).close()
    assert len(list(index.glob("store-*.sqlite"))) == 1
