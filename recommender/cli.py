"""The `recommender` command: the program that all commands belong to. What they do stands in `commands`.

Results go to stdout, everything else to stderr. Nothing heavy is imported for what only reads the index.
"""

import sys
from typing import Annotated, Any

import typer

from recommender import __version__
from recommender.commands import demo, desk, export, judging, reading, rules, serving, sync, upkeep, writing
from recommender.shell import Commands, examples, print_lines

COMMANDS = (
    *("build", "add", "sync", "remove", "related", "threads", "thread", "changes", "rebuild", "compare", "explain"),
    *("evaluate", "tune", "info", "check", "compact", "backup", "restore", "repair", "serve", "export", "desk", "demo", "rules"),
)
"""All commands, in the order in which --help shows them: what everybody needs comes first."""


def main() -> None:
    """Run the command line of this process."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a headline must not fail on a terminal that lacks its letters
    app()


class _Program(Commands):
    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=COMMANDS.index)


def _show_version(value: bool) -> None:
    if value:
        print_lines([f"recommender {__version__}"])
        raise typer.Exit


app = typer.Typer(
    cls=_Program,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "recommender demo                          see it work",
        "recommender build articles.jsonl          make an index of your archive",
        "recommender related ID                    the list beside one article",
        "recommender related --all --ids           the lists of all articles",
        "recommender threads                       the running stories",
        "recommender rules pin ID ID               the last word is yours",
    )
    + "\n\n\b\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 no such article, thread or rule,\n"
    "4 the index is missing, damaged or of another format version.",
)


@app.callback()
def recommender(
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version.")] = False,
) -> None:
    """Related articles and story threads for a news site, from its own archive."""


for module in (writing, sync, reading, judging, upkeep, serving, export, desk, demo, rules):
    app.add_typer(module.commands)  # those without a name of their own become commands of the program itself
