"""Cost against size: what the plots show beyond the table."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Sequence
from typing import Any

from scripts.benchmark import answers, builds, search
from scripts.benchmark.children import NotMeasuredError
from scripts.benchmark.workshop import Workshop

Points = list[tuple[int, float]]


def curves(shop: Workshop, wanted: Collection[str]) -> dict[str, dict[str, Any]]:
    """By name: what the axes are, and points of each series. Only those of the rows that are wanted."""
    size, largest = shop.size, shop.size.growth
    found = {}
    if "growth" in wanted:
        found["build"] = _curve(
            "articles",
            "seconds of a build",
            {
                "recommender": [(count, shop.built(count).seconds) for count in largest],
                "scikit-learn: TF-IDF + SVD": _points(
                    lambda count: float(shop.once(builds.floor, str(shop.texts(count).file))["seconds"]), largest
                ),
            },
        )
    if "memory" in wanted:
        counts = [*largest, *([size.huge] if size.huge and "million" in wanted else [])]
        found["memory"] = _curve(
            "articles",
            "MB",
            {
                "peak memory of a build": _points(lambda count: shop.built(count).peak / 1e6, counts),
                "titles and bodies": [(count, shop.texts(count).bytes / 1e6) for count in counts],
                "goal: 4 times those": [(count, 4 * shop.texts(count).bytes / 1e6) for count in largest],
            },
        )
    if "related-warm" in wanted or "draft" in wanted:
        found["answers"] = _curve("articles in the index", "milliseconds, median", _answers(shop, wanted))
    if "search" in wanted:
        peers = {"usearch": search.usearch, "txtai": search.txtai}
        found["search"] = _curve(
            "vectors of 256",
            "milliseconds a search, median",
            {
                "recommender": _points(lambda count: shop.once(search.measured, count)["p50"], size.vectors),
                "exact": _points(lambda count: shop.once(search.measured, count)["exact"], size.vectors),
                **{name: _points(_peer(shop, peers[name]), size.vectors) for name in peers if name in wanted},
            },
        )
    return found  # fmt: skip


def _answers(shop: Workshop, wanted: Collection[str]) -> dict[str, Points]:
    counts, series = shop.size.growth, {}
    if "related-warm" in wanted:
        asked = {count: shop.once(answers.ask, str(shop.built(count).index), shop.size.questions) for count in counts}
        series["related(id), never asked for"] = [(count, found["first"][0]) for count, found in asked.items()]
        series["related(id), asked for before"] = [(count, found["again"][0]) for count, found in asked.items()]
        series["a bare SELECT"] = [(count, found["select"][0]) for count, found in asked.items()]
    if "draft" in wanted:
        asked = {
            count: shop.once(answers.ask_for_drafts, str(shop.built(count).index), str(shop.texts(count).later))
            for count in counts
        }
        series["a draft's list, warm"] = [(count, found["ours"]) for count, found in asked.items()]
        series["its encoding alone"] = [(count, found["encoding"]) for count, found in asked.items()]
    return series


def _peer(shop: Workshop, peer: Callable[..., dict[str, Any]]) -> Callable[[int], float]:
    return lambda count: float(shop.once(peer, count)["p50"])


def _points(cost: Callable[[int], float], counts: Sequence[int]) -> Points:
    """None where a peer is not installed."""
    points: Points = []
    with contextlib.suppress(NotMeasuredError):
        points += [(count, cost(count)) for count in counts]
    return points


def _curve(x: str, y: str, series: dict[str, Points]) -> dict[str, Any]:
    return {"x": x, "y": y, "series": {name: points for name, points in series.items() if points}}
