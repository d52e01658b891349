"""Fetches what a source on the web consists of, as a guest should: from that site alone, slowly, and never too much.

Every connection goes to an address that was checked (`connections.py`): a name that resolves to a private network is refused
unless the user named that host.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

import httpcore2

from recommender import __version__
from recommender.errors import FetchError, one_line
from recommender.sources.connections import Route
from recommender.sources.limits import at_most, unpacked
from recommender.sources.proxies import Proxy, proxy_of
from recommender.sources.urls import PORTS, host_of, is_same_site, parts_of

USER_AGENT = f"recommender/{__version__}"
REDIRECTS = {301, 302, 303, 307, 308}
MOST_REDIRECTS = 5
RETRIED = {408, 429, 500, 502, 503, 504}
_CHANCE = random.SystemRandom()
_LATER = "try again later"
_PROXY = "look at HTTPS_PROXY (http://name:password@host:port) and NO_PROXY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How a client behaves towards a site."""

    rate: float = 4.0
    """Requests a second, at most."""
    connect_seconds: float = 10.0
    read_seconds: float = 30.0
    """Longest silence of a server."""
    total_seconds: float = 180.0
    """Longest time for one answer, however steadily it drips."""
    retries: int = 4
    first_wait: float = 0.5
    """Seconds before the first retry; each further wait is twice as long, give or take a half."""
    longest_wait: float = 120.0
    """Longest Retry-After that is waited for, in seconds."""
    size_limit: int = 64 * 2**20
    """Largest answer, in bytes as sent."""
    unpacked_limit: int = 256 * 2**20
    """Largest answer, in bytes as unpacked."""
    allowed_hosts: frozenset[str] = frozenset()
    """Hosts besides the one of the source that may be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server has answered."""

    url: str
    """Where it came from in the end, after redirects."""
    status: int
    """200, or 304 where a condition was given and nothing has changed."""
    headers: Mapping[str, str]
    """By their names in small letters."""
    content: bytes


class _TemporaryError(Exception):
    """What another try may mend; `wait` is what the server asks for, in seconds."""

    def __init__(self, reason: str, *, wait: float | None = None, status: int | None = None) -> None:
        super().__init__(reason)
        self.wait, self.status = wait, status


