"""The script on a page, in a real browser where there is one: what is in the document when it has run."""

from __future__ import annotations

import functools
import http.server
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser

from recommender import Recommender
from tests.archives import newspaper
from tests.web.test_server import free_port, running

OWN = "<ul><li>Latest one</li><li>Latest two</li></ul>"
HOSTILE = "<img src=x onerror=\"document.title='broken'\">"

pytestmark = pytest.mark.slow


@contextmanager
def site(folder: Path, port: int) -> Iterator[None]:
    """A site of static pages."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", port), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


def page(script_port: int, attributes: str, own: str = OWN) -> str:
    script = f'<script src="http://127.0.0.1:{script_port}/widget.js" {attributes} defer></script>'
    return f'<!DOCTYPE html><html lang="en"><title>fine</title><div id="related">{own}</div>{script}</html>'


def seen(chromium: str, address: str, profile: Path) -> LexborHTMLParser:
    """The document a second or so after it has been loaded."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--virtual-time-budget=6000"]
    done = subprocess.run([chromium, *options, "--dump-dom", address], capture_output=True, text=True, timeout=90, check=True)
    return LexborHTMLParser(done.stdout)


def links(tree: LexborHTMLParser) -> list[tuple[str, str | None]]:
    return [(node.text(), node.attributes["href"]) for node in tree.css("#related nav a")]


def test_the_list_takes_the_place_of_the_sites_own_and_else_nothing_changes(chromium: str, tmp_path: Path) -> None:
    """A hostile title is text; without articles, server or right to ask, the site's own list stays as it was."""
    Recommender.build(newspaper(1, 4, 1), tmp_path / "index").close()
    with sqlite3.connect(next((tmp_path / "index").glob("store-*.sqlite"))) as db:  # a build takes tags out of titles
        db.execute("UPDATE articles SET title = ? WHERE id = 's00a1'", (HOSTILE,))
    db.close()
    engine = Recommender.open(tmp_path / "index")
    pages = tmp_path / "pages"
    pages.mkdir()
    site_port = free_port()
    allowed, foreign = f"http://127.0.0.1:{site_port}", f"http://localhost:{site_port}"
    with running(tmp_path / "index", "--cors", allowed) as (_, port), site(pages, site_port):
        (pages / "story.html").write_text(page(port, 'data-article="s00a0" data-k="3"', ""))
        (pages / "alone.html").write_text(page(port, 'data-article="x0"'))
        (pages / "unknown.html").write_text(page(port, 'data-article="../health"'))
        (pages / "down.html").write_text(page(free_port(), 'data-article="s00a0"'))
        (pages / "own.html").write_text(page(port, 'data-article="s00a0"'))
        tree = seen(chromium, f"{allowed}/story.html", tmp_path / "browser")
        assert links(tree) == [(item.title, item.url) for item in engine.related("s00a0", 3)]
        assert HOSTILE in [title for title, _ in links(tree)]
        assert [node.text() for node in tree.css("title")] == ["fine"]
        assert [node.attributes["aria-label"] for node in tree.css("#related nav")] == ["Related stories"]
        assert 1 <= len(links(seen(chromium, f"{allowed}/own.html", tmp_path / "browser"))) <= 2
        for address in (f"{allowed}/alone.html", f"{allowed}/unknown.html", f"{allowed}/down.html", f"{foreign}/own.html"):
            tree = seen(chromium, address, tmp_path / "browser")
            target = tree.css_first("#related")
            assert target is not None
            assert target.html == f'<div id="related">{OWN}</div>', address
