"""What a person sees of sources on the web: options, what is recognised, what is left out, and one line at the end."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from recommender.cli import app
from recommender.storage.folder import MANIFEST
from tests.sources.exports import rss
from tests.sources.site import Site

TEXT = "The kiln was fired on Sunday, said the potter of Marsh Point, and the glaze held. " * 4


class Done(NamedTuple):
    """What a command has left behind."""

    code: int
    out: str
    lines: list[str]


def run(*arguments: str | Path) -> Done:
    """A command in this process; its stderr as lines."""
    done = CliRunner().invoke(app, [*map(str, arguments)])
    return Done(done.exit_code, done.stdout, done.stderr.splitlines())


def put_page(site: Site, number: int) -> None:
    site.pages[f"/{number}"] = (f"<html><body><h1>Kiln {number}</h1><p>{TEXT} Number {number}.</p></body></html>".encode(), {})


def test_a_site_is_asked_no_faster_than_is_said(site: Site, tmp_path: Path) -> None:
    """`build --rate 20`: three requests take a tenth of a second at least, and the summary comes last."""
    started = time.monotonic()
    done = run("build", site.address, "--index", tmp_path / "index", "--rate", "20")
    assert time.monotonic() - started >= 0.1
    assert (done.code, done.out) == (0, "")
    assert done.lines[0] == f"{site.address}: a WordPress site (REST API)"
    assert re.fullmatch(rf"built {tmp_path}/index: 6 articles, \d threads, .* s", done.lines[-1])


@pytest.mark.parametrize("command", ["build", "add"])
def test_another_host_is_asked_only_where_that_is_said(site: Site, tmp_path: Path, command: str) -> None:
    """A list that names a page of another host: left out with what to do, and taken with --allow-host."""
    for number in (1, 2):
        put_page(site, number)
    elsewhere = site.address.replace("127.0.0.1", "localhost")
    site.pages["/list"] = (f"{site.address}/1\n{elsewhere}/2\n".encode(), {})
    index = tmp_path / "index"
    run("build", site.address, "--index", index)
    refused = run(command, f"{site.address}/list", "--index", index, "--rate", "1000")
    assert refused.code == 0
    assert refused.lines[0] == f"{site.address}/list: a list of 2 pages"
    assert refused.lines[1] == (
        f"1 page left out: {elsewhere}/2: it is on another site than 127.0.0.1; "
        "name that address, or allow that host with --allow-host localhost"
    )
    allowed = run(command, f"{site.address}/list", "--index", index, "--rate", "1000", "--allow-host", "localhost")
    assert not any("left out" in line for line in allowed.lines)
    assert "2 articles" in allowed.lines[-1] if command == "build" else allowed.lines[-1] == "added 1, updated 0, unchanged 1"


def test_an_unknown_format_is_told_all_that_there_are(site: Site, tmp_path: Path) -> None:
    """Wrong usage, and the list is whole."""
    done = run("build", site.address, "--index", tmp_path, "--format", "docx")
    assert done.code == 2
    told = " ".join(done.lines)
    for name in ("jsonl", "csv", "parquet", "wxr", "feed", "html", "markdown", "wordpress", "sitemap", "list"):
        assert f"'{name}'" in told


def test_a_format_overrules_what_an_address_looks_like(site: Site, tmp_path: Path) -> None:
    """What looks like a feed, read as a page."""
    put_page(site, 1)
    site.pages["/x"] = (b"<rss/>" + site.pages["/1"][0], {})
    done = run("build", f"{site.address}/x", "--index", tmp_path / "index", "--format", "html")
    assert done.lines[0] == f"{site.address}/x: a page by itself"
    assert done.lines[-1].startswith(f"built {tmp_path}/index: 1 article, 0 threads")


def test_a_sync_makes_an_index_with_the_model_that_is_named(site: Site, tmp_path: Path) -> None:
    """One that is not there is refused as by `build`; an index that is there keeps its own, and that is said."""
    refused = run("sync", site.address, "--index", tmp_path / "a", "--model", str(tmp_path / "no-model"), "--rate", "1000")
    assert refused.code == 1
    assert "no-model" in refused.lines[-1]
    assert not (tmp_path / "a" / MANIFEST).exists()
    run("sync", site.address, "--index", tmp_path / "b", "--model", "lsa", "--rate", "1000")
    again = run("sync", site.address, "--index", tmp_path / "b", "--model", "other", "--rate", "1000")
    assert again.code == 0
    assert again.lines[0] == (
        f"{tmp_path}/b: this index was made with the model lsa and keeps it, so --model other is not used; "
        "`recommender rebuild --model other` changes it"
    )
    assert not any("--model" in line for line in run("sync", site.address, "--index", tmp_path / "b", "--model", "lsa").lines)


def test_a_sync_knows_the_model_folder_of_an_index_by_its_relative_path(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index whose model is a folder is synced with that folder's relative path, and no other model is reported."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "modules.json").write_text("[]")
    first = run("sync", site.address, "--index", tmp_path / "b", "--rate", "1000")
    assert first.code == 0, first.lines
    manifest = tmp_path / "b" / MANIFEST
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "model": str((tmp_path / "model").resolve())}))
    monkeypatch.chdir(tmp_path)
    again = run("sync", site.address, "--index", "b", "--model", "./model", "--rate", "1000")
    assert again.code == 0
    assert not any("--model" in line for line in again.lines)


def test_what_is_left_out_is_told_once_with_its_reason(site: Site, tmp_path: Path) -> None:
    """By its address, by what is wrong and by what to do; a source without articles is an error that says so."""
    put_page(site, 1)
    at = site.address
    site.pages["/list"] = (f"{at}/1\n{at}/8\n{at}/9".encode(), {})
    site.pages["/dead"] = (f"{at}/8".encode(), {})
    site.pages["/empty.xml"] = (b"<urlset></urlset>", {})
    index = tmp_path / "index"
    left_out = f"2 pages left out; the first: {at}/8: there is no such page (404); check the address"
    assert left_out in run("build", f"{at}/list", "--index", index).lines
    synced = run("sync", f"{at}/list", "--index", tmp_path / "synced").lines
    assert synced[1] == f"{at}/list: {left_out.replace(' pages', '')}"
    assert "added 1, updated 0, unchanged 0, removed 0, left out 2, 4 requests" in synced[-1]
    for path in ("/dead", "/empty.xml"):
        refused = run("build", at + path, "--index", index)
        assert refused.lines[-1] == f"error: {at}{path}: it has no articles; look at the address in a browser"


def test_a_sitemap_that_names_one_that_is_gone_is_read_all_the_same(site: Site, tmp_path: Path) -> None:
    """What is missing is said with the kind; one that fails for the moment ends it, for half a site is not taken."""
    put_page(site, 1)
    at = site.address
    site.pages["/a.xml"] = (f"<urlset><url><loc>{at}/1</loc></url></urlset>".encode(), {})
    named = "".join(f"<sitemap><loc>{at}/{name}.xml</loc></sitemap>" for name in ("gone", "a"))
    site.pages["/sitemap.xml"] = (f"<sitemapindex>{named}</sitemapindex>".encode(), {})
    done = run("build", f"{at}/sitemap.xml", "--index", tmp_path / "index", "--rate", "1000")
    assert done.code == 0
    assert done.lines[0] == (
        f"{at}/sitemap.xml: a sitemap of 1 page; 1 of the sitemaps that it names cannot be read: "
        f"{at}/gone.xml: there is no such page (404); check the address"
    )
    site.instead = [None, lambda request: request.send(b"", 501)]
    failed = run("build", f"{at}/sitemap.xml", "--index", tmp_path / "index", "--rate", "1000")
    assert failed.lines == [f"error: {at}/gone.xml: the server answers 501; look at the address in a browser"]


def test_a_feed_of_summaries_says_so(site: Site, tmp_path: Path) -> None:
    """Before the work starts, for less is found by them; on the web as in a file."""
    entries = "".join(f"<item><guid>{n}</guid><title>Kiln {n}</title><description>It held.</description></item>" for n in (1, 2))
    site.pages["/feed"] = (rss(entries), {})
    for command in ("build", "sync"):
        done = run(command, f"{site.address}/feed", "--index", tmp_path / command)
        assert done.lines[0] == f"{site.address}/feed: a feed"
        assert "2 of 2 entries have a summary only" in done.lines[1]
