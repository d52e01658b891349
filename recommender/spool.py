"""Plain titles and texts in a nameless file beside the index: a build reads an archive again and again, and never holds it."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

from recommender.pipeline.content import NO_BOILERPLATE, Boilerplate, Content, without_boilerplate

BLOCK = 500
"""Texts that are read at once."""


class Spool:
    """Titles and texts by place 0, 1, 2, …; the file is gone when nobody holds it any longer, whatever happens."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - as long as the spool
        self._starts, self._lengths = array("q"), array("q")
        self._end = 0

    def __len__(self) -> int:
        return len(self._starts)

    def put(self, place: int, title: str, text: str) -> None:
        """Keep a title, one line, and a text at the next place, or in place of what is there."""
        kept = f"{title}\n{text}".encode("utf-8", "surrogatepass")
        self._file.seek(self._end)
        self._file.write(kept)
        if place == len(self):
            self._starts.append(0)
            self._lengths.append(0)
        self._starts[place], self._lengths[place] = self._end, len(kept)
        self._end += len(kept)

    def read(self, start: int, end: int) -> Iterator[tuple[str, str]]:
        """The titles and texts at some places."""
        for at, length in zip(self._starts[start:end], self._lengths[start:end], strict=True):
            self._file.seek(at)
            title, _, text = self._file.read(length).decode("utf-8", "surrogatepass").partition("\n")
            yield title, text

    def texts(self) -> Iterator[str]:
        """All texts, by place."""
        return (text for _, text in self.read(0, len(self)))


class SpooledContents(Sequence[Content]):
    """What of spooled articles is compared, made anew each time it is asked for."""

    def __init__(self, spool: Spool, boilerplate: Boilerplate = NO_BOILERPLATE) -> None:
        self._spool = spool
        self._boilerplate = boilerplate

    def __len__(self) -> int:
        return len(self._spool)

    @overload
    def __getitem__(self, at: int) -> Content: ...
    @overload
    def __getitem__(self, at: slice) -> list[Content]: ...
    def __getitem__(self, at: int | slice) -> Content | list[Content]:
        if isinstance(at, int):
            return self[at : at + 1][0]
        start, end, _ = at.indices(len(self))
        return [without_boilerplate(title, text, self._boilerplate) for title, text in self._spool.read(start, end)]

    def __iter__(self) -> Iterator[Content]:
        for start in range(0, len(self), BLOCK):
            yield from self[start : start + BLOCK]
