"""What an attacker sends, by every route, parameter, header and file name: nothing comes back but what is published.

Each test counts its inputs; `pytest -s` shows the totals.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import re
import shutil
import socket
import sqlite3
import time
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from starlette.testclient import TestClient

from recommender import Article, Recommender
from recommender.errors import InvalidArticleError
from recommender.web.application import Application, Settings
from recommender.web.exporting import ExportOptions, export
from recommender.web.tree import MARKER
from tests.archives import newspaper
from tests.faults.harness import report_totals
from tests.web.test_server import fetch, raw, running, wait_for

IDS = (
    "../../../../etc/passwd", "..\\..\\windows\\win.ini", "/etc/passwd", "//etc/passwd", "....//....//etc/passwd",
    "..;/..;/etc/passwd", ".", "..", "...", "~root", "file:///etc/passwd", "http://169.254.169.254/", "C:\\boot.ini",
    "\\\\evil\\share", "con", "nul.txt", "\x00", "a\x00.html", "a\r\nSet-Cookie: x=1", "a\nX-Evil: 1", "a\r\n\r\n<script>",
    "\u2028", "\u2029", "\u0085", "a\u560d\u560aX: 1", "<script>alert(1)</script>", "\"><svg onload=alert(1)>",
    "'-alert(1)-'", "javascript:alert(1)", "{{7*7}}", "${7*7}", "<%= 7 %>", "%s%n", "' OR 1=1 --",
    "a'; DROP TABLE articles; --", "\" UNION SELECT sql FROM sqlite_master --", "a\\' OR 1", "*", "%", "_", "a%b_c",
    "1) OR (1", "\ufeff", "\u202egnp.exe", "\u200d", "e\u0301", "\u00e9", "\U0001f600", "\ufffd", "\uffff", "\U0010ffff",
    "%00", "%2e%2e%2f", "%252e%252e%252f", "%c0%ae%c0%ae/", "%0d%0aX-Evil:1", "%", "%%", "%zz", "a?b", "a#b", "a&id=b", "a=b",
    "a+b", "a b", ";a", "a,b", "@a", "[a]", "null", "NaN", "0", "-1", "1e999", "9" * 300, "a" * 1500, "\u65e5" * 150,
    "manifest.json", ".recommender-export", "store.sqlite", "index.json", "current",
)  # fmt: skip
"""None is the id of an article or a thread."""
BEGINNINGS = ("/related/", "/threads/", "/feeds/threads/", "/", "/related", "/health/", "/static/", "/widget.js/", "/metrics/")
TAILS = ("%0a", "%0D%0A", "%00", "%20", "/", "/..", "%2f", "%2500", "%c2%a0")
ENDINGS = ("", ".html", ".xml", ".json")
NUMBERS = (
    "-1", "0", "51", "999999999999", "9" * 500, "1e3", "1.5", "0x10", "Infinity", "NaN", "", " ", "null", "true", "[]", "1,2",
    "1;2", "\uff11", "\u0661", "\u00b2", "+1", "1_0", "%00", "1\x00", "<b>", "' OR 1", "--1", "1\n",
)  # fmt: skip
NUMERIC = {"/related/s00a0": ("k",), "/threads": ("min_size", "limit", "offset")}
QUERIES = ("id", "k", "profile", "format", "min_size", "limit", "offset")
LEAKS = re.compile(r"Traceback|File \"|\.py\b|sqlite|/tmp|/home|/usr|/root|/etc/|site-packages|store-|root:x|no such table", re.I)
HEADERS = (
    *("Origin", "Host", "X-Forwarded-Host", "X-Original-URL", "X-Rewrite-URL", "Referer", "Cookie", "If-None-Match", "Accept"),
    *("Range", "Accept-Encoding", "X-HTTP-Method-Override", "Forwarded", "Authorization", "Content-Length"),
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "index"
    Recommender.build(newspaper(2, 3, 2), folder).close()
    return folder


class Asking:
    """The application without a client that would mend what it is told to send."""

    def __init__(self, index: Path) -> None:
        settings = Settings(index=str(index), base_url="https://s.example", origins=("https://news.example",))
        self._application = Application(settings)
        self._runner = asyncio.Runner()

    def __call__(self, target: str, *headers: tuple[str, str]) -> tuple[int, dict[str, str], bytes]:
        """(status, headers, body); the path is decoded once, as uvicorn does."""
        path, _, query = target.partition("?")
        scope: dict[str, Any] = {"type": "http", "method": "GET", "path": unquote(path), "raw_path": path.encode()}
        scope["query_string"] = query.encode()
        scope["headers"] = [(name.lower().encode(), value.encode()) for name, value in headers]
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        async def send(message: Any) -> None:
            sent.append(message)

        self._runner.run(self._application(scope, receive, send))
        head, body = sent
        pairs = [(name.decode(), value.decode()) for name, value in head["headers"]]
        assert len(dict(pairs)) == len(pairs)
        return head["status"], dict(pairs), body["body"]


@pytest.fixture(scope="module")
def ask(built: Path) -> Asking:
    return Asking(built)


def check(asked: object, status: int, headers: dict[str, str], body: bytes) -> None:
    """A refusal of one line that repeats nothing and shows nothing of the machine, with no header but the server's own."""
    assert status in {400, 404, 405, 414}, asked
    (told,) = json.loads(body).values()
    assert body.count(b"\n") == 1
    assert not LEAKS.search(told), (asked, told)
    assert not re.search("[<>%]", told), (asked, told)
    assert set(headers) == {"x-content-type-options", "vary", "cache-control", "content-length", "content-type"}, asked
    assert headers["content-type"] == "application/json"
    assert headers["x-content-type-options"] == "nosniff"


