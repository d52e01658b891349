"""Who may ask the desk for what: names of the host, sessions, tokens, forms of its own pages only, headers of every answer.

Whatever the desk changes comes through `Guard`: a POST with the cookie of a session, the token that belongs to it, and the
Origin of this very host.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recommender.web.sessions import GUESS_SECONDS, SESSION_SECONDS, Guesses, Sessions

COOKIE = "recommender_desk"
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


class Guard:
    """Lets a request through to the desk, with `form`, `form_token` and `admitted` in its state, or answers it itself."""

    def __init__(self, app: ASGIApp, access: Access, sessions: Sessions) -> None:
        self._app = app
        self._access = access
        self._sessions = sessions
        self._guesses = Guesses()

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
        cookie = _cookie_of(headers)
        known = bool(cookie) and self._sessions.holds(cookie)
        form: dict[str, str] = {}
        refused = self._refuses(scope, headers, known)
        if refused is None and scope["method"] == "POST":
            found = await _form_of(headers, receive)
            form = found or {}
            if found is None:
                refused = _refuse("this form is too long, or none; nothing was changed", 413)
            elif scope["path"] == "/login":
                if not self._guesses.may_be(_client(scope)):
                    refused = _refuse(f"too many wrong tokens; wait {GUESS_SECONDS} seconds", 429)
                    refused.headers["Retry-After"] = str(GUESS_SECONDS)
            elif not (known and self._is_ours(form, cookie)):
                refused = _refuse("this page is out of date; go back, load it again and repeat; nothing was changed", 403)
            elif scope["path"] == "/logout":
                self._sessions.end(cookie)
                gone = {"Set-Cookie": _set_cookie("", headers, scope, seconds=0)}
                refused = RedirectResponse("/login" if self._access.token else "/", status_code=303, headers=gone)
        if refused is not None:
            await refused(scope, receive, send)
            return
        if not known and self._access.token is None:
            cookie = self._sessions.begin()
            send = _with_cookie(send, _set_cookie(cookie, headers, scope))
        state = {
            "form": form, "form_token": self._sessions.form_token(cookie), "may_leave": known and self._access.token is not None,
            "admit": lambda: self._admit(form, headers, scope),
        }  # fmt: skip
        scope["state"] = {**scope.get("state", {}), **state}
        await self._app(scope, receive, send)

    def _refuses(self, scope: Scope, headers: Headers, known: bool) -> Response | None:
        """What is said to a request that is turned away for what its head says."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_called(hosts[0]):
            return _refuse("this desk is not called so; open it by the address that `recommender desk` printed", 403)
        if scope["method"] == "POST":
            if not _is_from(headers.getlist("origin"), hosts[0]):
                return _refuse("this form is of another site; nothing was changed", 403)
        elif scope["method"] not in ("GET", "HEAD"):
            return _refuse("only GET, HEAD and POST are understood", 405)
        elif self._access.token is not None and not known and scope["path"] not in OPEN_PATHS:
            return RedirectResponse("/login", status_code=303)
        return None

    def _is_ours(self, form: Mapping[str, str], cookie: str) -> bool:
        return hmac.compare_digest(form.get("form_token", "").encode(), self._sessions.form_token(cookie).encode())

    def _admit(self, form: Mapping[str, str], headers: Headers, scope: Scope) -> str | None:
        """The Set-Cookie of a new session where the form holds the token, compared in constant time; else None."""
        token = self._access.token
        if token is None or not hmac.compare_digest(form.get("token", "").strip().encode(), token.encode()):
            return None
        self._guesses.forgive(_client(scope))
        return _set_cookie(self._sessions.begin(), headers, scope)

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


def _client(scope: Scope) -> str:
    return str((scope.get("client") or ("",))[0])


def _refuse(message: str, status: int) -> PlainTextResponse:
    return PlainTextResponse(message + "\n", status_code=status)


def _set_cookie(cookie: str, headers: Headers, scope: Scope, seconds: int = SESSION_SECONDS) -> str:
    """Secure where a browser or the connection says TLS: behind a proxy only the browser knows."""
    behind_tls = scope.get("scheme") == "https" or headers.get("origin", "").lower().startswith("https://")
    secure = "; Secure" if behind_tls else ""
    return f"{COOKIE}={cookie}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return sending


def _with_cookie(send: Send, cookie: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).append("Set-Cookie", cookie)
        await send(message)

    return sending
