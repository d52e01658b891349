"""A measure: ours, the reference, their ratio, the goal, and whether it is met."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A bound of the ratio, or of our own value where there is nothing to compare it with."""

    bound: float
    least: bool = False
    """The value should be at least the bound; else at most."""

    def is_met(self, value: float) -> bool:
        """Whether a value is within the bound."""
        return value >= self.bound if self.least else value <= self.bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One line of the table."""

    row: str
    """The row of the table that it belongs to, as `--only` names it."""
    what: str
    against: str = ""
    unit: str = ""
    ours: float | None = None
    """None where it could not be measured; `note` says why."""
    reference: float | None = None
    """In the same unit; None where the goal is about our own value."""
    goal: Goal | None = None
    note: str = ""

    @property
    def value(self) -> float | None:
        """What the goal is about: the ratio, or our own value."""
        if self.ours is None or self.reference is None:
            return self.ours
        return self.ours / self.reference

    @property
    def is_met(self) -> bool | None:
        """None where there is no goal or no value."""
        return None if self.goal is None or self.value is None else self.goal.is_met(self.value)


def seconds(call: Callable[[], Any]) -> float:
    """What one call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


class Spent:
    """Seconds of a block: by the clock, and of the processor, which others at work on the machine lengthen far less."""

    def __enter__(self) -> Spent:
        self._begun = time.perf_counter(), _processor()
        return self

    def __exit__(self, *raised: object) -> None:
        self.seconds = time.perf_counter() - self._begun[0]
        self.processor = _processor() - self._begun[1]

    def told(self) -> dict[str, float]:
        """For the answer of a child."""
        return {"seconds": self.seconds, "processor": self.processor}


def _processor() -> float:
    """Seconds of all cores, of this process and the children that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def in_turn(rounds: int, one: Callable[[], float], other: Callable[[], float]) -> tuple[float, float]:
    """The medians of what two calls return, called one after the other."""
    pairs = [(one(), other()) for _ in range(rounds)]
    return median(first for first, _ in pairs), median(second for _, second in pairs)


def percentile(values: list[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
