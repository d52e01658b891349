"""Pictures of a run: cost against size, and every ratio beside its goal.

python -m scripts.benchmark.plots RUN.json DIR     draws those of a run again
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil, floor, log10
from pathlib import Path
from typing import Any

COLOURS = ("#0b6e99", "#d1495b", "#66a182", "#8d6cab")
INK = "#333333"


def draw(run: Mapping[str, Any], folder: Path) -> list[Path]:
    """The files drawn; none where matplotlib is not installed, which is said."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        print("no plots: matplotlib is not installed (`pip install -c constraints.txt '.[bench]'`)", file=sys.stderr)
        return []
    matplotlib.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [_curve(curve, folder / f"benchmark-{name}.png") for name, curve in run["curves"].items()]
    bounded = [one for one in run["measures"] if one["goal"] and one["value"] and one["reference"] and not one["goal"]["least"]]
    return [*drawn, *([_ratios(bounded, folder / "benchmark-ratios.png")] if bounded else [])]


def _curve(curve: Mapping[str, Any], file: Path) -> Path:
    """Both axes logarithmic, so that what grows with the work is a straight line; ours, the first series, the heavy one."""
    from matplotlib import pyplot
    from matplotlib.ticker import NullFormatter

    figure, axes = pyplot.subplots(figsize=(8, 4.2), layout="constrained")
    costs = [cost for points in curve["series"].values() for _, cost in points]
    counts = sorted({count for points in curve["series"].values() for count, _ in points})
    low, high = floor(log10(min(costs))), ceil(log10(max(costs)))
    axes.set(xscale="log", yscale="log", xlabel=curve["x"], ylabel=curve["y"], ylim=(10.0**low, 10.0 ** max(high, low + 1)))
    for (name, points), colour in zip(curve["series"].items(), COLOURS, strict=False):
        width = 2.6 if colour == COLOURS[0] else 1.6
        axes.plot(*zip(*points, strict=True), marker="o", label=name, color=colour, linewidth=width, clip_on=False)
    heights = apart([log10(points[-1][1]) for points in curve["series"].values()], max(high - low, 1) / 15)
    for (name, points), colour, height in zip(curve["series"].items(), COLOURS, heights, strict=False):
        axes.annotate(
            f"{name}  {short(points[-1][1])}", (points[-1][0], 10.0**height), (9, 0), textcoords="offset points", color=colour,
            va="center", annotation_clip=False,
        )  # fmt: skip
    axes.set_xticks(counts, [f"{count:,}" for count in counts], minor=False)
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(visible=True, which="major", color="#dddddd", linewidth=0.8)
    _finish(axes)
    figure.savefig(file, dpi=130)
    pyplot.close(figure)
    return file


def apart(heights: Sequence[float], least: float) -> list[float]:
    """Heights of labels in the same order, moved up where two would be closer than `least`."""
    moved = list(heights)
    order = sorted(range(len(heights)), key=lambda place: heights[place])
    for lower, upper in pairwise(order):
        moved[upper] = max(moved[upper], moved[lower] + least)
    return moved


def _ratios(measures: Sequence[Mapping[str, Any]], file: Path) -> Path:
    """Each ratio as a multiple of its goal: what is left of the line is met."""
    from matplotlib import pyplot

    shares = [one["value"] / one["goal"]["bound"] for one in measures]
    names = [f"{one['row']}: {one['what']}".replace("`", "") for one in measures]
    figure, axes = pyplot.subplots(figsize=(10, 0.9 + 0.34 * len(measures)), layout="constrained")
    axes.barh(names, shares, color=[COLOURS[2] if share <= 1 else COLOURS[1] for share in shares])
    for place, (share, one) in enumerate(zip(shares, measures, strict=True)):
        axes.text(share, place, f" {short(one['value'])} × (goal {one['goal']['bound']:g})", va="center", color=INK)
    axes.axvline(1, color=INK, linewidth=1)
    axes.set(xscale="log", xlabel="ratio to the reference, as a multiple of the goal (1: just met)")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.set_xlim(min(0.1, *shares) / 2, 12 * max(1, *shares))
    axes.invert_yaxis()
    _finish(axes)
    figure.savefig(file, dpi=130)
    pyplot.close(figure)
    return file


def _finish(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def short(value: float) -> str:
    """Two or three figures that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}" if value < 1 else f"{value:.2f}"


if __name__ == "__main__":
    for path in draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2])):
        print(path)
