"""The editor's desk: its forms do what the commands do, and nobody else's form, page or name of a host does anything."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from html import unescape
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from typer.testing import CliRunner

from recommender import Article, Recommender
from recommender.cli import app
from recommender.pipeline.rules import parse_rules
from recommender.storage.store import Store
from recommender.web import desk as desk_module
from recommender.web import sessions as keeping
from recommender.web.desk import desk
from recommender.web.guard import COOKIE, HEADERS, Access, is_loopback
from recommender.web.sessions import MOST_ENDED, MOST_GUESSERS, MOST_GUESSES, Guesses, Sessions
from tests.archives import newspaper

HERE = "http://127.0.0.1:8378"
TOKEN = "correct-horse-battery-staple"
SCRIPT = "<script>alert(1)</script>"
TAGS = (
    "a body button caption code details form h1 h2 head header html input label li link main meta nav ol p section span strong"
    " summary table tbody td th thead time title tr ul"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two stories of three articles and three that stand alone."""
    folder = tmp_path_factory.mktemp("built") / "index"
    Recommender.build(newspaper(2, 3, 3), folder).close()
    return folder


@pytest.fixture
def engine(built: Path, tmp_path: Path) -> Iterator[Recommender]:
    """A copy to write to."""
    opened = Recommender.open(shutil.copytree(built, tmp_path / "index"))
    yield opened
    opened.close()


@pytest.fixture
def client(engine: Recommender) -> TestClient:
    """A browser on this machine."""
    return browser(engine)


def browser(engine: Recommender, access: Access | None = None, base: str = HERE) -> TestClient:
    return TestClient(desk(engine, access), base_url=base, raise_server_exceptions=False)


def form_token(client: TestClient, page: str = "/article?id=x0") -> str:
    found = re.search(r'name="form_token" value="(\w+)"', client.get(page).text)
    assert found
    return found[1]


def send(client: TestClient, action: str, **fields: str) -> tuple[int, str]:
    """Fill in a form and send it as a browser does: (status, text of the page that comes)."""
    data = {"form_token": form_token(client), **fields}
    answer = client.post(f"/do/{action}", data=data, headers={"Origin": HERE})
    return answer.status_code, unescape(answer.text)


def state(engine: Recommender) -> tuple[object, ...]:
    """All that a form could change."""
    return engine.export_rules(), [one.to_json() for one in engine.all_related(9)], [one.to_json() for one in engine.threads()]


def shown(engine: Recommender) -> tuple[object, ...]:
    """What a reader sees but for the ids of threads: two that are one for a while get another."""
    lists = [
        (one.id, [(item.id, item.score, item.relation, item.reasons) for item in one.items]) for one in engine.all_related(9)
    ]
    return lists, sorted((one.label, *one.article_ids) for one in engine.threads())


def thread_id(engine: Recommender, article: str) -> str:
    found = engine.thread_of(article)
    assert found is not None
    return found.id


# (the form, its fields, the command); T0 and T1 are the ids of the two threads
FORMS: list[tuple[str, dict[str, str], list[str]]] = [
    ("pin", {"article": "s00a0", "other": "x0"}, ["pin", "s00a0", "x0"]),
    ("pin", {"article": "s00a0", "other": " x0 ", "note": "a\n b"}, ["pin", "s00a0", "x0", "--note", "a b"]),
    ("never", {"article": "s00a0", "other": "s00a1"}, ["never", "s00a0", "s00a1"]),
    ("hide", {"article": "s00a0"}, ["never", "s00a0"]),
    ("merge", {"article": "s00a0", "other": "s01a0"}, ["merge", "s00a0", "s01a0"]),
    ("merge", {"article": "x0", "other": "T1"}, ["merge", "x0", "T1"]),
    ("merge", {"thread": "T0", "other": "T1"}, ["merge", "T0", "T1"]),
    ("split", {"article": "s00a0"}, ["split", "s00a0"]),
    ("rename", {"article": "s00a0", "label": " A  new name "}, ["rename", "s00a0", "A new name"]),
    ("rename", {"thread": "T0", "label": "Another"}, ["rename", "T0", "Another"]),
    ("lock", {"article": "s00a0"}, ["lock", "s00a0"]),
    ("lock", {"thread": "T1"}, ["lock", "T1"]),
]


