"""Addresses of the web as they are asked for: checked, in ASCII, without names and passwords in them."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, quote, urlsplit

from recommender.errors import FetchError, one_line

PORTS = {"http": 80, "https": 443}
"""Scheme -> the port that goes without saying."""


def parts_of(url: str) -> SplitResult:
    """The parts of an address that can be asked for, with nothing but ASCII in them."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
        if parts.scheme not in PORTS or not host:
            raise FetchError(url, "it is no address of the web", "begin it with https:// or http://")
        if parts.username is not None or parts.password is not None:
            raise FetchError(parts._replace(netloc=host).geturl(), "it holds a name or password", "leave them out")
        name = host.rstrip(".").encode("idna").decode() if not host.isascii() else host.rstrip(".")
    except ValueError as error:
        raise FetchError(url, f"it is no address ({one_line(error)})", "check how it is written") from None
    if not re.fullmatch(r"[a-z0-9._\-]+|[0-9a-f:.]+", name):
        raise FetchError(url, "its host is not a name or number of one", "check how it is written")
    shown = f"[{name}]" if ":" in name else name
    place = shown if port in (None, PORTS[parts.scheme]) else f"{shown}:{port}"
    path = quote(parts.path or "/", safe="%/:=&~+!$,;'@()*[]")
    return SplitResult(parts.scheme, place, path, quote(parts.query, safe="%/:=&?~+!$,;'@()*[]"), "")


def host_of(parts: SplitResult) -> str:
    """The host, in small letters."""
    return (parts.hostname or "").lower()


def is_same_site(host: str, named: str) -> bool:
    """Whether two hosts are one but for a `www.`."""
    return host.removeprefix("www.") == named.removeprefix("www.")
