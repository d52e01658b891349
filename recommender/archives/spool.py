"""What a build reads again and again, in nameless files beside the index: it never holds an archive in memory."""

from __future__ import annotations

import json
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import overload

from recommender.pipeline.articles import Article
from recommender.pipeline.content import NO_BOILERPLATE, Boilerplate, Content, without_boilerplate

BLOCK = 500
"""Texts that are read at once."""


class Spool:
    """Bytes by place 0, 1, 2, …; the file is gone when nobody holds it any longer, whatever happens."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - as long as the spool
        self._starts, self._lengths = array("q"), array("q")
        self._end = 0

    def __len__(self) -> int:
        return len(self._starts)

    def put(self, place: int, content: bytes) -> None:
        """Keep bytes at the next place, or in place of what is there."""
        self._file.seek(self._end)
        self._file.write(content)
        if place == len(self):
            self._starts.append(0)
            self._lengths.append(0)
        self._starts[place], self._lengths[place] = self._end, len(content)
        self._end += len(content)

    def read(self, places: Iterable[int]) -> Iterator[bytes]:
        """What is at these places."""
        for place in places:
            self._file.seek(self._starts[place])
            yield self._file.read(self._lengths[place])


class SpooledArticles:
    """Articles as they came in, by place."""

    def __init__(self, folder: Path) -> None:
        self._spool = Spool(folder)

    def __len__(self) -> int:
        return len(self._spool)

    def put(self, place: int, article: Article) -> None:
        """Keep an article at the next place, or in place of the one that is there."""
        moments = [moment and moment.isoformat() for moment in (article.published, article.updated)]
        texts = [article.id, article.title, article.body, article.url, article.section, article.language, article.image]
        self._spool.put(place, json.dumps([texts, moments, article.authors, article.tags]).encode())

    def read(self, places: Iterable[int]) -> Iterator[Article]:
        """The articles at these places."""
        for kept in self._spool.read(places):
            texts, moments, authors, tags = json.loads(kept)
            names = ("id", "title", "body", "url", "section", "language", "image")
            published, updated = (moment and datetime.fromisoformat(moment) for moment in moments)
            yield Article(
                **dict(zip(names, texts, strict=True)), published=published, updated=updated,
                authors=tuple(authors), tags=tuple(tags),
            )  # fmt: skip


class SpooledTexts:
    """Plain titles, each one line, and plain texts, by place."""

    def __init__(self, folder: Path) -> None:
        self._spool = Spool(folder)

    def __len__(self) -> int:
        return len(self._spool)

    def append(self, title: str, text: str) -> None:
        """Keep a title and a text at the next place."""
        self._spool.put(len(self), f"{title}\n{text}".encode("utf-8", "surrogatepass"))

    def read(self, start: int, end: int) -> Iterator[tuple[str, str]]:
        """The titles and texts at some places."""
        for kept in self._spool.read(range(start, end)):
            title, _, text = kept.decode("utf-8", "surrogatepass").partition("\n")
            yield title, text

    def texts(self) -> Iterator[str]:
        """All texts, by place."""
        return (text for _, text in self.read(0, len(self)))


class SpooledContents(Sequence[Content]):
    """What of spooled texts is compared, made anew each time it is asked for."""

    def __init__(self, texts: SpooledTexts, boilerplate: Boilerplate = NO_BOILERPLATE) -> None:
        self._texts = texts
        self._boilerplate = boilerplate

    def __len__(self) -> int:
        return len(self._texts)

    @overload
    def __getitem__(self, at: int) -> Content: ...
    @overload
    def __getitem__(self, at: slice) -> list[Content]: ...
    def __getitem__(self, at: int | slice) -> Content | list[Content]:
        if isinstance(at, int):
            return self[at : at + 1][0]
        start, end, _ = at.indices(len(self))
        return [without_boilerplate(title, text, self._boilerplate) for title, text in self._texts.read(start, end)]

    def __iter__(self) -> Iterator[Content]:
        for start in range(0, len(self), BLOCK):
            yield from self[start : start + BLOCK]
