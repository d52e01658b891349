"""The links of an article in one blob: what goes in comes out, by a reader of its own too, and no flipped bit goes unseen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.archives.packed import Held, blobs_of, held_in, told_in
from recommender.storage.packing import Shown, columns_of, list_of, rows_linked
from tests.links import links_in

OTHERS = [
    (4, 0.5, 0.25, 0.625, 2, 0, None, "Putin\tKim"),
    (9, 1.0, 0.0, 1.0, 0, None, None, None),
    (70_000, 0.75, 0.5, 0.5, 1, 1, 0, ""),
]
"""(row, score, same, nearness, relation, place in similar, in sidebar, reasons), values that float32 knows."""


def drawn(links: Sequence[tuple[object, ...]], owner: int) -> tuple[Held, np.ndarray[tuple[int], np.dtype[np.object_]]]:
    """The same as arrays."""
    others, related, same, nearness, relation, similar, sidebar, told = zip(*links, strict=True) if links else ((),) * 8
    places = [np.array([-1 if place is None else place for place in column], np.int64) for column in (similar, sidebar)]
    held = Held(
        np.full(len(others), owner), np.array(others, np.int64), np.array(related, np.float32), np.array(same, np.float32),
        np.array(nearness, np.float32), np.array(relation, np.int64), *places,
    )  # fmt: skip
    return held, np.array(told, np.object_)


def test_the_lists_are_those_that_were_packed() -> None:
    """Worked by hand: one link in both lists, one in one, one in none; of one article that has links and one that has none."""
    held, told = drawn(OTHERS, 3)
    full, empty = blobs_of(np.array([3, 5]), held, told, {})
    assert list_of(full, "similar", 9) == [Shown(4, 0.5, 2, ("Putin", "Kim")), Shown(70_000, 0.75, 1, ())]
    assert list_of(full, "similar", 1) == [Shown(4, 0.5, 2, ("Putin", "Kim"))]
    assert list_of(full, "sidebar", 9) == [Shown(70_000, 0.75, 1, ())]
    assert (list_of(empty, "sidebar", 9), rows_linked(empty)) == ([], ())
    assert rows_linked(full) == (4, 9, 70_000)
    assert links_in(3, full) == [(3, *values, text, one, two) for *values, one, two, text in OTHERS]
    again, columns = held_in([3, 5], [full, empty])
    assert all(np.asarray(one == other).all() for one, other in zip(again, held, strict=True))
    assert told_in(again, columns, np.ones(2, np.bool_)).tolist() == told.tolist()


@given(links=st.integers(0, 300), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=40)
def test_any_links_come_out_as_they_went_in(links: int, seed: int) -> None:
    """Of any number, with places up to the last that is one, and reasons of any letters but tabs and line ends."""
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(2**32 - 1, links, replace=False)).tolist()
    floats = rng.random((links, 3), np.float32).tolist()
    places = [[None if place > 254 else int(place) for place in pair] for pair in rng.integers(0, 400, (links, 2)).tolist()]
    texts = [None if pair == [None, None] else "\t".join(["é ’∅", "Ω"][: rng.integers(3)]) for pair in places]
    given_ = [
        (row, *three, int(rng.integers(3)), *at, text) for row, three, at, text in zip(rows, floats, places, texts, strict=True)
    ]
    (blob,) = blobs_of(np.array([7]), *drawn(given_, 7), {})
    assert links_in(7, blob) == [(7, *values, text, one, two) for *values, one, two, text in given_]


def test_a_flipped_bit_or_a_lost_end_is_seen() -> None:
    """Every one bit of a blob, and every shorter length of it."""
    (blob,) = blobs_of(np.array([3]), *drawn(OTHERS, 3), {})
    for bit in range(8 * len(blob)):
        other = bytearray(blob)
        other[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match="not what was written"):
            columns_of(bytes(other))
    for end in range(len(blob)):
        with pytest.raises(ValueError, match="not what was written"):
            columns_of(blob[:end])
