"""The connections of the client: where they may lead, and until when. No address in a private network, unless it was named.

A name is looked up once, and the connection goes to the address that was checked. Where the environment names a proxy, the
connection goes there.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from typing import Any

import httpcore2

from recommender.errors import FetchError
from recommender.sources.proxies import Proxy

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


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


class Route:
    """The way to a site: straight, or through a proxy, which the user named by the environment."""

    def __init__(self, named: set[str], proxy: Proxy | None) -> None:
        self.gate = Gate(named if proxy is None else {proxy.host})
        through = None if proxy is None else httpcore2.Proxy(proxy.url, auth=proxy.account)
        self.pool = httpcore2.ConnectionPool(max_connections=2, keepalive_expiry=30.0, network_backend=self.gate, proxy=through)
        self.told = "" if proxy is None else f" through the proxy {proxy.shown}"
        """What is added to an error."""


class Gate(httpcore2.NetworkBackend):
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

    def __init__(self, wire: httpcore2.NetworkStream, gate: Gate) -> None:
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
