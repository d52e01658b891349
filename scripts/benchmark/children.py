"""A function in a fresh process: what it returns, and the most memory that it and the processes it started held.

python -m scripts.benchmark.children MODULE:FUNCTION     arguments as a JSON array on stdin, the answer on stdout
"""

from __future__ import annotations

import importlib
import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
POLL_SECONDS = 0.25


class NotMeasuredError(Exception):
    """Why there is no number."""


def environment() -> dict[str, str]:
    """That of a child: this checkout first, the network not asked, modules compiled once, as pip does for what it installs."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    given = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return given | {"PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"}


def in_child(function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """What a function of a module returns in a process of its own, and `peak`, the most bytes of memory held.

    Arguments and answer go as JSON. NotMeasuredError where a package is not installed or the process fails.
    """
    name = f"{function.__module__}:{function.__qualname__}"
    command = [sys.executable, "-m", "scripts.benchmark.children", name]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, text=True, cwd=ROOT, env=environment(), **pipes)  # type: ignore[call-overload]
    told: str | None = json.dumps(arguments)
    several = 0
    while True:
        try:
            out, err = process.communicate(told, timeout=POLL_SECONDS)
            break
        except subprocess.TimeoutExpired:
            told = None
            several = max(several, _memory_of_several(process.pid))
    lines = out.strip().splitlines()
    if process.returncode or not lines:
        last = (err.strip().splitlines() or [f"ended with {process.returncode}"])[-1]
        raise NotMeasuredError(last)
    answer = json.loads(lines[-1])
    if "missing" in answer:
        raise NotMeasuredError(f"{answer['missing']} is not installed (`pip install -c constraints.txt '.[bench]'`)")
    return {**answer, "peak": max(int(answer["peak"]), several)}


def peak_memory() -> int:
    """The most bytes that this process has held so far.

    Linux's ru_maxrss is of no use in a child: it begins with that of the parent.
    """
    try:
        return 1024 * int(_status("self", "VmHWM"))
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _memory_of_several(pid: int) -> int:
    """Bytes that a process and its descendants hold now, shared pages counted once; 0 where it has no descendants."""
    pids, at = [pid], 0
    try:
        while at < len(pids):
            pids += [int(word) for word in Path(f"/proc/{pids[at]}/task/{pids[at]}/children").read_text().split()]
            at += 1
        if len(pids) == 1:
            return 0
        shares = [re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{one}/smaps_rollup").read_text(), re.MULTILINE) for one in pids]
        return sum(1024 * int(found[1]) for found in shares if found)
    except (OSError, ValueError):
        return 0


def _status(pid: str, field: str) -> str:
    found = re.search(rf"^{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    if found is None:
        raise OSError(f"/proc/{pid}/status has no {field}")
    return found[1]


def main() -> None:
    """Call the function that the command line names."""
    module, _, name = sys.argv[1].partition(":")
    arguments = json.load(sys.stdin)
    before = peak_memory()
    try:
        answer = getattr(importlib.import_module(module), name)(*arguments)
    except ModuleNotFoundError as error:
        if str(error.name).split(".")[0] in {"recommender", "scripts", "tests"}:
            raise
        answer = {"missing": error.name}
    print("\n" + json.dumps({"before": before, **answer, "peak": peak_memory()}))


if __name__ == "__main__":
    main()
