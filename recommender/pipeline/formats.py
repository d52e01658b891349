"""Step 1 of 8, the files: sources -> rows. JSON Lines, JSON, CSV, Parquet; nothing is held but the row at hand.

The only module that imports pyarrow.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import itertools
import json
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from recommender.errors import UnreadableSourceError

FORMATS = {"jsonl": "jsonl", "ndjson": "jsonl", "json": "json", "csv": "csv", "tsv": "csv", "parquet": "parquet", "pq": "parquet"}
"""What a format may be called, as an ending or by name, and what it is read as."""

LINE_LIMIT = 32 * 2**20
"""Longest line, CSV cell or item of a JSON array, in bytes. The longest of 37,715 real articles has 0.2 MB; more than
this is a file of another format, and reading it as one line would take many times its size in memory."""

_HEAD = 1 << 16
_BOMS = {b"\xff\xfe\0\0": "UTF-32", b"\0\0\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_UTF8_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"
_JSON = json.JSONDecoder()
_MEND_JSON = "mend its JSON, or name the right --format"


Check = Callable[[Sequence[str], str], None]
"""Refuses a table for its columns, given their names and what the source is called."""


class Row(NamedTuple):
    """One row of a source, or why it is none."""

    place: str
    """Where it stands in its source: 'line 3'."""
    value: object
    fault: str
    """Why the row cannot be read; empty where it can."""


def rows_of_source(source: str, shown: str, format: str | None, check: Check | None) -> Iterator[Row]:
    """The rows of a source; whatever the system or a decoder says of it becomes one clear error."""
    with clear_errors(shown), opened(source) as raw:
        yield from rows_of_stream(raw, source, shown, format, check)


def opened(source: str) -> AbstractContextManager[IO[bytes]]:
    """The bytes of a file or, for `-`, of stdin."""
    return nullcontext(sys.stdin.buffer) if source == "-" else open(source, "rb")


@contextmanager
def clear_errors(shown: str) -> Iterator[None]:
    """Turn what the system or gzip says of a source into one clear error."""
    try:
        yield
    except FileNotFoundError:
        raise UnreadableSourceError(shown, "there is no such file", "check the path") from None
    except IsADirectoryError:
        raise UnreadableSourceError(
            shown, "it is a folder", f"name the files in it, such as {shown.rstrip('/')}/*.jsonl"
        ) from None
    except PermissionError:
        raise UnreadableSourceError(shown, "you may not read it (permission denied)", "change its rights or copy it") from None
    except EOFError:
        raise UnreadableSourceError(shown, "the gzip file is truncated: it ends too early", "fetch or write it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UnreadableSourceError(shown, f"the gzip file is damaged ({error})", "fetch or write it again") from None
    except OSError as error:
        raise UnreadableSourceError(
            shown, f"it cannot be read ({error.strerror or error})", "check the file and the disk"
        ) from None


def rows_of_stream(raw: IO[bytes], source: str, shown: str, format: str | None, check: Check | None) -> Iterator[Row]:
    """The rows of an open source, plain or gzipped; `source` is there for its ending."""
    head, stream, packed = unpacked(raw)
    kind = format or _format_of(source, head, shown, otherwise="" if check else "csv")
    if kind == "parquet":
        if raw.seekable() and not packed:
            raw.seek(0)
        yield from _parquet_rows(raw if raw.seekable() and not packed else stream, shown, check)
        return
    _check_encoding(head, shown)
    if head.startswith(_UTF8_BOM):
        stream.read(len(_UTF8_BOM))
    if kind == "csv":
        yield from _csv_rows(stream, shown, check)
    elif kind == "json" and not _is_json_lines(head):
        yield from _json_rows(stream, shown)
    else:
        yield from _jsonl_rows(stream, shown)


def _check_encoding(head: bytes, shown: str) -> None:
    name = next((name for bom, name in _BOMS.items() if head.startswith(bom)), "UTF-16" if b"\0" in head[:2] else "")
    if name:
        raise UnreadableSourceError(shown, f"it is {name}, not UTF-8", f"write it as UTF-8, such as: iconv -f {name} -t UTF-8")


class _Rejoined(io.RawIOBase):
    """A stream whose first bytes have been read already, from its beginning again."""

    def __init__(self, head: bytes, rest: IO[bytes] | gzip.GzipFile) -> None:
        self._head = memoryview(head)
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._head[: len(buffer)] if self._head else self._rest.read(len(buffer))
        self._head = self._head[len(chunk) :]
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _with_head(stream: IO[bytes] | gzip.GzipFile) -> tuple[bytes, io.BufferedReader]:
    head = stream.read(_HEAD)
    return head, io.BufferedReader(_Rejoined(head, stream), _HEAD)


def unpacked(raw: IO[bytes]) -> tuple[bytes, IO[bytes], bool]:
    """The first bytes of a stream without its gzip, the stream from its beginning, and whether it was gzipped."""
    head, stream = _with_head(raw)
    if head[:2] != b"\x1f\x8b":
        return head, stream, False
    return *_with_head(gzip.GzipFile(fileobj=stream)), True


def _format_of(source: str, head: bytes, shown: str, *, otherwise: str) -> str:
    endings = [suffix.lower().lstrip(".") for suffix in Path(source).suffixes]
    if endings and endings[-1] == "gz":
        endings.pop()
    if source != "-" and endings and endings[-1] in FORMATS:
        return FORMATS[endings[-1]]
    first = head.removeprefix(_UTF8_BOM).lstrip(_BLANK)[:1]
    if head[:4] == b"PAR1":
        return "parquet"
    if first == b"[":
        return "json"
    if first == b"{" or not first:
        return "jsonl"
    if head[:2] in _BOMS or b"\0" in head[:2]:
        return "jsonl"  # refused for its encoding, with a better reason than the format
    if otherwise:
        return otherwise
    reason = "neither its ending nor its first character tells its format"
    raise UnreadableSourceError(shown, reason, "say it with --format jsonl, json, csv or parquet")


def text_lines(stream: IO[bytes], shown: str) -> Iterator[str]:
    """Lines of a stream as text, each with its line end.

    UnreadableSourceError where a line is too long or not UTF-8.
    """
    number = offset = 0
    while line := stream.readline(LINE_LIMIT + 1):
        number += 1
        if len(line) > LINE_LIMIT:
            reason = f"line {number} is longer than {LINE_LIMIT >> 20} MiB, so this is hardly one row a line"
            raise UnreadableSourceError(shown, reason, "if it is one JSON array say --format json, else split it into lines")
        yield _decoded(line, shown, f"line {number}", offset)
        offset += len(line)


def _decoded(chunk: bytes, shown: str, place: str, offset: int) -> str:
    try:
        return chunk.decode()
    except UnicodeDecodeError as error:
        reason = f"it is not UTF-8 at byte {offset + error.start} ({place})"
        remedy = "write it as UTF-8, such as: iconv -f WINDOWS-1252 -t UTF-8"
        raise UnreadableSourceError(shown, reason, remedy) from None


def _json_fault(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "its JSON is nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        return f"its JSON is broken: {error.msg}"
    return f"its JSON is broken: {error}"


def _jsonl_rows(stream: IO[bytes], shown: str) -> Iterator[Row]:
    for number, line in enumerate(text_lines(stream, shown), 1):
        if not line.strip():
            continue
        try:
            yield Row(f"line {number}", json.loads(line), "")
        except (ValueError, RecursionError) as error:
            yield Row(f"line {number}", None, _json_fault(error))


class _JsonText:
    """A window that slides over the text of a JSON file, so that one item at a time is in memory."""

    def __init__(self, stream: IO[bytes], shown: str) -> None:
        self._stream = stream
        self._shown = shown
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._at = 0
        self._bytes_read = 0
        self._ended = False

    def peek(self) -> str:
        """The next character that is no blank; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at].isspace():
                self._at += 1
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]
            self._read_on(_HEAD)

    def skip(self) -> None:
        """Leave the character that `peek` has shown."""
        self._at += 1

    def value(self, place: str) -> object:
        """The JSON value that begins here."""
        size = _HEAD
        while True:
            try:
                value, end = _JSON.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if self._ended or isinstance(error, RecursionError) or len(self._text) - self._at > LINE_LIMIT:
                    longer = "" if self._ended else f" (or it is longer than {LINE_LIMIT >> 20} MiB)"
                    raise UnreadableSourceError(self._shown, f"{place}: {_json_fault(error)}{longer}", _MEND_JSON) from None
            else:
                if end < len(self._text) or self._ended:  # a number could go on beyond the window
                    self._at = end
                    return cast("object", value)
            self._read_on(size)
            size *= 2

    def _read_on(self, size: int) -> None:
        chunk = self._stream.read(size)
        self._ended = not chunk
        try:
            self._text = self._text[self._at :] + self._decoder.decode(chunk, self._ended)
        except UnicodeDecodeError as error:
            _decoded(error.object, self._shown, "in its JSON", self._bytes_read + len(chunk) - len(error.object))
        self._at = 0
        self._bytes_read += len(chunk)


