"""What editors decide, over the machine: `rules` and its commands."""

from pathlib import Path
from typing import Annotated

import typer

from recommender import Recommender
from recommender.archives.rulebook import KeptRule, waiting
from recommender.drawing import clean
from recommender.errors import UnknownThreadError
from recommender.pipeline.rules import Rule
from recommender.shell import (
    DEFAULT_INDEX,
    Command,
    Commands,
    DebugOption,
    IndexOption,
    JsonOption,
    QuietOption,
    examples,
    json_line,
    print_lines,
    say,
    text_of,
)

commands = typer.Typer(
    cls=Commands,
    name="rules",
    no_args_is_help=True,
    rich_markup_mode=None,
    epilog=examples(
        "recommender rules pin a17 a03                 a03 stands first beside a17",
        "recommender rules never a17 a05               neither is shown beside the other",
        'recommender rules rename t0f3c2a91be "Putin in North Korea"',
        "recommender rules list",
        "recommender rules drop 2",
        "recommender rules export rules.txt            a file to keep in git; `import` reads it",
    ),
)

NoteOption = Annotated[str, typer.Option("--note", metavar="TEXT", help="Why; kept with the rule as its comment.")]
NamedArgument = Annotated[str, typer.Argument(metavar="THREAD", show_default=False, help="A thread, or one of its articles.")]


def _article(meaning: str) -> "typer.models.ArgumentInfo":
    info: typer.models.ArgumentInfo = typer.Argument(metavar="ID", show_default=False, help=meaning)
    return info


@commands.callback()
def editors() -> None:
    """What editors decide goes before what the engine holds.

    Rules outlive adds, updates, rebuilds and changes of model. One about an article that is not in the index waits for it.
    """


@commands.command("list", cls=Command, epilog=examples("recommender rules list", "recommender rules list --json"))
def list_rules(
    index: IndexOption = DEFAULT_INDEX, as_json: JsonOption = False, quiet: QuietOption = False, debug: DebugOption = False
) -> None:
    """Print the rules with their numbers, and which wait for an article."""
    found = Recommender.open(index).rules()
    wide = max((len(str(kept.number)) for kept in found), default=0)
    print_lines(json_line(kept.to_json()) if as_json else _line(kept, wide) for kept in found)
    if not found and not as_json and not quiet:
        say(f"{index} has no rules")


