"""Brings what the store keeps of links up to date: the places in both lists, with reasons, which stay as they were first told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender.archives.archive import Archive, wording_of
from recommender.archives.links import LinksOf
from recommender.archives.packed import Held, blobs_of, held_in, told_in
from recommender.pipeline.overruling import CHOSEN
from recommender.pipeline.wording import reasons_of
from recommender.writing.stories import Texts

PAIRS = 8_000
"""Pairs whose reasons are found at once; bounds the memory."""


class Seen(NamedTuple):
    """Links as the articles at one end see them, one article's after another's; all fields (n,)."""

    owners: NDArray[np.int64]
    """Places in the archive; rising."""
    links: LinksOf
    relation: NDArray[np.int64]
    lists: tuple[NDArray[np.int64], NDArray[np.int64]] | None
    """Places in the lists, `similar` and `sidebar`, -1 for none; None where they stay what they are."""
    pinned: NDArray[np.bool_]


class Had(NamedTuple):
    """What the store has of some articles."""

    blobs: Mapping[int, bytes]
    """By row; none where it has no links."""
    links: Held
    told: NDArray[np.object_]
    """(n,) the reasons of the links that are in a list, words parted by tabs."""


def had_in(blobs: Mapping[int, bytes]) -> Had:
    """The same of these blobs, which are by rising row; ValueError where one is damaged."""
    links, columns = held_in(list(blobs), list(blobs.values()))
    return Had(blobs, links, told_in(links, columns))


def changed_blobs(
    archive: Archive, texts: Texts, places: NDArray[np.int64], seen: Seen, had: Had, came: NDArray[np.int64], *, again: bool
) -> dict[int, bytes | None]:
    """Row -> what the store is to keep of the links of an article at these places, rising, where that is another thing than it
    `had`; None where that is nothing.

    Reasons that are there stay, but for links with what `came`, and unless all are to be told `again`.
    """
    rows = archive.rows[places]
    old = had.links
    owners, others = archive.rows[seen.owners], archive.rows[seen.links.others]
    former = np.searchsorted(old.codes(), owners << 32 | others)
    known = np.zeros(len(owners), np.bool_)
    inside = former < len(old.owners)
    known[inside] = old.codes()[former[inside]] == (owners << 32 | others)[inside]
    known &= ~(np.isin(seen.owners, came) | np.isin(seen.links.others, came))
    former = former[known]
    lists = seen.lists
    if lists is None:
        lists = np.full(len(owners), -1, np.int64), np.full(len(owners), -1, np.int64)
        lists[0][known], lists[1][known] = old.similar[former], old.sidebar[former]
    now = Held(owners, others, seen.links.related, seen.links.same, seen.relation, *lists)
    told = np.full(len(owners), None, np.object_)
    if not again:
        told[known] = had.told[former]
    shown = now.is_shown()
    told[~shown] = None
    wanted = np.flatnonzero(shown & (told == None))  # noqa: E711 - of each
    told[wanted] = _reasons(archive, texts, seen, wanted)
    held = np.isin(rows, owners)
    blobs = dict(zip(rows.tolist(), blobs_of(rows, now, told), strict=True))
    wished = {row: blobs[row] if is_held else None for row, is_held in zip(rows.tolist(), held.tolist(), strict=True)}
    return {row: blob for row, blob in wished.items() if blob != had.blobs.get(row)}


def _reasons(archive: Archive, texts: Texts, seen: Seen, wanted: NDArray[np.int64]) -> list[str]:
    """The reasons of the wanted links, words parted by tabs; those of a pin begin with it."""
    if not len(wanted):
        return []
    one, other = seen.owners[wanted], seen.links.others[wanted]
    pairs, which = np.unique(np.minimum(one, other) << 32 | np.maximum(one, other), return_inverse=True)
    here, sides = np.unique(np.stack([pairs >> 32, pairs & 0xFFFFFFFF]), return_inverse=True)
    left, right = sides.reshape(2, -1)
    rows = texts(here)
    apart = np.abs(archive.days[here[left]] - archive.days[here[right]]).astype(np.float32)
    wording = wording_of(archive)
    told: list[tuple[str, ...]] = []
    for start in range(0, len(pairs), PAIRS):
        part = slice(start, start + PAIRS)
        told += reasons_of(wording, rows[left[part]], rows[right[part]], apart[part])
    lines = ["\t".join(words) for words in told]
    return [
        "\t".join((CHOSEN, *told[pair])) if pinned else lines[pair]
        for pair, pinned in zip(which.tolist(), seen.pinned[wanted].tolist(), strict=True)
    ]
