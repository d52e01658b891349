"""The articles and indexes that the rows share: written and built once in a run, each build in a process of its own."""

from __future__ import annotations

import json
import random
import shutil
import time
import zlib
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from recommender import Article, read_articles
from scripts.benchmark.children import NotMeasuredError, in_child, peak_memory
from scripts.benchmark.measures import Spent
from scripts.benchmark.sizes import Size
from scripts.varied import varied

LATER = 200
"""Articles that are left out of each archive, to be added or asked about."""


@dataclass(frozen=True, slots=True)
class Texts:
    """A file of articles, and another of articles that belong among them."""

    file: Path
    later: Path
    bytes: int  # titles and bodies, UTF-8
    gzipped: int  # the file


@dataclass(frozen=True, slots=True)
class Built:
    """An index and what it took."""

    index: Path
    seconds: float
    processor: float  # seconds of all cores
    peak: int  # bytes of memory, the whole process
    imported: int  # of it before the first article
    stages: dict[str, float]


class Workshop:
    """Files under one folder, made when first asked for."""

    def __init__(self, folder: Path, given: list[Article], size: Size) -> None:
        self.folder = folder
        self.given = given
        self.size = size
        self.once = cache(in_child)
        """`in_child`, but what was asked before is not measured again."""
        self._texts = cache(self._write_texts)
        self._built = cache(self._build)
        self._failed: dict[int, NotMeasuredError] = {}

    def texts(self, count: int) -> Texts:
        """So many articles, the given ones and then varied copies."""
        return self._texts(count)

    def built(self, count: int) -> Built:
        """The index of so many articles; a build that has failed is not tried again."""
        if count in self._failed:
            raise self._failed[count]
        try:
            return self._built(count)
        except NotMeasuredError as error:
            self._failed[count] = error
            raise

    def built_again(self, count: int) -> Built:
        """One more build of the same articles, elsewhere."""
        return self._build(count, "again")

    @cached_property
    def largest(self) -> int:
        """Articles of the largest index that is answered from."""
        return self.size.growth[-1]

    def _write_texts(self, count: int) -> Texts:
        file, later = self.folder / f"articles-{count}.jsonl", self.folder / f"later-{count}.jsonl"
        left_out = set(random.Random(1).sample(range(count + LATER), LATER))
        size = 0
        with file.open("w", encoding="utf-8") as kept, later.open("w", encoding="utf-8") as others:
            for number, article in enumerate(varied(self.given, count + LATER)):
                if number in left_out:
                    others.write(_line(article))
                else:
                    kept.write(_line(article))
                    size += len(article.title.encode()) + len(article.body.encode())
        return Texts(file, later, size, _gzipped(file))

    def _build(self, count: int, name: str = "index") -> Built:
        index = self.folder / f"{name}-{count}"
        if index.exists():
            shutil.rmtree(index)  # an index that is replaced is read first
        found = in_child(build, str(self.texts(count).file), str(index))
        return Built(index, found["seconds"], found["processor"], found["peak"], found["imported"], found["stages"])


def build(file: str, index: str) -> dict[str, Any]:
    """In a child: from the file to the committed index; a stage lasts from its first word of progress to the next one's."""
    import sklearn.decomposition  # noqa: F401 - not timed in the reference either

    from recommender import Recommender
    from recommender.writing import building  # noqa: F401

    marks: dict[str, float] = {}

    def mark(stage: str, done: int, total: int) -> None:
        marks.setdefault(stage, time.perf_counter())

    imported = peak_memory()
    with Spent() as spent:
        Recommender.build(read_articles([file]), index, progress=mark)
    end = time.perf_counter()
    ends = [*list(marks.values())[1:], end]
    stages = {stage: until - begins for (stage, begins), until in zip(marks.items(), ends, strict=True)}
    return {**spent.told(), "imported": imported, "stages": stages}


def articles_of(file: Path | str) -> list[Article]:
    """The articles of a file that the workshop has written."""
    return list(read_articles([file]))


def _line(article: Article) -> str:
    fields = {name: value for name, value in asdict(article).items() if value}
    told = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields.items()}
    return json.dumps(told, ensure_ascii=False) + "\n"


def _gzipped(file: Path) -> int:
    """Bytes of a file as `gzip` makes it."""
    packer, size = zlib.compressobj(6, wbits=31), 0
    with file.open("rb") as opened:
        while block := opened.read(1 << 20):
            size += len(packer.compress(block))
    return size + len(packer.flush())
