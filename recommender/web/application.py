"""Answers over HTTP, read-only: an ASGI application of its own, since a list costs less than a framework's way to it.

The only module that imports prometheus_client.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from recommender import __version__
from recommender.errors import RecommenderError
from recommender.web.answering import JSON, NEVER_CHANGES, UNKNOWN, Answer, Answering, Kind, Refused
from recommender.web.contract import contract

LONGEST_ADDRESS = 2048
"""Bytes of a path and its query as they were sent."""
NOTHING_HERE = "there is nothing here; /openapi.json tells what there is"
ONLY_READS = "this server only reads; ask with GET or HEAD"
NO_STORE = (b"cache-control", b"no-store")
NOSNIFF = (b"x-content-type-options", b"nosniff")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

_WHOLE: dict[str, str] = {
    "/related": "related", "/threads": "threads", "/health": "health", "/metrics": "metrics", "/openapi.json": "openapi",
    "/widget.js": "widget",
}  # fmt: skip
_BEGINNINGS: tuple[tuple[str, Kind], ...] = (("/related/", "related"), ("/threads/", "thread"), ("/feeds/threads/", "feed"))
_NO_GZIP = re.compile(rb"\bgzip\s*;\s*q=0(?:\.0*)?\s*(?:,|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a server is told."""

    index: str
    base_url: str
    origins: tuple[str, ...] = ()
    """Whose pages may read the answers by script, such as `https://news.example`."""


class _Sent(NamedTuple):
    """What goes out to one client."""

    status: int
    headers: list[Header]
    body: bytes


