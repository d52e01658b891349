"""Sources of any kind: files and folders, told apart by what they hold."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import get_args

import pytest

from recommender import RecommenderError, read_articles
from recommender.errors import InvalidRowsError
from recommender.pipeline.formats import FORMATS
from recommender.shell import SourceFormat
from recommender.sources.http import Manners
from recommender.sources.opening import KINDS_OF_ADDRESSES
from recommender.sources.recognising import KINDS, kind_of
from tests.sources.exports import HEAD, export, ids, item, rss, written
from tests.sources.site import Site

TEXT = "The kiln was fired on Sunday. " * 9
PAGE = f"<html><head><link rel=canonical href='https://n.example/{{0}}'></head><body><p>{TEXT}</body></html>"
JSON_FEED = '{"version": "https://jsonfeed.org/version/1.1", "items": []}'


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.xml", HEAD, "wxr"),
        ("a.xml", HEAD.encode("utf-16"), "wxr"),
        ("a.xml", "<?xml version='1.0'?>\n<!-- <html> -->\n<rss version='2.0'>", "feed"),
        ("a", '<!DOCTYPE rss PUBLIC "-//Netscape//DTD RSS 0.91//EN" "x.dtd"><rss>', "feed"),
        ("a.xml", '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">', "feed"),
        ("a.atom", "<atom:feed xmlns:atom='http://www.w3.org/2005/Atom'>", "feed"),
        ("a.json", JSON_FEED, "feed"),
        ("a.json", JSON_FEED.replace("/", r"\/"), "feed"),
        ("a", "\n<!DOCTYPE HTML>\n<title>x</title>", "html"),
        ("a.xml", '<?xml version="1.0"?><!DOCTYPE html PUBLIC "x" "y"><html>', "html"),
        ("a", "<!DOCTYPE  html>\n<title>x</title>", "html"),
        ("a", "<!DOCTYPE\r\n html><p>x", "html"),
        ("a.php.html", "no markup", "html"),
        ("a.md", "# text", "markdown"),
        ("a", "---\ntitle: x\n---\n", "markdown"),
        ("a", "+++\ntitle = 'x'\n+++\n", "markdown"),
        ("a.csv", "---\nid,title", None),
        ("a.csv", "<html>,id", None),
        ("a.jsonl.gz", JSON_FEED, None),
        ("a", '{"id": "a"}', None),
        ("a.json", '[{"version": "https://jsonfeed.org/version/1"}]', None),
    ],
)
def test_a_file_is_known_by_what_it_holds_and_its_ending(name: str, content: str | bytes, expected: str | None) -> None:
    """None stands for a table."""
    assert kind_of(name, content.encode() if isinstance(content, str) else content, name) == expected


def test_the_format_that_is_named_counts(tmp_path: Path) -> None:
    """Whatever the file is called and holds."""
    assert ids(written(tmp_path, "a.csv", export(item(1))), format="wxr") == ["1"]
    assert ids(written(tmp_path, "a.csv", PAGE.format("kiln")), format="HTML") == ["kiln"]
    assert ids(written(tmp_path, "a.md", '{"id": "a", "title": "x"}'), format="jsonl") == ["a"]
    with pytest.raises(RecommenderError, match=r"name one of jsonl, .*, wxr, feed, html, markdown, wordpress, sitemap, list"):
        ids(tmp_path / "a", format="docx")


def test_the_formats_of_the_command_line_are_those_that_can_be_read() -> None:
    """--format of `build` and `add` takes every name, and no other."""
    assert set(get_args(SourceFormat)) == {*FORMATS, *KINDS, *KINDS_OF_ADDRESSES}


@pytest.mark.parametrize(
    ("format", "content", "expected"),
    [
        ("jsonl", b'{"id": "a", "title": "x"}\n', ["a"]),
        ("csv", b"id,title\na,x\nb,y\n", ["a", "b"]),
        ("csv", gzip.compress(b"id,title\na,x\n"), ["a"]),
        ("wxr", export(item(1), item(2)), ["1", "2"]),
        ("feed", rss("<item><guid>f</guid><title>x</title></item>"), ["f"]),
        ("html", PAGE.format("kiln").encode(), ["kiln"]),
        ("markdown", b"---\nid: m\n---\n# A kiln\n", ["m"]),
        ("list", b"{at}/page\n", ["kiln"]),
        ("sitemap", b"<urlset><url><loc>{at}/page</loc></url></urlset>", ["kiln"]),
        ("wordpress", b"<urlset></urlset>", ["1", "2", "3", "4", "5", "6"]),
    ],
)
def test_the_format_that_is_named_counts_for_addresses_too(site: Site, format: str, content: bytes, expected: list[str]) -> None:
    """Whatever stands there looks like: here each behind an address that tells nothing, WordPress behind an empty sitemap."""
    path = "/" if format == "wordpress" else "/there"
    site.pages["/page"] = (PAGE.format("kiln").encode(), {})
    if format != "wordpress":
        site.pages[path] = (content.replace(b"{at}", site.address.encode()), {})
    found = read_articles([site.address + path], format=format, manners=Manners(rate=10_000))
    assert [one.id for one in found] == expected


def test_what_only_an_address_can_be_is_no_format_of_a_file(tmp_path: Path) -> None:
    """And says so in one line."""
    with pytest.raises(RecommenderError, match=r"no address of the web, which is what --format sitemap is for; name https://"):
        ids(written(tmp_path, "a.xml", "<urlset/>"), format="sitemap")


def test_sources_of_several_kinds_go_together(tmp_path: Path) -> None:
    """In the order in which they are named."""
    feed = written(tmp_path, "feed.xml.gz", gzip.compress(rss("<item><guid>f</guid><title>x</title></item>")))
    table = written(tmp_path, "a.jsonl", '{"id": "t", "title": "x"}')
    pages = written(tmp_path, "site/kiln.html", PAGE.format("kiln")).parent
    assert [one.id for one in read_articles([feed, table, pages])] == ["f", "t", "kiln"]


def test_a_folder_is_read_by_name_and_its_other_files_are_counted(tmp_path: Path) -> None:
    """Hidden files and folders are not seen; gzipped pages are read."""
    for name in ("b.html", "a/c.htm", ".hidden.html", ".git/d.html"):
        written(tmp_path, name, PAGE.format(""))
    written(tmp_path, "a/b.html.gz", gzip.compress(PAGE.format("").encode()))
    written(tmp_path, "style.css", "")
    written(tmp_path, "notes.md", "x")
    notices: list[str] = []
    assert [one.id for one in read_articles([tmp_path], notice=notices.append)] == ["b", "a/b", "a/c"]
    assert notices == [f"{tmp_path}: a folder of 3 saved pages; 2 other files are left alone"]


def test_links_in_a_circle_and_into_nothing_end(tmp_path: Path) -> None:
    """A linked folder is not entered; a link to nothing is a row that cannot be read."""
    written(tmp_path, "a.html", PAGE.format("a"))
    (tmp_path / "round").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "self.html").symlink_to("self.html")
    (tmp_path / "lost.html").symlink_to("nowhere.html")
    with pytest.raises(InvalidRowsError) as caught:
        ids(tmp_path)
    assert caught.value.total == 2
    assert ids(tmp_path, skip_invalid=True) == ["a"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_pipe_or_a_device_in_a_folder_is_not_waited_for(tmp_path: Path) -> None:
    """They are rows that cannot be read."""
    written(tmp_path, "a.html", PAGE.format("a"))
    os.mkfifo(tmp_path / "pipe.html")
    (tmp_path / "zero.html").symlink_to("/dev/zero")
    with pytest.raises(InvalidRowsError, match="a pipe or a device") as caught:
        ids(tmp_path)
    assert caught.value.total == 2


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="it needs a file that nobody can read, as Linux has")
def test_a_file_that_nobody_can_read_is_a_row_to_skip(tmp_path: Path) -> None:
    """Not even root: the line names it, says why and what next; the others are read."""
    written(tmp_path, "a.html", PAGE.format("a"))
    (tmp_path / "b.html").symlink_to("/proc/self/mem")
    written(tmp_path, "c.html/d.html", PAGE.format("d"))  # a folder that is called like a page
    with pytest.raises(InvalidRowsError) as caught:
        ids(tmp_path)
    assert caught.value.first == (f"{tmp_path}, b.html: it cannot be read (Input/output error)",)
    assert "go on without it with --skip-invalid" in str(caught.value)
    assert ids(tmp_path, skip_invalid=True) == ["a", "d"]


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there are no devices here")
@pytest.mark.parametrize("format", [None, "jsonl", "csv", "json", "feed", "html", "markdown", "wxr"])
@pytest.mark.parametrize("target", ["nowhere", "self", "/dev/null", "/dev/zero", "/proc/self/mem", "folder"])
def test_a_source_that_is_no_file_ends_in_one_line(tmp_path: Path, target: str, format: str | None) -> None:
    """A link to nothing or to itself, a device that is empty or has no end, a file that cannot be read, a folder: the line
    names it; what next follows, or stands before it where it is one row of a source that could be skipped."""
    (tmp_path / "folder").mkdir()
    source = tmp_path / "self"
    source.symlink_to(target)
    with pytest.raises(RecommenderError) as caught:
        ids(source, **({} if format is None else {"format": format}))
    *head, line = str(caught.value).split("\n")
    assert re.fullmatch(rf" *{source}[:,] .{{10,}}", line)
    assert "; " in line if not head else head[0].endswith("go on without it with --skip-invalid:")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_pipe_with_a_name_is_read_as_it_is_filled(tmp_path: Path) -> None:
    """A pipe that somebody names is waited for, for somebody else fills it; a folder of pages is the place where it is not."""
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    filled = threading.Thread(target=lambda: pipe.write_text('{"id": "a", "title": "x"}\n'))
    filled.start()
    assert ids(pipe) == ["a"]
    filled.join()


@pytest.mark.parametrize("case", ["too long", "cut gzip", "bomb"])
def test_a_file_that_cannot_be_read_does_not_end_the_others(tmp_path: Path, case: str) -> None:
    """Files of 17 MB, truncated gzip, 2 GB in 2 MB: each is a row to skip."""
    content = {
        "too long": b"<p>" + b"x" * 17 * 2**20,
        "cut gzip": gzip.compress(PAGE.encode() * 99)[:-20],
        "bomb": gzip.compress(b"<p>" * 2**24, 1),
    }[case]
    written(tmp_path, "a.html", PAGE.format("a"))
    written(tmp_path, "b.html", content)
    with pytest.raises(InvalidRowsError, match=r"b\.html: it (cannot be read|is longer)") as caught:
        ids(tmp_path)
    assert caught.value.total == 1


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    """And a file in one is a row to skip."""
    written(tmp_path, "a.html", PAGE.format("a"))
    written(tmp_path, "b.html", PAGE.format("b")).chmod(0)
    assert ids(tmp_path, skip_invalid=True) == ["a"]
    written(tmp_path, "in/a.html", PAGE.format("a")).parent.chmod(0)
    with pytest.raises(RecommenderError, match="Permission denied"):
        ids(tmp_path)


@pytest.mark.parametrize(
    ("files", "format", "why"),
    [
        ({}, None, "a folder without files"),
        ({"a.jsonl": "{}"}, None, r"none of its 1 files .* name the files in it, such as .*/\*\.jsonl"),
        ({"a.jsonl": "{}"}, "jsonl", "it is a folder; name the files in it"),
        ({"a.html": "<p>"}, "markdown", "no rows"),
        ({"a.md": "---\ndraft: true\n---\n"}, None, "drafts only"),
    ],
)
def test_a_folder_without_articles_is_refused(tmp_path: Path, files: dict[str, str], format: str | None, why: str) -> None:
    """Each with what to do next."""
    for name, content in files.items():
        written(tmp_path, name, content)
    with pytest.raises(RecommenderError, match=why) as caught:
        list(read_articles([tmp_path], format=format))
    assert "\n" not in str(caught.value)


def test_of_two_pages_with_one_address_both_are_read(tmp_path: Path) -> None:
    """Which counts is said where articles are written: the later."""
    written(tmp_path, "a.html", PAGE.format("kiln"))
    written(tmp_path, "b.html", PAGE.format("kiln"))
    assert ids(tmp_path) == ["kiln", "kiln"]


def test_a_table_needs_none_of_the_libraries_of_sites(tmp_path: Path) -> None:
    """Reading JSON Lines loads no parser of pages, feeds or Markdown; without them a feed is refused with what to install."""
    table = written(tmp_path, "a.jsonl", '{"id": "t", "title": "x"}')
    feed = written(tmp_path, "feed.xml", rss())
    page = written(tmp_path, "a.html", PAGE)
    code = f"""
import sys
from recommender import RecommenderError, read_articles
names = ["trafilatura", "feedparser", "defusedxml", "yaml", "markdown_it", "lxml"]
assert len(list(read_articles([{str(table)!r}]))) == 1
print([name for name in names if name in sys.modules])
sys.modules.update(dict.fromkeys(names))
for one in ({str(feed)!r}, {str(page)!r}):
    try:
        list(read_articles([one]))
    except RecommenderError as error:
        print(str(error).removeprefix(one))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "[]",
        ": a feed needs feedparser; pip install 'recommender[sites]'",
        ": saved pages need trafilatura; pip install 'recommender[sites]'",
    ]
