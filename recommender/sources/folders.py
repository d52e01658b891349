"""Folders of files, an article each -> rows; single such files too. What a file says is left to the module of its kind."""

from __future__ import annotations

import gzip
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

from recommender.errors import UnreadableSourceError
from recommender.pipeline.formats import Row

FILE_LIMIT = 16 * 2**20
"""Longest file of one article, in bytes, without its gzip. Saved pages of news sites have 0.1 to 2 MB."""

_WORDS = {"html": ("saved page", "saved pages"), "markdown": ("Markdown file", "Markdown files")}

Reader = Callable[[bytes, str], "Mapping[str, object] | None"]
"""The row that a file means, given its bytes and its name; None where it is not published; ValueError where it is none."""


def rows_of_folder(
    folder: Path, shown: str, format: str | None, endings: Mapping[str, str], notice: Callable[[str], None]
) -> Iterator[Row]:
    """The rows of all files in a folder and the folders in it, by name. Hidden ones are left out, and linked folders."""
    kinds = {path: endings.get(_ending(path), "") for path in _files(folder, shown)}
    counts = Counter(kind for kind in kinds.values() if kind in _WORDS)
    if format is not None and format not in _WORDS:
        raise UnreadableSourceError(shown, "it is a folder", f"name the files in it, such as {shown.rstrip('/')}/*.{format}")
    if not counts:
        wanted = "saved pages (.html) or Markdown (.md)"
        what = f"none of its {len(kinds):,} files is one of {wanted}" if kinds else "it is a folder without files"
        remedy = f"name the files in it, such as {shown.rstrip('/')}/*.jsonl" if kinds else f"name one with {wanted}"
        raise UnreadableSourceError(shown, f"it is a folder; {what}" if kinds else what, remedy)
    kind = format or counts.most_common(1)[0][0]
    paths = [path for path, one in kinds.items() if one == kind]
    others = len(kinds) - len(paths)
    rest = f"; {others:,} other file{'s are' if others > 1 else ' is'} left alone" if others else ""
    notice(f"{shown}: a folder of {len(paths):,} {_WORDS[kind][len(paths) != 1]}{rest}")
    yield from _rows((_named(folder, path) for path in paths), reader_of(kind, shown), shown, notice)


def rows_of_file(stream: IO[bytes], name: str, shown: str, kind: str, notice: Callable[[str], None]) -> Iterator[Row]:
    """The row of one open file."""
    for row in _rows([(name, lambda: stream.read(FILE_LIMIT + 1))], reader_of(kind, shown), shown, notice):
        yield row._replace(place="as a whole")


def reader_of(kind: str, shown: str) -> Reader:
    """What reads a file of a kind; UnreadableSourceError where its library is not installed."""
    try:
        if kind == "html":
            from recommender.sources.pages import row_of_page

            return row_of_page
        from recommender.sources.markdown import row_of_markdown

        return row_of_markdown
    except ModuleNotFoundError as error:
        needs = f"{_WORDS[kind][1]} need {error.name}"
        raise UnreadableSourceError(shown, needs, "pip install 'recommender[sites]'") from None


def _files(folder: Path, shown: str) -> list[Path]:
    def refuse(error: OSError) -> None:
        reason = f"the folder {error.filename} cannot be read ({error.strerror})"
        raise UnreadableSourceError(shown, reason, "change its rights, or copy what is wanted of it") from None

    found = []
    for at, names, files in os.walk(folder, onerror=refuse):  # does not follow links, so none leads in a circle
        names[:] = sorted(name for name in names if not name.startswith("."))
        found += [Path(at, name) for name in sorted(files) if not name.startswith(".")]
    return found


def _named(folder: Path, path: Path) -> tuple[str, Callable[[], bytes]]:
    return path.relative_to(folder).as_posix(), lambda: _content(path)


def _content(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise ValueError("it is no file but a pipe or a device")
    with open(path, "rb") as raw:
        content = raw.read(FILE_LIMIT + 1)
    if content[:2] == b"\x1f\x8b":
        with gzip.open(path) as unpacked:
            content = unpacked.read(FILE_LIMIT + 1)
    return content


def _rows(
    files: Iterator[tuple[str, Callable[[], bytes]]] | list[tuple[str, Callable[[], bytes]]],
    read: Reader,
    shown: str,
    notice: Callable[[str], None],
) -> Iterator[Row]:
    drafts = taken = 0
    for name, content_of in files:
        try:
            content = content_of()
            if len(content) > FILE_LIMIT:
                raise ValueError(f"it is longer than {FILE_LIMIT >> 20} MiB, which is no article")
            row = read(content, name)
        except (OSError, EOFError, zlib.error) as error:
            yield Row(name, None, f"it cannot be read ({getattr(error, 'strerror', None) or error})")
        except ValueError as error:
            yield Row(name, None, str(error))
        else:
            drafts += row is None
            if row is not None:
                taken += 1
                yield Row(name, row, "")
    if drafts:
        notice(f"{shown}: {drafts:,} draft{'s' if drafts > 1 else ''} left out")
        if not taken:
            raise UnreadableSourceError(shown, "it holds drafts only", "publish one: draft: false in its front matter")


def _ending(path: Path) -> str:
    endings = [suffix.lower().lstrip(".") for suffix in path.suffixes]
    return next((one for one in reversed(endings) if one != "gz"), "")
