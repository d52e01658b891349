"""Fetches what a source on the web consists of, as a guest should: from that site alone, slowly, and never too much.

The only module that opens connections. Every connection goes to an address that was checked: a name that resolves to a
private network is refused unless the user named that host.
"""

from __future__ import annotations

import ipaddress
import random
import re
import socket
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any
from urllib.parse import SplitResult, quote, urljoin, urlsplit, urlunsplit

import httpcore2

from recommender import __version__
from recommender.errors import FetchError

USER_AGENT = f"recommender/{__version__}"
REDIRECTS = {301, 302, 303, 307, 308}
MOST_REDIRECTS = 5
RETRIED = {408, 429, 500, 502, 503, 504}
_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_CHANCE = random.SystemRandom()
_LATER = "try again later"


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
        self._named = _parts(address)
        self._named_hosts = {_host(self._named), *(host.lower().rstrip(".") for host in self.manners.allowed_hosts)}
        self._next = 0.0
        self._gate = _Gate(self._named_hosts)
        self._pool = httpcore2.ConnectionPool(max_connections=2, keepalive_expiry=30.0, network_backend=self._gate)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.close()

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
        parts = _parts(url)
        host = _host(parts)
        if not any(_is_same_site(host, named) for named in self._named_hosts):
            raise FetchError(
                url, f"it is on another site than {_host(self._named)}", f"name that address, or `sync` with --allow-host {host}"
            )
        if (parts.port or _PORTS[parts.scheme]) not in {80, 443, self._named.port}:
            raise FetchError(url, f"it leads to port {parts.port}, which you have not named", "name that address itself")
        return parts

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
        manners = self.manners
        self._gate.deadline = time.monotonic() + manners.total_seconds
        sent: dict[bytes | str, bytes | str] = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "gzip"}
        sent.update(headers)
        pauses = {"connect": manners.connect_seconds, "read": manners.read_seconds, "write": manners.read_seconds, "pool": 5.0}
        try:
            with self._pool.stream("GET", url, headers=sent, extensions={"timeout": pauses}) as response:
                told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
                status = int(response.status)
                if status in RETRIED:
                    raise _TemporaryError(f"the server answers {status}", wait=_retry_after(told), status=status)
                content = self._content(url, response.iter_stream(), told) if status == 200 else b""
                return Answer(url=url, status=status, headers=told, content=content)
        except httpcore2.TimeoutException:
            raise _TemporaryError("the server does not answer in time") from None
        except httpcore2.NetworkError as error:
            if "CERTIFICATE" in str(error):
                raise FetchError(url, f"its certificate is not valid ({_said(error)})", "have it renewed") from None
            raise _TemporaryError(f"the server cannot be reached ({_said(error)})") from None
        except httpcore2.ProtocolError as error:
            raise _TemporaryError(f"the server breaks off or does not speak HTTP ({_said(error)})") from None

    def _content(self, url: str, chunks: Iterable[bytes], told: Mapping[str, str]) -> bytes:
        coding = told.get("content-encoding", "identity").strip().lower()
        if coding not in ("", "identity", "gzip", "x-gzip"):
            raise FetchError(url, f"it is packed as {coding!r}, which was not asked for", "mend the server")
        limited = _at_most(chunks, self.manners.size_limit, url)
        if "gzip" in coding:
            limited = unpacked(limited, self.manners.unpacked_limit, url)
        try:
            return b"".join(limited)
        except EOFError:
            raise _TemporaryError("its gzip data end too early") from None


def unpacked(chunks: Iterable[bytes], limit: int, url: str) -> Iterator[bytes]:
    """What gzip data hold, no more than `limit` bytes of it; EOFError where they end too early."""
    total = 0
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    begun = False
    for chunk in chunks:
        waiting = chunk
        while waiting:
            if reader.eof:  # another member follows
                reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
            try:
                piece = reader.decompress(waiting, 1 << 20)
            except zlib.error:
                raise FetchError(url, "its gzip data are damaged", "mend the server") from None
            begun = True
            total += len(piece)
            if total > limit:
                raise FetchError(url, f"it unpacks to more than {_size(limit)}", "it is not fetched; look at the server")
            yield piece
            waiting = reader.unused_data if reader.eof else reader.unconsumed_tail
    if begun and not reader.eof:
        raise EOFError


