"""What keeps an index sound and safe: `rebuild`, `compare`, `info`, `check`, `compact`, `backup`, `restore`, `repair`."""

from pathlib import Path
from typing import Annotated

import typer

from recommender import Recommender
from recommender.drawing import counted, fact_lines, finding_line
from recommender.errors import IndexUnusableError
from recommender.shell import (
    DEFAULT_INDEX,
    Command,
    DebugOption,
    DeviceOption,
    IndexOption,
    JsonOption,
    QuietOption,
    at_work,
    examples,
    json_line,
    print_lines,
    say,
)

commands = typer.Typer()


@commands.command(cls=Command, epilog=examples("recommender rebuild", "recommender rebuild --model NAME --to artifacts/trial"))
def rebuild(
    index: IndexOption = DEFAULT_INDEX,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", show_default=False, help="Another model than the index has.")
    ] = None,
    to: Annotated[Path | None, typer.Option(metavar="DIR", show_default=False, help="A folder for the new index.")] = None,
    device: DeviceOption = None,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Make the index anew of the articles that it holds.

    Thread ids and settings come along. With --to the index stays as it is, and `compare` shows what would change.
    """
    engine = Recommender.open(index, device=device)
    with at_work(quiet) as (notice, progress):
        engine.rebuild(model=model, to=to, notice=notice, progress=progress)
    notice(f"made {to or index} anew")


@commands.command(
    cls=Command, epilog=examples("recommender compare artifacts/trial", "recommender compare artifacts/trial --json")
)
def compare(
    other: Annotated[Path, typer.Argument(metavar="DIR", show_default=False, help="Another index of these articles.")],
    index: IndexOption = DEFAULT_INDEX,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Show how far two indexes agree in threads and lists."""
    found = Recommender.open(index).compare(Recommender.open(other)).to_json()
    print_lines([json_line(found)] if as_json else fact_lines(found | {"moved": ", ".join(found["moved"]) or None}))


@commands.command(cls=Command, epilog=examples("recommender info", "recommender info --json --index /srv/news/index"))
def info(
    index: IndexOption = DEFAULT_INDEX,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Print counts, model, sizes and versions of an index."""
    facts = Recommender.open(index).info()
    print_lines([json_line(facts)] if as_json else fact_lines(facts))


@commands.command(cls=Command, epilog=examples("recommender check", "recommender check --json --index /srv/news/index"))
def check(
    index: IndexOption = DEFAULT_INDEX,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Compare all that an index holds with all else that it holds.

    One line for each kind of damage, and exit code 4; a sound index is exit code 0 and nothing on stdout. It only reads, may
    run at any time, and takes about as long as loading the archive.
    """
    found = Recommender.open(index).check()
    print_lines(json_line(one.to_json()) if as_json else finding_line(one) for one in found)
    if found:
        raise typer.Exit(IndexUnusableError.exit_code)
    if not quiet:
        say(f"{index} is sound")


@commands.command(cls=Command, epilog=examples("recommender compact", "recommender remove a17 && recommender compact"))
def compact(index: IndexOption = DEFAULT_INDEX, quiet: QuietOption = False, debug: DebugOption = False) -> None:
    """Leave no trace of what was removed, and give back its room.

    The index is written anew: neither ids nor words of removed articles stand in any of its files then. Readers see the old
    one until the new one is complete. An index that an older version wrote is brought up to date by it.
    """
    before, after = Recommender(index).compact()
    if not quiet:
        say(f"compacted {index}: {before / 1e6:.1f} MB before, {after / 1e6:.1f} MB now")


@commands.command(
    cls=Command, epilog=examples("recommender backup news.backup", "recommender backup /mnt/safe/$(date +%F).backup")
)
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False, help="Where to write it.")],
    index: IndexOption = DEFAULT_INDEX,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Write the index to one file, with checksums.

    It is the index as of one moment, whoever reads or writes meanwhile. A file that is there is replaced when the new one is
    complete.
    """
    size = Recommender.open(index).backup(file)
    if not quiet:
        say(f"wrote {file}: {size / 1e6:.1f} MB")


@commands.command(
    cls=Command, epilog=examples("recommender restore news.backup", "recommender restore news.backup --index elsewhere")
)
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False, help="What `backup` has written.")],
    index: IndexOption = DEFAULT_INDEX,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Make the index of a backup, or replace one by it.

    The whole file is checked first; one that is damaged, or of a newer format, changes nothing.
    """
    facts = Recommender.restore(file, index).info()
    if not quiet:
        say(f"restored {index}: {counted(facts['articles'], 'articles')}, {counted(facts['threads'], 'threads')}")


@commands.command(cls=Command, epilog=examples("recommender repair", "recommender repair > lost.txt      the ids to add again"))
def repair(
    index: IndexOption = DEFAULT_INDEX,
    as_json: JsonOption = False,
    device: DeviceOption = None,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Save what can be saved of a damaged index.

    A new index is made of the articles that can be read whole; threads keep their ids. The ids of those that are lost go to
    stdout, one a line: `add` brings them back. The damaged file stays in the folder, named *.damaged. A sound index is left
    as it is.
    """
    with at_work(quiet) as (notice, progress):
        done = Recommender.repair(index, device=device, notice=notice, progress=progress)
    print_lines([json_line(done.to_json())] if as_json else done.lost_ids)
    if done.kept is None:
        notice(f"{index} is sound; nothing was changed")
    else:
        unnamed = f", {done.lost - len(done.lost_ids):,} of them without a name" if done.lost > len(done.lost_ids) else ""
        notice(f"saved {counted(done.saved, 'articles')}, lost {done.lost:,}{unnamed}; the damaged file is {index / done.kept}")
