"""Answers over HTTP, read-only. The only module that imports starlette, uvicorn and prometheus_client."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import re
import signal
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

import h11
import uvicorn
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.supervisors import Multiprocess

from recommender import __version__
from recommender.errors import RecommenderError
from recommender.web.answering import JSON, NEVER_CHANGES, UNKNOWN, Answer, Answering, Kind, Refused
from recommender.web.contract import contract

LONGEST_ADDRESS = 2048
"""Bytes of a path and its query as they were sent."""
LARGEST_HEAD = 16_384
"""Bytes of a request before its body."""
LONGEST_HEAD = 10.0
"""Seconds that a client has to send the head of a request; uvicorn has a limit only between two requests."""
IDLE = 5
GRACE = 10
"""Seconds that a connection may be idle, and that requests have to end when the server is told to."""
MOST_CONNECTIONS = 12_000
"""Of one process; whoever comes then is answered 503."""
SETTINGS = "RECOMMENDER_SERVE"
"""The variable that hands the settings to the processes of uvicorn."""

_NO_GZIP = re.compile(rb"\bgzip\s*;\s*q=0(?:\.0*)?\s*(?:,|$)")


class ListenError(RecommenderError):
    """The server cannot have the address that it was told to."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"cannot listen on {host} port {port} ({reason}); give another --host or --port")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a server is told."""

    index: str
    base_url: str
    origins: tuple[str, ...] = ()
    """Whose pages may read the answers by script, such as `https://news.example`."""


def make_app(settings: Settings) -> Starlette:
    """The application; IndexUnusableError where the index cannot be read."""
    served = _Served(settings)
    routes = [
        Route("/related/{id:path}", served.answers("related")),  # first, since it is asked for most
        Route("/related", served.answers("related")),
        Route("/threads", served.answers("threads")),
        Route("/threads/{id:path}", served.answers("thread")),
        Route("/feeds/threads/{id:path}", served.answers("feed")),
        Route("/health", served.measured("health", served.health)),
        Route("/metrics", served.metrics),
        Route("/openapi.json", served.measured("openapi", served.fixed(_openapi(settings)))),
        Route("/widget.js", served.measured("widget", served.fixed(_widget()))),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={HTTPException: served.refuse, RecommenderError: served.refuse, Exception: served.refuse},
    )
    app.router.redirect_slashes = False  # it would trust the Host header
    return app


def app_of_environment() -> Starlette:
    """The application that the variable RECOMMENDER_SERVE describes, for uvicorn."""
    given = json.loads(os.environ[SETTINGS])
    return make_app(Settings(index=given["index"], base_url=given["base_url"], origins=tuple(given["origins"])))


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
        config = uvicorn.Config(
            "recommender.web.server:app_of_environment",
            factory=True,
            workers=workers,
            http=_Patient,
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=LARGEST_HEAD,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=IDLE,
            timeout_graceful_shutdown=GRACE,
        )
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