def test_no_id_reaches_what_is_not_published(ask: Asking) -> None:
    """Ids that are paths, statements, scripts or lines, plain and encoded once and twice, at every route: a plain refusal."""
    asked: Counter[str] = Counter()
    for beginning, odd, ending in itertools.product(BEGINNINGS, IDS, ENDINGS):
        once = quote(odd, safe="")
        for encoded in {once, quote(once, safe=""), once.replace(".", "%2e"), quote(odd), odd.partition("?")[0]}:
            status, headers, body = ask(f"{beginning}{encoded}{ending}")
            if f"{beginning}{encoded}{ending}" in ("/related/", "/threads", "/related") or not encoded:
                continue
            check((beginning, encoded, ending), status, headers, body)
            asked[f"{status}"] += 1
    for known, odd in itertools.product(("s00a0", "s00a0.html"), TAILS):
        check((known, odd), *ask(f"/related/{known}{odd}"))  # nearly the id of an article is none
    for odd in IDS:
        check(odd, *ask(f"/related?id={quote(odd, safe='')}"))
    assert asked.total() > 8000
    report_totals("bad paths", asked)


def test_no_parameter_is_taken_for_another_number(ask: Asking) -> None:
    """Where a number is asked for, anything else and one too large is 400; other texts are refused or mean nothing."""
    asked: Counter[str] = Counter()
    for name, odd, (path, numeric) in itertools.product(QUERIES, (*NUMBERS, *IDS), NUMERIC.items()):
        status, headers, body = ask(f"{path}?{name}={quote(odd, safe='')}")
        if name in numeric and not (odd == "51" and name != "k") and not (odd == "0" and name == "offset"):
            check((path, name, odd), status, headers, body)
        assert status in {200, 400, 414}, (path, name, odd)
        assert status == 200 or not LEAKS.search(body.decode())
        asked[f"{status}"] += 1
    report_totals("bad parameters", asked)


