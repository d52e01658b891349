"""The server as a process: a socket, uvicorn on it, and as many workers as are asked for."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Callable
from dataclasses import asdict

import uvicorn
from uvicorn.supervisors import Multiprocess

from recommender.web import connections
from recommender.web.answering import Answering
from recommender.web.application import Application, Settings

SETTINGS = "RECOMMENDER_SERVE"
"""The variable that hands the settings to the processes of uvicorn."""


def app_of_environment() -> Application:
    """The application that the variable RECOMMENDER_SERVE describes, for uvicorn."""
    given = json.loads(os.environ[SETTINGS])
    return Application(Settings(index=given["index"], base_url=given["base_url"], origins=tuple(given["origins"])))


def serve(settings: Settings, *, host: str, port: int, workers: int, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is told the address when it can be reached."""
    Answering(settings.index, base_url="")  # what is wrong with the index is said here and once, not by each process
    with connections.listening(host, port) as listening, tempfile.TemporaryDirectory(prefix="recommender-metrics-") as shared:
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
