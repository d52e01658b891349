"""What it was measured on: processor, memory, disk, versions."""

from __future__ import annotations

import os
import platform
import sqlite3
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

PACKAGES = (
    *("recommender", "numpy", "scipy", "scikit-learn", "faiss-cpu", "sentence-transformers", "torch"),
    *("bertopic", "umap-learn", "hdbscan", "txtai", "usearch", "matplotlib"),
)


def environment() -> dict[str, Any]:
    """Facts by name; a package that is not installed is None."""
    return {
        "processor": _first("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(int((_first("/proc/meminfo", "MemTotal") or "0").split()[0]) / 1e6, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "commit_ms": round(1000 * _commit(), 2),
        "copy_gb_per_second": round(_copied(), 1),
        "versions": {package: _version(package) for package in PACKAGES},
    }


def _first(file: str, field: str) -> str | None:
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), None)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> float:
    """Seconds in which a page reaches the disk for good."""
    times = []
    with tempfile.TemporaryFile() as file:
        for _ in range(20):
            start = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - start)
    return median(times)


def _copied() -> float:
    """Gigabytes a second that one core copies in memory, once read and once written."""
    block = bytearray(1 << 27)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        bytes(block)
        times.append(time.perf_counter() - start)
    return len(block) / min(times) / 1e9
