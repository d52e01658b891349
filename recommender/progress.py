"""The progress of a write, on a terminal; rich is imported only when a bar is drawn."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

Progress = Callable[[str, int, int], None]
"""Called with a stage, the articles done in it, and their total (0 where it is not known)."""


@contextlib.contextmanager
def shown_progress(*, quiet: bool) -> Iterator[Progress]:
    """Draws a bar on stderr while the block runs, and wipes it; draws nothing where stderr is no terminal, or `quiet`."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        *(TextColumn("{task.description:15}"), BarColumn(), TextColumn("{task.fields[count]:>20}")),
        *(TextColumn("{task.fields[rate]:>12}"), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("starting", total=None, count="", rate="")
        known = "starting"

        def show(stage: str, done: int, total: int) -> None:
            nonlocal known
            if stage != known:
                bars.reset(bar, total=total or None)
                known = stage
            count = f"{done:,} of {total:,}" if total else f"{done:,}"
            taken = bars.tasks[bar].elapsed or 0.0
            rate = f"{done / taken:,.0f} a second" if done and taken > 1 else ""
            bars.update(bar, description=stage, completed=done, total=total or None, count=count, rate=rate)

        yield show
