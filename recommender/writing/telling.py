"""Brings what the store keeps of links up to date: the places in both lists, with reasons, which stay as they were first told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender.archives.archive import Archive, wording_of
from recommender.archives.links import LinksOf
from recommender.archives.packed import Held, blobs_of, held_in, told_in
from recommender.pipeline.candidates import codes_of, pairs_in
from recommender.pipeline.overruling import CHOSEN
from recommender.pipeline.wording import reasons_of
from recommender.storage.packing import Columns
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
    """By row, rising; none where it has no links."""
    links: Held
    columns: list[Columns]
    """Those of each blob."""


def had_in(blobs: Mapping[int, bytes]) -> Had:
    """The same of these blobs, which are by rising row; ValueError where one is damaged."""
    return Had(blobs, *held_in(list(blobs), list(blobs.values())))


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
    known, former = _found_in(old.codes(), codes_of(owners, others))
    known &= ~(np.isin(seen.owners, came) | np.isin(seen.links.others, came))
    former = former[known]
    lists = seen.lists
    if lists is None:
        lists = np.full(len(owners), -1, np.int64), np.full(len(owners), -1, np.int64)
        lists[0][known], lists[1][known] = old.similar[former], old.sidebar[former]
    now = Held(owners, others, *seen.links[1:4], seen.relation, *lists)
    shown = now.is_shown()
    told_before = known.copy()
    told_before[known] &= old.is_shown()[former]
    told_before &= shown & (not again)
    of = np.searchsorted(rows, owners)
    had_rows = np.searchsorted(rows, np.array(list(had.blobs), np.int64))
    n_shown, n_told = (np.bincount(of[mask], minlength=len(rows)) for mask in (shown, told_before))
    n_before = np.bincount(np.searchsorted(rows, old.owners[old.is_shown()]), minlength=len(rows))
    other = (n_shown > n_told) | (n_told < n_before)  # reasons come or go
    told = np.full(len(owners), None, np.object_)
    told[known] = told_in(old, had.columns, other[had_rows])[former]
    told[~told_before] = None
    wanted = np.flatnonzero(shown & ~told_before)
    told[wanted] = _reasons(archive, texts, seen, wanted)
    as_before = {at: one.reasons for at, one in zip(had_rows.tolist(), had.columns, strict=True) if not other[at]}
    found = zip(rows.tolist(), blobs_of(rows, now, told, as_before), np.isin(rows, owners).tolist(), strict=True)
    wished = {row: blob if is_linked else None for row, blob, is_linked in found}
    return {row: blob for row, blob in wished.items() if blob != had.blobs.get(row)}


def _found_in(codes: NDArray[np.int64], wanted: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """(which of the wanted are among the codes, which rise, (n,) where)."""
    at = np.searchsorted(codes, wanted)
    known = at < len(codes)
    known[known] = codes[at[known]] == wanted[known]
    return known, at


def _reasons(archive: Archive, texts: Texts, seen: Seen, wanted: NDArray[np.int64]) -> list[str]:
    """The reasons of the wanted links, words parted by tabs; those of a pin begin with it."""
    if not len(wanted):
        return []
    one, other = seen.owners[wanted], seen.links.others[wanted]
    pairs, which = np.unique(codes_of(np.minimum(one, other), np.maximum(one, other)), return_inverse=True)
    here, sides = np.unique(np.stack(pairs_in(pairs)), return_inverse=True)
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