@pytest.mark.parametrize(("action", "fields", "command"), FORMS)
def test_each_form_does_what_its_command_does(
    engine: Recommender, client: TestClient, tmp_path: Path, action: str, fields: dict[str, str], command: list[str]
) -> None:
    """The same rule in the same words, and the same lists and threads; dropping it by the form undoes it."""
    ids = {"T0": thread_id(engine, "s00a0"), "T1": thread_id(engine, "s01a0")}
    before = shown(engine)
    other = Recommender.open(shutil.copytree(tmp_path / "index", tmp_path / "other"))
    words = [ids.get(word, word) for word in command]
    done = CliRunner().invoke(app, ["rules", *words, "--index", str(tmp_path / "other")])
    assert done.exit_code == 0, done.output
    status, page = send(client, action, **{name: ids.get(value, value) for name, value in fields.items()})
    assert status == 200
    assert 'role="status"' in page
    assert other.export_rules() == engine.export_rules() != ""
    assert [one.to_json() for one in engine.all_related(9)] == [one.to_json() for one in other.all_related(9)]
    assert sorted(sorted(one.article_ids) for one in engine.threads()) == sorted(
        sorted(one.article_ids) for one in other.threads()
    )
    number = str(engine.rules()[0].number)
    assert f'name="number" value="{number}"' in client.get("/rules").text
    assert send(client, "drop", number=number, article="s00a0")[0] == 200
    assert (engine.export_rules(), shown(engine)) == ("", before)


def test_a_rule_stands_beside_the_headlines_that_it_names(engine: Recommender, client: TestClient) -> None:
    """On the pages of rules, of an article and of its thread; of many the first five, of what is not there the id."""
    lock = engine.thread_of("s00a0")
    assert lock is not None
    for rule in (f"lock {' '.join(lock.article_ids)}", "pin s00a0 x0", "pin s00a0 nobody", "split x0 x1 x2 s01a0 s01a1 s01a2"):
        engine.add_rule(rule)
    title = {one: str(engine.article(one).title) for one in ("s00a0", "s00a1", "s00a2", "x0")}
    for page in ("/rules", "/article?id=s00a0", f"/thread?id={lock.id}"):
        text = client.get(page).text
        listed = re.findall(r"<li><span><code>(.*?)</code>(.*?)</span>\n<form", text, re.DOTALL)
        assert [rule.split()[0] for rule, _ in listed][:3] == ["lock", "pin", "pin"], page
        assert [f">{title[one]}</a>" in listed[0][1] for one in lock.article_ids] == [True] * 3
        assert f">{title['x0']}</a>" in listed[1][1]
        assert "waits for nobody" in listed[2][1]
    assert listed[-1][0].startswith("pin")
    split = client.get("/rules").text.partition("split x0")[2]
    assert (split.count("/article?id="), "and 1 more" in split) == (5, True)


def test_a_timeline_tells_the_hour_where_there_is_one(tmp_path: Path) -> None:
    """A whole story of one day is in order of the clock; a date alone has none."""
    text = "the ferry Kartika sank off Sumatra with ninety aboard and rescuers search the strait"
    moments = {"a": "2025-05-01T09:05:00+00:00", "b": "2025-05-01T17:30:00+00:00", "c": "2025-05-02T00:00:00+00:00"}
    articles = [Article(id=one, title=f"Ferry Kartika sank {one}", body=text, published=datetime.fromisoformat(moment))
                for one, moment in moments.items()]  # fmt: skip
    page = browser(Recommender.build(articles, tmp_path / "index")).get("/article?id=a").text
    assert re.findall(r'class="when"><time [^>]*>(.*?)</time>', page) == ["1 May 2025, 09:05", "1 May 2025, 17:30", "2 May 2025"]
    assert "Times are UTC." in page


