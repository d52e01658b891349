"""What answers over HTTP: `serve`."""

import re
from pathlib import Path
from typing import Annotated

import typer

from recommender.errors import RecommenderError
from recommender.shell import DEFAULT_INDEX, Command, DebugOption, IndexOption, QuietOption, examples, say

commands = typer.Typer()

_ORIGIN = re.compile(r"https?://(?:[a-z0-9._-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")
_ADDRESS = re.compile(r"https?://[^\s?#\"'<>\\]+")


@commands.command(
    cls=Command,
    epilog=examples(
        "recommender serve",
        "recommender serve --port 9000 --workers 2 --cors https://news.example",
        "recommender serve --base-url https://news.example/stories",
    ),
)
def serve(
    ctx: typer.Context,
    index: IndexOption = DEFAULT_INDEX,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8377,
    workers: Annotated[int, typer.Option(min=1, max=64, metavar="N", help="Processes that answer.")] = 1,
    cors: Annotated[
        list[str] | None, typer.Option(metavar="ORIGIN", show_default=False, help="A site whose pages may ask by script.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(metavar="URL", show_default=False, help="How readers reach this server; feeds link to it.")
    ] = None,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Answer over HTTP, read-only: lists, threads, feeds and the widget.

    GET /related/ID and /related/ID.html, /threads, /threads/ID and ID.html, /feeds/threads/ID.xml, /widget.js, /health,
    /metrics, /openapi.json. A rebuilt index is seen at once. SIGTERM ends it when open requests are answered.
    """
    for origin in cors or ():
        if not _ORIGIN.fullmatch(origin):
            raise typer.BadParameter(f"--cors takes an origin such as https://news.example, not {origin!r}", ctx=ctx)
    if base_url is not None and not _ADDRESS.fullmatch(base_url):
        raise typer.BadParameter(f"--base-url takes an address such as https://news.example/stories, not {base_url!r}", ctx=ctx)
    try:
        from recommender.web import application, server
    except ImportError as error:
        missing = f"serving needs {error.name}, which is not installed"
        raise RecommenderError(f"{missing}; install it with `pip install 'recommender[serve]'`") from None
    settings = application.Settings(index=str(Path(index)), base_url=base_url or "", origins=tuple(cors or ()))
    tell = (lambda address: None) if quiet else (lambda address: say(f"{index} is served on {address}; Ctrl-C ends it"))
    server.serve(settings, host=host, port=port, workers=workers, ready=tell)