def test_no_header_of_a_request_comes_back(ask: Asking) -> None:
    """Origins with lines, names of hosts, forwarded addresses, entity tags: the answer is the one without them."""
    _, plain, expected = ask("/related/s00a0")
    asked: Counter[str] = Counter()
    for name, odd in itertools.product(HEADERS, (*IDS, "https://news.example.evil", "https://news.example\r\nX-Evil: 1", "null")):
        status, headers, body = ask("/related/s00a0", (name, odd))
        if name == "If-None-Match" and "*" in odd.split(","):
            assert status == 304
            continue
        assert (status, headers, body) == (200, plain, expected), (name, odd)
        asked["tried"] += 1
    report_totals("bad headers", asked)


@pytest.mark.slow
def test_no_bytes_make_the_process_fail(built: Path) -> None:
    """Requests with bytes changed, cut and doubled: an answer of HTTP or none, no line in the log, the next served as ever."""
    chance = random.Random(7)
    seeds = [
        b"GET /related/s00a0?k=3 HTTP/1.1\r\nHost: x\r\nOrigin: https://news.example\r\nConnection: close\r\n\r\n",
        b'GET /threads?limit=2 HTTP/1.1\r\nHost: x\r\nIf-None-Match: W/"x"\r\nConnection: close\r\n\r\n',
        b"POST /related/%2e%2e HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
    ]
    kinds: Counter[str] = Counter()
    with running(built) as (process, port):
        wait_for(port)
        expected = fetch(port, "/related/s00a0")[2]
        for _ in range(400):
            sent = bytearray(chance.choice(seeds))
            for _ in range(chance.randint(1, 6)):
                at = chance.randrange(len(sent))
                sent[at : at + chance.randint(0, 3)] = chance.choice(
                    [bytes([chance.randrange(256)]), b"\r\n", b"\x00", b"%", b"\n", b": ", b" ", b"9" * 30, b"\xff\xfe", b"/.."]
                )
            said = raw(port, bytes(sent) + b"\r\n\r\n")
            assert re.match(rb"HTTP/1\.1 (?:200|304|4\d\d|100) |$", said), (bytes(sent), said[:300])
            assert b"Traceback" not in said
            assert b"/tmp" not in said
            kinds[said[9:12].decode() or "closed"] += 1
        assert fetch(port, "/related/s00a0")[2] == expected
        process.terminate()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    report_totals("broken requests", kinds)


@pytest.mark.slow
@pytest.mark.parametrize("pause", [0, 0.3])
def test_a_body_that_is_no_http_is_no_bug(built: Path, pause: float) -> None:
    """Whether it comes with its head or when that is answered already: one answer or none, and nothing in the log."""
    head = b"POST /related/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with running(built) as (process, port):
        wait_for(port)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
            if pause:
                wire.sendall(head)
                time.sleep(pause)
                wire.sendall(b"no chunk\r\n")
            else:
                wire.sendall(head + b"no chunk\r\n")
            said = b""
            with contextlib.suppress(ConnectionError):
                while more := wire.recv(65536):
                    said += more
        assert said.count(b"HTTP/1.1 4") <= 1
        assert fetch(port, "/health")[0] == 200
        process.terminate()
        assert process.stderr is not None
        assert process.stderr.read() == ""


DAMAGES = ("cut", "emptied", "noise", "zeros", "gone", "folder gone", "manifest noise", "manifest gone", "a folder", "no tables")


