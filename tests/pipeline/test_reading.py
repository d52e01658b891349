"""Step 1, the files: sources -> Article."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.errors import InvalidRowsError, UnreadableSourceError
from recommender.pipeline import formats
from recommender.pipeline.reading import read_articles

ROWS = [
    {"id": "a1", "title": "Ferry runs", "body": 'It runs, "at last".\nSlowly.', "published": "2024-06-19"},
    {"id": "a2", "title": "Fähre fährt", "body": "Über den Fluss; ganz sacht.", "published": ""},
]
IDS = ["a1", "a2"]


def as_jsonl(rows: list[dict[str, str]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def as_csv(rows: list[dict[str, str]], delimiter: str = ",") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_parquet(rows: list[dict[str, str]]) -> bytes:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    sink = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), sink)
    return sink.getvalue()


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def feed_stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(content)))


def refusal(*sources: Path | str, **options: str) -> str:
    """The one line with which the sources are refused."""
    with pytest.raises(UnreadableSourceError) as caught:
        list(read_articles(sources, **options))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


FILES = {
    "a.jsonl": as_jsonl,
    "a.ndjson": as_jsonl,
    "lines.json": as_jsonl,
    "a.json": lambda rows: json.dumps(rows).encode(),
    "indented.json": lambda rows: json.dumps(rows, indent=2, ensure_ascii=False).encode(),
    "one-after-the-other.json": lambda rows: "\n".join(json.dumps(row, indent=1) for row in rows).encode(),
    "a.csv": as_csv,
    "semicolons.csv": lambda rows: as_csv(rows, ";"),
    "a.tsv": lambda rows: as_csv(rows, "\t"),
    "a.parquet": as_parquet,
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", FILES)
def test_one_archive_is_the_same_in_every_format(tmp_path: Path, name: str, packed: bool) -> None:
    """JSON Lines, JSON, CSV and Parquet give the very articles, packed or not, and nothing is told."""
    content = FILES[name](ROWS)
    path = written(tmp_path, name + (".gz" if packed else ""), gzip.compress(content) if packed else content)
    notices: list[str] = []
    articles = list(read_articles([path], notice=notices.append))
    assert [(one.id, one.title, one.body) for one in articles] == [(row["id"], row["title"], row["body"]) for row in ROWS]
    assert [one.published and one.published.date().isoformat() for one in articles] == ["2024-06-19", None]
    assert notices == []


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.parquet"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_stdin_needs_no_name(monkeypatch: pytest.MonkeyPatch, name: str, packed: bool) -> None:
    """The first character tells what comes in by the pipe; gzip is unpacked."""
    content = b"" if name == "a.parquet" else b"\n \n"
    content += FILES[name](ROWS)
    feed_stdin(monkeypatch, gzip.compress(content) if packed else content)
    assert [one.id for one in read_articles(["-"])] == IDS


def test_csv_by_stdin_takes_a_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """No first character tells CSV: without a format it is refused, with one it is read."""
    feed_stdin(monkeypatch, as_csv(ROWS))
    assert "--format" in refusal("-")
    feed_stdin(monkeypatch, as_csv(ROWS))
    assert [one.id for one in read_articles(["-"], format="CSV")] == IDS


def test_the_format_overrules_the_ending(tmp_path: Path) -> None:
    """A CSV file that is called .json is read as what the caller says."""
    assert [one.id for one in read_articles([written(tmp_path, "a.json", as_csv(ROWS))], format="csv")] == IDS


def test_an_unknown_format_is_refused_at_once() -> None:
    """Before any file is opened, with the names that are known."""
    with pytest.raises(UnreadableSourceError, match=r"xml.*jsonl.*parquet"):
        read_articles(["nowhere"], format="xml")


def test_an_odd_ending_is_sniffed(tmp_path: Path) -> None:
    """A file without a known ending is read by its first character."""
    assert [one.id for one in read_articles([written(tmp_path, "dump.2024", as_jsonl(ROWS))])] == IDS
    assert "--format" in refusal(written(tmp_path, "dump.txt", b"some words"))


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv"])
def test_a_byte_order_mark_is_not_part_of_the_text(tmp_path: Path, name: str) -> None:
    """What Windows writes in front of UTF-8 does not hide the first field."""
    assert [one.id for one in read_articles([written(tmp_path, name, b"\xef\xbb\xbf" + FILES[name](ROWS))])] == IDS


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.dump"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_encodings_are_named(tmp_path: Path, name: str, encoding: str) -> None:
    """UTF-16 is refused as UTF-16, with the way out."""
    content = FILES.get(name, as_jsonl)(ROWS).decode().encode(encoding)
    message = refusal(written(tmp_path, name, content))
    assert encoding[:6].upper() in message or encoding == "utf-32"
    assert "UTF-8" in message
    assert "iconv" in message


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "indented.json", "a.csv"])
def test_what_is_not_utf8_is_refused_with_the_byte(tmp_path: Path, name: str) -> None:
    """The first byte that cannot be is named as a count of bytes from the beginning, as a hex editor shows it."""
    content = FILES[name](ROWS) if name != "a.json" else json.dumps(ROWS, ensure_ascii=False).encode()
    broken = content.replace("Ä".lower().encode(), b"\xe4", 1)
    message = refusal(written(tmp_path, name, broken))
    assert f"byte {broken.index(bytes([0xE4]))} " in message
    assert "iconv" in message


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv"])
@pytest.mark.parametrize("content", [b"", b"\n\n", gzip.compress(b"")], ids=["nothing", "blank", "packed nothing"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    """No rows at all is an error that names the file."""
    path = written(tmp_path, name, content)
    assert refusal(path).startswith(f"{path}: it holds no rows")


def test_a_header_or_an_empty_list_is_as_empty(tmp_path: Path) -> None:
    """A CSV of a header alone and the JSON array [] hold no rows either."""
    assert "no rows" in refusal(written(tmp_path, "a.csv", b"id,title\n"))
    assert "no rows" in refusal(written(tmp_path, "a.json", b"[ ]"))
    assert "no rows" in refusal(written(tmp_path, "a.dump", b""))


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    """Each with its name and what to do."""
    assert f"{tmp_path}: it is a folder" in refusal(tmp_path)
    assert "there is no such file" in refusal(tmp_path / "none.jsonl")


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's refusal becomes one line."""

    def forbid(*_: object) -> Iterator[bytes]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", forbid)
    assert "permission denied" in refusal(tmp_path / "secret.jsonl")


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.parquet"])
@pytest.mark.parametrize("rows", [2, 5000])
def test_a_truncated_gzip_is_called_that(tmp_path: Path, name: str, rows: int) -> None:
    """Half of a packed file is refused as truncated, whether it breaks in the first block or later."""
    many = [{"id": f"a{number}", "title": f"Ferry {number * 7919 % 10007} runs"} for number in range(rows)]
    packed = gzip.compress(FILES[name](many))
    assert "truncated" in refusal(written(tmp_path, f"{name}.gz", packed[: len(packed) // 2]))


def test_a_damaged_gzip_is_called_that(tmp_path: Path) -> None:
    """A wrong checksum is found."""
    packed = bytearray(gzip.compress(as_jsonl(ROWS)))
    packed[-8] ^= 0xFF
    assert "damaged" in refusal(written(tmp_path, "a.jsonl.gz", bytes(packed)))


@pytest.mark.parametrize("mebibytes", [1, 32])
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.dump"])
def test_a_huge_line_is_refused_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, mebibytes: int
) -> None:
    """50 MB without a line break cost less than thrice the limit of a line, whatever the limit is."""
    monkeypatch.setattr(formats, "LINE_LIMIT", mebibytes * 2**20)
    path = written(tmp_path, name, (b'{"id": "' if name != "a.csv" else b'id,title\n"') + b"x" * 50_000_000)
    tracemalloc.start()
    message = refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert f"longer than {mebibytes} MiB" in message
    assert peak < 3 * formats.LINE_LIMIT


@pytest.mark.parametrize("blanks", range(65_530, 65_540))
def test_a_number_at_the_edge_of_the_window_is_one_item(tmp_path: Path, blanks: int) -> None:
    """The array [1234], pushed over the end of what is read at once, has one invalid row."""
    with pytest.raises(InvalidRowsError) as caught:
        list(read_articles([written(tmp_path, "a.json", b"[" + b" " * blanks + b"1234]")]))
    assert caught.value.total == 1


def test_a_long_array_on_one_line_is_read(tmp_path: Path) -> None:
    """A JSON array may be one line of any length: only its items are limited, and they are held one at a time."""
    rows = [{"id": str(number), "body": f"{number} " + "word " * 2000} for number in range(4000)]
    path = written(tmp_path, "a.json", json.dumps(rows).encode())
    del rows
    assert path.stat().st_size > 40_000_000
    tracemalloc.start()
    count = sum(1 for _ in read_articles([path]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 4000
    assert peak < 3_000_000


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_rows_are_not_held(tmp_path: Path, name: str) -> None:
    """20 MB of rows pass through less than 2 MB of memory."""
    rows = [{"id": str(number), "body": "word " * 1000} for number in range(4000)]
    path = written(tmp_path, name, FILES[name](rows))
    del rows
    tracemalloc.start()
    count = sum(1 for _ in read_articles([path]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 4000
    assert peak < 2_000_000


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    """The first article is there though the second source is missing."""
    articles = read_articles([written(tmp_path, "a.jsonl", as_jsonl(ROWS)), tmp_path / "none.jsonl"])
    assert next(articles).id == "a1"


BAD_LINES = """{"id": "a1", "title": "good"}
{"id": "a2", "title": ""}
{"id": "a3"
["a4"]

{"title": "no id"}
{"id": "a6", "title": "t", "published": "soon"}
{"id": "a7", "title": "good"}
"""


def test_invalid_rows_are_listed_when_all_is_read(tmp_path: Path) -> None:
    """The good articles come first, then one error with file, line, id and reason of each bad row."""
    path = written(tmp_path, "a.jsonl", BAD_LINES.encode())
    articles = read_articles([path])
    assert [next(articles).id, next(articles).id] == ["a1", "a7"]
    with pytest.raises(InvalidRowsError) as caught:
        next(articles)
    assert caught.value.total == 5
    assert [line.split(": ")[0] for line in caught.value.first] == [
        f"{path}, line 2, id 'a2'",
        f"{path}, line 3",
        f"{path}, line 4",
        f"{path}, line 6",
        f"{path}, line 7, id 'a6'",
    ]
    assert [
        word in line for word, line in zip(["neither", "JSON", "object", "no id", "soon"], caught.value.first, strict=True)
    ] == [True] * 5


def test_only_the_first_ten_invalid_rows_are_listed(tmp_path: Path) -> None:
    """Over all sources; the total counts every one."""
    paths = [written(tmp_path, f"{name}.jsonl", b"{}\n" * 30) for name in "ab"]
    with pytest.raises(InvalidRowsError) as caught:
        list(read_articles(paths))
    assert (caught.value.total, len(caught.value.first)) == (60, 10)


def test_invalid_rows_can_be_left_out(tmp_path: Path) -> None:
    """One notice tells how many, and the first reason."""
    notices: list[str] = []
    path = written(tmp_path, "a.jsonl", BAD_LINES.encode())
    assert [one.id for one in read_articles([path], skip_invalid=True, notice=notices.append)] == ["a1", "a7"]
    assert len(notices) == 1
    assert notices[0].startswith(f"5 invalid rows left out; the first: {path}, line 2, id 'a2': neither")


def test_an_input_without_one_valid_row_is_refused_even_so(tmp_path: Path) -> None:
    """Leaving out every row would leave nothing."""
    path = written(tmp_path, "a.jsonl", b"{}\n[]\n")
    with pytest.raises(UnreadableSourceError, match="none of the 2 rows"):
        list(read_articles([path], skip_invalid=True))


def test_ignored_fields_are_told_once(tmp_path: Path) -> None:
    """One notice for all rows and sources names them in order."""
    notices: list[str] = []
    one = written(tmp_path, "a.jsonl", b'{"id": 1, "title": "t", "zebra": 1}\n{"id": 2, "title": "t", "ape": 1}\n')
    two = written(tmp_path, "b.csv", b"id,title,ape,bee\n3,t,x,y\n")
    assert len(list(read_articles([one, two], notice=notices.append))) == 3
    assert notices == ["fields that are not used: ape, bee, zebra"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('[{"id": "a1", "title": "t"}, {"id": "a2", "ti', "item 2"),
        ('[{"id": "a1", "title": "t"}', "ends too early, after item 1"),
        ('[{"id": "a1", "title": "t"} {"id": "a2"}]', "a comma is needed"),
        ('[{"id": "a1", "title": t}]', "item 1: its JSON is broken"),
        ('"text"', "neither an array nor an object"),
        ('{"id": "a1",\n"title": }', "item 1: its JSON is broken"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_broken_json_is_refused_with_its_place(tmp_path: Path, content: str, reason: str) -> None:
    """An array that is cut off or ill-formed cannot be gone on with."""
    assert reason in refusal(written(tmp_path, "a.json", content.encode()))


def test_items_of_an_array_that_are_no_articles_are_invalid_rows(tmp_path: Path) -> None:
    """Numbers and texts in the list are counted by their place."""
    path = written(tmp_path, "a.json", b'[12, {"id": "a2", "title": "t"}, "x", 3.5]')
    with pytest.raises(InvalidRowsError) as caught:
        list(read_articles([path]))
    assert [line.split(":")[0] for line in caught.value.first] == [f"{path}, item {number}" for number in (1, 3, 4)]


@given(
    rows=st.lists(st.tuples(st.text(min_size=1), st.integers(0, 200_000)), min_size=1, max_size=6),
    spaces=st.sampled_from([None, 1]),
)
def test_the_window_over_an_array_loses_nothing(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int]], spaces: int | None
) -> None:
    """Items of any length, split anywhere by the reading, are those that the json module reads at once."""
    items = [{"id": f"{number}", "title": "t" + text, "body": "é" * length} for number, (text, length) in enumerate(rows)]
    text = json.dumps(items, indent=spaces)
    path = written(tmp_path_factory.mktemp("window"), "a.json", text.encode())
    assert [(one.id, one.title, one.body) for one in read_articles([path])] == [
        (item["id"], item["title"], item["body"]) for item in json.loads(text)
    ]


def test_a_csv_without_ids_is_refused(tmp_path: Path) -> None:
    """The columns are named; the same for Parquet."""
    message = refusal(written(tmp_path, "a.csv", b"title,body\nt,b\n"))
    assert "no id column" in message
    assert "title, body" in message
    assert "no id column" in refusal(written(tmp_path, "a.parquet", as_parquet([{"title": "t"}])))


def test_long_cells_of_a_csv_are_read(tmp_path: Path) -> None:
    """A cell of 1 MB is above the csv module's own limit of 131,072 characters."""
    path = written(tmp_path, "a.csv", b'id,body\na1,"' + b"word " * 200_000 + b'"\n')
    assert len(next(iter(read_articles([path]))).body) == 1_000_000


def test_bad_rows_of_a_csv_are_listed_by_the_line_they_begin_on(tmp_path: Path) -> None:
    """A cell with a line break counts as the lines it fills."""
    path = written(tmp_path, "a.csv", b'id,title\na1,"two\nlines"\na2,too,many\n,none\na4,"x"y\na5,good\n')
    articles = read_articles([path])
    assert [next(articles).id, next(articles).id] == ["a1", "a5"]
    with pytest.raises(InvalidRowsError) as caught:
        next(articles)
    assert [line.split(":")[0] for line in caught.value.first] == [f"{path}, line {number}" for number in (4, 5, 6)]


def test_a_quote_that_is_never_closed_does_not_swallow_the_rest(tmp_path: Path) -> None:
    """It is refused with the line that opens it."""
    path = written(tmp_path, "a.csv", b'id,title\na1,good\na2,"open\n' + b"a3,good\n" * 50)
    assert "line 3 opens is never closed" in refusal(path)


def test_parquet_keeps_types(tmp_path: Path) -> None:
    """Numbers as ids, moments with nanoseconds and lists come through."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table(
        {
            "id": pyarrow.array([7], pyarrow.int64()),
            "title": ["Ferry"],
            "published": pyarrow.array([1_625_136_660_123_456_789], pyarrow.timestamp("ns", "Europe/Berlin")),
            "tags": [["ferry", "harbour"]],
        }
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    article = next(iter(read_articles([tmp_path / "a.parquet"])))
    assert (article.id, article.tags) == ("7", ("ferry", "harbour"))
    assert article.published is not None
    assert article.published.isoformat() == "2021-07-01T10:51:00.123456+00:00"


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    """A cut file and a text file under that ending."""
    assert "no whole Parquet" in refusal(written(tmp_path, "a.parquet", as_parquet(ROWS)[:-20]))
    assert "no whole Parquet" in refusal(written(tmp_path, "b.parquet", b"id,title\n"))


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The optional extra is named."""
    path = written(tmp_path, "a.parquet", as_parquet(ROWS))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install 'recommender[parquet]'" in refusal(path)


@pytest.mark.parametrize(
    "line", [b"[" * 100_000, b"1" * 5000, b'{"id": "\\ud800", "title": "t"}', b'{"id": "a", "title": NaN}', b"null"]
)
def test_odd_lines_are_invalid_rows_and_no_crash(tmp_path: Path, line: bytes) -> None:
    """Deep nesting, endless numbers, half characters and NaN are told by line."""
    path = written(tmp_path, "a.jsonl", b'{"id": "ok", "title": "t"}\n' + line + b"\n")
    with pytest.raises(InvalidRowsError, match="line 2"):
        list(read_articles([path]))
