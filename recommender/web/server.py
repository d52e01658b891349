"""The server as a process: a socket, uvicorn on it, and as many workers as are asked for."""

from __future__ import annotations

import json
import os
import signal
import socket
import tempfile
from collections.abc import Callable
from dataclasses import asdict

import uvicorn
from uvicorn.supervisors import Multiprocess

from recommender.errors import RecommenderError
from recommender.web import connections
from recommender.web.answering import Answering
from recommender.web.application import Application, Settings

SETTINGS = "RECOMMENDER_SERVE"
"""The variable that hands the settings to the processes of uvicorn."""


class ListenError(RecommenderError):
    """The server cannot have the address that it was told to."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"cannot listen on {host} port {port} ({reason}); give another --host or --port")


def app_of_environment() -> Application:
    """The application that the variable RECOMMENDER_SERVE describes, for uvicorn."""
    given = json.loads(os.environ[SETTINGS])
    return Application(Settings(index=given["index"], base_url=given["base_url"], origins=tuple(given["origins"])))


def serve(settings: Settings, *, host: str, port: int, workers: int, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is told the address when it can be reached."""
    Answering(settings.index, base_url="")  # what is wrong with the index is said here and once, not by each process
    with _listening(host, port) as listening, tempfile.TemporaryDirectory(prefix="recommender-metrics-") as shared:
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listening.getsockname()[1]}"
        known = asdict(settings) | {"base_url": settings.base_url or address}
        os.environ[SETTINGS] = json.dumps(known)
        if workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = shared
        limits = connections.options(connections.MOST_CONNECTIONS)
        config = uvicorn.Config("recommender.web.server:app_of_environment", factory=True, workers=workers, **limits)
        signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn sends it again when it has ended, and that is no failure
        ready(address)
        if workers > 1:
            Multiprocess(config, sockets=[listening]).run()
        else:
            uvicorn.Server(config).run(sockets=[listening])


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named, or asyncio leaves Nagle on: 40 ms each
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(2048)
        listening.set_inheritable(True)
    except (OSError, OverflowError) as error:
        listening.close()
        raise ListenError(host, port, getattr(error, "strerror", None) or str(error)) from None
    return listening
