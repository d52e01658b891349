"""The sample newsroom: `demo`."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from recommender.shell import Command, DebugOption, QuietOption, at_work, examples, ink, print_lines

commands = typer.Typer()


@commands.command(
    cls=Command,
    epilog=examples("recommender demo", "recommender demo --index artifacts/demo      leaves an index to play with"),
)
def demo(
    index: Annotated[Path | None, typer.Option(metavar="DIR", help="Where to leave the index.", show_default=False)] = None,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Show a sidebar of the sample newsroom, before and after."""
    from recommender.demo import newsroom, page_lines, page_of, stand_ins

    with newsroom(index) as folder:
        with at_work(quiet) as (_, progress):
            page = page_of(folder, kept=index is not None, program=_program(), progress=progress)
        encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
        print_lines(stand_ins(page_lines(page, _columns(), ink()), encoding))


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns


def _program() -> str:
    """How this program can be called from here."""
    import shutil

    called = Path(sys.argv[0])
    on_path = shutil.which("recommender")
    if called.name != "recommender" or (on_path and Path(on_path).resolve() == called.resolve()):
        return "recommender"
    with contextlib.suppress(ValueError):
        return str(called.absolute().relative_to(Path.cwd()))
    return str(called)