def test_a_form_leads_back_to_its_page(engine: Recommender, client: TestClient) -> None:
    """POST, redirect, GET: loading the page again sends nothing again."""
    data = {"form_token": form_token(client), "article": "x0", "other": "x1"}
    answer = client.post("/do/pin", data=data, headers={"Origin": HERE}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/article?id=x0&done=pin")
    page = client.get("/article?id=x0").text
    assert "Unpin" in page


def test_a_refused_rule_is_said_in_one_line_on_its_page(engine: Recommender, client: TestClient) -> None:
    """A contradiction, a label that is none, a thread of one article, a rule that is not there: nothing changes."""
    send(client, "pin", article="s00a0", other="x0")
    before = state(engine)
    wrong = [
        ("never", {"article": "s00a0", "other": "x0"}, 409, "contradicts rule 1"),
        ("pin", {"article": "s00a0", "other": "s00a0"}, 409, "names an article twice"),
        ("pin", {"article": "s00a0", "other": " "}, 409, "needs another article"),
        ("never", {"article": "s00a0"}, 409, "needs another article"),
        ("pin", {"other": "x0"}, 409, "an id is blank"),
        ("rename", {"article": "s00a0", "label": " "}, 409, "a label must be text"),
        ("lock", {"article": "x0"}, 409, "stands alone"),
        ("lock", {"thread": "t0123456789"}, 404, "no thread"),
        ("merge", {"article": "s00a0", "other": "t0123456789"}, 404, "no thread"),
        ("drop", {"number": "77"}, 404, "no rule 77"),
        *(("drop", {"number": number}, 409, "names no rule") for number in ("", "-1", "1e3", "9" * 40, "\u0663", "1; DROP")),
    ]
    for action, fields, expected, message in wrong:
        status, page = send(client, action, **fields)
        assert (status, state(engine)) == (expected, before), (action, fields)
        (line,) = re.findall(r'<p class="error" role="alert">(.*)</p>', page)
        assert message in line
    assert send(client, "explode", article="s00a0")[0] == 404
    assert send(client, "waits", article="s00a0")[0] == 404


def forged(token: str, cookie: str) -> list[tuple[str, dict[str, str], dict[str, str]]]:
    """(what, headers, fields) of forms that a browser would not have sent from a page of ours."""
    good = {"Origin": HERE, "Cookie": f"{COOKIE}={cookie}"}
    field = {"form_token": token}
    other = Sessions().begin()
    origins = ("http://evil.example", "null", "", "http://127.0.0.1:9999", "http://127.0.0.1:8378.evil.example", "http://127.0.0.1",
               "file://", "http://localhost:8378", f"{HERE}/", "http://127.0.0.1:8378@evil.example")  # fmt: skip
    return [
        *((f"origin {origin!r}", {**good, "Origin": origin}, field) for origin in origins),
        ("no origin", {"Cookie": good["Cookie"]}, field),
        ("no token", good, {}),
        *((f"token {bad!r}", good, {"form_token": bad})
          for bad in ("", "0" * 64, token[:-1], token + "0", "\u00e9", token.upper())),
        ("no cookie", {"Origin": HERE}, field),
        *((f"cookie {bad!r}", {**good, "Cookie": f"{COOKIE}={bad}"}, field)
          for bad in ("", "x", "..", other, cookie[:-1], f"9{cookie}", cookie.replace(".", "-"), f'"{cookie}\\"')),
        ("token of another session", good, {"form_token": Sessions().form_token(cookie)}),
    ]  # fmt: skip


def test_forms_that_are_not_of_this_desk_change_nothing(engine: Recommender, client: TestClient) -> None:
    """Missing, wrong or borrowed tokens, cookies and origins, on every form: 403."""
    token, before = form_token(client), state(engine)
    cookie = client.cookies[COOKIE]
    client.cookies.clear()
    cases = forged(token, cookie)
    assert len(cases) > 25
    for what, headers, fields in cases:
        for action in ("pin", "hide", "drop"):
            data = {"article": "s00a0", "other": "x0", "number": "1", **fields}
            answer = client.post(f"/do/{action}", data=data, headers=headers, follow_redirects=False)
            client.cookies.clear()
            assert answer.status_code == 403, what
            assert "set-cookie" not in answer.headers
    assert state(engine) == before
    data = {"article": "s00a0", "other": "x0", "form_token": token}
    headers = {"Origin": HERE, "Cookie": f"{COOKIE}={cookie}"}
    assert client.post("/do/pin", data=data, headers=headers, follow_redirects=False).status_code == 303  # the forger's pattern


def test_nothing_but_a_form_is_read(engine: Recommender, client: TestClient) -> None:
    """JSON, files, plain text and what is too long are refused, with the right cookie and origin too."""
    token, before = form_token(client), state(engine)
    body = f"form_token={token}&article=s00a0&other=x0"
    kinds = ("text/plain", "application/json", "multipart/form-data; boundary=x", "")
    for kind in kinds:
        headers = {"Origin": HERE, "Content-Type": kind}
        assert client.post("/do/pin", content=body, headers=headers).status_code == 413
    headers = {"Origin": HERE, "Content-Type": "application/x-www-form-urlencoded"}
    for content in (body + "&note=" + "x" * 70_000, body + "&a=1" * 30, body.encode() + b"&note=\xff", body + "&note=%ff"):
        assert client.post("/do/pin", content=content, headers=headers).status_code == 413
    assert state(engine) == before


def test_get_changes_nothing(engine: Recommender, client: TestClient) -> None:
    """No page and no form's address, whatever is in the query, and no other method."""
    token, before = form_token(client), state(engine)
    query = f"?form_token={token}&article=s00a0&other=x0&number=1&label=x&done=pin&id=s00a0&one=s00a0&other=s00a1&q=ba"
    actions = ("pin", "never", "hide", "merge", "split", "rename", "lock", "drop")
    for path in ("/", "/article", "/thread", "/pair", "/rules", "/changes", "/login", *(f"/do/{action}" for action in actions)):
        for method in ("GET", "HEAD"):
            assert client.request(method, path + query).status_code in (200, 404), path
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "QUERY"):
            assert client.request(method, path + query, headers={"Origin": HERE}).status_code == 405
    assert state(engine) == before


