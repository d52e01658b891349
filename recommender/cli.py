"""The `recommender` command: translates words into calls of Recommender and answers into lines. It does not think.

Results go to stdout, everything else to stderr. Nothing heavy is imported for what only reads the index.
"""

import contextlib
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from recommender import Recommender, __version__
from recommender.answers import Profile, RelatedList
from recommender.drawing import (
    change_line,
    clean,
    evaluation_table,
    explanation_lines,
    fact_lines,
    finding_line,
    list_lines,
    thread_table,
    timeline,
    tuning_lines,
)
from recommender.editing import rules
from recommender.errors import IndexUnusableError, UnknownThreadError
from recommender.shell import (
    DEFAULT_INDEX,
    Command,
    Commands,
    DebugOption,
    IndexOption,
    JsonOption,
    QuietOption,
    ink,
    json_line,
    print_lines,
    say,
)
from recommender.shell import examples as _examples
from recommender.shell import text_of as _text_of

if TYPE_CHECKING:
    from recommender.pipeline.articles import Article

TITLE_LIMIT = 220
"""Longest first line of a draft that can be its title, in characters. Of 42,552 real headlines 999 in 1,000 have 211 or fewer."""


def main() -> None:
    """Run the command line of this process."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a headline must not fail on a terminal that lacks its letters
    app()


def _show_version(value: bool) -> None:
    if value:
        print_lines([f"recommender {__version__}"])
        raise typer.Exit


Format = Literal["jsonl", "ndjson", "json", "csv", "tsv", "parquet", "pq"]

SourcesArgument = Annotated[list[str], typer.Argument(metavar="SOURCE", show_default=False, help="Files; - is stdin.")]
FormatOption = Annotated[Format | None, typer.Option("--format", help="Format of the sources, where the ending does not tell.")]
SkipOption = Annotated[bool, typer.Option("--skip-invalid", help="Go on without rows that are no articles, and say how many.")]
DeviceOption = Annotated[str | None, typer.Option("--device", metavar="NAME", help="Where the model runs: cpu, cuda, mps.")]
EvergreenOption = Annotated[
    list[str] | None,
    typer.Option("--evergreen", metavar="SECTION", show_default=False, help="Articles of this section do not age; repeatable."),
]

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_examples(
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


@app.command(
    cls=Command,
    epilog=_examples(
        "recommender build articles.jsonl",
        "recommender build 2023.csv.gz 2024.csv.gz --index /srv/news/index",
        "zcat export.gz | recommender build - --format jsonl --skip-invalid",
        "recommender build articles.jsonl --model ./models/my-model --device cuda",
        "recommender build articles.jsonl --weights weights.json",
    ),
)
def build(
    sources: SourcesArgument,
    index: IndexOption = DEFAULT_INDEX,
    model: Annotated[str, typer.Option(metavar="NAME", help="lsa, or a sentence-transformers model by name or folder.")] = "lsa",
    weights: Annotated[Path | None, typer.Option(metavar="FILE", help="Weights that `tune` wrote.", show_default=False)] = None,
    evergreen: EvergreenOption = None,
    format: FormatOption = None,
    skip_invalid: SkipOption = False,
    device: DeviceOption = None,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Make an index of articles, or replace one.

    Until the new one is complete, readers see the old one. Of two rows with one id the later counts.
    """
    started = time.perf_counter()
    with _at_work(quiet) as (notice, progress):
        articles = _articles(sources, format, skip_invalid, notice)
        engine = Recommender.build(
            articles,
            index,
            model=model,
            weights=weights,
            evergreen=evergreen or (),
            device=device,
            notice=notice,
            progress=progress,
        )
    facts = engine.info()
    counts = f"{facts['articles']:,} articles, {facts['threads']:,} threads"
    notice(f"built {index}: {counts}, {time.perf_counter() - started:.1f} s")


