"""The server as an application, and as a process on a free port. What it answers is compared with the library's answers."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import feedparser
import pytest
from selectolax.lexbor import LexborHTMLParser
from starlette.testclient import TestClient

from recommender import Article, Recommender
from recommender.web.answering import AGES, OLD, ROOM, UNDATED, Answering, Refused
from recommender.web.application import LONGEST_ADDRESS, Application, Settings
from tests.archives import newspaper

PROGRAM = [sys.executable, "-c", "from recommender.cli import main; main()", "serve", "--port", "0"]
HERO = "putin-arrives-north-korea"
ORIGIN = "https://news.example"
ODD_IDS = (
    "a/b/c", "../../etc/passwd", "a/../b", "..", ".", "a b", " a", "%2e%2e", "%00", "häß/日本", "x.html", "x.html.html", "x.xml",
    "?k=1", "a#b", "a&id=b", "<script>alert(1)</script>", '"', "'", "a\\b", "+", "//evil.example/", "https://evil.example/", ";",
    "x.json", "\u202e", "e\u0301", "a" * 400,
)  # fmt: skip


@pytest.fixture(scope="module")
def client(newsroom_index: Path) -> Iterator[TestClient]:
    with client_of(newsroom_index) as opened:
        yield opened


@pytest.fixture(scope="module")
def engine(newsroom_index: Path) -> Iterator[Recommender]:
    opened = Recommender.open(newsroom_index)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def odd_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index whose ids are meant to mislead; the titles are as bad, and all tell one story."""
    folder = tmp_path_factory.mktemp("odd") / "index"
    told = newspaper(1, len(ODD_IDS))
    articles = [
        Article(id=odd, title=f"{one.title} {odd[:30]}", body=one.body, published=one.published, url=f"https://a.example/{n}")
        for n, (odd, one) in enumerate(zip(ODD_IDS, told, strict=True))
    ]
    Recommender.build(articles, folder).close()
    with sqlite3.connect(next(folder.glob("store-*.sqlite"))) as db:  # a build takes tags out of titles
        db.execute("UPDATE articles SET title = id")
        db.execute("UPDATE threads SET label = '</title><script>alert(1)</script>'")
    db.close()
    return folder


@pytest.fixture
def copy(newsroom_index: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(newsroom_index, tmp_path / "copy"))


def client_of(index: Path, *origins: str) -> TestClient:
    settings = Settings(index=str(index), base_url="https://s.example/r", origins=origins)
    return TestClient(Application(settings), raise_server_exceptions=False, follow_redirects=False)


