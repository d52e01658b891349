"""What keeps an index up to date with a site: `sync`."""

import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recommender.errors import RecommenderError
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
    at_work,
    examples,
    say,
)

if TYPE_CHECKING:
    from recommender.syncing import Synced

commands = typer.Typer()

WatchOption = Annotated[
    float | None, typer.Option("--watch", metavar="SECONDS", min=1, show_default=False, help="Again and again, so long after.")
]


@commands.command(
    cls=Command,
    epilog=examples(
        "recommender sync https://site.example",
        "recommender sync wordpress:https://site.example/blog --index /srv/news/index --quiet",
        "recommender sync https://site.example/news-sitemap.xml --watch 300",
    ),
)
def sync(
    source: Annotated[str, typer.Argument(metavar="SOURCE", show_default=False, help="Address of a site, feed or sitemap.")],
    index: IndexOption = DEFAULT_INDEX,
    watch: WatchOption = None,
    rate: RateOption = DEFAULT_RATE,
    allow_host: HostOption = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False, help="As of `build`, where the index is made; lsa if not given."),
    ] = None,
    allow_removals: Annotated[
        bool, typer.Option("--allow-removals", help="Even where more than a third of the index is gone there.")
    ] = False,
    device: DeviceOption = None,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Bring an index up to date with a site.

    What is new is added, what has changed is updated, what is gone is removed. Where there is no index it is made; one that is
    there keeps its model.
    """
    from recommender.sources.http import Manners
    from recommender.syncing import SyncOptions
    from recommender.syncing import sync as synced

    manners = Manners(rate=rate, allowed_hosts=frozenset(allow_host or ()))

    def once() -> "Synced":
        with at_work(quiet) as (notice, progress):
            done = synced(source, index, SyncOptions(
                manners=manners, allow_removals=allow_removals, model=model, device=device, notice=notice, progress=progress
            ))  # fmt: skip
        notice(f"synced {index}: {done.told()}")
        return done

    if watch is None:
        once()
    else:
        _again_and_again(once, watch, quiet)


def _again_and_again(once: Callable[[], Any], seconds: float, quiet: bool) -> None:
    """Until a signal says that it is enough; an error of ours is told and gone on from, but for an index that is unusable."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while True:
            try:
                once()
            except RecommenderError as error:
                if error.exit_code != 1:
                    raise
                say(f"error: {error}")
            time.sleep(seconds)
    except KeyboardInterrupt:
        if not quiet:
            say("stopped")