def _json_rows(stream: IO[bytes], shown: str) -> Iterator[Row]:
    """The items of an array, or objects one after the other that may spread over many lines."""
    text = _JsonText(stream, shown)
    opening = text.peek()
    if opening not in ("[", "{", ""):
        raise UnreadableSourceError(shown, f"it begins with {opening!r}, which is neither an array nor an object", _MEND_JSON)
    if opening == "[":
        text.skip()
    number = 0
    while (following := text.peek()) not in ("]", ""):
        number += 1
        yield Row(f"item {number}", text.value(f"item {number}"), "")
        following = text.peek()
        if opening == "[" and following == ",":
            text.skip()
        elif opening == "[" and following not in ("]", ""):
            raise UnreadableSourceError(shown, f"{following!r} follows item {number} where a comma is needed", _MEND_JSON)
    if opening == "[" and not following:
        raise UnreadableSourceError(shown, f"its JSON array ends too early, after item {number}", "fetch or write it again")


def _is_json_lines(head: bytes) -> bool:
    """Whether the first line is an object by itself; many a `.json` holds JSON Lines."""
    first, line_end, _ = head.removeprefix(_UTF8_BOM).lstrip(_BLANK).partition(b"\n")
    try:
        return bool(line_end) and isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _csv_rows(stream: IO[bytes], shown: str, check: Check | None) -> Iterator[Row]:
    csv.field_size_limit(LINE_LIMIT)  # the module's own limit, 128 KiB, is shorter than the longest real article
    lines = text_lines(stream, shown)
    blank = 0
    while (header := next(lines, "")) and not header.strip():
        blank += 1
    if not header:
        return
    reader = csv.reader(itertools.chain((header,), lines), delimiter=max(",;\t", key=header.count), strict=True)
    names: list[str] = []
    while True:
        place = f"line {blank + reader.line_num + 1}"
        try:
            cells = next(reader, None)
        except csv.Error as error:
            if "unexpected end" in str(error) or "field limit" in str(error):
                raise UnreadableSourceError(shown, f"a quote that {place} opens is never closed", "close it") from None
            yield Row(place, None, f"its CSV is broken: {error}")
            continue
        if cells is None:
            return
        if not names:
            names = [cell.strip() for cell in cells]
            if check:
                check(names, shown)
        elif len(cells) > len(names):
            yield Row(place, None, f"it has {len(cells)} cells where the header has {len(names)}; quote cells that hold a comma")
        elif any(cells):
            yield Row(place, dict(zip(names, cells, strict=False)), "")