class Application:
    """The ASGI application; IndexUnusableError where the index cannot be read."""

    def __init__(self, settings: Settings) -> None:
        self._answering = Answering(settings.index, base_url=settings.base_url)
        self._origins = {origin.encode() for origin in settings.origins}
        self._vary = (b"vary", b"Accept-Encoding, Origin" if settings.origins else b"Accept-Encoding")
        self._fixed = {"openapi": _openapi(settings), "widget": _widget()}
        self._turn = asyncio.Lock()
        self._looked: asyncio.AbstractEventLoop | None = None
        self._registry = CollectorRegistry()
        requests = Counter("recommender_requests", "Answers", ["route", "status"], registry=self._registry)
        seconds = Histogram(
            "recommender_request_seconds", "Time to an answer", ["route"], registry=self._registry,
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5),
        )  # fmt: skip
        self._count = functools.cache(lambda route, status: requests.labels(route, str(status)))
        self._timer = functools.cache(seconds.labels)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, counted and timed; a bug is one line for the client and an exception for the log."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        started = time.perf_counter()
        name, asked_id = _route(scope["path"])
        bug: Exception | None = None
        try:
            sent = await self._answered(name, asked_id, scope)
        except (Refused, RecommenderError) as error:
            sent = self._refused(scope, error)
        except Exception as error:
            bug = error
            sent = self._told(scope, 500, "something went wrong here; the log of the server has it")
        self._timer(name).observe(time.perf_counter() - started)
        self._count(name, sent.status).inc()
        await send({"type": "http.response.start", "status": sent.status, "headers": sent.headers})
        await send({"type": "http.response.body", "body": sent.body})
        if bug is not None:
            raise bug

    async def _answered(self, name: str, asked_id: str, scope: Scope) -> _Sent:
        if name == "none":
            return self._told(scope, 404, NOTHING_HERE)
        if scope["method"] not in ("GET", "HEAD"):
            return self._told(scope, 405, ONLY_READS, (b"allow", b"GET, HEAD"))
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > LONGEST_ADDRESS:
            raise Refused(414, f"the address is too long; {LONGEST_ADDRESS} bytes are allowed")
        if name == "health":
            body = json.dumps({"status": "ok", "articles": self._answering.articles()}) + "\n"
            return self._plain(scope, 200, body.encode(), JSON, NO_STORE)
        if name == "metrics":
            return self._plain(scope, 200, self._metrics(), "text/plain; version=0.0.4; charset=utf-8", NO_STORE)
        found = self._fixed.get(name)
        return self._sent(scope, found or await self._of_index(name, asked_id, scope["query_string"].decode("latin-1")))  # type: ignore[arg-type]

    async def _of_index(self, kind: Kind, asked_id: str, query: str) -> Answer:
        """The answer that is kept, or a new one: lists at once, what reads many rows one at a time and beside the lists."""
        self._look()
        found = self._answering.kept(kind, asked_id, query)
        if found is not None:
            return found
        if kind == "related":
            return self._answering.answer(kind, asked_id, query)  # under a millisecond: no thread is worth it
        async with self._turn:
            self._look()
            found = self._answering.kept(kind, asked_id, query)
            return found if found is not None else await asyncio.to_thread(self._answering.answer, kind, asked_id, query)

    def _look(self) -> None:
        """See whether the index has changed: once in a turn of the loop, for all requests that had come when it began."""
        loop = asyncio.get_running_loop()
        if self._looked is not loop:
            self._answering.look()
            self._looked = loop
            loop.call_soon(self._look_again)

    def _look_again(self) -> None:
        self._looked = None

    def _metrics(self) -> bytes:
        """Counts of all processes of this server, in the text format of Prometheus."""
        registry = self._registry
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    def _refused(self, scope: Scope, error: Refused | RecommenderError) -> _Sent:
        if isinstance(error, RecommenderError):
            return self._told(scope, 503, "the index cannot be read now; try again later", (b"retry-after", b"30"))
        kept = (b"cache-control", b"public, max-age=%d" % UNKNOWN) if error.status == 404 else NO_STORE
        return self._plain(scope, error.status, _line(str(error)), JSON, kept)

    def _told(self, scope: Scope, status: int, reason: str, *others: Header) -> _Sent:
        """A line of JSON that says what is wrong, and nothing of this machine."""
        return self._plain(scope, status, _line(reason), JSON, NO_STORE, *others)

    def _plain(self, scope: Scope, status: int, body: bytes, media_type: str, *others: Header) -> _Sent:
        headers = [NOSNIFF, self._vary, *others, *self._allowed(dict(scope["headers"])), *_of_body(body, media_type)]
        return _Sent(status, headers, body)

    def _sent(self, scope: Scope, answer: Answer) -> _Sent:
        asked = dict(scope["headers"])
        headers = [*answer.headers, self._vary, *self._allowed(asked)]
        named = asked.get(b"if-none-match")
        if named is not None and answer.location is None and _names(named.decode("latin-1"), answer.etag):
            return _Sent(304, headers, b"")
        body = answer.body
        if answer.zipped is not None and _takes_gzip(asked.get(b"accept-encoding", b"")):
            body = answer.zipped
            headers.append((b"content-encoding", b"gzip"))
        return _Sent(200 if answer.location is None else 308, headers + _of_body(body, answer.media_type), body)

    def _allowed(self, asked: dict[bytes, bytes]) -> tuple[Header, ...]:
        """The header that lets a script of a named origin read, or none."""
        if not self._origins or (origin := asked.get(b"origin")) not in self._origins:
            return ()
        return ((b"access-control-allow-origin", origin),)


async def _live(receive: Receive, send: Send) -> None:
    """There is nothing to do when a server starts or ends."""
    for moment in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{moment}.complete"})


def _route(path: str) -> tuple[str, str]:
    """The name of a route and the id in its path."""
    for beginning, name in _BEGINNINGS:
        if path.startswith(beginning):
            return name, path[len(beginning) :]
    return _WHOLE.get(path, "none"), ""


def _line(reason: str) -> bytes:
    return json.dumps({"error": reason}).encode() + b"\n"


def _of_body(body: bytes, media_type: str) -> list[Header]:
    return [(b"content-length", b"%d" % len(body)), (b"content-type", media_type.encode())]


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
