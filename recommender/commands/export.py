"""The answers as static files: `export`."""

from pathlib import Path
from typing import Annotated

import typer

from recommender import Recommender
from recommender.answers import Profile
from recommender.drawing import counted
from recommender.shell import (
    DEFAULT_INDEX,
    Command,
    DebugOption,
    IndexOption,
    JsonOption,
    QuietOption,
    at_work,
    examples,
    json_line,
    print_lines,
)

commands = typer.Typer()


@commands.command(
    cls=Command,
    epilog=examples(
        "recommender export public",
        "recommender export public --base-url https://cdn.example/related --changed-list changed.txt",
    ),
)
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", show_default=False, help="A new, an empty or an exported folder.")],
    index: IndexOption = DEFAULT_INDEX,
    k: Annotated[int, typer.Option("-k", min=1, metavar="N", help="At most so many articles a list.")] = 5,
    profile: Annotated[Profile, typer.Option(help="sidebar: for readers. similar: pure order of relevance.")] = "sidebar",
    base_url: Annotated[
        str | None, typer.Option(metavar="URL", show_default=False, help="Where DIR will be found: lists link to thread pages.")
    ] = None,
    changed_list: Annotated[
        Path | None, typer.Option(metavar="FILE", show_default=False, help="Gets the changed and removed paths, one a line.")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Write all answers as static files, for a CDN.

    For each article its list as JSON and as an HTML fragment, for each thread a page and a feed. Only files that differ are
    written, those of what is gone are removed, and other files in DIR stay. The name of a file is the hex SHA-256 of the id
    in UTF-8, its folder the first two digits: related/ab/abcd….json. manifest.json says so too.
    """
    from dataclasses import asdict

    from recommender.web.exporting import ExportOptions, export

    engine = Recommender.open(index)
    with at_work(quiet) as (notice, progress):
        options = ExportOptions(k=k, profile=profile, base_url=base_url, changed_list=changed_list, progress=progress)
        done = export(engine, folder, options)
    if as_json:
        print_lines([json_line(asdict(done))])
    notice(
        f"{counted(done.articles, 'articles')} and {counted(done.threads, 'threads')}: {counted(done.written, 'files')} written,"
        f" {done.unchanged:,} unchanged, {done.removed:,} removed"
    )