def _at_most(chunks: Iterable[bytes], limit: int, url: str) -> Iterator[bytes]:
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > limit:
            raise FetchError(url, f"it is larger than {_size(limit)}", "it is not fetched; name a smaller part of the site")
        yield chunk


def _accepted(answer: Answer) -> Answer:
    """The answer, if it is one."""
    status = answer.status
    if status in (200, 304):
        return answer
    if status in (401, 403):
        reason, remedy = f"the server refuses it ({status})", "let the site allow it, or name another source"
    elif status in (404, 410):
        reason, remedy = f"there is no such page ({status})", "check the address"
    else:
        reason, remedy = f"the server answers {status}", "look at the address in a browser"
    raise FetchError(answer.url, reason, remedy, status=status)


def _parts(url: str) -> SplitResult:
    """The parts of an address that can be asked for, with nothing but ASCII in them."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
        if parts.scheme not in _PORTS or not host:
            raise FetchError(url, "it is no address of the web", "begin it with https:// or http://")
        if parts.username is not None or parts.password is not None:
            raise FetchError(parts._replace(netloc=host).geturl(), "it holds a name or password", "leave them out")
        name = host.rstrip(".").encode("idna").decode() if not host.isascii() else host.rstrip(".")
    except ValueError as error:
        raise FetchError(url, f"it is no address ({_said(error)})", "check how it is written") from None
    if not re.fullmatch(r"[a-z0-9._\-]+|[0-9a-f:.]+", name):
        raise FetchError(url, "its host is not a name or number of one", "check how it is written")
    shown = f"[{name}]" if ":" in name else name
    place = shown if port in (None, _PORTS[parts.scheme]) else f"{shown}:{port}"
    path = quote(parts.path or "/", safe="%/:=&~+!$,;'@()*[]")
    return SplitResult(parts.scheme, place, path, quote(parts.query, safe="%/:=&?~+!$,;'@()*[]"), "")


def _host(parts: SplitResult) -> str:
    return (parts.hostname or "").lower()


def _is_same_site(host: str, named: str) -> bool:
    return host.removeprefix("www.") == named.removeprefix("www.")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    asked = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}", asked):
        return float(asked)
    try:
        moment = parsedate_to_datetime(asked)
    except (ValueError, IndexError, TypeError):
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__


def _size(limit: int) -> str:
    return f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit:,} bytes"


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the open internet, whatever it is wrapped in."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


class _Gate(httpcore2.NetworkBackend):
    """Connects to addresses that are public, or of a host that the user named; ends what takes too long."""

    def __init__(self, named: set[str]) -> None:
        self.deadline = 0.0
        self._named = named
        self._wires = httpcore2.SyncBackend()

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None, socket_options: Any = None
    ) -> httpcore2.NetworkStream:
        """A connection; FetchError where the name leads into a private network."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise httpcore2.ConnectError(f"no server is known by the name {host}") from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if host not in self._named and not all(map(is_public, addresses)):
            raise FetchError(host, "it is in a private network and not what you named", "nothing was fetched from there")
        failure: Exception = httpcore2.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                wire = self._wires.connect_tcp(address, port, timeout, local_address, socket_options)
                return _Timed(wire, self)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure


class _Timed(httpcore2.NetworkStream):
    """A connection that ends at the deadline of the answer at hand."""

    def __init__(self, wire: httpcore2.NetworkStream, gate: _Gate) -> None:
        self._wire, self._gate = wire, gate

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._wire.read(max_bytes, self._left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._wire.write(buffer, self._left(timeout))

    def close(self) -> None:
        self._wire.close()

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> _Timed:
        return _Timed(self._wire.start_tls(ssl_context, server_hostname, self._left(timeout)), self._gate)

    def get_extra_info(self, info: str) -> Any:
        return self._wire.get_extra_info(info)

    def _left(self, timeout: float | None) -> float:
        left = self._gate.deadline - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout
        return left if timeout is None else min(left, timeout)
