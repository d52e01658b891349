"""Where the neighbour search changes from exact to approximate: time a query and recall@10 at several sizes.

    python scripts/measure_index.py [SIZE ...]

Vectors of 256 dimensions in clusters of about 20, as news is. What it printed chose EXACT_LIMIT, LISTS_PER_ROOT and
PROBED_SHARE in recommender/pipeline/index.py.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from numpy.typing import NDArray

from recommender.pipeline.index import VectorIndex

QUERIES = 200


def clustered(size: int, dimensions: int = 256) -> NDArray[np.float32]:
    """(size, dimensions) unit vectors around size / 20 centres; the same each time."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(max(1, size // 20), dimensions))
    vectors = centres[rng.integers(0, len(centres), size)] + 0.7 * rng.normal(size=(size, dimensions))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def milliseconds(index: VectorIndex, queries: NDArray[np.float32]) -> float:
    """Median time of one query alone."""
    times = []
    for query in queries:
        started = time.perf_counter()
        index.search(query[None], 10)
        times.append(time.perf_counter() - started)
    return 1000 * float(np.median(times))


def main() -> None:
    """Print a row a size."""
    print(f"{'vectors':>9s} {'exact ms':>9s} {'approximate ms':>15s} {'recall@10':>10s} {'training s':>11s}")
    for size in [int(word) for word in sys.argv[1:]] or [10_000, 20_000, 50_000, 100_000]:
        vectors, rows = clustered(size), np.arange(size, dtype=np.int64)
        exact, approximate = VectorIndex(256, exact_limit=size), VectorIndex(256, exact_limit=0)
        exact.add(rows, vectors)
        started = time.perf_counter()
        approximate.add(rows, vectors)
        trained = time.perf_counter() - started
        queries = vectors[:: size // QUERIES][:QUERIES]
        truth, found = exact.search(queries, 10).rows, approximate.search(queries, 10).rows
        recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(truth.tolist(), found.tolist(), strict=True)])
        print(
            f"{size:9d} {milliseconds(exact, queries):9.2f} {milliseconds(approximate, queries):15.2f}"
            f" {recall:10.3f} {trained:11.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
