"""The editor's page: `desk`."""

from pathlib import Path
from typing import Annotated

import typer

from recommender import Recommender, RecommenderError
from recommender.shell import DEFAULT_INDEX, Command, DebugOption, IndexOption, QuietOption, examples, say, text_of

commands = typer.Typer()

SHORTEST_TOKEN = 16
"""Characters of a token that cannot be found by trying."""
MOST_CONNECTIONS = 200


@commands.command(
    cls=Command,
    epilog=examples(
        "recommender desk                            then open http://127.0.0.1:8378/",
        "recommender desk --host 0.0.0.0 --name desk.example --token-file token.txt",
    ),
)
def desk(
    index: IndexOption = DEFAULT_INDEX,
    host: Annotated[
        str, typer.Option(metavar="HOST", help="Where to listen. Other than this machine needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="PORT", help="The port.")] = 8378,
    name: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", show_default=False, help="A name by which browsers reach it; may be repeated."),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", show_default=False, help="Holds what the login form asks for.")
    ] = None,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Serve a page for editors: search articles, see why lists are as they are, pin, ban, merge, split, rename, lock.

    It writes rules into the index. Whoever can open it can change the lists: without a token only this machine can.
    """
    try:
        import uvicorn

        from recommender.web.connections import listening, options
        from recommender.web.desk import desk
        from recommender.web.guard import LOOPBACK_NAMES, Access, is_loopback
    except ImportError as error:
        raise RecommenderError(f"the desk needs {error.name}; install it with `pip install 'recommender[serve]'`") from None

    token = None if token_file is None else _token_in(token_file)
    local = is_loopback(host)
    if token is None and not local:
        raise RecommenderError(f"{host} can be reached from other machines; give a token with --token-file, or leave --host out")
    names = {host.strip("[]").lower(), *(given.lower() for given in name or ())}
    access = Access(names=LOOPBACK_NAMES | names, addresses=not local, token=token)
    engine = Recommender.open(index)
    with listening(host.strip("[]"), port) as waiting:
        if not quiet:
            say(f"the desk of {index} is at http://{f'[{host}]' if ':' in host else host}:{port}/  (Ctrl-C ends it)")
        uvicorn.Server(uvicorn.Config(desk(engine, access), **options(MOST_CONNECTIONS))).run(sockets=[waiting])


def _token_in(file: Path) -> str:
    token = text_of(str(file)).strip()
    if len(token) < SHORTEST_TOKEN or not token.isprintable():
        reason = f"{file}: a token is one line of {SHORTEST_TOKEN} characters or more"
        raise RecommenderError(f"{reason}; write one with `openssl rand -hex 32 > {file}`")
    return token
