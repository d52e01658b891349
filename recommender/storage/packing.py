"""The links of one article as the store keeps them: column after column in one blob, known by a checksum. Needs nothing heavy."""

from __future__ import annotations

import itertools
import struct
import zlib
from typing import NamedTuple

from recommender.answers import Profile

NO_PLACE = 255
"""In a column of places: in no list of that profile."""

SIZES = (4, 4, 4, 4, 1, 1, 1)
"""Bytes that a link takes in each column but the last."""

HEAD = struct.Struct("<II")
"""Checksum of all that follows it, number of links."""


class Columns(NamedTuple):
    """The links of one article, by rising row of the other; n of them, little-endian."""

    others: bytes
    """(n,) uint32: rows."""
    scores: bytes
    """(n,) float32: related."""
    same: bytes
    """(n,) float32: same story; 0 where the link is there for a pin alone."""
    nearness: bytes
    """(n,) float32: what orders the profile `similar`."""
    relations: bytes
    """(n,) uint8: places in RELATIONS."""
    similar: bytes
    """(n,) uint8: places in the list of that profile, 0 is the first; NO_PLACE."""
    sidebar: bytes
    reasons: bytes
    """Of the links that are in a list: lines of words parted by tabs, deflated; empty where none is."""


def packed(columns: Columns) -> bytes:
    """One blob of all."""
    content = b"".join(columns)
    counted = struct.pack("<I", len(columns.relations))
    return struct.pack("<I", zlib.crc32(content, zlib.crc32(counted))) + counted + content


def columns_of(blob: bytes) -> Columns:
    """What `packed` has made; ValueError where it is not what was written."""
    n = _count(blob, sum(SIZES))
    ends = [HEAD.size + n * size for size in itertools.accumulate(SIZES, initial=0)]
    others, scores, same, nearness, relations, similar, sidebar = [blob[begin:end] for begin, end in itertools.pairwise(ends)]
    return Columns(others, scores, same, nearness, relations, similar, sidebar, reasons=blob[ends[-1] :])


def _count(blob: bytes, link_size: int) -> int:
    """The number of links in a blob whose links take so many bytes each; ValueError where it is not what was written."""
    checksum, n = HEAD.unpack_from(blob) if len(blob) >= HEAD.size else (0, 0)
    if not HEAD.size + link_size * n <= len(blob) or zlib.crc32(memoryview(blob)[4:]) != checksum:
        raise ValueError("links that are not what was written")
    return int(n)


def refolded(blob: bytes) -> bytes:
    """A blob of format 3, which had no nearness and ordered `similar` by the score, as one of today; ValueError as above."""
    n = _count(blob, sum(SIZES) - SIZES[3])
    end = HEAD.size + 12 * n
    scores = blob[HEAD.size + 4 * n : HEAD.size + 8 * n]
    content = blob[4:end] + scores + blob[end:]
    return struct.pack("<I", zlib.crc32(content)) + content


def shown_in(columns: Columns) -> list[int]:
    """The numbers of the links that are in a list."""
    both = enumerate(zip(columns.similar, columns.sidebar, strict=True))
    return [number for number, (one, other) in both if one != NO_PLACE or other != NO_PLACE]


def lines_of(columns: Columns) -> list[str]:
    """The reasons of the links that are in a list, in the order of the links, words parted by tabs."""
    return zlib.decompress(columns.reasons).decode().split("\n") if columns.reasons else []


def deflated(lines: list[str]) -> bytes:
    """Such lines as a column."""
    return zlib.compress("\n".join(lines).encode()) if lines else b""


class Shown(NamedTuple):
    """An article in a list."""

    row: int
    score: float
    relation: int
    reasons: tuple[str, ...]


def list_of(blob: bytes, profile: Profile, k: int) -> list[Shown]:
    """The first k of the list of that profile; ValueError where the blob is not what was written."""
    columns = columns_of(blob)
    places = columns.similar if profile == "similar" else columns.sidebar
    k = min(k, NO_PLACE)
    chosen = sorted([(place, number) for number, place in enumerate(places) if place < k])
    if not chosen:
        return []
    lines = dict(zip(shown_in(columns), lines_of(columns), strict=True))
    others, scores = struct.unpack(f"<{len(places)}I", columns.others), struct.unpack(f"<{len(places)}f", columns.scores)
    return [
        Shown(others[at], scores[at], columns.relations[at], tuple(lines[at].split("\t")) if lines[at] else ())
        for _, at in chosen
    ]


def rows_linked(blob: bytes) -> tuple[int, ...]:
    """The rows of all that the article is linked with, rising; ValueError as above."""
    others = columns_of(blob).others
    return struct.unpack(f"<{len(others) // 4}I", others)
