"""HTTP of uvicorn with limits: to the patience with each client, to what waits for slow readers, to how many there are."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from recommender.errors import RecommenderError

LARGEST_HEAD = 16_384
"""Bytes of a request before its body."""
LONGEST_REQUEST = 10.0
"""Seconds that a client has to send a request, its body too; uvicorn has a limit only between two requests."""
LONGEST_READ = 30.0
"""Seconds that a client has to take what it was sent: the longest answer, some 300 KB, at the speed of a bad telephone."""
MOST_UNREAD = 64 * 2**20
"""Bytes that wait for clients to take them, of one process; beyond, whoever has waited longest is let go."""
IDLE = 5
GRACE = 10
"""Seconds that a connection may be idle, and that requests have to end when the server is told to."""
MOST_CONNECTIONS = 12_000
"""Of one process; whoever comes then is answered 503, and beyond a hundred more not at all."""
OWN_FILES = 256
"""Descriptors that a process needs for itself."""


class ListenError(RecommenderError):
    """The server cannot have the address that it was told to."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"cannot listen on {host} port {port} ({reason}); give another --host or --port")


def listening(host: str, port: int) -> socket.socket:
    """A socket that waits for clients; ListenError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    waiting = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named, or asyncio leaves Nagle on: 40 ms each
    try:
        waiting.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        waiting.bind((host, port))
        waiting.listen(2048)
        waiting.set_inheritable(True)
    except (OSError, OverflowError) as error:
        waiting.close()
        raise ListenError(host, port, getattr(error, "strerror", None) or str(error)) from None
    return waiting


def options(most: int) -> dict[str, Any]:
    """What uvicorn is told for at most so many connections, or as many as this process may have open."""
    return {
        "http": Patient,
        "ws": "none",
        "lifespan": "off",
        "log_level": "error",  # or everybody could fill the log with warnings
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "h11_max_incomplete_event_size": LARGEST_HEAD,
        "limit_concurrency": min(most, _descriptors(most + OWN_FILES + 100) - OWN_FILES - 100),
        "timeout_keep_alive": IDLE,
        "timeout_graceful_shutdown": GRACE,
    }


def _descriptors(wanted: int) -> int:
    """How many files this process may have open, after asking for as many as are wanted; never fewer than are needed at all."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # not on Windows

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(wanted if soft == resource.RLIM_INFINITY else soft, 2 * OWN_FILES)
    return wanted


class Patient(H11Protocol):
    """One connection. A client that is too slow to send a request, or to take an answer, is let go."""

    _unread: dict[Patient, int] = {}  # noqa: RUF012 - of all connections of a process: who lets answers wait, and how many bytes
    _sending: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start waiting for the first request."""
        super().connection_made(_Wire(self, transport))  # type: ignore[arg-type]
        if self.limit_concurrency is not None and len(self.connections) > self.limit_concurrency + 100:
            transport.abort()
            return
        self._sending = self.loop.call_later(LONGEST_REQUEST, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Take what has come, and wait for the rest of a request that has begun."""
        super().data_received(data)
        theirs = self.conn.their_state
        if theirs is h11.SEND_BODY or (theirs is h11.IDLE and self.conn.trailing_data[0]):
            if self._sending is None:
                self._sending = self.loop.call_later(LONGEST_REQUEST, self.transport.abort)
        elif self._sending is not None:
            self._sending.cancel()
            self._sending = None

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; where it is the body of a request that is answered already, only end."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def pause_writing(self) -> None:
        """More has been answered than the client takes: give it time, if there is room."""
        super().pause_writing()
        self.wait_for_reader()
        while sum(self._unread.values()) > MOST_UNREAD:
            next(iter(self._unread)).let_go()

    def resume_writing(self) -> None:
        """It has taken it."""
        super().resume_writing()
        self._wait_no_more()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing."""
        self._wait_no_more()
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None
        super().connection_lost(exc)

    def wait_for_reader(self) -> None:
        """Let go of a client that does not take what waits for it."""
        if self._taking is None:
            self._taking = self.loop.call_later(LONGEST_READ, self.let_go)
        self._unread[self] = self.transport.get_write_buffer_size()

    def let_go(self) -> None:
        """End the connection, whatever is unsent."""
        self._wait_no_more()
        self.transport.abort()

    def _wait_no_more(self) -> None:
        self._unread.pop(self, None)
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None


class _Wire:
    """The transport of a connection; the head of an answer waits for its body, so that both go out at once."""

    def __init__(self, connection: Patient, transport: asyncio.Transport) -> None:
        self._connection = connection
        self._transport = transport
        self._held = b""
        self.is_closing = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send, or hold the head of an answer until what comes next."""
        if self._held:
            data, self._held = self._held + data, b""
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 1"):
            self._held = data
            return
        if data:
            self._transport.write(data)

    def close(self) -> None:
        """Send what is held and end; what a client does not take would keep a connection open for ever."""
        self.write(b"")
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._connection.wait_for_reader()