BAD_HOSTS = (
    *("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "evil.example:8378", "127.0.0.1@evil.example"),
    *("169.254.169.254", "[::2]", "0.0.0.0", "192.168.0.1:8378", "localhost/", "localhost:port", "2130706433", "0x7f.1", "[::1"),
)


@pytest.mark.parametrize("host", BAD_HOSTS)
def test_a_name_that_was_bent_to_this_machine_is_refused(engine: Recommender, host: str) -> None:
    """What another site's script would be let in by: its own name, which now leads here. Pages and forms alike."""
    client = browser(engine)
    token = form_token(client)
    before = state(engine)
    answer = client.get("/article?id=s00a0", headers={"Host": host})
    assert (answer.status_code, "s00a1" in answer.text) == (403, False)
    data = {"form_token": token, "article": "s00a0", "other": "x0"}
    headers = {"Host": host, "Origin": f"http://{host}"}
    assert client.post("/do/pin", data=data, headers=headers).status_code == 403
    assert state(engine) == before


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8378", "localhost:1", "LOCALHOST", "[::1]:8378"])
def test_this_machine_is_called_by_its_own_names(client: TestClient, host: str) -> None:
    """On any port: a tunnel may lead another one here."""
    assert client.get("/", headers={"Host": host}).status_code == 200


def test_on_other_hosts_a_number_or_a_given_name_will_do(engine: Recommender) -> None:
    """A number in the address cannot be bent."""
    client = browser(engine, Access(names=frozenset({"desk.example"}), addresses=True, token=TOKEN))
    for host, expected in (("10.0.0.7:8378", 200), ("desk.example", 200), ("[fd00::1]", 200), ("evil.example", 403)):
        assert client.get("/login", headers={"Host": host}).status_code == expected


def log_in(client: TestClient, token: str, origin: str = HERE) -> int:
    return client.post("/login", data={"token": token}, headers={"Origin": origin}, follow_redirects=False).status_code


def test_with_a_token_nothing_is_seen_or_changed_without_it(engine: Recommender) -> None:
    """Each page leads to the login form, each form is refused, and a wrong token gets no session."""
    client = browser(engine, Access(token=TOKEN))
    before = state(engine)
    for path in ("/", "/article?id=s00a0", "/thread?id=x", "/rules", "/changes", "/pair?one=s00a0&other=s00a1", "/nothing"):
        answer = client.get(path, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"], answer.text) == (303, "/login", "")
    assert "set-cookie" not in client.get("/login").headers
    data = {"article": "s00a0", "other": "x0", "form_token": Sessions().form_token("")}
    assert client.post("/do/pin", data=data, headers={"Origin": HERE}).status_code == 403
    for wrong in ("", " ", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "\u00e9", "x" * 10_000):
        assert log_in(browser(engine, Access(token=TOKEN)), wrong) == 403
    assert log_in(client, TOKEN, origin="http://evil.example") == 403
    assert not client.cookies
    assert state(engine) == before
    assert log_in(client, TOKEN) == 303
    assert send(client, "pin", article="s00a0", other="x0")[0] == 200
    assert engine.related_ids("s00a0")[0] == "x0"


def test_the_cookie_is_for_this_desk_alone(engine: Recommender) -> None:
    """HttpOnly and SameSite=Strict; Secure behind TLS; another process's cookies count for nothing."""
    cookie = browser(engine).get("/").headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" in browser(engine, base="https://127.0.0.1:8378").get("/").headers["set-cookie"].split("; ")
    assert not Sessions().holds(cookie.partition("=")[2].partition(";")[0])


def test_a_session_ends() -> None:
    """After its seconds, and not before; a clock that goes back ends it too."""
    now = 1_000_000.0
    sessions = Sessions(clock=lambda: now)
    cookie = sessions.begin()
    for later, holds in ((0, True), (keeping.SESSION_SECONDS - 1, True), (keeping.SESSION_SECONDS, False), (-1, False)):
        now = 1_000_000.0 + later
        assert sessions.holds(cookie) is holds


def test_a_form_of_a_session_that_has_ended_changes_nothing(engine: Recommender) -> None:
    """Cookie and form's token fit each other, but the day is over; the pages ask for the token again."""
    now = 1_000_000.0
    client = TestClient(desk(engine, Access(token=TOKEN), Sessions(clock=lambda: now)), base_url=HERE)
    assert log_in(client, TOKEN) == 303
    data = {"form_token": form_token(client), "article": "s00a0", "other": "x0"}
    headers = {"Origin": HERE, "Cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
    client.cookies.clear()
    before = state(engine)
    now += keeping.SESSION_SECONDS
    assert client.post("/do/pin", data=data, headers=headers).status_code == 403
    assert client.get("/", headers=headers, follow_redirects=False).headers["location"] == "/login"
    assert state(engine) == before
    now -= 1
    assert client.post("/do/pin", data=data, headers=headers, follow_redirects=False).status_code == 303


def test_a_logout_ends_the_session_for_good(engine: Recommender) -> None:
    """Whoever kept cookie and token of the form, or the whole request, gets nothing with them; the same browser logs in anew."""
    client = browser(engine, Access(token=TOKEN))
    assert log_in(client, TOKEN) == 303
    token, cookie, before = form_token(client), client.cookies[COOKIE], state(engine)
    assert '<form method="post" action="/logout">' in client.get("/").text
    assert client.get("/logout").status_code == 404
    assert client.post("/logout", headers={"Origin": HERE}).status_code == 413
    assert client.post("/logout", data={"form_token": "0" * 64}, headers={"Origin": HERE}).status_code == 403
    assert client.get("/", follow_redirects=False).status_code == 200  # only the right form ends a session
    left = client.post("/logout", data={"form_token": token}, headers={"Origin": HERE}, follow_redirects=False)
    assert (left.status_code, left.headers["location"]) == (303, "/login")
    assert "Max-Age=0" in left.headers["set-cookie"]
    assert not client.cookies
    replayed = {"Origin": HERE, "Cookie": f"{COOKIE}={cookie}"}
    data = {"form_token": token, "article": "s00a0", "other": "x0"}
    assert client.post("/do/pin", data=data, headers=replayed).status_code == 403
    assert client.get("/", headers=replayed, follow_redirects=False).headers["location"] == "/login"
    assert state(engine) == before
    assert log_in(client, TOKEN) == 303
    assert client.cookies[COOKIE] != cookie
    data["form_token"] = token  # of the session before
    assert client.post("/do/pin", data=data, headers={"Origin": HERE}).status_code == 403


def test_the_sessions_that_were_ended_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """When there is no room to remember them, all sessions end rather than one come back."""
    monkeypatch.setattr(keeping, "MOST_ENDED", 10)
    sessions = Sessions()
    begun = [sessions.begin() for _ in range(12)]
    for cookie in begun[:11]:
        sessions.end(cookie)
    assert not any(map(sessions.holds, begun))
    assert sessions.holds(sessions.begin())
    assert MOST_ENDED * 200 < 10_000_000


def test_a_token_cannot_be_guessed_by_trying(engine: Recommender) -> None:
    """After five wrong ones the right one is refused too, for a minute and for that address alone; sessions that run go on."""
    guessing = desk(engine, Access(token=TOKEN))
    editor = TestClient(guessing, base_url=HERE, client=("10.0.0.7", 5000))
    guesser = TestClient(guessing, base_url=HERE, client=("10.0.0.8", 5000))
    for _ in range(3 * MOST_GUESSES):
        assert log_in(editor, TOKEN) == 303  # the right one counts for nothing
    assert [log_in(guesser, f"wrong-{n}") for n in range(MOST_GUESSES)] == [403] * MOST_GUESSES
    refused = guesser.post("/login", data={"token": TOKEN}, headers={"Origin": HERE}, follow_redirects=False)
    assert (refused.status_code, refused.headers["retry-after"], dict(refused.cookies)) == (429, "60", {})
    assert log_in(TestClient(guessing, base_url=HERE, client=("10.0.0.9", 5000)), TOKEN) == 303
    assert send(editor, "pin", article="s00a0", other="x0")[0] == 200


def test_guesses_are_forgotten_in_time_and_take_little_room() -> None:
    """Five a minute for an address, or for the whole network of an IPv6 one; a thousand addresses are remembered."""
    now = 0.0
    guesses = Guesses(clock=lambda: now)
    assert [guesses.may_be("2001:db8::1") for _ in range(6)] == [True] * 5 + [False]
    assert not guesses.may_be("2001:db8::ffff:2")
    assert guesses.may_be("2001:db8:0:1::1")
    now = 59.0
    assert not guesses.may_be("2001:db8::1")
    now = 60.0
    assert guesses.may_be("2001:db8::1")
    for n in range(3 * MOST_GUESSERS):
        guesses.may_be(f"10.{n // 256}.{n % 256}.1")
    assert len(guesses._made) == MOST_GUESSERS


def test_behind_a_proxy_with_tls_the_cookie_is_secure(engine: Recommender) -> None:
    """The browser says in Origin that it came by https, though the proxy asks without."""
    client = browser(engine, Access(token=TOKEN))
    origin = HERE.replace("http:", "https:")
    answer = client.post("/login", data={"token": TOKEN}, headers={"Origin": origin}, follow_redirects=False)
    assert {"HttpOnly", "SameSite=Strict", "Secure"} <= set(answer.headers["set-cookie"].split("; "))


def test_nothing_of_the_desk_is_kept_by_a_cache(engine: Recommender) -> None:
    """Pages, the login, refusals of every kind and redirects: `no-store` and the other headers, once each."""
    client = browser(engine, Access(token=TOKEN))
    answers = [client.get(path, follow_redirects=False) for path in ("/", "/login", "/desk.css", "/do/pin", "/none")]
    answers += [client.post("/login", data={"token": "x"}, headers={"Origin": origin}) for origin in (HERE, "null")]
    answers += [client.post("/login", data={"token": "x"}, headers={"Origin": HERE}) for _ in range(MOST_GUESSES)]
    answers += [client.put("/"), client.get("/", headers={"Host": "evil.example"})]
    answers += [client.post("/logout", headers={"Origin": HERE})]
    assert {answer.status_code for answer in answers} >= {200, 303, 403, 405, 413, 429}
    for answer in answers:
        for name, value in HEADERS.items():
            assert answer.headers.get_list(name) == [value]


def test_markup_in_whatever_the_desk_shows_is_text(tmp_path: Path) -> None:
    """Titles, ids, labels, notes, sections, searches and addresses; no page has a script, a style or a foreign link of theirs."""
    hostile = f"a\"'/../{SCRIPT}&\u202e%00"
    texts = {hostile: "javascript:alert(1)", f"b{SCRIPT}": "//evil.example/", "c": "data:text/html,x"}
    articles = [
        Article(id=name, title=f'ferry Kartika sank &lt;script&gt;alert(1)&lt;/script&gt; " onfocus="x {name}',
                body="the ferry Kartika", url=url)
        for name, url in texts.items()
    ]  # fmt: skip
    engine = Recommender.build(articles, tmp_path / "index")
    client = browser(engine)
    for action, fields in (
        ("rename", {"label": SCRIPT}),
        ("pin", {"other": "c", "note": SCRIPT}),
        ("pin", {"other": f"missing{SCRIPT}"}),
    ):
        data = {"form_token": form_token(client, "/article?id=c"), "article": hostile, **fields}
        answer = client.post(f"/do/{action}", data=data, headers={"Origin": HERE})
        assert answer.status_code == 200, answer.text
    pages = [
        *(f"/article?id={quote(name, safe='')}" for name in texts), *(f"/thread?id={one.id}" for one in engine.threads()),
        *(f"/{page}={quote(SCRIPT)}" for page in ("?q", "article?id", "thread?id", "rules?done")),
        "/?q=ferry", "/rules", "/changes", "/article?id=%00", "/?q=%00%ff",
        f"/pair?one={quote(hostile, safe='')}&other=c", "/%3Cscript%3Ealert(1)", "/do/%3Cscript%3E",
    ]  # fmt: skip
    assert engine.threads()
    seen = 0
    for page in pages:
        answer = client.get(page)
        assert answer.status_code in (200, 404), page
        assert "<script" not in answer.text.lower()
        assert not re.search(r"<[^>]* on\w+=", re.sub(r'"[^"]*"', '""', answer.text))
        assert all(link == "#content" or re.match(r"/(?!/)", link) for link in re.findall(r'href="([^"]*)"', answer.text))
        assert "Traceback" not in answer.text
        assert str(tmp_path) not in answer.text
        seen += answer.text.count("&lt;script&gt;")
    assert seen > 10


def test_every_answer_has_the_headers_that_keep_scripts_and_frames_out(client: TestClient) -> None:
    """Pages, refusals, errors and the style sheet alike."""
    answers = [client.get(path) for path in ("/", "/nothing", "/desk.css", "/article?id=nobody")]
    answers += [client.get("/", headers={"Host": "evil.example"}), client.post("/do/pin"), client.delete("/")]
    for answer in answers:
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "script-src" not in policy


def test_a_failing_index_shows_no_path(
    engine: Recommender, client: TestClient, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The page says so in one line; the reason is on stderr."""
    (tmp_path / "index" / "manifest.json").unlink()
    engine.close()
    answer = client.get("/article?id=s00a0")
    assert answer.status_code == 500
    assert "could not be read" in answer.text
    assert str(tmp_path) not in answer.text
    assert "there is no index here" in capfd.readouterr().err


def test_a_search_finds_words_of_titles_and_ids_and_takes_no_sign_for_more(tmp_path: Path) -> None:
    """All words, in any capitals; signs stand for themselves; newest first, but the very id before all."""
    titles = {"a": "100% of Élysée staff", "b": "100 of them", "c_d": "Under_score", "cxd": "Underxscore", "e": r"back\slash",
              "kim": "x", "late": "Of Kim and others"}  # fmt: skip
    articles = [Article(id=name, title=title, body="text") for name, title in titles.items()]
    Recommender.build(articles, tmp_path / "index").close()
    engine = Recommender.open(tmp_path / "index")
    expected = {
        "100%": ["a"], "%": ["a"], "_": ["c_d"], "under_": ["c_d"], "\\": ["e"], "OF 100": ["b", "a"], "élysée": ["a"],
        "ÉLYSÉE": ["a"], "kim": ["kim", "late"], "of of of nobody": [], "  ": [], "'; DROP TABLE articles": [],
            "\0": [], "\0 kim": ["late", "kim"],
        "c_": ["c_d"], '"': [],
    }  # fmt: skip
    for words, found in expected.items():
        assert [one.id for one in engine.search(words)] == found, words
    assert engine.search("x" * 100_000) == engine.search("zq " * 5_000) == []
    assert len(engine.search("e", limit=2)) == 2
    store = Store.open(tmp_path / "index")
    assert store.count("articles") == 7
    store.close()


OURS = ("127.0.0.1", "127.9.9.9", "::1", "localhost")
OTHERS = ("0.0.0.0", "::", "192.168.1.2", "localhost.example", "", "127.0.0.1.example")


@pytest.mark.parametrize(("host", "local"), [*((host, True) for host in OURS), *((host, False) for host in OTHERS)])
def test_what_is_this_machine_alone(host: str, local: bool) -> None:
    """An address that others reach, or a name that may be one, is not."""
    assert is_loopback(host) is local


def test_the_command_refuses_to_be_open_to_others_without_a_token(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1 and no server; a token that can be guessed is none; with one it serves."""
    import uvicorn

    served: list[object] = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: served.append(sockets[0].getsockname()[0]))

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])

    def run(*words: str) -> int:
        return CliRunner().invoke(app, ["desk", "--index", str(built), "--port", port, *words]).exit_code

    for host in ("0.0.0.0", "::", "192.168.1.2", "desk.example"):
        assert run("--host", host) == 1
    file = tmp_path / "token"
    for token in ("", "short", "two\nlines of a token", " " * 40):
        file.write_text(token)
        assert run("--host", "0.0.0.0", "--token-file", str(file)) == 1
    assert run("--token-file", str(tmp_path / "none")) == 1
    assert served == []
    file.write_text(f"{TOKEN}\n")
    assert run("--host", "0.0.0.0", "--token-file", str(file)) == 0
    assert run() == 0
    assert served == ["0.0.0.0", "127.0.0.1"]


PAGES = ("?q", "article?id", "thread?id", "pair?one=s00a0&other", "pair?one", "rules?done", "changes?x", "do/x?y")


@given(
    page=st.sampled_from(PAGES),
    given_text=st.text(st.characters(codec="utf-8"), max_size=60)
    | st.sampled_from(("s00a0", "t0123456789", "..", "%00", SCRIPT)),
)
@settings(max_examples=150, deadline=None)
def test_no_query_is_more_than_a_page_knows_to_answer(built: Path, page: str, given_text: str) -> None:
    """Any text: a page or 404, and no tag that the pages do not have."""
    client = browser(Recommender.open(built))
    answer = client.get(f"/{page}={quote(given_text, safe='')}")
    assert answer.status_code in (200, 404)
    assert set(re.findall(r"<([a-zA-Z][^\s>]*)", answer.text)) <= set(TAGS.split())


@given(action=st.sampled_from((*desk_module.DONE, "x")), data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_form_makes_the_desk_fail(engine: Recommender, action: str, data: st.DataObject) -> None:
    """Any text in any field: done, refused or not found; the rules can be exported and read again."""
    word = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(("s00a0", "s00a1", "x0", "t0123456789", "1", "2"))
    names = ("article", "other", "thread", "label", "note", "number")
    fields = {name: data.draw(word) for name in names if data.draw(st.booleans())}
    client = browser(engine)
    status, _ = send(client, action, **fields)
    assert status in (200, 404, 409)
    assert parse_rules(engine.export_rules(), "exported") == [kept.rule for kept in engine.rules()]
    for kept in engine.rules():
        engine.drop_rule(kept.number)


@pytest.mark.slow
def test_who_dribbles_a_form_is_let_go(built: Path, tmp_path: Path) -> None:
    """A head and a body that never end are closed when their time is up, and the desk goes on."""
    index = shutil.copytree(built, tmp_path / "index")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "from recommender.web import connections; connections.LONGEST_REQUEST = 1.0; from recommender.cli import main; main()"
    command = [sys.executable, "-c", code, "desk", "--index", str(index), "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            until = time.monotonic() + 30
            while time.monotonic() < until:
                try:
                    assert httpx2.get(f"http://127.0.0.1:{port}/").status_code == 200
                    break
                except httpx2.ConnectError:
                    time.sleep(0.1)
            head = f"POST /do/pin HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n"
            form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\n"
            for sent in (head, head + form + "article=s00a0"):
                with socket.create_connection(("127.0.0.1", port), timeout=8) as wire:
                    started = time.monotonic()
                    wire.sendall(sent.encode())
                    assert wire.recv(100) == b""
                    assert 0.5 < time.monotonic() - started < 5
            assert httpx2.get(f"http://127.0.0.1:{port}/").status_code == 200
        finally:
            process.terminate()
            process.wait(timeout=30)


def test_an_address_that_is_taken_is_one_line_and_1(built: Path) -> None:
    """Nothing is said of a desk that is not there; another program has the port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = CliRunner().invoke(app, ["desk", "--index", str(built), "--port", str(port)])
    assert (done.exit_code, done.stdout) == (1, "")
    assert re.fullmatch(rf"error: cannot listen on 127\.0\.0\.1 port {port} \(.+\); give another --host or --port\n", done.stderr)


@pytest.mark.slow
def test_the_command_serves_until_it_is_stopped(built: Path) -> None:
    """A process of its own says where it is, answers there, refuses another host's name, and ends in a second."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    code = "from recommender.cli import main; main()"
    command = [sys.executable, "-c", code, "desk", "--index", str(built), "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert f"http://127.0.0.1:{port}/" in process.stderr.readline()
        asked = f"http://127.0.0.1:{port}/article?id=s00a0"
        for _ in range(50):
            try:
                answer = httpx2.get(asked)
                break
            except httpx2.ConnectError:
                time.sleep(0.1)
        assert "What its list shows" in answer.text
        assert "server" not in answer.headers
        assert httpx2.get(asked, headers={"Host": "evil.example"}).status_code == 403
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=10)[1]
    assert "Traceback" not in said
