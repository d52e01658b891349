"""A real WordPress for the tests, and a made-up server for its plug-in to ask."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, build_opener

import recommender

ROOT = Path(recommender.__file__).parent.parent
SCRIPT = ROOT / "scripts" / "wordpress.sh"
PUTIN = "putin-arrives-north-korea"
PLUGINS = "require_once ABSPATH . 'wp-admin/includes/plugin.php';"
OPTIONS = (
    "$GLOBALS['wpdb']->get_col("
    "\"SELECT option_name FROM {$GLOBALS['wpdb']->options} WHERE option_name LIKE '%related_stories%'\")"
)
"""PHP: the names of all options that the plug-in stored, cached lists among them."""


def can_install() -> bool:
    """Whether apt-get may install programs here, or they are here already."""
    root = os.geteuid() == 0 or (shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], check=False).returncode == 0)
    here = shutil.which("php") and shutil.which("mariadbd")
    return bool(shutil.which("apt-get") and (root or here)) or bool(here and Path("/usr/share/wordpress").exists())


def script(*words: str) -> subprocess.CompletedProcess[str]:
    """scripts/wordpress.sh with these words."""
    return subprocess.run([SCRIPT, *words], capture_output=True, text=True, check=False, timeout=400)


@dataclass
class Server:
    """Answers as a recommender does: by path a status and a body; what was asked is kept."""

    url: str = ""
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    delay: float = 0.0
    redirects: bool = False

    def handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                time.sleep(server.delay)
                status, body = server.answers.get(self.path.partition("?")[0], (404, b'{"detail": "no such article"}'))
                self.send_response(302 if server.redirects else status)
                if server.redirects:
                    self.send_header("Location", self.path + "0")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with suppress(ConnectionError):  # Who asked has had enough.
                    self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


@dataclass(frozen=True)
class Site:
    """A WordPress that runs, and what is needed to work in it."""

    folder: Path
    url: str
    password: str
    ids: dict[str, int]
    """Of the published posts, by slug."""

    def php(self, code: str, **values: Any) -> str:
        """What PHP code prints that is run inside WordPress; it finds `values` in $in."""
        with tempfile.NamedTemporaryFile("w", suffix=".php") as file:
            file.write(f"<?php $in = json_decode($argv[1], true); {code}")
            file.flush()
            done = script("run", "--dir", str(self.folder), file.name, json.dumps(values))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def get(self, path: str, opener: OpenerDirector | None = None, form: dict[str, str] | None = None) -> tuple[int, str]:
        """Status and text of a page; `form` is posted."""
        data = urlencode(form).encode() if form is not None else None
        try:
            with (opener or build_opener()).open(self.url + path, data, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    def page(self, slug: str = PUTIN) -> str:
        """The page of an article; nothing may have gone wrong in PHP on the way."""
        log = self.folder / "site" / "wp-content" / "debug.log"
        log.unlink(missing_ok=True)
        status, text = self.get(f"/{slug}/")
        assert status == 200
        wrong = log.read_text() if log.exists() else ""
        assert not [line for line in wrong.splitlines() if "related-stories" in line or "Fatal" in line or "Warning" in line]
        return text

    def log_in(self) -> OpenerDirector:
        opener = build_opener(HTTPCookieProcessor(CookieJar()))
        self.get("/wp-login.php", opener)
        form = {"log": "admin", "pwd": self.password, "testcookie": "1", "redirect_to": f"{self.url}/wp-admin/"}
        _, text = self.get("/wp-login.php", opener, form)
        assert "Dashboard" in text
        return opener


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def settings(site: Site, **chosen: Any) -> None:
    """Sets the option, forgets what is cached."""
    site.php(
        f"foreach ({OPTIONS} as $name) {{ if (strpos($name, 'transient')) {{ delete_option($name); }} }}"
        "update_option('related_stories', $in);",
        **chosen,
    )


def item(site: Site, slug: str, **other: Any) -> dict[str, Any]:
    """An item of the contract's JSON on a post of the site."""
    fields = {"id": str(site.ids[slug]), "title": "As it was indexed", "url": f"{site.url}/{slug}/", "score": 0.9}
    return {**fields, "published": None, "relation": "same-story", "thread_id": None, "reasons": [], **other}


def answer(*items: Any) -> tuple[int, bytes]:
    return 200, json.dumps({"id": "1", "thread": None, "items": items}).encode()


def lists(text: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """The plug-in's lists on a page: heading, then (address, title) of each story."""
    found = re.findall(r'<nav class="related-stories" aria-label="([^"]*)"><h2>([^<]*)</h2><ul>(.*?)</ul></nav>', text)
    assert all(label == heading for label, heading, _ in found)
    assert len(found) == text.count('<nav class="related-stories')
    links = re.compile(r'<a href="([^"]*)">([^<]*)</a>')
    return [(html.unescape(name), [(at, html.unescape(title)) for at, title in links.findall(body)]) for _, name, body in found]


def has_latest(text: str) -> bool:
    """Whether the theme's own 'Latest' widget is on the page."""
    return re.search(r'widget_recent_entries">\s*<h2 class="widget-title">Latest</h2>', text) is not None


def expire(site: Site) -> None:
    """Makes every cached list old, and forgets that a server did not answer."""
    site.php(
        f"foreach ({OPTIONS} as $name) {{"
        "if (strpos($name, 'related_stories_pause')) { delete_option($name); }"
        "elseif (strpos($name, '_transient_related') === 0) { update_option($name, array('until' => 0) + get_option($name)); }"
        "}"
    )


def recommender_command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """The command line with these words, which has to succeed."""
    program = [sys.executable, "-c", "from recommender.cli import main; main()"]
    done = subprocess.run([*program, *map(str, words)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done


def plain(text: str) -> str:
    """Letters and digits alone: WordPress curls quotes, lengthens dashes and makes paragraphs."""
    return re.sub(r"[\W_]+", " ", html.unescape(re.sub(r"<[^>]*>", " ", text))).strip()


@contextmanager
def must_use(site: Site, code: str) -> Iterator[None]:
    """PHP that runs on every page."""
    folder = site.folder / "site" / "wp-content" / "mu-plugins"
    folder.mkdir(exist_ok=True)
    (folder / "trial.php").write_text(f"<?php {code}")
    yield
    (folder / "trial.php").unlink()
