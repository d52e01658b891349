"""How much is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Counts of one run."""

    main: int
    """Articles of the comparisons with scikit-learn and BERTopic."""
    growth: tuple[int, ...]
    """Articles of the builds that show how cost grows; the last one also answers, adds and is measured in memory."""
    huge: int = 0
    """Articles of one more build, for its memory alone."""
    vectors: tuple[int, ...]
    """Vectors of the neighbour search, the last of them in the table."""
    encoded: int
    """Articles that the sentence-transformers model encodes."""
    width: int
    layers: int
    """Shape of that model."""
    rounds: int = 3
    """Runs of a comparison that the median is taken of; of a long one, `long_rounds`."""
    long_rounds: int = 1
    questions: int = 2000
    """Warm answers asked for."""
    starts: int = 11
    """Cold starts."""
    adds: int = 20
    """Articles added, one by one; of the first `replayed` the same rows are written by SQLite alone."""
    replayed: int = 5


SIZES: Mapping[str, Size] = MappingProxyType(
    {
        "tiny": Size(
            main=250, growth=(120, 250), vectors=(2_000,), encoded=40, width=32, layers=2, rounds=1, questions=200, starts=1,
            adds=3, replayed=2,
        ),
        "small": Size(
            main=1_600, growth=(400, 800, 1_600), vectors=(10_000, 52_000), encoded=200, width=128, layers=3, long_rounds=3,
        ),
        "medium": Size(
            main=20_000, growth=(5_000, 20_000), vectors=(20_000, 60_000, 200_000), encoded=100, width=384, layers=6,
        ),
        "full": Size(
            main=20_000, growth=(5_000, 20_000, 100_000), huge=1_000_000, vectors=(50_000, 200_000, 1_000_000), encoded=300,
            width=384, layers=6, long_rounds=3,
        ),
    }
)  # fmt: skip
"""By the name that --size takes; `tiny` is there to test the script."""