class Client:
    """Asks one site, which the user named by its address; refuses whatever leads elsewhere."""

    def __init__(self, address: str, manners: Manners | None = None, *, pause: Callable[[float], None] = time.sleep) -> None:
        self.manners = manners or Manners()
        self.requests = 0
        """How many have been made."""
        self._pause = pause
        self._named = parts_of(address)
        self._named_hosts = {host_of(self._named), *(host.lower().rstrip(".") for host in self.manners.allowed_hosts)}
        self._next = 0.0
        self._routes: dict[Proxy | None, Route] = {}

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for route in self._routes.values():
            route.pool.close()

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Answer:
        """What stands at an address of this site; FetchError where it cannot be had, or is not to be asked for."""
        asked = urlunsplit(self._permitted(url))
        for _ in range(MOST_REDIRECTS + 1):
            answer = self._persistently(asked, headers or {})
            if answer.status not in REDIRECTS:
                return _accepted(answer)
            asked = self._redirected(asked, answer.headers.get("location", ""))
        raise FetchError(url, f"it redirects more than {MOST_REDIRECTS} times", "name the address it leads to")

    def permits(self, url: str) -> bool:
        """Whether an address is on this site."""
        try:
            self._permitted(url)
        except FetchError:
            return False
        return True

    def _permitted(self, url: str) -> SplitResult:
        parts = parts_of(url)
        host = host_of(parts)
        if not any(is_same_site(host, named) for named in self._named_hosts):
            remedy = f"name that address, or allow that host with --allow-host {host}"
            raise FetchError(url, f"it is on another site than {host_of(self._named)}", remedy)
        if (parts.port or PORTS[parts.scheme]) not in {80, 443, self._named.port}:
            raise FetchError(url, f"it leads to port {parts.port}, which you have not named", "name that address itself")
        if host not in self._named_hosts and (proxy := proxy_of(parts)):
            reason = f"the proxy {proxy.shown} looks names up itself, so nobody sees whether that host is in a private network"
            raise FetchError(url, reason, f"allow that host with --allow-host {host}")
        return parts

    def _route(self, url: str) -> Route:
        proxy = proxy_of(urlsplit(url))
        if proxy not in self._routes:
            self._routes[proxy] = Route(self._named_hosts, proxy)
        return self._routes[proxy]

    def _redirected(self, asked: str, location: str) -> str:
        if not location:
            raise FetchError(asked, "it redirects, but not where to", "look at it in a browser")
        try:
            target = urljoin(asked, location)
            parts = self._permitted(target)
        except (FetchError, ValueError) as error:
            raise FetchError(asked, f"it redirects elsewhere: {error}", "nothing was fetched from there") from None
        if asked.startswith("https:") and parts.scheme == "http":
            raise FetchError(asked, f"it redirects from https to {target}", "nothing was fetched from there")
        return urlunsplit(parts)

    def _persistently(self, url: str, headers: Mapping[str, str]) -> Answer:
        waited = self.manners.first_wait
        for attempt in range(self.manners.retries + 1):
            self._wait_turn()
            try:
                return self._once(url, headers)
            except _TemporaryError as fault:
                if fault.wait is not None and fault.wait > self.manners.longest_wait:
                    reason = f"{fault}, and it asks to be left alone for {fault.wait:,.0f} seconds"
                    raise FetchError(url, reason, _LATER, status=fault.status) from None
                if attempt == self.manners.retries:
                    times = f" ({attempt + 1} tries)" if attempt else ""
                    raise FetchError(url, f"{fault}{times}", _LATER, status=fault.status) from None
                self._pause(max(fault.wait or 0.0, waited * _CHANCE.uniform(0.5, 1.5)))
                waited *= 2
        raise AssertionError("the last try returns or raises")

    def _wait_turn(self) -> None:
        left = self._next - time.monotonic()
        if left > 0:
            self._pause(left)
        self._next = time.monotonic() + 1 / self.manners.rate
        self.requests += 1

    def _once(self, url: str, headers: Mapping[str, str]) -> Answer:
        manners, route = self.manners, self._route(url)
        route.gate.deadline = time.monotonic() + manners.total_seconds
        sent: dict[bytes | str, bytes | str] = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "gzip"}
        sent.update(headers)
        pauses = {"connect": manners.connect_seconds, "read": manners.read_seconds, "write": manners.read_seconds, "pool": 5.0}
        try:
            with route.pool.stream("GET", url, headers=sent, extensions={"timeout": pauses}) as response:
                told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
                status = int(response.status)
                if status in RETRIED:
                    raise _TemporaryError(f"the server answers {status}", wait=_retry_after(told), status=status)
                content = self._content(url, response.iter_stream(), told) if status == 200 else b""
                return Answer(url=url, status=status, headers=told, content=content)
        except httpcore2.TimeoutException:
            raise _TemporaryError(f"the server does not answer in time{route.told}") from None
        except httpcore2.NetworkError as error:
            if "CERTIFICATE" in str(error):
                raise FetchError(url, f"its certificate is not valid ({one_line(error)})", "have it renewed") from None
            raise _TemporaryError(f"the server cannot be reached{route.told} ({one_line(error)})") from None
        except httpcore2.ProtocolError as error:
            raise _TemporaryError(f"the server breaks off or does not speak HTTP{route.told} ({one_line(error)})") from None
        except httpcore2.ProxyError as error:
            if one_line(error)[:3] in map(str, RETRIED):
                raise _TemporaryError(f"there is no way{route.told} ({one_line(error)})") from None
            raise FetchError(url, f"there is no way{route.told} ({one_line(error)})", _PROXY) from None

    def _content(self, url: str, chunks: Iterable[bytes], told: Mapping[str, str]) -> bytes:
        coding = told.get("content-encoding", "identity").strip().lower()
        if coding not in ("", "identity", "gzip", "x-gzip"):
            raise FetchError(url, f"it is packed as {coding!r}, which was not asked for", "mend the server")
        limited = at_most(chunks, self.manners.size_limit, url)
        if "gzip" in coding:
            limited = unpacked(limited, self.manners.unpacked_limit, url)
        try:
            return b"".join(limited)
        except EOFError:
            raise _TemporaryError("its gzip data end too early") from None


def _accepted(answer: Answer) -> Answer:
    """The answer, if it is one."""
    status = answer.status
    if status in (200, 304):
        return answer
    if status in (401, 403):
        reason, remedy = f"the server refuses it ({status})", "let the site allow it, or name another source"
    elif status in (404, 410):
        reason, remedy = f"there is no such page ({status})", "check the address"
    elif status == 407:
        reason, remedy = "the proxy asks for a name and password (407)", _PROXY.replace("HTTPS", "HTTP")
    else:
        reason, remedy = f"the server answers {status}", "look at the address in a browser"
    raise FetchError(answer.url, reason, remedy, status=status)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    asked = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]+", asked):
        return min(float(asked), 1e9)
    try:
        moment = parsedate_to_datetime(asked)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())
