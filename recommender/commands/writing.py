"""What changes the articles of an index: `build`, `add`, `remove`."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recommender import Recommender
from recommender.drawing import counted
from recommender.shell import (
    DEFAULT_INDEX,
    DEFAULT_RATE,
    Command,
    DebugOption,
    DeviceOption,
    HostOption,
    IndexOption,
    QuietOption,
    RateOption,
    SourceFormatOption,
    at_work,
    examples,
    text_of,
)

if TYPE_CHECKING:
    from recommender.pipeline.articles import Article
    from recommender.sources.http import Manners

commands = typer.Typer()

SourcesArgument = Annotated[
    list[str], typer.Argument(metavar="SOURCE", show_default=False, help="Files, folders, addresses of the web; - is stdin.")
]
SkipOption = Annotated[bool, typer.Option("--skip-invalid", help="Go on without rows that are no articles, and say how many.")]
EvergreenOption = Annotated[
    list[str] | None,
    typer.Option("--evergreen", metavar="SECTION", show_default=False, help="Articles of this section do not age; repeatable."),
]


@commands.command(
    cls=Command,
    epilog=examples(
        "recommender build articles.jsonl",
        "recommender build 2023.csv.gz 2024.csv.gz --index /srv/news/index",
        "zcat export.gz | recommender build - --format jsonl --skip-invalid",
        "recommender build wordpress-export.xml",
        "recommender build https://site.example --rate 1",
        "recommender build ./saved-pages",
        "recommender build articles.jsonl --model ./models/my-model --device cuda",
        "recommender build articles.jsonl --weights weights.json",
    ),
)
def build(
    sources: SourcesArgument,
    index: IndexOption = DEFAULT_INDEX,
    model: Annotated[
        str,
        typer.Option(metavar="NAME", help="lsa, minilm, multilingual, or a sentence-transformers model by name or folder."),
    ] = "lsa",
    weights: Annotated[Path | None, typer.Option(metavar="FILE", help="Weights that `tune` wrote.", show_default=False)] = None,
    evergreen: EvergreenOption = None,
    format: SourceFormatOption = None,
    skip_invalid: SkipOption = False,
    rate: RateOption = DEFAULT_RATE,
    allow_host: HostOption = None,
    device: DeviceOption = None,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Make an index of articles, or replace one.

    SOURCE is a table (JSON Lines, JSON, CSV, Parquet), a WordPress export (WXR), a feed (RSS, Atom, JSON Feed), a saved
    page or a folder of them, Markdown with front matter or a folder of it; each may be gzipped. Or the address of a WordPress
    site, a feed, a sitemap or a list of pages, and with --format of any of these files.

    Until the new one is complete, readers see the old one. Of two rows with one id the later counts.
    """
    from recommender import read_articles

    started = time.perf_counter()
    unseen = set(evergreen or ())
    with at_work(quiet) as (notice, progress):
        manners = _manners(sources, rate, allow_host)
        articles = read_articles(sources, format=format, skip_invalid=skip_invalid, notice=notice, manners=manners)
        engine = Recommender.build(
            _seen(articles, unseen),
            index,
            model=model,
            weights=weights,
            evergreen=evergreen or (),
            device=device,
            notice=notice,
            progress=progress,
        )
    for section in sorted(unseen):
        notice(f"--evergreen {section}: no article is in a section of that name")
    facts = engine.info()
    counts = ", ".join(counted(facts[what], what) for what in ("articles", "threads"))
    notice(f"built {index}: {counts}, {time.perf_counter() - started:.1f} s")


@commands.command(
    cls=Command,
    epilog=examples("recommender add today.jsonl", "tail -n 100 articles.jsonl | recommender add - --format jsonl --quiet"),
)
def add(
    sources: SourcesArgument,
    index: IndexOption = DEFAULT_INDEX,
    format: SourceFormatOption = None,
    skip_invalid: SkipOption = False,
    rate: RateOption = DEFAULT_RATE,
    allow_host: HostOption = None,
    device: DeviceOption = None,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Add articles, and bring known ones up to date.

    One that is known and has not changed costs nothing.
    """
    from recommender import read_articles

    engine = Recommender.open(index, device=device)
    with at_work(quiet) as (notice, progress):
        manners = _manners(sources, rate, allow_host)
        articles = read_articles(sources, format=format, skip_invalid=skip_invalid, notice=notice, manners=manners)
        done = engine.add(articles, notice=notice, progress=progress)
    notice(f"added {done.added}, updated {done.updated}, unchanged {done.unchanged}")


@commands.command(cls=Command, epilog=examples("recommender remove a17 a18", "cut -f1 withdrawn.tsv | recommender remove -"))
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
    with at_work(quiet) as (notice, _):
        done = engine.remove(named)
    notice(f"removed {done.removed}")


def _seen(articles: Iterable["Article"], unseen: set[str]) -> Iterator["Article"]:
    """The articles; their sections leave the set."""
    for article in articles:
        if article.section:
            unseen.discard(article.section)
        yield article


def _manners(sources: list[str], rate: float, allow_host: list[str] | None) -> "Manners | None":
    """How the sites among the sources are asked; None where there is none."""
    from recommender.sources.opening import is_address

    if not any(map(is_address, sources)):
        return None
    from recommender.sources.http import Manners

    return Manners(rate=rate, allowed_hosts=frozenset(allow_host or ()))


def _ids_from_stdin() -> list[str]:
    return [line.strip() for line in text_of("-").split("\n") if line.strip()]  # an id may hold what else breaks lines
