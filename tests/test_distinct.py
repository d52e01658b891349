"""Sets of integers as arrays, beside Python's own sets."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recommender.distinct import are_among, distinct, others

NUMBERS = st.lists(st.integers(0, 60), max_size=40)


@given(one=NUMBERS, two=NUMBERS)
def test_they_are_pythons_sets(one: list[int], two: list[int]) -> None:
    """Each once and rising, of one array and of two; what is among others, and what is not."""
    a, b = np.array(one, np.int64), np.array(two, np.int64)
    assert distinct(a).tolist() == sorted(set(one))
    assert distinct(a, b).tolist() == sorted(set(one) | set(two))
    assert a.tolist() == one  # nothing is sorted in place
    assert are_among(a, b, 60).tolist() == [number in set(two) for number in one]
    once = list(dict.fromkeys(one))
    assert others(np.array(once, np.int64), b).tolist() == [number for number in once if number not in set(two)]


def test_any_shape_and_any_kind_of_integer() -> None:
    """Of a table all cells, and the type stays."""
    found = distinct(np.array([[3, 1], [1, 2]], np.int32))
    assert found.tolist() == [1, 2, 3]
    assert found.dtype == np.int32
