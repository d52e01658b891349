"""Rows search, usearch, txtai: the neighbour search on vectors in clusters as news is, exact, ours and the peers'."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.benchmark.measures import Goal, Measure, seconds
from scripts.benchmark.workshop import Workshop

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

K = 10
QUERIES = 200


def search(shop: Workshop) -> list[Measure]:
    """Row search: recall, time and size, and the same under filters."""
    count = shop.size.vectors[-1]
    found = shop.once(measured, count)
    vectors = f"{count:,} vectors of 256"
    measures = [
        _timed(f"{vectors}: p50 of a search", found["p50"], found["exact"], found["kind"]),
        _recalled(f"{vectors}: recall@10", found["recall"]),
        Measure(
            row="search", what=f"{vectors}: saved index, a vector", unit="KB", ours=found["bytes"] / 1000, goal=Goal(bound=0.6),
            note=f"made in {found['made']:.1f} s",
        ),
    ]  # fmt: skip
    for name, (p50, first, recall, rows) in found["filters"].items():
        note = f"{rows:,} rows pass; {first:.0f} ms the first time, when they are gathered"
        measures += [
            _timed(f"{vectors}, {name}: p50", p50, found["exact"], note),
            _recalled(f"{vectors}, {name}: recall@10", recall),
        ]
    return measures


def _timed(what: str, ours: float, exact: float, note: str) -> Measure:
    against = "exact search of all"
    return Measure(
        row="search", what=what, against=against, unit="ms", ours=ours, reference=exact, goal=Goal(bound=1 / 20), note=note
    )


def _recalled(what: str, recall: float) -> Measure:
    return Measure(row="search", what=what, ours=recall, goal=Goal(bound=0.98, least=True))


def beside_usearch(shop: Workshop) -> list[Measure]:
    """Row usearch."""
    return _beside("usearch", "usearch, its defaults", usearch, shop)


def beside_txtai(shop: Workshop) -> list[Measure]:
    """Row txtai."""
    return _beside("txtai", "txtai on the same vectors, its defaults", txtai, shop)


def _beside(row: str, against: str, peer: Callable[..., dict[str, Any]], shop: Workshop) -> list[Measure]:
    count = shop.size.vectors[-2:][0]  # not the most: a graph of a million vectors takes longer than all other rows together
    ours, theirs = shop.once(measured, count), shop.once(peer, count)
    return [
        Measure(
            row=row, what=f"p50 of a search of {count:,} vectors", against=against, unit="ms", ours=ours["p50"],
            reference=theirs["p50"], note=f"recall@10 {ours['recall']:.3f} and {theirs['recall']:.3f}",
        ),
        Measure(
            row=row, what=f"making the index of {count:,} vectors", against=against, unit="s", ours=ours["made"],
            reference=theirs["made"], note=f"bytes a vector: {ours['bytes']:,.0f} and {theirs['bytes']:,.0f}",
        ),
    ]  # fmt: skip


def measured(count: int) -> dict[str, Any]:
    """In a child: our index and an exact one, on the same queries."""
    import numpy as np

    from recommender.pipeline.index import VectorIndex
    from scripts.measure_index import clustered, milliseconds

    vectors, rows = clustered(count), np.arange(count, dtype=np.int64)
    queries = vectors[:: max(1, count // QUERIES)][:QUERIES]
    exact, ours = VectorIndex(vectors.shape[1], exact_limit=count), VectorIndex(vectors.shape[1])
    exact.add(rows, vectors)
    made = seconds(lambda: ours.add(rows, vectors))
    found = {
        "made": made, "exact": milliseconds(exact, queries), "p50": milliseconds(ours, queries),
        "recall": recall(exact.search(queries, K).rows, ours.search(queries, K).rows), "bytes": _saved(ours) / count,
        "kind": "ours is exact at this size" if ours.is_exact else "ours is approximate at this size",
    }  # fmt: skip
    filters = {}
    for name, passing in filtered(vectors).items():
        times, truth, got = [], [], []
        for query in queries[:50]:
            truth.append(exact.search(query[None], K, only=passing).rows[0])
            start = time.perf_counter()
            got.append(ours.search(query[None], K, only=passing).rows[0])
            times.append(1000 * (time.perf_counter() - start))
        filters[name] = (float(np.median(times[1:])), times[0], recall(np.array(truth), np.array(got)), len(passing))
    return {**found, "filters": filters}


def filtered(vectors: NDArray[np.float32]) -> dict[str, NDArray[np.int64]]:
    """Rows of a filter's name: like those of news, they lie together, since what is near in meaning is near in these too."""
    import numpy as np

    directions = np.random.default_rng(3).normal(size=(vectors.shape[1], 12)).astype(np.float32)
    along = vectors @ directions
    last_days, language = (np.argsort(-along[:, which], kind="stable") for which in (10, 11))
    return {
        "last 30 days of ten years": np.sort(last_days[: len(vectors) * 30 // 3650]).astype(np.int64),
        "one section of ten": np.flatnonzero(along[:, :10].argmax(axis=1) == 0).astype(np.int64),
        "a language of 1 %": np.sort(language[: len(vectors) // 100]).astype(np.int64),
    }


def recall(truth: NDArray[np.int64], found: NDArray[np.int64]) -> float:
    """Mean share of the true neighbours that were found."""
    pairs = zip(truth.tolist(), found.tolist(), strict=True)
    shares = [len(set(true) & set(got)) / max(1, len(set(true) - {-1})) for true, got in pairs]
    return sum(shares) / len(shares)


def usearch(count: int) -> dict[str, Any]:
    """In a child: a plain HNSW index."""
    import numpy as np
    from usearch.index import Index

    vectors, queries, truth = _task(count)
    index = Index(ndim=vectors.shape[1], metric="ip")
    made = seconds(lambda: index.add(np.arange(count), vectors))
    with tempfile.TemporaryDirectory() as folder:
        index.save(str(Path(folder) / "index"))
        size = _size(Path(folder))
    return _asked(lambda query: index.search(query, K).keys, queries, truth) | {"made": made, "bytes": size / count}


def txtai(count: int) -> dict[str, Any]:
    """In a child: its embeddings database, given vectors for texts."""
    import numpy as np
    from txtai.embeddings import Embeddings

    vectors, queries, truth = _task(count)
    database = Embeddings({"method": "external", "transform": lambda given: np.asarray(given, np.float32), "content": False})
    made = seconds(lambda: database.index((row, vector, None) for row, vector in enumerate(vectors)))
    with tempfile.TemporaryDirectory() as folder:
        database.save(str(Path(folder) / "index"))
        size = _size(Path(folder))
    found = _asked(lambda query: np.array([row for row, _ in database.search(query, K)]), queries, truth)
    return found | {"made": made, "bytes": size / count}


def _task(count: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Vectors, queries and the true neighbours."""
    import numpy as np

    from recommender.pipeline.index import VectorIndex
    from scripts.measure_index import clustered

    vectors = clustered(count)
    queries = vectors[:: max(1, count // QUERIES)][:QUERIES]
    exact = VectorIndex(vectors.shape[1], exact_limit=count)
    exact.add(np.arange(count, dtype=np.int64), vectors)
    return vectors, queries, exact.search(queries, K).rows


def _asked(ask: Callable[[Any], Any], queries: NDArray[np.float32], truth: NDArray[np.int64]) -> dict[str, float]:
    import numpy as np

    times, found = [], []
    for query in queries:
        start = time.perf_counter()
        rows = ask(query)
        times.append(1000 * (time.perf_counter() - start))
        found.append(np.asarray(rows, np.int64))
    return {"p50": float(np.median(times)), "recall": recall(truth, np.array(found))}


def _saved(index: Any) -> int:
    with tempfile.TemporaryDirectory() as folder:
        index.save(Path(folder) / "index")
        return _size(Path(folder))


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