@contextmanager
def running(index: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server in a process of its own, and its port."""
    command = [*PROGRAM, "--index", str(index), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            told = re.search(r" is served on http://127\.0\.0\.1:(\d+);", process.stderr.readline())
            assert told, process.stderr.read()
            yield process, int(told[1])
        finally:
            process.terminate()
            process.wait(timeout=30)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def fetch(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def raw(port: int, sent: bytes) -> bytes:
    """All that the server says to these bytes until it closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
        wire.sendall(sent)
        said = b""
        while more := wire.recv(65536):
            said += more
        return said


def one_error_line(text: str) -> str:
    assert text.count("\n") == 1
    told: dict[str, str] = json.loads(text)
    assert list(told) == ["error"]
    assert not re.search(r"/tmp|/home|/usr|Traceback|\.py|sqlite", told["error"])
    return told["error"]


def test_a_list_is_that_of_the_command_line(client: TestClient, engine: Recommender) -> None:
    """The JSON of `related --json`, for both profiles and for the shortest and longest list."""
    for query, k, profile in (("", 5, "sidebar"), ("?k=1", 1, "sidebar"), ("?k=50&profile=similar", 50, "similar")):
        response = client.get(f"/related/{HERO}{query}")
        assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
        assert response.json() == engine.related_list(HERO, k, profile=profile).to_json()  # type: ignore[arg-type]
        assert response.text.count("\n") == 1


def test_the_fragment_links_the_same_articles(client: TestClient, engine: Recommender) -> None:
    """`.html` and `format=html` are one thing: the addresses of the list in its order."""
    response = client.get(f"/related/{HERO}.html?k=7")
    expected = [item.title for item in engine.related(HERO, 7)]
    assert [node.text() for node in LexborHTMLParser(response.text).css("nav li > :first-child")] == expected
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert client.get(f"/related/{HERO}?format=html&k=7").content == response.content


def test_nothing_related_is_200_and_unknown_is_404(tmp_path: Path) -> None:
    """An article that stands alone has an empty list, and an empty fragment."""
    Recommender.build(newspaper(2, 3, 1), tmp_path / "index").close()
    with client_of(tmp_path / "index") as client:
        alone = client.get("/related/x0")
        assert (alone.status_code, alone.json()) == (200, {"id": "x0", "thread": None, "items": []})
        assert (client.get("/related/x0.html").status_code, client.get("/related/x0.html").text) == (200, "")
        for path in ("/related/none", "/related/none.html", "/threads/none", "/threads/none.html", "/feeds/threads/none.xml"):
            response = client.get(path)
            assert response.status_code == 404
            assert "no such" in one_error_line(response.text)


def test_threads_are_those_of_the_library(client: TestClient, engine: Recommender) -> None:
    """All threads in pages, one as JSON, as a page and as a feed."""
    threads = engine.threads(min_size=3)
    pages = [client.get(f"/threads?min_size=3&limit=10&offset={n}").json() for n in range(0, len(threads) + 10, 10)]
    assert [one for page in pages for one in page["threads"]] == [thread.to_json() for thread in threads]
    assert {page["total"] for page in pages} == {len(threads)}
    thread = max(threads, key=lambda one: one.size)
    assert client.get(f"/threads/{thread.id}").json() == thread.to_json()
    page = client.get(f"/threads/{thread.id}.html")
    titles = [engine.article(article_id).title for article_id in thread.article_ids]
    assert [node.text() for node in LexborHTMLParser(page.text).css("ol li > :last-child")] == titles
    feed = feedparser.parse(client.get(f"/feeds/threads/{thread.id}.xml").content)
    assert not feed.bozo
    assert [entry.id for entry in feed.entries] == list(reversed(thread.article_ids))
    assert feed.feed.link == f"https://s.example/r/threads/{thread.id}.html"


def test_a_page_allows_its_own_style_and_nothing_else(client: TestClient, engine: Recommender) -> None:
    """The policy forbids scripts and names the hash of the very style that is in the page."""
    import base64
    import hashlib

    page = client.get(f"/threads/{engine.threads()[0].id}.html")
    style = LexborHTMLParser(page.text).css_first("style")
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style.text().encode()).digest()).decode()
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert f"style-src 'sha256-{digest}'" in policy
    assert "script" not in policy


def test_a_merged_thread_leads_to_the_one_that_goes_on(tmp_path: Path) -> None:
    """Three forms of the address of the former id lead to the same form of the other, beside it, whatever Host says."""
    engine = Recommender.build(newspaper(2, 4), tmp_path / "index")
    before = {engine.thread_of(f"s0{n}a0").id for n in range(2)}  # type: ignore[union-attr]
    engine.add_rule("merge s00a0 s01a0")
    (kept,) = engine.threads()
    (former,) = before - {kept.id}
    with client_of(tmp_path / "index") as client:
        for folder, ending in (("threads", ""), ("threads", ".html"), ("feeds/threads", ".xml")):
            response = client.get(f"/{folder}/{former}{ending}", headers={"Host": "evil.example"})
            assert (response.status_code, response.headers["location"]) == (308, f"./{kept.id}{ending}")
            arrived = client.get(f"/{folder}/{former}{ending}", follow_redirects=True)
            assert (arrived.status_code, arrived.url.path) == (200, f"/{folder}/{kept.id}{ending}")