def _parquet_rows(stream: IO[bytes], shown: str, check: Check | None) -> Iterator[Row]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UnreadableSourceError(shown, "Parquet needs pyarrow", "pip install 'recommender[parquet]'") from None
    with tempfile.TemporaryFile() as spool:
        file = stream
        if not stream.seekable():
            shutil.copyfileobj(stream, spool)
            file = spool
        number = 0
        try:
            table = pyarrow.parquet.ParquetFile(file, coerce_int96_timestamp_unit="us")
            if check:
                check(table.schema_arrow.names, shown)
            for batch in table.iter_batches(batch_size=500):
                for fields in _in_microseconds(batch).to_pylist():
                    number += 1
                    yield Row(f"row {number}", fields, "")
        except pyarrow.ArrowException as error:
            reason = f"it is no whole Parquet file ({str(error).splitlines()[0][:120]})"
            raise UnreadableSourceError(shown, reason, "fetch or write it again") from None


def _in_microseconds(batch: Any) -> Any:
    """The batch with moments that Python can hold: it knows no nanoseconds."""
    import pyarrow

    columns = [
        column.cast(pyarrow.timestamp("us", column.type.tz), safe=False) if pyarrow.types.is_timestamp(column.type) else column
        for column in batch.columns
    ]
    return pyarrow.RecordBatch.from_arrays(columns, names=batch.schema.names)
