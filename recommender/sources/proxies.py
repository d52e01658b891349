"""The proxy that a site is asked through: HTTP_PROXY, HTTPS_PROXY and NO_PROXY, as other programs read them.

A proxy looks names up by itself, so what a name leads to cannot be checked here: only hosts that the user has named are asked
through one.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import (  # type: ignore[attr-defined]  # typeshed lacks the second
    getproxies_environment,
    proxy_bypass_environment,
)

from recommender.errors import FetchError

_USUAL_PORTS = {"http": 80, "https": 443}


class Proxy(NamedTuple):
    """A proxy of the environment."""

    scheme: str
    host: str
    port: int
    account: tuple[bytes, bytes] | None
    """Name and password, in UTF-8."""

    @property
    def shown(self) -> str:
        """It for a person, without name and password."""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """Its address, without name and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def proxy_of(asked: SplitResult) -> Proxy | None:
    """The proxy for an address, by the environment; None for none. What is on this machine is never asked through one."""
    named = getproxies_environment()
    host = asked.hostname or ""
    if asked.scheme not in named or _is_this_machine(host) or proxy_bypass_environment(asked.netloc, named):
        return None
    return _proxy(named[asked.scheme], f"{asked.scheme.upper()}_PROXY")


def _proxy(told: str, variable: str) -> Proxy:
    try:
        parts = urlsplit(told if "://" in told else f"http://{told}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
        parts = SplitResult("", "", "", "", "")
    if parts.scheme not in _USUAL_PORTS or not host or not re.fullmatch(r"[\w.:-]+", host, re.ASCII):
        said = f"{parts.scheme}://" if parts.scheme else "what it holds"
        remedy = "name http://host:port, or take it out of the environment"
        raise FetchError(f"the variable {variable}", f"{said} is no proxy that can be used", remedy)
    account = (unquote(parts.username).encode(), unquote(parts.password or "").encode()) if parts.username else None
    return Proxy(parts.scheme, host, port or _USUAL_PORTS[parts.scheme], account)


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
