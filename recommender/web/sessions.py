"""Who is logged in to the desk, and who guesses: signed values of cookies, and the wrong tokens of each address.

A session is a signed value in a cookie; nothing of it is kept here but the key, so that all end with the process.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

SESSION_SECONDS = 12 * 3600
"""A working day; then the token is asked for again."""
MOST_GUESSES = 5
GUESS_SECONDS = 60
"""Wrong tokens that an address may send in so many seconds; then the right one is refused too."""
MOST_GUESSERS = 1000
"""Addresses that are remembered for that; a token is too long for those who come from more of them."""
MOST_ENDED = 10_000
"""Sessions that are remembered to have been ended by a logout; for one more, all end."""


class Sessions:
    """Signed values for a cookie, and the token of the forms that belongs to each."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._key = secrets.token_bytes(32)
        self._ended: set[str] = set()
        self._clock = clock

    def begin(self) -> str:
        """The cookie of a new session."""
        value = f"{int(self._clock())}-{secrets.token_urlsafe(24)}"
        return f"{value}.{self._sign('session', value)}"

    def holds(self, cookie: str) -> bool:
        """Whether a cookie is of a session of ours that has not ended."""
        if cookie in self._ended:
            return False
        value, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign("session", value).encode()):
            return False
        return 0 <= self._clock() - int(value.partition("-")[0]) < SESSION_SECONDS

    def end(self, cookie: str) -> None:
        """Let a session that holds count for nothing from now on."""
        if len(self._ended) >= MOST_ENDED:
            self._key = secrets.token_bytes(32)
            self._ended.clear()
        self._ended.add(cookie)

    def form_token(self, cookie: str) -> str:
        """What every form of this session carries."""
        return self._sign("form", cookie)

    def _sign(self, use: str, value: str) -> str:
        return hmac.new(self._key, f"{use} {value}".encode(), hashlib.sha256).hexdigest()


class Guesses:
    """Who has sent wrong tokens lately. An IPv6 address stands for its network of 64 bits: one client has all of that."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._made: OrderedDict[str, list[float]] = OrderedDict()

    def may_be(self, client: str) -> bool:
        """Whether this client may send a token now; it counts as a wrong one until it is forgiven."""
        name = _network(client)
        if len(self._lately(name)) >= MOST_GUESSES:
            return False
        self._made[name] = [*self._lately(name), self._clock()]
        self._made.move_to_end(name)
        while len(self._made) > MOST_GUESSERS:
            self._made.popitem(last=False)
        return True

    def forgive(self, client: str) -> None:
        """It was the right one."""
        self._made.pop(_network(client), None)

    def _lately(self, name: str) -> list[float]:
        since = self._clock() - GUESS_SECONDS
        return [moment for moment in self._made.get(name, ()) if moment > since]


def _network(client: str) -> str:
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else client
