"""The measures as JSON and as a Markdown table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from scripts.benchmark.measures import Goal, Measure

HEAD = "| row | what | ours | reference | ratio | goal | met | against; notes |\n|---|---|---|---|---|---|---|---|"
BEGINS, ENDS = "<!-- table -->", "<!-- end of the table -->"


def as_json(measures: Sequence[Measure], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of the run, the lines of the table, and what the plots are of."""
    rows = [asdict(one) | {"value": one.value, "met": one.is_met} for one in measures]
    return {**facts, "measures": rows}


def from_json(run: Mapping[str, Any]) -> dict[str, list[Measure]]:
    """The measures of a run that `as_json` tells of, by row; each says that it is of a run of its own."""
    found: dict[str, list[Measure]] = {}
    for kept in run["measures"]:
        fields = {name: value for name, value in kept.items() if name not in {"value", "met", "goal", "note"}}
        goal = Goal(**kept["goal"]) if kept["goal"] else None
        note = "; ".join(filter(None, [kept["note"], f"of a run of its own, {run['seconds']:,.0f} s"]))
        one = Measure(**fields, goal=goal, note=note)
        found.setdefault(one.row, []).append(one)
    return found


def as_markdown(measures: Sequence[Measure], facts: Mapping[str, Any]) -> str:
    """A table under a line that says what it was measured on."""
    return "\n".join([told(facts), "", HEAD, *map(line, measures)]) + "\n"


def placed(page: str, table: str) -> str:
    """A page with this table between its marks, in place of what stands there."""
    before, begins, rest = page.partition(BEGINS)
    _, ends, after = rest.partition(ENDS)
    if not begins or not ends:
        raise ValueError(f"the page has no lines {BEGINS} and {ENDS} to put the table between")
    return f"{before}{begins}\n{table}{ends}{after}"


def told(facts: Mapping[str, Any]) -> str:
    """The run in two paragraphs."""
    machine = facts["environment"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items() if number)
    return (
        f"Size `{facts['size']}`, {facts['seconds']:,.0f} s, texts: {facts['articles']}."
        f" {machine['cores']} cores ({machine['processor']}), {machine['memory_gb']} GB, load {machine['load_before']} before;"
        f" a page reaches the disk in {machine['commit_ms']} ms, a core copies {machine['copy_gb_per_second']} GB/s.\n\n"
        f"{machine['system']}, Python {machine['python']}, SQLite {machine['sqlite']}, {versions}."
    )


def line(one: Measure) -> str:
    """A line of the table."""
    ratio = f"{_number(one.value)} ×" if one.value is not None and one.reference is not None else "–"
    met = {True: "yes", False: "**no**", None: "–"}[one.is_met]
    notes = "; ".join(filter(None, [one.against, one.note])).replace("|", "\\|").replace("\n", " ")
    cells = [one.row, one.what, _amount(one.ours, one.unit), _amount(one.reference, one.unit), ratio, _goal(one), met, notes]
    return f"| {' | '.join(cells)} |"


def _goal(one: Measure) -> str:
    if not isinstance(one.goal, Goal):
        return "–"
    compared = bool(one.against)
    return f"{'≥' if one.goal.least else '≤'} {one.goal.bound:g}" + (" ×" if compared else f" {one.unit}".rstrip())


def _amount(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{_number(value)} {unit}".rstrip()


def _number(value: float | None) -> str:
    """Three figures that count."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}"