@pytest.mark.parametrize(
    "query",
    [
        *(f"k={k}" for k in ("0", "51", "-1", "1e3", "5.0", "", "abc", "９", "9" * 400, "%00", "+5", " 5", "0x5", "null")),
        *("k=1&k=2", "profile=", "profile=SIDEBAR", "profile=<script>", "format=xml", "id=a"),
        "&".join(f"p{n}=" for n in range(30)),
    ],
)
def test_a_wrong_parameter_is_400_with_one_line(client: TestClient, query: str) -> None:
    """The line does not repeat what was sent."""
    response = client.get(f"/related/{HERO}?{query}")
    assert response.status_code == 400
    assert "<" not in one_error_line(response.text)
    assert response.headers["cache-control"] == "no-store"


def test_parameters_of_others_are_let_pass(client: TestClient) -> None:
    """A campaign's parameters change nothing."""
    assert client.get(f"/related/{HERO}?utm_source=mail&x").content == client.get(f"/related/{HERO}").content


@pytest.mark.parametrize("odd", ODD_IDS)
def test_an_odd_id_is_found_in_every_form(odd_index: Path, odd: str) -> None:
    """Percent-encoded in the path or the query, as JSON and as a fragment, it means this article and no other."""
    with client_of(odd_index) as client:
        assert client.get("/related", params={"id": odd}).json()["id"] == odd
        if odd not in {".", ".."} and "%" not in odd:  # clients resolve the first; this one decodes the second twice
            response = client.get(f"/related/{quote(odd, safe='')}")
            assert response.json()["id"] == odd
            fragment = client.get(f"/related/{quote(odd, safe='')}.html?k=50")
            if f"{odd}.html" not in ODD_IDS:
                assert fragment.headers["content-type"].startswith("text/html")
                tree = LexborHTMLParser(fragment.text)
                assert {node.tag for node in tree.css("nav *")} == {"ul", "li", "a", "time"}
        assert client.get("/related", params={"id": odd, "format": "html"}).headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("route", ["/related/", "/threads/", "/feeds/threads/", "/"])
@pytest.mark.parametrize("odd", [*ODD_IDS, "\x00", "a\x00b", "a\r\nSet-Cookie: x=1", "\n", "\xff", "{id}", "*", "~", "etc/hosts"])
def test_an_unknown_odd_id_is_404_without_a_path_or_a_header(client: TestClient, route: str, odd: str) -> None:
    """Nothing of the id comes back in a header, no file is shown, and the error is one line."""
    for ending in ("", ".html", ".xml"):
        response = client.get(f"{route}{quote(odd, safe='').replace('.', '%2e')}{ending}")
        assert response.status_code in {400, 404}
        one_error_line(response.text)
        assert "set-cookie" not in response.headers
        assert "location" not in response.headers


def test_odd_titles_and_labels_stay_text_in_pages_and_feeds(odd_index: Path) -> None:
    """The page of their thread has no script, and the feed gives every id back as it is."""
    thread = Recommender.open(odd_index).threads()[0]
    with client_of(odd_index) as client:
        tree = LexborHTMLParser(client.get(f"/threads/{thread.id}.html").text)
        assert not tree.css("script, img")
        assert [node.text() for node in tree.css("h1")] == ["</title><script>alert(1)</script>"]
        feed = feedparser.parse(client.get(f"/feeds/threads/{thread.id}.xml").content)
        assert not feed.bozo
        assert {entry.id for entry in feed.entries} == {article_id.strip() for article_id in thread.article_ids}


def test_an_id_that_ends_in_html_comes_before_the_fragment_of_another(tmp_path: Path) -> None:
    """Where `x.html` and `x` are both articles, the address is the JSON of the first; `format` decides without doubt."""
    told = newspaper(1, 2)
    articles = [Article(id=i, title=a.title, body=a.body) for i, a in zip(("x", "x.html"), told, strict=True)]
    Recommender.build(articles, tmp_path / "index").close()
    with client_of(tmp_path / "index") as client:
        assert client.get("/related/x.html").json()["id"] == "x.html"
        assert client.get("/related/x.html.html").headers["content-type"].startswith("text/html")
        assert client.get("/related/x?format=html").headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "X"])