class _Patient(H11Protocol):
    """HTTP of uvicorn with a limit to patience: a client that does not end the head of a request is let go."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start waiting for the first head."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(LONGEST_HEAD, transport.close)

    def data_received(self, data: bytes) -> None:
        """Take what has come, and wait for the rest of a head that has begun."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._wait_no_more()
        elif self._deadline is None and self.conn.trailing_data[0]:
            self._deadline = self.loop.call_later(LONGEST_HEAD, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait_no_more(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _Served:
    """What the routes share: the answers, who may read them, and the counts."""

    def __init__(self, settings: Settings) -> None:
        self._answering = Answering(settings.index, base_url=settings.base_url)
        self._origins = frozenset(settings.origins)
        self._vary = (b"vary", b"Accept-Encoding, Origin" if settings.origins else b"Accept-Encoding")
        self._turn = asyncio.Lock()
        self._registry = CollectorRegistry()
        self._requests = Counter("recommender_requests", "Answers", ["route", "status"], registry=self._registry)
        self._seconds = Histogram(
            "recommender_request_seconds", "Time to an answer", ["route"], registry=self._registry,
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5),
        )  # fmt: skip
        self._count = functools.cache(lambda route, status: self._requests.labels(route, str(status)))
        self._timer = functools.cache(self._seconds.labels)

    def answers(self, kind: Kind) -> Callable[[Request], Awaitable[Response]]:
        """A route whose answers come from the index."""

        async def answer(request: Request) -> Response:
            asked_id, query = request.path_params.get("id", ""), request.scope["query_string"].decode("latin-1")
            if len(request.scope.get("raw_path") or b"") + len(query) > LONGEST_ADDRESS:
                raise Refused(414, f"the address is too long; {LONGEST_ADDRESS} bytes are allowed")
            found = self._answering.kept(kind, asked_id, query)
            if found is None and kind == "related":
                found = self._answering.answer(kind, asked_id, query)  # under a millisecond: no thread is worth it
            return self._sent(request, found or await self._in_turn(kind, asked_id, query))

        return self.measured(kind, answer)

    async def _in_turn(self, kind: Kind, asked_id: str, query: str) -> Answer:
        """The answer to what reads many rows: one at a time, beside the lists."""
        async with self._turn:
            found = self._answering.kept(kind, asked_id, query)
            return found if found is not None else await run_in_threadpool(self._answering.answer, kind, asked_id, query)

    def measured(self, name: str, route: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """The same route, counted, timed, and with a line of JSON in place of whatever goes wrong on purpose."""

        async def counted(request: Request) -> Response:
            started = time.perf_counter()
            try:
                response = await route(request)
            except (Refused, RecommenderError) as error:
                response = await self.refuse(request, error)
            self._timer(name).observe(time.perf_counter() - started)
            self._count(name, response.status_code).inc()
            return response

        return counted

    def fixed(self, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        """A route that always answers the same."""

        async def same(request: Request) -> Response:
            return self._sent(request, answer)

        return same

    async def health(self, request: Request) -> Response:
        """Whether the index can be read, and how much it holds."""
        body = json.dumps({"status": "ok", "articles": self._answering.articles()}) + "\n"
        return Response(body, media_type=JSON, headers=self._headers() | {"Cache-Control": "no-store"})

    async def metrics(self, request: Request) -> Response:
        """Counts of all processes of this server, in the text format of Prometheus."""
        registry = self._registry
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        headers = self._headers() | {"Cache-Control": "no-store"}
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4; charset=utf-8", headers=headers)

    async def refuse(self, request: Request, error: Exception) -> Response:
        """A line of JSON that says what is wrong, and nothing of this machine."""
        headers = self._headers(request) | {"Cache-Control": "no-store"}
        if isinstance(error, HTTPException):
            status, reason = error.status_code, _REASONS.get(error.status_code, error.detail)
            headers |= dict(error.headers or {})
        elif isinstance(error, Refused):
            status, reason = error.status, str(error)
            headers["Cache-Control"] = f"public, max-age={UNKNOWN}" if status == 404 else "no-store"
        elif isinstance(error, RecommenderError):
            status, reason = 503, "the index cannot be read now; try again later"
            headers["Retry-After"] = "30"
        else:
            status, reason = 500, "something went wrong here; the log of the server has it"
        if status == 405:
            headers["Allow"] = "GET, HEAD"
        return Response(json.dumps({"error": reason}) + "\n", status, headers, JSON)

    def _sent(self, request: Request, answer: Answer) -> Response:
        asked = dict(request.scope["headers"])
        headers = [*answer.headers, self._vary]
        if self._origins and (origin := asked.get(b"origin", b"").decode("latin-1")) in self._origins:
            headers.append((b"access-control-allow-origin", origin.encode()))
        named = asked.get(b"if-none-match")
        if named is not None and answer.location is None and _names(named.decode("latin-1"), answer.etag):
            return _Ready(304, headers, b"")
        body = answer.body
        if _takes_gzip(asked.get(b"accept-encoding", b"")) and answer.zipped is not None:
            body = answer.zipped
            headers.append((b"content-encoding", b"gzip"))
        headers += [(b"content-length", b"%d" % len(body)), (b"content-type", answer.media_type.encode())]
        return _Ready(200 if answer.location is None else 308, headers, body)

    def _headers(self, request: Request | None = None) -> dict[str, str]:
        headers = {"X-Content-Type-Options": "nosniff", "Vary": self._vary[1].decode()}
        if self._origins:
            origin = request.headers.get("origin") if request else None
            if origin in self._origins:
                headers["Access-Control-Allow-Origin"] = str(origin)
        return headers


_REASONS = {404: "there is nothing here; /openapi.json tells what there is", 405: "this server only reads; ask with GET or HEAD"}


class _Ready(Response):
    """A response whose headers are bytes already."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status_code, self.raw_headers, self.body, self.background = status, headers, body, None


def _takes_gzip(accepted: bytes) -> bool:
    return b"gzip" in accepted and not _NO_GZIP.search(accepted)


def _names(if_none_match: str, etag: str) -> bool:
    """Whether the header names this answer; compared weakly, as RFC 9110 asks."""
    own = etag.removeprefix("W/")
    return any(one.strip().removeprefix("W/") in {own, "*"} for one in if_none_match.split(","))


def _openapi(settings: Settings) -> Answer:
    body = json.dumps(contract(__version__, settings.base_url)) + "\n"
    return Answer(body=body.encode(), media_type=JSON, max_age=NEVER_CHANGES // 24)


def _widget() -> Answer:
    script = Path(str(resources.files("recommender") / "web" / "widget.js")).read_bytes()
    return Answer(body=script, media_type="text/javascript; charset=utf-8", max_age=NEVER_CHANGES // 24)
