"""Requests a second of `/related/{id}` beside those of a bare Starlette 'hello', by wrk on loopback, with a rebuild running.

    python scripts/measure_serving.py [--rounds 5] [--seconds 4] [--rebuild]

Needs wrk. Both servers have one process, the same uvicorn, HTTP parser and event loop; rounds alternate, and the ratio is that
of the medians. Of the sample newsroom 50 articles are asked for in turn.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from recommender import Recommender, read_articles

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "recommender" / "sample" / "articles.jsonl"
HELLO = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def hello(request):
    return PlainTextResponse("hello")

app = Starlette(routes=[Route("/", hello)])
"""
TURNS = """
local paths = {PATHS}
local turn = 0
request = function()
  turn = turn % #paths + 1
  return wrk.format("GET", paths[turn])
end
"""


def main() -> None:
    """Print both rates and their ratio."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--seconds", type=int, default=4)
    asked.add_argument("--connections", type=int, default=32)
    asked.add_argument("--rebuild", action="store_true", help="rebuild the index over and over meanwhile")
    given = asked.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed; install the package of that name")
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        Recommender.build(read_articles([SAMPLE]), index).close()
        ids = [found.id for found in Recommender.open(index).all_related(1)][:50]
        (Path(folder) / "hello.py").write_text(HELLO)
        turns = Path(folder) / "turns.lua"
        turns.write_text(TURNS.replace("PATHS", ",".join(f'"/related/{one}"' for one in ids)))
        hello, ours = free_port(), free_port()
        options = ["--http", "h11", "--loop", "auto", "--log-level", "warning", "--no-access-log", "--port", str(hello)]
        bare = [sys.executable, "-m", "uvicorn", "--app-dir", folder, "hello:app", *options]
        writer = rebuilding(index) if given.rebuild else contextlib.nullcontext()
        with process(bare, hello), process([*program(index), "serve", "--port", str(ours)], ours), writer:
            rounds = [(load(hello, given, None), load(ours, given, turns)) for _ in range(given.rounds)]
    for name, found in zip(("hello", "related"), zip(*rounds, strict=True), strict=True):
        rates = [rate for rate, _, _ in found]
        print(f"{name:8} {statistics.median(rates):8.0f} requests/s ({min(rates):.0f}-{max(rates):.0f}),", end=" ")
        print(f"p99 {statistics.median(late for _, late, _ in found):.1f} ms, errors {sum(wrong for _, _, wrong in found)}")
    print(f"ratio    {statistics.median(o[0] for _, o in rounds) / statistics.median(h[0] for h, _ in rounds):8.2f}")


def program(index: Path) -> list[str]:
    """The command, on this index."""
    os.environ["RECOMMENDER_INDEX"] = str(index)
    return [sys.executable, "-c", "from recommender.cli import main; main()"]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextlib.contextmanager
def process(command: list[str], port: int) -> Iterator[None]:
    """A server, from when it can be reached."""
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as running:
        try:
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.1)
            time.sleep(1)
            yield
        finally:
            running.terminate()


@contextlib.contextmanager
def rebuilding(index: Path) -> Iterator[None]:
    """One rebuild after another, in a process of its own."""
    again = "import sys\nfrom recommender import Recommender\nwhile True: Recommender.open(sys.argv[1]).rebuild()"
    with subprocess.Popen([sys.executable, "-c", again, str(index)]) as running:
        try:
            yield
        finally:
            running.terminate()


def load(port: int, given: argparse.Namespace, script: Path | None) -> tuple[float, float, int]:
    """Requests a second, milliseconds of the slowest hundredth, and how many went wrong."""
    command = ["wrk", "-t1", f"-c{given.connections}", f"-d{given.seconds}s", "--latency"]
    command += ["-s", str(script)] if script else []
    said = subprocess.run([*command, f"http://127.0.0.1:{port}/"], capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    late = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    assert rate, said
    assert late, said
    wrong = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", said)))
    wrong += sum(sum(map(int, re.findall(r"\d+", line))) for line in re.findall(r"Socket errors: (.*)", said))
    return float(rate[1]), float(late[1]) * {"us": 0.001, "ms": 1, "s": 1000}[late[2]], wrong


if __name__ == "__main__":
    main()