def test_no_method_writes(client: TestClient, method: str) -> None:
    """Every route answers 405 and says what is allowed."""
    for path in ("/related/x", "/related", "/threads", "/threads/x", "/feeds/threads/x.xml", "/health", "/metrics", "/widget.js"):
        response = client.request(method, path, content=b"x")
        assert response.status_code == 405
        assert {name.strip() for name in response.headers["allow"].split(",")} == {"GET", "HEAD"}
        one_error_line(response.text)


def test_a_known_etag_is_304_without_a_body(client: TestClient, engine: Recommender) -> None:
    """Weak and strong forms, lists and * name it; another does not. The same holds for pages, feeds and the script."""
    thread = engine.threads()[0].id
    for path in (f"/related/{HERO}", f"/threads/{thread}.html", f"/feeds/threads/{thread}.xml", "/threads", "/widget.js"):
        full = client.get(path)
        etag = full.headers["etag"]
        for named in (etag, etag.removeprefix("W/"), f'"x", {etag}', "*"):
            again = client.get(path, headers={"If-None-Match": named})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
            assert again.headers["cache-control"] == full.headers["cache-control"]
        assert client.get(path, headers={"If-None-Match": 'W/"0"'}).status_code == 200


def test_long_answers_are_zipped_for_those_who_take_it(client: TestClient) -> None:
    """The unzipped bytes are the plain ones; q=0 is a refusal; caches are told."""
    plain = client.get("/threads", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    for accepted, zipped in (("gzip", True), ("br, gzip;q=0.5", True), ("gzip;q=0", False), ("gzip; q=0.0, br", False)):
        with client.stream("GET", "/threads", headers={"Accept-Encoding": accepted}) as response:
            body = b"".join(response.iter_raw())
        assert ("content-encoding" in response.headers) == zipped
        assert (gzip.decompress(body) if zipped else body) == plain.content
        assert response.headers["vary"] == "Accept-Encoding"
    assert "content-encoding" not in client.get("/health", headers={"Accept-Encoding": "gzip"}).headers


def test_scripts_of_named_origins_alone_may_read(newsroom_index: Path, client: TestClient) -> None:
    """The very origin is allowed; one that begins like it, another scheme, null and * are not."""
    with client_of(newsroom_index, ORIGIN, "http://localhost:8000") as named:
        for origin in (ORIGIN, "http://localhost:8000"):
            for path in (f"/related/{HERO}", "/related/none"):  # an error too, or a script could not tell
                assert named.get(path, headers={"Origin": origin}).headers["access-control-allow-origin"] == origin
        for other in (f"{ORIGIN}.evil.example", "http://news.example", "null", "*", f"{ORIGIN}:444", ""):
            response = named.get(f"/related/{HERO}", headers={"Origin": other})
            assert "access-control-allow-origin" not in response.headers
            assert response.headers["vary"] == "Accept-Encoding, Origin"
        assert "access-control-allow-credentials" not in named.get("/threads", headers={"Origin": ORIGIN}).headers
    assert "access-control-allow-origin" not in client.get("/threads", headers={"Origin": ORIGIN}).headers


def test_lists_of_old_articles_may_be_kept_longer(tmp_path: Path) -> None:
    """Minutes on the first day, days after a year; one without a date in between, and one of tomorrow is new."""
    now = datetime(2025, 6, 1, tzinfo=UTC)
    days = {"tomorrow": -1, "new": 0.1, "week": 7, "month": 30, "year": 365}
    told = newspaper(1, 6)
    dates = {name: now - timedelta(days=age) for name, age in days.items()}
    articles = [
        Article(id=name, title=one.title, body=one.body, published=dates.get(name))
        for name, one in zip([*days, "undated"], told, strict=True)
    ]
    Recommender.build(articles, tmp_path / "index").close()
    answering = Answering(tmp_path / "index", base_url="", clock=lambda: now)
    kept = {name: answering.answer("related", name, "").max_age for name in [*days, "undated"]}
    assert kept == {
        "tomorrow": 300, "new": 300, "week": 3600, "month": 43_200, "year": 172_800, "undated": UNDATED,
    }  # fmt: skip
    assert [seconds for _, seconds in AGES] == sorted({seconds for _, seconds in AGES} | {OLD})[:-1]


def test_a_change_is_seen_by_the_next_question(copy: Path) -> None:
    """Kept answers are forgotten when an article is removed, and when the whole index is another one."""
    with client_of(copy) as client:
        before = client.get(f"/related/{HERO}")
        gone = before.json()["items"][0]["id"]
        Recommender.open(copy).remove([gone])
        after = client.get(f"/related/{HERO}", headers={"If-None-Match": before.headers["etag"]})
        assert after.status_code == 200
        assert gone not in [item["id"] for item in after.json()["items"]]
        assert client.get(f"/related/{gone}").status_code == 404
        Recommender.build(newspaper(1, 3), copy).close()
        assert client.get(f"/related/{HERO}").status_code == 404
        assert client.get("/related/s00a0").status_code == 200


def test_kept_answers_have_a_limit(newsroom_index: Path, engine: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more answers than there is room for, those asked for last are kept."""
    monkeypatch.setattr("recommender.web.answering.ROOM", ROOM // 1024)
    answering = Answering(newsroom_index, base_url="")
    ids = [article_id for thread in engine.threads() for article_id in thread.article_ids][:60]
    for one in ids:
        answering.look()
        answering.answer("related", one, "")
    assert answering.kept("related", ids[59], "") is not None
    assert answering.kept("related", ids[0], "") is None


def test_an_index_that_goes_away_is_503_and_comes_back(copy: Path, tmp_path: Path) -> None:
    """No path is shown meanwhile, not even by /health."""
    with client_of(copy) as client:
        client.get(f"/related/{HERO}")
        copy.rename(tmp_path / "away")
        for path in (f"/related/{HERO}", "/threads", "/health"):
            response = client.get(path)
            assert response.status_code == 503
            one_error_line(response.text)
        (tmp_path / "away").rename(copy)
        assert client.get(f"/related/{HERO}").status_code == 200


def test_a_bug_is_500_without_a_traceback(newsroom_index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader sees one line that names nothing."""

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("/secret/path")

    monkeypatch.setattr(Recommender, "related_list", broken)
    with client_of(newsroom_index) as client:
        response = client.get(f"/related/{HERO}")
    assert response.status_code == 500
    assert "secret" not in one_error_line(response.text)


def test_too_long_an_address_is_414(client: TestClient) -> None:
    """In the path or in the query."""
    for path in (f"/related/{'a' * LONGEST_ADDRESS}", f"/related/a?x={'a' * LONGEST_ADDRESS}"):
        assert client.get(path).status_code == 414
    assert client.get(f"/related/{'a' * (LONGEST_ADDRESS - 50)}").status_code == 404


def test_the_description_names_the_routes_that_there_are(client: TestClient, engine: Recommender) -> None:
    """Each path of it, its ids filled in, answers 200 with a media type that it names."""
    described = client.get("/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    thread = engine.threads()[0].id
    for path, told in described["paths"].items():
        filled = path.replace("{id}", HERO if path.startswith("/related") else thread)
        response = client.get(filled, params={"id": HERO} if path == "/related" else {})
        assert response.status_code == 200, path
        assert response.headers["content-type"].split(";")[0] in told["get"]["responses"]["200"]["content"]


def test_no_address_is_mended_with_the_host_that_a_client_names(client: TestClient) -> None:
    """A slash too many is 404, and no redirect to wherever Host says."""
    for path in ("/health/", "/threads/", "/widget.js/", "/openapi.json/"):
        response = client.get(path, headers={"Host": "evil.example"})
        assert response.status_code == 404
        assert "location" not in response.headers


def test_metrics_count_what_was_answered(newsroom_index: Path) -> None:
    """Two lists, one unknown article and one thread list; no id becomes a label."""
    with client_of(newsroom_index) as client:
        for path in (f"/related/{HERO}", f"/related/{HERO}", "/related/none", "/threads"):
            client.get(path)
        text = client.get("/metrics").text
    counts = dict(re.findall(r'recommender_requests_total\{route="(\w+)",status="(\d+)"\} \d', text))
    assert 'recommender_requests_total{route="related",status="200"} 2.0' in text
    assert 'recommender_requests_total{route="related",status="404"} 1.0' in text
    assert counts["threads"] == "200"
    assert HERO not in text


def test_the_script_is_small_and_writes_text_alone() -> None:
    """Under 5 KB, and nothing in it makes markup of strings or runs them."""
    script = (resources.files("recommender") / "web" / "widget.js").read_text(encoding="utf-8")
    assert len(script.encode()) < 5000
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|cookie|storage", script)


def test_what_a_question_refuses_is_told(newsroom_index: Path) -> None:
    """No article named is 400, and a feed's address ends in .xml."""
    answering = Answering(newsroom_index, base_url="")
    with pytest.raises(Refused, match="no article is named") as refused:
        answering.answer("related", "", "")
    assert refused.value.status == 400
    with pytest.raises(Refused, match=r"ends in \.xml"):
        answering.answer("feed", "t1", "")


@pytest.mark.parametrize(
    "given", ["*", "news.example", "https://news.example/", "https://a.example\r\nX: y", "null", "https://é"]
)
def test_what_is_no_origin_is_wrong_usage(newsroom_index: Path, given: str) -> None:
    """--cors takes the exact form that browsers send; nothing is served."""
    done = subprocess.run([*PROGRAM, "--index", str(newsroom_index), "--cors", given], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "--cors takes an origin" in done.stderr


def test_a_missing_index_and_a_taken_port_are_one_line(newsroom_index: Path, tmp_path: Path) -> None:
    """Exit code 4 for the index, 1 for the port, and no traceback."""
    done = subprocess.run([*PROGRAM, "--index", str(tmp_path / "none")], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [*PROGRAM, "--index", str(newsroom_index), "--port", str(taken.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "cannot listen on 127.0.0.1" in done.stderr


@pytest.mark.slow
def test_the_process_answers_as_the_application_does(newsroom_index: Path, engine: Recommender) -> None:
    """GET and HEAD, with dots and slashes that no client resolves; SIGTERM ends it with 0 and without a word."""
    with running(newsroom_index) as (process, port):
        status, headers, body = fetch(port, f"/related/{HERO}")
        assert (status, json.loads(body)) == (200, engine.related_list(HERO).to_json())
        head = fetch(port, f"/related/{HERO}", "HEAD")
        assert (head[0], head[2]) == (200, b"")
        assert {**head[1], "date": ""} == {**headers, "date": ""}
        assert "server" not in headers
        for path in ("/related/../../etc/hosts", "/related/%2e%2e%2f%2e%2e%2fetc%2fhosts", "/../widget.js", "/related/%00"):
            assert fetch(port, path)[0] == 404
        assert fetch(port, "/widget.js")[0] == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.slow
def test_an_answer_does_not_wait_for_the_client_to_confirm_its_head(newsroom_index: Path) -> None:
    """Half of forty answers on one connection take under 20 ms: the delay of Nagle's algorithm is 40."""
    with running(newsroom_index) as (_, port):
        wait_for(port)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        took = []
        for _ in range(40):
            started = time.perf_counter()
            connection.request("GET", f"/related/{HERO}")
            connection.getresponse().read()
            took.append(time.perf_counter() - started)
        connection.close()
    assert sorted(took)[20] < 0.02


@pytest.mark.slow
def test_the_process_finds_every_odd_id(odd_index: Path) -> None:
    """As bytes on the wire, dots encoded or not: nothing on the way decodes twice or resolves a path."""
    with running(odd_index) as (_, port):
        for odd in ODD_IDS:
            for encoded in (quote(odd, safe=""), quote(odd, safe="").replace(".", "%2e"), quote(odd, safe="/")):
                status, _, body = fetch(port, f"/related/{encoded}?format=json")
                assert (status, json.loads(body).get("id")) == (200, odd)


@pytest.mark.slow
def test_what_is_no_request_ends_the_connection_alone(newsroom_index: Path) -> None:
    """Huge heads, broken bytes, injected lines and bodies: an answer of 4xx or none, no traceback, and the next one is served."""
    bad = [
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /related/" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /related/\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /related/a b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /related/%0d%0aX-Evil:%201 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET http://evil.example/related/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /related/a HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /related/a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /related/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /related/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 99999\r\n\r\nabc",
        b"CONNECT evil.example:80 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /related/a HTTP/9.9\r\nHost: x\r\n\r\n",
        b"\x00" * 100 + b"\r\n\r\n",
    ]
    with running(newsroom_index) as (process, port):
        for sent in bad:
            said = raw(port, sent)
            assert re.match(rb"HTTP/1\.1 4\d\d |$", said), (sent[:60], said[:200])
            assert b"X-Evil" not in said.split(b"\r\n\r\n")[0]
            assert fetch(port, "/health")[0] == 200
        process.terminate()
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


@pytest.mark.slow
def test_a_rebuild_goes_unnoticed_by_readers(tmp_path: Path) -> None:
    """While the index is built three times anew and two workers serve, every answer is 200 and of one edition or the other."""
    index = tmp_path / "index"
    Recommender.build(newspaper(6, 4), index).close()
    answers: list[tuple[int, int]] = []
    done = threading.Event()

    def ask(port: int) -> None:
        while not done.is_set():
            status, _, body = fetch(port, "/related/s00a0?k=50")
            answers.append((status, len(json.loads(body)["items"])))

    with running(index, "--workers", "2") as (process, port):
        wait_for(port)
        readers = [threading.Thread(target=ask, args=(port,)) for _ in range(3)]
        for reader in readers:
            reader.start()
        for size in (5, 6, 7):
            Recommender.build(newspaper(6, size), index).close()
            time.sleep(0.3)
        done.set()
        for reader in readers:
            reader.join()
        assert {status for status, _ in answers} == {200}
        assert {items for _, items in answers} <= {3, 4, 5, 6}
        assert len(json.loads(fetch(port, "/related/s00a0?k=50")[2])["items"]) == 6
        total = re.findall(r'requests_total\{route="related",status="200"\} (\S+)', fetch(port, "/metrics")[2].decode())
        assert [float(one) for one in total] == [len(answers) + 1]  # both workers are counted, whichever was asked
        process.terminate()
        assert process.wait(timeout=30) == 0


@pytest.mark.slow
def test_a_change_is_seen_at_once_in_a_crowd(copy: Path) -> None:
    """While eight others ask without a pause, each question that is sent after a write has ended is answered from after it."""
    engine = Recommender.open(copy)
    last = engine.related_ids(HERO, 20)[-1]
    done = threading.Event()

    def ask(port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        while not done.is_set():
            connection.request("GET", f"/related/{HERO}?k=1")
            connection.getresponse().read()
        connection.close()

    with running(copy) as (_, port):
        wait_for(port)
        readers = [threading.Thread(target=ask, args=(port,)) for _ in range(8)]
        for reader in readers:
            reader.start()
        seen = []
        for _ in range(15):
            kept = engine.add_rule(f"pin {HERO} {last}")
            seen.append(json.loads(fetch(port, f"/related/{HERO}?k=1")[2])["items"][0]["id"] == last)
            engine.drop_rule(kept.number)
            seen.append(json.loads(fetch(port, f"/related/{HERO}?k=1")[2])["items"][0]["id"] != last)
        done.set()
        for reader in readers:
            reader.join()
    assert all(seen), seen


def wait_for(port: int) -> None:
    """Until it answers; a worker may come up a little later than the address."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            if fetch(port, "/health")[0] == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("no answer")


@pytest.mark.slow
def test_a_head_that_never_ends_is_let_go(newsroom_index: Path) -> None:
    """A first and a second request that stop in their head are closed in about the time allowed; the rest is served."""
    code = "from recommender.web import connections; connections.LONGEST_REQUEST = 1.0; from recommender.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", "--port", "0", "--index", str(newsroom_index)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            port = int(re.findall(r":(\d+);", process.stderr.readline())[0])
            wait_for(port)
            started = time.monotonic()
            assert raw(port, b"GET /health HTT") == b""
            said = raw(port, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /hea")
            assert said.startswith(b"HTTP/1.1 200")
            assert 1.5 < time.monotonic() - started < 8
        finally:
            process.terminate()
            process.wait(timeout=30)
