"""Clients that are slow, deaf or many: the server goes on answering others, its memory stays bounded, and it lets go of them.

`make test-faults` has fifteen times as many connections and more of the rest.
"""

from __future__ import annotations

import contextlib
import resource
import select
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.faults.harness import TIMES, report_totals
from tests.web.test_server import HERO, fetch, wait_for

CROWD = 700 * TIMES
"""Connections at once."""
SLOW = 20 * TIMES
STATUS = Path("/proc/self/status")

pytestmark = [
    pytest.mark.slow, pytest.mark.faults,
    pytest.mark.skipif(not STATUS.exists(), reason="no /proc here to see memory and connections"),
]  # fmt: skip


@contextmanager
def limited(index: Path, **limits: float) -> Iterator[tuple[int, int]]:
    """A server with other limits than usual that may open few files unless it asks for more: its process id and its port."""
    told = "".join(f"connections.{name} = {value}; " for name, value in limits.items())
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1])); "
        f"from recommender.web import connections; {told}from recommender.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "serve", "--port", "0", "--index", str(index)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            port = int(process.stderr.readline().partition(";")[0].rpartition(":")[2])
            wait_for(port)
            yield process.pid, port
            process.terminate()
            said = process.stderr.read()
            assert "Traceback" not in said, said[-2000:]
            assert "/tmp" not in said
        finally:
            process.terminate()
            process.wait(timeout=30)


def megabytes(pid: int) -> float:
    """Memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def files(pid: int) -> int:
    """How many files and connections a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def has_freed(pid: int, before: int, seconds: float) -> bool:
    """Whether a process comes back to so many open files in that time, one or two of its own apart."""
    until = time.monotonic() + seconds
    while files(pid) > before + 2:
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def crowd(port: int, size: int, stack: ExitStack) -> list[socket.socket]:
    """So many connections at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    if hard != resource.RLIM_INFINITY and hard < size + 500:
        pytest.skip(f"this machine allows {hard} open files; {size} connections need more")
    return [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30)) for _ in range(size)]


def slowest_answer(port: int, count: int = 20) -> float:
    """Seconds of the slowest of some lists; each must be right."""
    took = []
    for _ in range(count):
        started = time.monotonic()
        assert fetch(port, f"/related/{HERO}")[0] == 200
        took.append(time.monotonic() - started)
    return max(took)


def test_a_crowd_that_says_nothing_keeps_nobody_from_an_answer(newsroom_index: Path) -> None:
    """Silent connections beyond the limit of files: others are answered meanwhile, and all are let go when their time is up."""
    with limited(newsroom_index, LONGEST_REQUEST=4.0 + TIMES) as (pid, port), ExitStack() as stack:
        before, empty = files(pid), megabytes(pid)
        crowd(port, CROWD, stack)
        slowest = slowest_answer(port)
        full = megabytes(pid)
        assert files(pid) >= CROWD
        assert slowest < 1
        assert full - empty < 20 + 0.03 * CROWD
        assert has_freed(pid, before, 30)
        assert slowest_answer(port) < 1
        report_totals("silent", Counter({"connections": CROWD, "ms of the slowest of 20 lists": round(1000 * slowest),
                                          "MB of memory before": round(empty), "MB meanwhile": round(full)}))  # fmt: skip


def test_a_crowd_that_asks_is_answered(newsroom_index: Path) -> None:
    """Every one of the connections asks at once, and every one gets the same whole list."""
    request = f"GET /related/{HERO} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    with limited(newsroom_index) as (pid, port), ExitStack() as stack:
        before = files(pid)
        people = crowd(port, CROWD, stack)
        expected = fetch(port, f"/related/{HERO}")[2]
        for person in people:
            person.sendall(request)
        for person in people:
            assert all_of(person).partition(b"\r\n\r\n")[2] == expected
        assert has_freed(pid, before, 10)


def test_more_than_may_come_are_turned_away_and_come_in_later(newsroom_index: Path) -> None:
    """Over the limit 503, far over it no connection stays; when the others are gone it is 200 again."""
    with limited(newsroom_index, MOST_CONNECTIONS=50, LONGEST_REQUEST=2.0) as (pid, port):
        before = files(pid)
        with ExitStack() as stack:
            crowd(port, 60, stack)
            assert fetch(port, "/health")[0] == 503
            crowd(port, 300, stack)
            assert has_freed(pid, before + 150, 5)
        assert has_freed(pid, before, 10)
        assert fetch(port, "/health")[0] == 200


def all_of(wire: socket.socket) -> bytes:
    """What comes until the other side ends, one way or the other."""
    said = b""
    with contextlib.suppress(ConnectionError):
        while more := wire.recv(65536):
            said += more
    return said


BEGINNINGS = (
    b"GET /related/x HTTP/1.1\r\nHost: x\r\nX: ",
    b"POST /related/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n",
    b"GET /related/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n",
    b"GET /related/x HTTP/1.1\r\nHost: x\r\n\r\nGET /related/",
)


def test_who_dribbles_a_request_is_let_go(newsroom_index: Path) -> None:
    """Heads, bodies, chunks and second requests a byte at a time: all are closed in about the time that a request may take."""
    with limited(newsroom_index, LONGEST_REQUEST=1.5) as (pid, port), ExitStack() as stack:
        before = files(pid)
        people = crowd(port, len(BEGINNINGS) * SLOW, stack)
        for person, beginning in zip(people, BEGINNINGS * SLOW, strict=True):
            person.sendall(beginning)
        until = time.monotonic() + 6
        while time.monotonic() < until:  # each byte comes before a limit between two bytes would end
            for person in people:
                with contextlib.suppress(OSError):
                    person.send(b"a")
            assert slowest_answer(port, 1) < 1
            time.sleep(0.3)
        assert has_freed(pid, before, 1)


def deaf(port: int, path: str, times: int, stack: ExitStack) -> socket.socket:
    """A client that asks so many times and takes nothing."""
    wire = stack.enter_context(socket.socket())
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    wire.connect(("127.0.0.1", port))
    wire.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        wire.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * times)
    return wire


def test_who_does_not_read_is_let_go(newsroom_index: Path) -> None:
    """Thousands of answers asked for and none taken: others are answered, and the connections are ended in the time to read."""
    with limited(newsroom_index, LONGEST_READ=2.0) as (pid, port), ExitStack() as stack:
        before, empty = files(pid), megabytes(pid)
        people = [deaf(port, "/threads?limit=500", 1000, stack) for _ in range(SLOW)]
        assert slowest_answer(port) < 2
        assert megabytes(pid) - empty < 40 + SLOW
        assert has_freed(pid, before, 20 + TIMES)
        assert select.select(people, [], [], 0)[0] == people  # each has come to its end
        assert slowest_answer(port) < 1


def test_what_waits_for_the_deaf_has_a_limit(newsroom_index: Path) -> None:
    """With room for a megabyte and all the time to read it, most of them are ended at once, and not the others' connections."""
    with limited(newsroom_index, LONGEST_READ=600.0, MOST_UNREAD=2**20) as (pid, port), ExitStack() as stack:
        before = files(pid)
        people = [deaf(port, "/threads?limit=500", 1000, stack) for _ in range(SLOW)]
        slowest_answer(port)
        assert has_freed(pid, before + 15, 20 + TIMES)
        assert select.select(people, [], [], 0)[0]
        assert files(pid) > before
        assert slowest_answer(port) < 1
