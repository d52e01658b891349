"""Step 5 of 8: unit vectors -> VectorIndex -> Neighbors. The only module that imports faiss.

Exact inner products up to EXACT_LIMIT vectors, an inverted file above. The index in memory is a cache of the vectors in
the store: it may be saved and loaded, and whoever loads it checks that the file is the one that the store knows.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from recommender.distinct import distinct

EXACT_LIMIT = 50_000
"""Vectors up to which every query is compared with all: at this size, of 256 dimensions, one takes about 11 ms, and the
inverted file 0.2 ms at recall@10 of 1.000 on clustered vectors (scripts/measure_index.py)."""

GATHERED = 100_000
"""Rows of a filter up to which their vectors are gathered and compared with every query, and kept for the next query under the
same filter (100 MB of 256 dimensions). Of 1,000,000 vectors 10,000 are gathered in about 20 ms, and then take 0.5 ms a query;
an inverted file, whose lists they are spread over, takes 8 ms, and with the usual share of its lists recall@10 was .43."""

LISTS_PER_ROOT = 4
"""Lists of the inverted file are this times the square root of the number of vectors (faiss's own guideline)."""

PROBED_SHARE = 0.065
"""Share of the lists that a query looks into."""

FEW = 16
"""Queries, or vectors to add, up to which one core does the work. FAISS lets its threads wait for each other in a loop: of 20,000
vectors a single query takes 0.7 ms on one core, the same on two idle ones, and 40 ms on two of which another process has one."""

TRAINING_PER_LIST = 60
"""Vectors a list that the inverted file is trained on; faiss warns below 39."""


class Neighbors(NamedTuple):
    """The k most similar articles of each query, best first; ties by row."""

    rows: NDArray[np.int64]  # (n_queries, k); -1 where the index holds fewer than k
    similarities: NDArray[np.float32]  # (n_queries, k); cosine in [-1, 1], larger is closer; -inf where rows is -1


class VectorIndex:
    """Unit vectors by row number: add, remove, search; above EXACT_LIMIT in half precision, as the store has them."""

    def __init__(self, dimensions: int, *, exact_limit: int = EXACT_LIMIT) -> None:
        self.dimensions = dimensions
        self.exact_limit = exact_limit
        self._index: faiss.Index = faiss.IndexIDMap2(faiss.IndexFlatIP(dimensions))
        self._gathered: _Gathered | None = None

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def is_exact(self) -> bool:
        """Whether every search compares with all vectors."""
        return isinstance(self._index, faiss.IndexIDMap2)

    def add(self, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add vectors, shape (n, dimensions), under new row numbers, shape (n,)."""
        if vectors.shape != (len(rows), self.dimensions):
            raise ValueError(f"expected vectors of shape {(len(rows), self.dimensions)}, got {vectors.shape}")
        self._gathered = None
        if self.is_exact and len(self) + len(rows) > self.exact_limit:
            self._invert(rows, vectors)
        else:
            with _as_few(len(rows)):
                self._index.add_with_ids(np.ascontiguousarray(vectors, np.float32), np.ascontiguousarray(rows, np.int64))

    def remove(self, rows: NDArray[np.int64]) -> int:
        """Forget rows; returns how many were there."""
        self._gathered = None
        return int(self._index.remove_ids(np.ascontiguousarray(rows, np.int64)))

    def search(self, queries: NDArray[np.float32], k: int, *, only: NDArray[np.int64] | None = None) -> Neighbors:
        """The k nearest of each query, shape (n_queries, dimensions); with `only`, among these rows."""
        queries = np.ascontiguousarray(queries, np.float32)
        if not len(self) or not len(queries) or (only is not None and not len(only)):
            return _nothing(len(queries), k)
        gathered = None if only is None else self._gather(only)
        if gathered is not None:
            return gathered.search(queries, k)
        chosen = None if only is None else faiss.IDSelectorBitmap(_bits(only))
        with _as_few(len(queries)):
            similarities, rows = self._index.search(queries, k, params=self._parameters(chosen))
        return _sorted(rows, similarities)

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(len(rows), dimensions) the vectors under these rows; KeyError where one is unknown."""
        try:
            return np.asarray(self._index.reconstruct_batch(np.ascontiguousarray(rows, np.int64)), np.float32)
        except RuntimeError as error:
            raise KeyError(f"a row of {rows!r} is not in the index") from error

    def save(self, path: Path) -> str:
        """Write the index to a file, at once or not at all; returns the digest by which `load` knows it again."""
        content = faiss.serialize_index(self._index).tobytes()
        beside = path.with_name(path.name + ".new")
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        return blake2b(content, digest_size=16).hexdigest()

    @classmethod
    def load(cls, path: Path, digest: str, *, exact_limit: int = EXACT_LIMIT) -> VectorIndex | None:
        """The index saved under this digest; None where the file is missing, damaged or another: it is never parsed then."""
        try:
            content = path.read_bytes()
        except OSError:
            return None
        if blake2b(content, digest_size=16).hexdigest() != digest:
            return None
        inner = faiss.deserialize_index(np.frombuffer(content, np.uint8))
        index = cls(inner.d, exact_limit=exact_limit)
        index._index = inner
        return index

    def _invert(self, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Move from exact search to an inverted file over what is there and what comes."""
        known = faiss.vector_to_array(self._index.id_map) if len(self) else np.zeros(0, np.int64)
        stored = self.vectors(known) if len(known) else np.zeros((0, self.dimensions), np.float32)
        rows = np.concatenate([known, rows])
        vectors = np.ascontiguousarray(np.concatenate([stored, vectors]), np.float32)
        n_lists = max(1, min(int(LISTS_PER_ROOT * len(rows) ** 0.5), len(rows) // 39 or 1))
        quantizer = faiss.IndexFlatIP(self.dimensions)
        kind, metric = faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT  # the precision that the store keeps
        inverted = faiss.IndexIVFScalarQuantizer(quantizer, self.dimensions, n_lists, kind, metric, False)
        inverted.own_fields = True
        quantizer.this.disown()
        inverted.nprobe = max(8, int(np.ceil(PROBED_SHARE * n_lists)))
        inverted.cp.seed = 1234
        sample = np.linspace(0, len(rows) - 1, min(len(rows), TRAINING_PER_LIST * n_lists)).astype(np.int64)
        inverted.train(vectors[sample])
        inverted.set_direct_map_type(faiss.DirectMap.Hashtable)
        inverted.add_with_ids(vectors, np.ascontiguousarray(rows, np.int64))
        self._index = inverted

    def _parameters(self, chosen: faiss.IDSelector | None) -> faiss.SearchParameters | None:
        if self.is_exact:
            return faiss.SearchParameters(sel=chosen) if chosen is not None else None
        probed = self._index.nprobe if chosen is None else self._index.nlist  # under a filter the nearest may be in any list
        return faiss.SearchParametersIVF(nprobe=probed, sel=chosen)

    def _gather(self, only: NDArray[np.int64]) -> _Gathered | None:
        """The vectors under these rows, as they were gathered for the last query if that had the same filter; None where they are
        too many, or one is unknown."""
        kept = self._gathered
        if kept is not None and np.array_equal(only, kept.only):
            return kept
        rows = distinct(only)
        if len(rows) > GATHERED:
            return None
        index = faiss.IndexFlatIP(self.dimensions)
        try:
            index.add(self.vectors(rows))
        except KeyError:
            return None
        self._gathered = found = _Gathered(only.copy(), rows, index)
        return found


class _Gathered(NamedTuple):
    """The vectors that pass a filter."""

    only: NDArray[np.int64]
    """The filter as it was given."""
    rows: NDArray[np.int64]
    """Rising."""
    index: faiss.IndexFlatIP

    def search(self, queries: NDArray[np.float32], k: int) -> Neighbors:
        """The k nearest of each query among them."""
        with _as_few(len(queries)):
            similarities, places = self.index.search(queries, k)
        return _sorted(np.where(places < 0, -1, self.rows[places]), similarities)


def _bits(rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """A bit for each row number up to the highest, set for these."""
    there = np.zeros(int(rows.max()) + 1, np.bool_)
    there[rows] = True
    return np.packbits(there, bitorder="little")


@contextlib.contextmanager
def _as_few(n: int) -> Iterator[None]:
    """FAISS on one core where there is little to do; the setting is that of the calling thread alone."""
    if n > FEW:
        yield
        return
    usual = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(usual)


def _nothing(n_queries: int, k: int) -> Neighbors:
    return Neighbors(np.full((n_queries, k), -1, np.int64), np.full((n_queries, k), -np.inf, np.float32))


def _sorted(rows: NDArray[np.int64], similarities: NDArray[np.float32]) -> Neighbors:
    """Best first, ties by row; faiss leaves the order of ties open."""
    similarities = np.where(rows < 0, -np.inf, similarities).astype(np.float32)
    order = np.lexsort((rows, -similarities), axis=1)
    return Neighbors(np.take_along_axis(rows, order, axis=1), np.take_along_axis(similarities, order, axis=1))
