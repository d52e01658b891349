"""Free memory is given back now and then in long work, and never in short."""

from __future__ import annotations

import pytest

from recommender.writing import room


def test_room_is_given_back_between_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the first of many blocks and every eighth from then on, not after the last; progress is told of each."""
    told: list[tuple[str, int]] = []
    monkeypatch.setattr(room, "give_back", lambda: told.append(("room", 0)))
    progress = room.giving_back(lambda done, total: told.append(("block", done)))
    for done in range(1, 18):
        progress(done, 17)
    assert [number for kind, number in told if kind == "block"] == list(range(1, 18))
    assert [told[at + 1] for at, (kind, _) in enumerate(told) if kind == "room"] == [("block", 1), ("block", 9)]


def test_a_single_block_costs_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """An add of one article waits for nobody to look through the heap."""
    monkeypatch.setattr(room, "give_back", lambda: pytest.fail("looked through the heap"))
    room.giving_back(lambda done, total: None)(1, 1)