@app.command(
    cls=Command,
    epilog=_examples("recommender add today.jsonl", "tail -n 100 articles.jsonl | recommender add - --format jsonl --quiet"),
)
def add(
    sources: SourcesArgument,
    index: IndexOption = DEFAULT_INDEX,
    format: FormatOption = None,
    skip_invalid: SkipOption = False,
    device: DeviceOption = None,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Add articles, and bring known ones up to date.

    One that is known and has not changed costs nothing.
    """
    engine = Recommender.open(index, device=device)
    with _at_work(quiet) as (notice, progress):
        done = engine.add(_articles(sources, format, skip_invalid, notice), notice=notice, progress=progress)
    notice(f"added {done.added}, updated {done.updated}, unchanged {done.unchanged}")


@app.command(cls=Command, epilog=_examples("recommender remove a17 a18", "cut -f1 withdrawn.tsv | recommender remove -"))
def remove(
    ids: Annotated[list[str], typer.Argument(metavar="ID", show_default=False, help="Articles; - reads ids from stdin.")],
    index: IndexOption = DEFAULT_INDEX,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Forget articles everywhere.

    Where one of them is not in the index, nothing is changed.
    """
    engine = Recommender.open(index)
    named = [given for one in ids for given in (_ids_from_stdin() if one == "-" else [one])]
    with _at_work(quiet) as (notice, _):
        done = engine.remove(named)
    notice(f"removed {done.removed}")


@app.command(
    cls=Command,
    epilog=_examples(
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
    k: Annotated[int, typer.Option("-k", min=1, help="Length of a list at most.")] = 5,
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
        draft = _draft(text if text is not None else _text_of(str(file)))
        found = RelatedList(id=None, thread=None, items=tuple(engine.related_to(draft, k, profile=profile)))
        title = draft.title
    if as_json:
        print_lines([json_line(found.to_json())])
        return
    print_lines([item.id for item in found.items] if ids else list_lines(found, title, ink()))
    if not found.items and not quiet:
        say(f"nothing in {index} is related to {repr(article_id) if article_id is not None else 'this draft'}")


@app.command(cls=Command, epilog=_examples("recommender threads --min-size 5", "recommender threads --json | head -n 1"))
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


@app.command(cls=Command, epilog=_examples("recommender thread t0f3c2a91be", "recommender thread t0f3c2a91be --json"))
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


@app.command(cls=Command, epilog=_examples("recommender changes", "recommender changes --since 2024-06-19T06:00:00 --json"))
def changes(
    index: IndexOption = DEFAULT_INDEX,
    since: Annotated[
        datetime | None, typer.Option(metavar="TIME", show_default=False, help="From this moment on: ISO 8601, UTC.")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Print what happened to the story threads, oldest first.

    A thread is founded, joined, left, merged, split, renamed or closed.
    """
    found = Recommender.open(index).changes(since and since.replace(tzinfo=UTC))
    print_lines((json_line(one.to_json()) for one in found) if as_json else map(change_line, found))


@app.command(cls=Command, epilog=_examples("recommender rebuild", "recommender rebuild --model NAME --to artifacts/trial"))
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
    with _at_work(quiet) as (notice, progress):
        engine.rebuild(model=model, to=to, notice=notice, progress=progress)
    notice(f"made {to or index} anew")


@app.command(cls=Command, epilog=_examples("recommender compare artifacts/trial", "recommender compare artifacts/trial --json"))
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


@app.command(cls=Command, epilog=_examples("recommender explain a17 a03", "recommender explain a17 a03 --json"))
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


@app.command(
    cls=Command,
    epilog=_examples(
        "recommender evaluate gold.csv",
        "recommender evaluate gold.csv --json --quiet",
        "zcat judged.jsonl.gz | recommender evaluate - --resamples 5000",
    ),
)
def evaluate(
    gold: Annotated[str, typer.Argument(metavar="GOLD", show_default=False, help="CSV or JSON Lines; - is stdin.")],
    index: IndexOption = DEFAULT_INDEX,
    resamples: Annotated[int, typer.Option(min=1, metavar="N", help="Resamples behind the 95 % intervals.")] = 1000,
    format: FormatOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Measure an index against your own truth, beside simple lists.

    GOLD holds story labels, in the columns id and story (empty: it stands alone), perhaps topic; or judged pairs, in the
    columns one, other (or a, b) and grade: 2 of one story, 1 related, 0 not.

    The lists are those of --profile similar. Beside them stand the latest (the newest of the same section before the
    article, then of any), TF-IDF (cosine; its threads by average linkage at one fixed cut) and random ones.

    An article that was not judged is left out of every list before it is measured (condensed lists: Sakai 2007,
    Alternatives to Bpref), so nobody is blamed for showing what the truth does not know. With labels, nDCG@5 (gain 2 for
    the story, 1 for the topic) and P@1 are over articles with a story mate; with pairs, over articles whose judged mates
    have different grades: elsewhere no order is right or wrong. Intervals are bootstraps over articles, pairs going with
    their first one; the same files give the same numbers.
    """
    with _at_work(quiet) as (notice, _):
        found = Recommender.open(index).evaluate(gold, resamples=resamples, format=format, notice=notice)
    print_lines([json_line(found.to_json())] if as_json else evaluation_table(found, ink()))


@app.command(
    cls=Command,
    epilog=_examples(
        "recommender tune gold.csv                          what weights of your own would gain",
        "recommender tune gold.csv --apply                  use them, where they gain",
        "recommender tune gold.csv --output weights.json    keep them for `build --weights`",
        "recommender tune gold.csv --json --quiet",
    ),
)
def tune(
    gold: Annotated[str, typer.Argument(metavar="GOLD", show_default=False, help="As for `evaluate`; - is stdin.")],
    index: IndexOption = DEFAULT_INDEX,
    apply: Annotated[bool, typer.Option("--apply", help="Give the index the weights, where they are better.")] = False,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write the weights.", show_default=False)] = None,
    format: FormatOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Learn the weights of the score again, from your own truth.

    The shipped weights are the starting point, and the fewer judgments there are the closer the new ones stay to them.
    What they gain is measured on five parts of the judged articles, each by weights learned without it. Where the 95 %
    interval of the gain does not lie above 0, --apply changes nothing and --output writes the shipped ones.

    --apply makes links, threads and lists again from what the index holds, in one transaction; no source is needed. A later
    `build` starts from the shipped weights, unless it is given --weights.
    """
    engine = Recommender.open(index, device=device)
    with _at_work(quiet) as (notice, progress):
        found = engine.tune(gold, apply=apply, output=output, format=format, notice=notice, progress=progress)
    print_lines([json_line(found.to_json())] if as_json else tuning_lines(found, ink()))
    if found.applied:
        notice(f"{index} has the tuned weights now: {engine.info()['threads']:,} threads")
    else:
        notice("nothing was changed; --apply gives the tuned weights to the index" if found.better else "nothing was changed")


@app.command(cls=Command, epilog=_examples("recommender info", "recommender info --json --index /srv/news/index"))
def info(
    index: IndexOption = DEFAULT_INDEX,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Print counts, model, sizes and versions of an index."""
    facts = Recommender.open(index).info()
    print_lines([json_line(facts)] if as_json else fact_lines(facts))


@app.command(cls=Command, epilog=_examples("recommender check", "recommender check --json --index /srv/news/index"))
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


@app.command(cls=Command, epilog=_examples("recommender compact", "recommender remove a17 && recommender compact"))
def compact(index: IndexOption = DEFAULT_INDEX, quiet: QuietOption = False, debug: DebugOption = False) -> None:
    """Leave no trace of what was removed, and give back its room.

    The index is written anew: neither ids nor words of removed articles stand in any of its files then. Readers see the old
    one until the new one is complete.
    """
    before, after = Recommender.open(index).compact()
    if not quiet:
        say(f"compacted {index}: {before / 1e6:.1f} MB before, {after / 1e6:.1f} MB now")


@app.command(cls=Command, epilog=_examples("recommender backup news.backup", "recommender backup /mnt/safe/$(date +%F).backup"))
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


@app.command(
    cls=Command, epilog=_examples("recommender restore news.backup", "recommender restore news.backup --index elsewhere")
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
        say(f"restored {index}: {facts['articles']:,} articles, {facts['threads']:,} threads")


@app.command(cls=Command, epilog=_examples("recommender repair", "recommender repair > lost.txt      the ids to add again"))
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
    with _at_work(quiet) as (notice, progress):
        done = Recommender.repair(index, device=device, notice=notice, progress=progress)
    print_lines([json_line(done.to_json())] if as_json else done.lost_ids)
    if done.kept is None:
        notice(f"{index} is sound; nothing was changed")
    else:
        unnamed = f", {done.lost - len(done.lost_ids):,} of them without a name" if done.lost > len(done.lost_ids) else ""
        notice(f"saved {done.saved:,} articles, lost {done.lost:,}{unnamed}; the damaged file is {index / done.kept}")


app.add_typer(rules)


@app.command(
    cls=Command,
    epilog=_examples("recommender demo", "recommender demo --index artifacts/demo      leaves an index to play with"),
)
def demo(
    index: Annotated[Path | None, typer.Option(metavar="DIR", help="Where to leave the index.", show_default=False)] = None,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Show a sidebar of the sample newsroom, before and after."""
    from recommender.demo import newsroom, page_lines, page_of, stand_ins

    with newsroom(index) as folder:
        with _at_work(quiet) as (_, progress):
            page = page_of(folder, kept=index is not None, program=_program(), progress=progress)
        encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
        print_lines(stand_ins(page_lines(page, _columns(), ink()), encoding))


@contextlib.contextmanager
def _at_work(quiet: bool) -> Iterator[tuple[Any, Any]]:
    """What to tell a person of, and how far the work is."""
    from recommender.progress import shown_progress

    with shown_progress(quiet=quiet) as progress:
        yield (lambda message: None) if quiet else say, progress


def _articles(sources: list[str], format: str | None, skip_invalid: bool, notice: Any) -> "Iterator[Article]":
    from recommender import read_articles

    return read_articles(sources, format=format, skip_invalid=skip_invalid, notice=notice)


def _asked(article_id: str | None, every: bool, text: str | None, file: str | None) -> Iterator[tuple[str, bool]]:
    yield from (("ID", article_id is not None), ("--all", every), ("--text", text is not None), ("--file", file is not None))


def _ids_line(found: RelatedList) -> str:
    return f"{found.id}\t{' '.join(item.id for item in found.items)}"


def _ids_from_stdin() -> list[str]:
    return [line.strip() for line in _text_of("-").split("\n") if line.strip()]  # an id may hold what else breaks lines


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