@commands.command(
    cls=Command, epilog=examples("recommender rules pin a17 a03", 'recommender rules pin a17 a03 --note "the explainer"')
)
def pin(
    one: Annotated[str, _article("The article whose list it is.")],
    other: Annotated[str, _article("What stands in it.")],
    index: IndexOption = DEFAULT_INDEX,
    note: NoteOption = "",
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Show an article first beside another, whatever the score.

    Several stand in the order they were pinned.
    """
    _keep(Recommender.open(index), Rule(kind="pin", articles=(one, other), note=_one_line(note)), quiet)


@commands.command(cls=Command, epilog=examples("recommender rules never a17 a05", "recommender rules never a05"))
def never(
    one: Annotated[str, _article("An article.")],
    other: Annotated[str | None, _article("Another; without it, none shows the first.")] = None,
    index: IndexOption = DEFAULT_INDEX,
    note: NoteOption = "",
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Show neither of two articles beside the other, or one nowhere."""
    articles = (one,) if other is None else (one, other)
    _keep(Recommender.open(index), Rule(kind="never", articles=articles, note=_one_line(note)), quiet)


@commands.command(
    cls=Command, epilog=examples("recommender rules merge a17 a05", "recommender rules merge t0f3c2a91be t83d1f00b2a")
)
def merge(
    one: NamedArgument,
    other: NamedArgument,
    index: IndexOption = DEFAULT_INDEX,
    note: NoteOption = "",
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Make one thread of the threads of two articles.

    A thread's id stands for the article that leads it now.
    """
    engine = Recommender.open(index)
    articles = (engine.leading(one), engine.leading(other))
    _keep(engine, Rule(kind="merge", articles=articles, note=_one_line(note)), quiet)


@commands.command(cls=Command, epilog=examples("recommender rules split a17", "recommender rules split a17 a18 a20"))
def split(
    ids: Annotated[list[str], typer.Argument(metavar="ID", show_default=False, help="Articles.")],
    index: IndexOption = DEFAULT_INDEX,
    note: NoteOption = "",
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Keep articles out of every thread with any other article.

    Among themselves they may be threads, as the engine holds; `merge` makes that sure.
    """
    _keep(Recommender.open(index), Rule(kind="split", articles=tuple(ids), note=_one_line(note)), quiet)


@commands.command(cls=Command, epilog=examples('recommender rules rename t0f3c2a91be "Putin in North Korea"'))
def rename(
    thread: NamedArgument,
    label: Annotated[str, typer.Argument(metavar="LABEL", show_default=False, help="What it is called.")],
    index: IndexOption = DEFAULT_INDEX,
    note: NoteOption = "",
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Give a thread a label of your own.

    It stays with the article named, or with the one that leads the thread now, and with whatever thread that is in.
    """
    engine = Recommender.open(index)
    rule = Rule(kind="rename", articles=(engine.leading(thread),), label=_one_line(label), note=_one_line(note))
    _keep(engine, rule, quiet)


@commands.command(cls=Command, epilog=examples("recommender rules lock t0f3c2a91be"))
def lock(
    thread: NamedArgument,
    index: IndexOption = DEFAULT_INDEX,
    note: NoteOption = "",
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Freeze a thread: nothing joins, nothing leaves but what is removed."""
    engine = Recommender.open(index)
    found = engine.thread_of(thread) if thread in engine else engine.thread(thread)
    if found is None:
        say(f"error: {clean(thread)!r} stands alone, in no thread")
        raise typer.Exit(UnknownThreadError.exit_code)
    _keep(engine, Rule(kind="lock", articles=found.article_ids, note=_one_line(note)), quiet)


@commands.command(cls=Command, epilog=examples("recommender rules drop 2"))
def drop(
    number: Annotated[int, typer.Argument(metavar="NUMBER", show_default=False, help="As `rules list` prints it.")],
    index: IndexOption = DEFAULT_INDEX,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Forget a rule, and undo what it did."""
    Recommender.open(index).drop_rule(number)
    if not quiet:
        say(f"dropped rule {number}")


@commands.command(
    cls=Command, epilog=examples("recommender rules export rules.txt", "recommender rules export | diff rules.txt -")
)
def export(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", show_default=False, help="Default: stdout.")] = None,
    index: IndexOption = DEFAULT_INDEX,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Write the rules to a file, a line each, with their comments."""
    text = Recommender.open(index).export_rules()
    if file is None or str(file) == "-":
        print_lines(text.splitlines())
    else:
        file.write_text(text, encoding="utf-8")


@commands.command(
    "import", cls=Command, epilog=examples("recommender rules import rules.txt", "recommender rules import rules.txt --replace")
)
def import_rules(
    file: Annotated[str, typer.Argument(metavar="FILE", show_default=False, help="As `export` writes it; - is stdin.")],
    index: IndexOption = DEFAULT_INDEX,
    replace: Annotated[bool, typer.Option("--replace", help="In place of the rules that are there.")] = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Keep the rules of a file, all or none.

    Where a line is wrong or contradicts another rule, nothing is changed and every such line is named.
    """
    engine = Recommender.open(index)
    kept = engine.import_rules(text_of(file), source="stdin" if file == "-" else file, replace=replace)
    if not quiet:
        say(f"{index} has {len(kept)} rule{'' if len(kept) == 1 else 's'}")
        _say_waiting(kept)


def _keep(engine: Recommender, rule: Rule, quiet: bool) -> None:
    kept = engine.add_rule(rule)
    if not quiet:
        say(f"rule {kept.number}: {kept.rule.brief}")
        _say_waiting([kept])


def _say_waiting(kept: list[KeptRule]) -> None:
    for line in waiting(kept):
        say(line)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _line(kept: KeptRule, wide: int) -> str:
    note = f"  # {kept.rule.note}" if kept.rule.note else ""
    waits = f"  (waits for {', '.join(map(repr, kept.missing))})" if kept.missing else ""
    return f"{kept.number:>{wide}}  " + clean(f"{kept.rule}{note}{waits}")