def damage(index: Path, how: str) -> None:
    """Spoil an index while it is served."""
    store, manifest = next(index.glob("store-*.sqlite")), next(path for path in index.iterdir() if path.suffix == ".json")
    size = store.stat().st_size
    if how == "no tables":
        with sqlite3.connect(store) as db:
            db.executescript("DROP TABLE articles; DROP TABLE threads")
        db.close()
    elif how == "folder gone":
        shutil.rmtree(index)
    elif how.startswith("manifest"):
        manifest.unlink() if how.endswith("gone") else manifest.write_bytes(b"\xff\x00{")
    elif how in ("gone", "a folder"):
        store.unlink()
        if how == "a folder":
            store.mkdir()
    elif how in ("cut", "emptied"):
        with store.open("r+b") as file:
            file.truncate(size // 2 if how == "cut" else 0)
    else:
        store.write_bytes(b"\x00" * size if how == "zeros" else random.Random(1).randbytes(size))


@pytest.mark.parametrize("how", DAMAGES)
def test_an_index_that_is_spoilt_while_it_is_served_shows_nothing_of_itself(built: Path, tmp_path: Path, how: str) -> None:
    """What was published, or 503 and 404 of one line, at every route; never a bug; and all is well when the index is."""
    index = Path(shutil.copytree(built, tmp_path / "index"))
    with TestClient(Application(Settings(index=str(index), base_url="")), raise_server_exceptions=True) as client:
        thread = client.get("/threads").json()["threads"][0]["id"]
        good = {path: client.get(path).content for path in ("/related/s00a0", f"/threads/{thread}")}
        damage(index, how)
        others = ("/related/s00a1", "/related/s01a0.html", "/related/none", "/threads?limit=3", "/health", "/widget.js")
        for path in (*good, *others, f"/threads/{thread}.html", f"/feeds/threads/{thread}.xml"):
            answer = client.get(path)
            assert answer.status_code in {200, 404, 503}, (path, answer.status_code)
            if answer.status_code != 200:
                assert list(answer.json()) == ["error"]
                assert not LEAKS.search(answer.text), answer.text
        shutil.rmtree(index, ignore_errors=True)
        shutil.copytree(built, index)
        time.sleep(0.01)
        assert {path: client.get(path).content for path in good} == good


class Tags(HTMLParser):
    """The names of the elements of a page, and what its links lead to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[tag] += 1
        self.links += [value or "" for name, value in attrs if name in {"href", "src", "action"}]
        assert not [name for name, _ in attrs if name.startswith("on")]


def test_no_id_names_a_file_outside_an_export_or_any_but_its_own(tmp_path: Path) -> None:
    """Articles of every odd id that is allowed: two files each of hexadecimal names, and no element of theirs in a page."""
    told = newspaper(1, len(IDS))
    articles = []
    for odd, one in zip(dict.fromkeys(IDS), told, strict=False):
        try:
            articles.append(Article(id=odd, title=f"{one.title} {odd[:40]}", body=one.body, published=one.published, url=odd))
        except InvalidArticleError:
            continue
    assert len(articles) > 60
    engine = Recommender.build(articles, tmp_path / "index")
    with sqlite3.connect(next((tmp_path / "index").glob("store-*.sqlite"))) as db:  # a build takes tags out of titles
        db.execute("UPDATE articles SET title = id")
        db.execute("UPDATE threads SET label = '</title><script>alert(1)</script>'")
    db.close()
    export(engine, tmp_path / "site" / "out", ExportOptions(base_url="https://cdn.example"))
    found = [path.relative_to(tmp_path / "site") for path in (tmp_path / "site").rglob("*") if path.is_file()]
    own = r"manifest\.json|\.recommender-export(?:\.lock)?"
    name = re.compile(rf"out/(?:(?:related|threads|feeds)/[0-9a-f]{{2}}/[0-9a-f]{{64}}\.(?:json|html|xml)|{own})")
    assert all(name.fullmatch(path.as_posix()) for path in found), found
    assert len([path for path in found if path.parts[1] == "related"]) == 2 * len(articles)
    assert MARKER in {path.name for path in found}
    for path in found:
        if path.suffix == ".html":
            page = Tags((tmp_path / "site" / path).read_text())
            assert not {"script", "svg", "img", "iframe", "object"} & set(page.found), path
            assert all(link.startswith(("https://cdn.example/", "http://169.254.169.254/")) for link in page.links), page.links
    report_totals("odd ids exported", Counter({"articles": len(articles), "files": len(found)}))
