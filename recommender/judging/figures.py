"""Intervals -> the table of an evaluation, and its sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from recommender.evaluation import Interval
from recommender.reports import Figure

Measures = dict[str, dict[str, Figure | None]]
"""Measure -> system -> figure; None where the system has none, or the truth does not say."""


def enter(
    measures: Measures, system: str, names: Sequence[str], found: Sequence[Interval]
) -> None:
    """Write the intervals of a system into the table of measures; None where a value is nan."""
    for name, (value, low, high) in zip(names, found, strict=True):
        measures[name][system] = None if np.isnan(value) else Figure(value=value, low=low, high=high)


def compare(called: str, figure: Figure, row: Mapping[str, Figure | None]) -> str:
    """One sentence: a figure of the engine beside the baselines that its row has a figure for."""
    baselines = (("the latest list", row.get("latest")), ("TF-IDF", row.get("tfidf")))
    changes = [_change(figure.value, other.value, whom) for whom, other in baselines if other]
    beside = f": {' and '.join(changes)}" if changes else ""
    return f"{called} is {brief(figure.value)}{beside}."


def _change(value: float, other: float, whom: str) -> str:
    """Of the numbers as they are shown, so that a reader who subtracts finds the same."""
    apart = round(value, 2) - round(other, 2)
    way = "above" if apart > 0 else "below"
    return f"{brief(abs(apart))} {way} {whom} ({brief(other)})" if round(apart, 2) else f"level with {whom} ({brief(other)})"


def brief(value: float) -> str:
    """A number in [0, 1] with two digits: .84, 1.00."""
    return f"{value:.2f}".removeprefix("0")
