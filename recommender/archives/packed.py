"""The links of many articles as arrays, out of what the store keeps of each and back."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender.pipeline.candidates import codes_of
from recommender.storage.packing import NO_PLACE, SIZES, Columns, columns_of, deflated, lines_of, packed


class Held(NamedTuple):
    """Links as the articles at one end of them see them, one article's after another's; all fields (n,)."""

    owners: NDArray[np.int64]
    """Rows in the store; rising."""
    others: NDArray[np.int64]
    """Rows; rising for each owner."""
    related: NDArray[np.float32]
    same: NDArray[np.float32]
    nearness: NDArray[np.float32]
    relation: NDArray[np.int64]
    """Place in RELATIONS."""
    similar: NDArray[np.int64]
    """Place in the list of that profile, 0 is the first; -1 for none."""
    sidebar: NDArray[np.int64]

    def codes(self) -> NDArray[np.int64]:
        """(n,) rising: a number for each pair of owner and other."""
        return codes_of(self.owners, self.others)

    def is_shown(self) -> NDArray[np.bool_]:
        """(n,) which are in a list."""
        return (self.similar >= 0) | (self.sidebar >= 0)


def held_in(rows: Sequence[int], blobs: Sequence[bytes]) -> tuple[Held, list[Columns]]:
    """(the links of the articles of these rows, which are rising, what was unpacked); ValueError where a blob is damaged."""
    columns = [columns_of(blob) for blob in blobs]

    def column(number: int, kind: str) -> NDArray[np.generic]:
        return np.frombuffer(b"".join([one[number] for one in columns]), kind)

    similar, sidebar = (column(number, "u1").astype(np.int64) for number in (5, 6))
    held = Held(
        owners=np.repeat(np.array(rows, np.int64), [len(one.relations) for one in columns]),
        others=column(0, "<u4").astype(np.int64),
        related=column(1, "<f4").astype(np.float32),
        same=column(2, "<f4").astype(np.float32),
        nearness=column(3, "<f4").astype(np.float32),
        relation=column(4, "u1").astype(np.int64),
        similar=np.where(similar == NO_PLACE, -1, similar),
        sidebar=np.where(sidebar == NO_PLACE, -1, sidebar),
    )
    return held, columns


def told_in(held: Held, columns: Sequence[Columns], wanted: NDArray[np.bool_]) -> NDArray[np.object_]:
    """(n,) the reasons of the links that are in a list, words parted by tabs; None of all others, and of all of the
    articles that are not `wanted`, (n_articles,)."""
    told = np.full(len(held.owners), None, np.object_)
    shown = held.is_shown() & np.repeat(wanted, [len(one.relations) for one in columns])
    lines = list(itertools.chain.from_iterable(map(lines_of, itertools.compress(columns, wanted.tolist()))))
    if len(lines) != np.count_nonzero(shown):
        raise ValueError("places in lists without reasons")
    told[shown] = lines
    return told


def blobs_of(rows: NDArray[np.int64], held: Held, told: NDArray[np.object_], known: Mapping[int, bytes]) -> list[bytes]:
    """What the store is to keep of each of these articles, rising, of which some may have no links. `told` are the reasons of
    each link that is in a list; the column of reasons of those articles of which it is `known`, by number, is taken as it is."""
    shown = held.is_shown()
    ends = np.searchsorted(held.owners, rows, side="right").tolist()
    lines, line_ends = told[shown].tolist(), np.append(0, np.cumsum(shown))
    floats = [field.astype("<f4") for field in (held.related, held.same, held.nearness)]
    places = [np.where(field < 0, NO_PLACE, field).astype("u1") for field in (held.similar, held.sidebar)]
    fields = (held.others.astype("<u4"), *floats, held.relation.astype("u1"), *places)
    whole = [(size, field.tobytes()) for size, field in zip(SIZES, fields, strict=True)]
    blobs = []
    for number, (begin, end) in enumerate(itertools.pairwise([0, *ends])):
        others, scores, same, nearness, relations, similar, sidebar = (
            field[size * begin : size * end] for size, field in whole
        )
        reasons = known.get(number)
        if reasons is None:
            reasons = deflated(lines[line_ends[begin] : line_ends[end]])
        blobs.append(packed(Columns(others, scores, same, nearness, relations, similar, sidebar, reasons)))
    return blobs
