"""A WordPress site on loopback: its REST API as far as a reader sees it, and whatever else a server may do instead."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from recommender import Article
from tests.archives import report

START = datetime(2025, 3, 1, 8)


class Request(BaseHTTPRequestHandler):
    """One request; the site decides what comes of it."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        site = self.server.site
        site.asked.append(self.path)
        site.agents.add(self.headers["User-Agent"])
        site.conditions.append(self.headers.get("If-None-Match"))
        if site.instead and (instead := site.instead.pop(0)) is not None:
            instead(self)
            return
        site.answer(self)

    def send(self, content: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    site: Site

    def handle_error(self, *arguments: object) -> None:
        """A client that goes away is no concern of a test."""


class Site:
    """The posts of a site, and what it has been asked."""

    def __init__(self) -> None:
        self.posts: dict[int, dict[str, Any]] = {}
        self.clock = START
        self.asked: list[str] = []
        self.agents: set[str] = set()
        self.conditions: list[str | None] = []
        self.instead: list[Callable[[Request], None] | None] = []
        """What to do instead of an answer, request by request; None answers."""
        self.between: list[Callable[[], None]] = []
        """What happens at the site after a list of posts has been given."""
        self.per_page = 100
        """The most posts in one answer, whatever is asked."""
        self.plain = False
        """Whether only ?rest_route= leads to the API."""
        self.folder = ""
        self.pages: dict[str, tuple[bytes, dict[str, str]]] = {}
        """Other pages: path -> (content, headers)."""
        self.address = ""

    def write(self, number: int, article: Article | None = None, **changes: Any) -> None:
        """Publish a post, or change one."""
        self.clock += timedelta(minutes=10)
        known = self.posts.get(number)
        if known is None:
            told = article or report(f"post {number}", f"story {number % 3}", number / 10)
            known = {
                "id": number,
                "status": "publish",
                "date_gmt": self.clock.isoformat(),
                "link": f"{self.address}/?p={number}",
                "title": {"rendered": told.title},
                "content": {"rendered": f"<p>{told.body}</p>", "protected": False},
                "_embedded": {
                    "author": [{"id": 1, "name": "Ann O&#8217;Hara"}],
                    "wp:term": [[
                        {"taxonomy": "category", "name": "World &amp; War", "slug": "world"},
                        {"taxonomy": "category", "name": "Uncategorized", "slug": "uncategorized"},
                    ], [{"taxonomy": "post_tag", "name": "ferry", "slug": "ferry"}]],
                    "wp:featuredmedia": [{"source_url": f"{self.address}/{number}.jpg"}],
                },
            }  # fmt: skip
        self.posts[number] = {**known, "modified_gmt": self.clock.isoformat(), **changes}

    def trash(self, number: int) -> None:
        del self.posts[number]

    def answer(self, request: Request) -> None:
        parts = urlsplit(request.path)
        asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if parts.path in self.pages:
            content, headers = self.pages[parts.path]
            if headers.get("ETag") and request.headers.get("If-None-Match") == headers["ETag"]:
                request.send(b"", 304)
            else:
                request.send(content, 200, **headers)
            return
        route = asked.get("rest_route") if parts.path.rstrip("/") == self.folder else None
        if parts.path.startswith(f"{self.folder}/wp-json") and not self.plain:
            route = parts.path.removeprefix(f"{self.folder}/wp-json")
        if route is None:
            root = f"{self.folder}/?rest_route=/" if self.plain else f"{self.folder}/wp-json/"
            link = f'<{self.address}{root}>; rel="https://api.w.org/"'
            found = parts.path.rstrip("/") == self.folder
            request.send(b"<html><body>Home</body></html>", 200 if found else 404, Link=link)
        elif route.strip("/") == "":
            request.send(json.dumps({"namespaces": ["oembed/1.0", "wp/v2"]}).encode())
        elif route.strip("/") == "wp/v2/posts":
            self._list(request, asked)
        else:
            request.send(b'{"code": "rest_no_route"}', 404)

    def _list(self, request: Request, asked: dict[str, str]) -> None:
        found = list(self.posts.values())
        if "include" in asked:
            found = [post for post in found if str(post["id"]) in asked["include"].split(",")]
        if "modified_after" in asked:
            found = [post for post in found if (post["modified_gmt"] or "") > asked["modified_after"].removesuffix("Z")]
        key = {"id": "id", "modified": "modified_gmt"}.get(asked.get("orderby", ""), "date_gmt")
        found.sort(key=lambda post: post[key] or "", reverse=asked.get("order", "desc") == "desc")
        size, page = min(int(asked.get("per_page", 10)), self.per_page), int(asked.get("page", 1))
        pages = -(-len(found) // size)
        if page > max(pages, 1):
            request.send(b'{"code": "rest_post_invalid_page_number"}', 400)
            return
        shown = found[(page - 1) * size : page * size]
        if asked.get("_fields") == "id":
            shown = [{"id": post["id"]} for post in shown]
        request.send(json.dumps(shown).encode(), X_WP_Total=str(len(found)), X_WP_TotalPages=str(pages))
        if self.between:
            self.between.pop(0)()


@contextlib.contextmanager
def served(site: Site) -> Iterator[Site]:
    """The site, answering on loopback."""
    server = Server(("127.0.0.1", 0), Request)
    server.site = site
    site.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
