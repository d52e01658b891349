"""What readers and editors ask of an index: `related`, `threads`, `thread`, `changes`, `explain`. Nothing heavy is imported."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from recommender import Recommender
from recommender.answers import Profile, RelatedList
from recommender.drawing import change_line, clean, explanation_lines, list_lines, thread_table, timeline
from recommender.errors import UnknownThreadError
from recommender.shell import (
    DEFAULT_INDEX,
    Command,
    DebugOption,
    DeviceOption,
    IndexOption,
    JsonOption,
    QuietOption,
    examples,
    ink,
    json_line,
    print_lines,
    say,
    text_of,
)

if TYPE_CHECKING:
    from recommender.pipeline.articles import Article

commands = typer.Typer()

TITLE_LIMIT = 220
"""Longest first line of a draft that can be its title, in characters. Of 42,552 real headlines 999 in 1,000 have 211 or fewer."""


@commands.command(
    cls=Command,
    epilog=examples(
        "recommender related a17",
        "recommender related a17 -k 10 --json",
        "recommender related --all --ids > lists.tsv",
        'recommender related --text "Putin lands in Pyongyang for talks with Kim"',
        "recommender related --file draft.txt --json",
    ),
)
def related(
    ctx: typer.Context,
    article_id: Annotated[str | None, typer.Argument(metavar="ID", show_default=False, help="An article.")] = None,
    index: IndexOption = DEFAULT_INDEX,
    k: Annotated[int, typer.Option("-k", min=1, help="Length of a list at most; 20 are kept.")] = 5,
    every: Annotated[bool, typer.Option("--all", help="Every article: JSON Lines, or with --ids: id, tab, ids.")] = False,
    text: Annotated[str | None, typer.Option(help="A draft: a title on the first line, then the body; or a body alone.")] = None,
    file: Annotated[str | None, typer.Option(metavar="F", help="The same in a file of UTF-8 text; - is stdin.")] = None,
    profile: Annotated[Profile, typer.Option(help="What a reader should see, or pure order of relevance.")] = "sidebar",
    as_json: JsonOption = False,
    ids: Annotated[bool, typer.Option("--ids", help="Ids alone, one a line.")] = False,
    device: DeviceOption = None,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Print what is related to an article, to all, or to a draft.

    Best first; fewer than asked for, or none, where nothing more is related.
    """
    asked = [name for name, given in _asked(article_id, every, text, file) if given]
    if len(asked) != 1:
        have = "nothing" if not asked else " and ".join(asked)
        raise typer.BadParameter(f"give one of ID, --all, --text and --file, not {have}", ctx=ctx)
    if as_json and ids:
        raise typer.BadParameter("give one of --json and --ids, not both", ctx=ctx)
    engine = Recommender.open(index, device=device)
    if every:
        lists = engine.all_related(k, profile=profile)
        print_lines(map(_ids_line, lists) if ids else (json_line(found.to_json()) for found in lists))
        return
    if article_id is not None:
        found = engine.related_list(article_id, k, profile=profile)
        title = engine.article(article_id).title
    else:
        draft = _draft(text if text is not None else text_of(str(file)))
        found = RelatedList(id=None, thread=None, items=tuple(engine.related_to(draft, k, profile=profile)))
        title = draft.title
    if as_json:
        print_lines([json_line(found.to_json())])
        return
    print_lines([item.id for item in found.items] if ids else list_lines(found, title, ink()))
    if not found.items and not quiet:
        say(f"nothing in {index} is related to {repr(article_id) if article_id is not None else 'this draft'}")


@commands.command(cls=Command, epilog=examples("recommender threads --min-size 5", "recommender threads --json | head -n 1"))
def threads(
    index: IndexOption = DEFAULT_INDEX,
    min_size: Annotated[int, typer.Option(min=1, metavar="N", help="Only threads of so many articles or more.")] = 2,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Print the story threads, the latest first."""
    found = Recommender.open(index).threads(min_size=min_size)
    print_lines((json_line(thread.to_json()) for thread in found) if as_json else thread_table(found, ink()))
    if not found and not as_json and not quiet:
        say(f"no thread in {index} has {max(min_size, 2)} articles or more")


@commands.command(cls=Command, epilog=examples("recommender thread t0f3c2a91be", "recommender thread t0f3c2a91be --json"))
def thread(
    thread_id: Annotated[str, typer.Argument(metavar="ID", show_default=False, help="A thread.")],
    index: IndexOption = DEFAULT_INDEX,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Print one thread as a timeline."""
    engine = Recommender.open(index)
    try:
        found = engine.thread(thread_id)
    except UnknownThreadError as error:
        if thread_id not in engine:
            raise
        say(f"error: {_article_instead(engine, thread_id)}")
        raise typer.Exit(error.exit_code) from None
    if found.id != thread_id:
        say(f"thread {thread_id} was merged into {found.id}")
    print_lines([json_line(found.to_json())] if as_json else timeline(found, map(engine.article, found.article_ids), ink()))


def _moment(text: str) -> datetime:
    """A moment as `changes` itself tells it, or shorter."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no moment in ISO 8601, such as 2024-06-19T06:00:00+02:00") from None


@commands.command(cls=Command, epilog=examples("recommender changes", "recommender changes --since 2024-06-19T06:00:00 --json"))
def changes(
    index: IndexOption = DEFAULT_INDEX,
    since: Annotated[
        datetime | None,
        typer.Option(parser=_moment, metavar="TIME", show_default=False, help="From this moment on: ISO 8601; UTC if not told."),
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Print what happened to the story threads, oldest first.

    A thread is founded, joined, left, merged, split, renamed or closed. An article that goes from one thread to another is
    in a merge or a split: `split A from B` is of the articles that are in A now and were in B.
    """
    found = Recommender.open(index).changes(since)
    print_lines((json_line(one.to_json()) for one in found) if as_json else map(change_line, found))


@commands.command(cls=Command, epilog=examples("recommender explain a17 a03", "recommender explain a17 a03 --json"))
def explain(
    one: Annotated[str, typer.Argument(metavar="ID", show_default=False, help="An article.")],
    other: Annotated[str, typer.Argument(metavar="ID", show_default=False, help="Another one.")],
    index: IndexOption = DEFAULT_INDEX,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Print score, relation, reasons and evidence of a pair."""
    engine = Recommender.open(index)
    known = engine.explain(one, other)
    articles = [engine.article(one), engine.article(other)]
    print_lines([json_line(known.to_json())] if as_json else explanation_lines(known, articles, ink()))


def _asked(article_id: str | None, every: bool, text: str | None, file: str | None) -> Iterator[tuple[str, bool]]:
    yield from (("ID", article_id is not None), ("--all", every), ("--text", text is not None), ("--file", file is not None))


def _ids_line(found: RelatedList) -> str:
    return f"{found.id}\t{' '.join(item.id for item in found.items)}"


def _draft(text: str) -> "Article":
    """A short first line with more below it is the title."""
    from recommender import Article

    first, _, rest = text.strip().partition("\n")
    if rest.strip() and len(first) <= TITLE_LIMIT:
        return Article(id="draft", title=first.strip(), body=rest.strip())
    return Article(id="draft", body=text.strip())


def _article_instead(engine: Recommender, article_id: str) -> str:
    """What to say to somebody who names an article where a thread is meant."""
    own = engine.thread_of(article_id)
    remedy = f"its thread is {own.id}" if own else "it stands alone, in no thread"
    return f"{clean(article_id)!r} is an article, not a thread; {remedy}"
