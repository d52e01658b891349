"""Pieces of work on all cores."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from recommender import parallel
from recommender.parallel import in_order


def test_results_come_in_the_order_of_the_pieces_whoever_is_done_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first piece takes longest."""
    monkeypatch.setattr(parallel, "_cores", lambda: 4)

    def work(number: int) -> int:
        time.sleep(0.05 / (number + 1))
        return number

    assert list(in_order(work, range(20))) == list(range(20))


def test_a_few_pieces_are_in_hand_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, no more than the cores and one are taken before the first result is taken away."""
    monkeypatch.setattr(parallel, "_cores", lambda: 3)
    taken = []

    def pieces() -> Iterator[int]:
        for number in range(1_000):
            taken.append(number)
            yield number

    results = in_order(lambda n: n, pieces())
    assert next(results) == 0
    assert len(taken) == 4
    results.close()  # type: ignore[attr-defined]


def test_what_one_raises_is_raised_and_the_rest_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error itself, at its place in the order; no thread is left."""
    monkeypatch.setattr(parallel, "_cores", lambda: 2)
    begun = []

    def work(number: int) -> int:
        begun.append(number)
        if number == 3:
            raise ValueError("the third")
        return number

    before = threading.active_count()
    with pytest.raises(ValueError, match="the third"):
        list(in_order(work, range(100)))
    assert max(begun) <= 3 + 3
    assert threading.active_count() == before
