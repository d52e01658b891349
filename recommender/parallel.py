"""One piece of work after another on all cores: numpy, scipy and FAISS let go of the interpreter while they compute."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

MOST_WORKERS = 8
"""Threads at work at once; more would only wait for the interpreter."""


def in_order(work: Callable[[T], R], pieces: Iterable[T]) -> Iterator[R]:
    """What `work` makes of each piece, in the order of the pieces; a few pieces more than there are cores are in hand at once.

    What one raises is raised here, and nothing that has not begun is begun then.
    """
    left = iter(pieces)
    first = list(itertools.islice(left, 2))
    if len(first) < 2:  # threads would take longer to start
        yield from map(work, first)
        return
    workers = min(_cores(), MOST_WORKERS)
    with ThreadPoolExecutor(workers) as pool:
        begun: deque[Future[R]] = deque()
        try:
            for piece in itertools.chain(first, left):
                begun.append(pool.submit(work, piece))
                if len(begun) > workers:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for waiting in begun:
                waiting.cancel()


def _cores() -> int:
    """Those that this process may use; all of the machine where the system does not say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
