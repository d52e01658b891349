"""Arrays and sparse rows that grow at their end: an archive in memory takes in an article without being copied."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

T = TypeVar("T", bound=np.generic)

SPARE = 8
"""One part in this of an array is kept as room for what comes."""


class Growing(Generic[T]):
    """An array, shape (n, …), that grows along its first axis."""

    def __init__(self, values: NDArray[T]) -> None:
        self._room = values
        self._used = len(values)

    def __len__(self) -> int:
        return self._used

    @property
    def values(self) -> NDArray[T]:
        """(n, …) what it holds, not copied: writing to it changes it, growing may leave it behind."""
        return self._room[: self._used]

    def extend(self, more: NDArray[Any]) -> None:
        """Add values, shape (m, …), at the end."""
        needed = self._used + len(more)
        if needed > len(self._room):
            room = np.empty((needed + needed // SPARE, *self._room.shape[1:]), self._room.dtype)
            room[: self._used] = self.values
            self._room = room
        self._room[self._used : needed] = more
        self._used = needed

    def lengthen(self, length: int, value: Any = 0) -> None:
        """Grow to a length with one value again and again; a longer one stays as it is."""
        if length > self._used:
            self.extend(np.full((length - self._used, *self._room.shape[1:]), value, self._room.dtype))


def runs(starts: NDArray[np.integer[Any]], lengths: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """The numbers from each start on, so many of each, one run after another."""
    before = np.cumsum(lengths) - lengths
    return np.asarray(np.arange(int(lengths.sum())) + np.repeat(starts - before, lengths), np.int64)


class GrowingRows:
    """Sparse rows of counts, of as many columns as whoever takes them says; one may be replaced, and is then kept at the end."""

    def __init__(self, rows: sparse.csr_matrix) -> None:
        self._starts = Growing(rows.indptr[:-1].astype(np.int64))
        self._lengths = Growing(np.diff(rows.indptr).astype(np.int64))
        self._columns = Growing(rows.indices.astype(np.int32, copy=False))
        self._values = Growing(rows.data.astype(np.uint16, copy=False))
        self._replaced = False

    def __len__(self) -> int:
        return len(self._starts)

    def extend(self, rows: sparse.csr_matrix) -> None:
        """Add rows at the end."""
        self._starts.extend(len(self._columns) + rows.indptr[:-1].astype(np.int64))
        self._lengths.extend(np.diff(rows.indptr))
        self._columns.extend(rows.indices)
        self._values.extend(rows.data)

    def replace(self, places: NDArray[np.int64], rows: sparse.csr_matrix) -> None:
        """Put these rows in the place of others."""
        self._replaced = self._replaced or len(places) > 0
        self._starts.values[places] = len(self._columns) + rows.indptr[:-1].astype(np.int64)
        self._lengths.values[places] = np.diff(rows.indptr)
        self._columns.extend(rows.indices)
        self._values.extend(rows.data)

    def take(self, places: NDArray[np.int64], n_columns: int) -> sparse.csr_matrix:
        """(len(places), n_columns) uint16: the rows at these places; not copied where they are all, as they came, so not to be
        changed."""
        if not self._replaced and len(places) == len(self) and (np.diff(places) == 1).all():
            starts = np.append(self._starts.values, len(self._columns))
            return sparse.csr_matrix((self._values.values, self._columns.values, starts), shape=(len(places), n_columns))
        lengths = self._lengths.values[places]
        ends = np.concatenate([[0], np.cumsum(lengths)])
        at = runs(self._starts.values[places], lengths)
        return sparse.csr_matrix((self._values.values[at], self._columns.values[at], ends), shape=(len(places), n_columns))
