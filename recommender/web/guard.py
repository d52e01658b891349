"""Who may ask the desk for what: names of the host, sessions, tokens, forms of its own pages only, headers of every answer.

Whatever the desk changes comes through `Guard`: a POST with the cookie of a session, the token that belongs to it, and the
Origin of this very host. A session is a signed value in a cookie; nothing of it is kept here but the key, so that all end
with the process.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "recommender_desk"
SESSION_SECONDS = 12 * 3600
"""A working day; then the token is asked for again."""
LONGEST_FORM = 65_536
"""Bytes of a form; the longest rule that a page can ask for has a label and a comment."""
MOST_FIELDS = 20
OPEN_PATHS = ("/login", "/desk.css")
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who is let in."""

    names: frozenset[str] = LOOPBACK_NAMES
    """What the Host header may name, in small letters and without a port."""
    addresses: bool = False
    """Whether any address in numbers will do too; another site can make a name of its own lead here, but no number."""
    token: str | None = None
    """What the login form asks for; None where the machine's own users are let in as they are."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server on that host."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Sessions:
    """Signed values for a cookie, and the token of the forms that belongs to each."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._key = secrets.token_bytes(32)
        self._clock = clock

    def begin(self) -> str:
        """The cookie of a new session."""
        value = f"{int(self._clock())}-{secrets.token_urlsafe(24)}"
        return f"{value}.{self._sign('session', value)}"

    def holds(self, cookie: str) -> bool:
        """Whether a cookie is of a session of ours that has not ended."""
        value, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign("session", value).encode()):
            return False
        return 0 <= self._clock() - int(value.partition("-")[0]) < SESSION_SECONDS

    def form_token(self, cookie: str) -> str:
        """What every form of this session carries."""
        return self._sign("form", cookie)

    def _sign(self, use: str, value: str) -> str:
        return hmac.new(self._key, f"{use} {value}".encode(), hashlib.sha256).hexdigest()


class Guard:
    """Lets a request through to the desk, with `form`, `form_token` and `admitted` in its state, or answers it itself."""

    def __init__(self, app: ASGIApp, access: Access, sessions: Sessions) -> None:
        self._app = app
        self._access = access
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            await self._answer(scope, receive, _with_headers(send))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_called(hosts[0]):
            await _refuse("this desk is not called so; open it by the address that `recommender desk` printed", 403)(
                scope, receive, send
            )
            return
        cookie = _cookie_of(headers)
        known = bool(cookie) and self._sessions.holds(cookie)
        form: dict[str, str] = {}
        if scope["method"] == "POST":
            if not _is_from(headers.getlist("origin"), hosts[0]):
                await _refuse("this form is of another site; nothing was changed", 403)(scope, receive, send)
                return
            found = await _form_of(headers, receive)
            if found is None:
                await _refuse("this form is too long, or none; nothing was changed", 413)(scope, receive, send)
                return
            form = found
            token = self._sessions.form_token(cookie).encode()
            if scope["path"] != "/login" and not (known and hmac.compare_digest(form.get("form_token", "").encode(), token)):
                await _refuse("this page is out of date; go back, load it again and repeat; nothing was changed", 403)(
                    scope, receive, send
                )
                return
        elif scope["method"] not in ("GET", "HEAD"):
            await _refuse("only GET, HEAD and POST are understood", 405)(scope, receive, send)
            return
        elif self._access.token is not None and not known and scope["path"] not in OPEN_PATHS:
            await RedirectResponse("/login", status_code=303)(scope, receive, send)
            return
        if not known and self._access.token is None:
            cookie = self._sessions.begin()
            send = _with_cookie(send, cookie, scope)
        state = {"form": form, "form_token": self._sessions.form_token(cookie), "admit": lambda: self._admit(form, scope)}
        scope["state"] = {**scope.get("state", {}), **state}
        await self._app(scope, receive, send)

    def _admit(self, form: Mapping[str, str], scope: Scope) -> str | None:
        """The Set-Cookie of a new session where the form holds the token, compared in constant time; else None."""
        token = self._access.token
        if token is None or not hmac.compare_digest(form.get("token", "").strip().encode(), token.encode()):
            return None
        return _set_cookie(self._sessions.begin(), scope)

    def _is_called(self, host: str) -> bool:
        name = _name_of(host)
        if name is None:
            return False
        if name in self._access.names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return self._access.addresses


def _name_of(host: str) -> str | None:
    """The name in a Host header, without its port; None where it is malformed."""
    try:
        parts = urlsplit(f"//{host}")
        plain = not (parts.path or parts.query or parts.fragment or "@" in host)
        _ = parts.port
        return parts.hostname if plain else None
    except ValueError:
        return None


def _is_from(origins: list[str], host: str) -> bool:
    """Whether a browser says that the form was on a page of this host. A proxy may have another scheme."""
    return len(origins) == 1 and origins[0].lower() in (f"http://{host.lower()}", f"https://{host.lower()}")


def _cookie_of(headers: Headers) -> str:
    try:
        found = SimpleCookie("; ".join(headers.getlist("cookie"))).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found and found.value.isascii() else ""


async def _form_of(headers: Headers, receive: Receive) -> dict[str, str] | None:
    """The fields of a form; None where it is too long or no form."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        return None
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > LONGEST_FORM:
            return None
        if not message.get("more_body"):
            break
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS))
    except ValueError:
        return None


def _refuse(message: str, status: int) -> PlainTextResponse:
    return PlainTextResponse(message + "\n", status_code=status)


def _set_cookie(cookie: str, scope: Scope) -> str:
    secure = "; Secure" if scope.get("scheme") == "https" else ""
    return f"{COOKIE}={cookie}; Path=/; Max-Age={SESSION_SECONDS}; HttpOnly; SameSite=Strict{secure}"


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return sending


def _with_cookie(send: Send, cookie: str, scope: Scope) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).append("Set-Cookie", _set_cookie(cookie, scope))
        await send(message)

    return sending
