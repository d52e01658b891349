"""The plug-in in a real WordPress with its database, fed by a made-up server; the posts are those of the sample newsroom."""

from __future__ import annotations

import hashlib
import html
import json
import re
import time
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import SAMPLE
from tests.web.wordpress import (
    OPTIONS,
    PLUGINS,
    PUTIN,
    Server,
    Site,
    answer,
    expire,
    free_port,
    has_latest,
    item,
    lists,
    script,
    settings,
)

if TYPE_CHECKING:
    pass

RELATED = ("moscow-pyongyang-mutual-defence-pact", "what-kim-gains-from-russia")

pytestmark = pytest.mark.slow


@pytest.fixture
def server(site: Site) -> Iterator[Server]:
    """A server that the plug-in asks, with nothing cached and the default settings; it answers for one article."""
    fake = Server()
    listening = ThreadingHTTPServer(("127.0.0.1", 0), fake.handler())
    listening.daemon_threads = True
    fake.url = f"http://127.0.0.1:{listening.server_port}"
    fake.answers[f"/related/{site.ids[PUTIN]}"] = answer(*(item(site, slug) for slug in RELATED))
    settings(site, server=fake.url)
    Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
    yield fake
    listening.shutdown()
    listening.server_close()


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    """Neither `up` nor `down --purge` takes a folder that it did not make; a port that is none is refused."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "web.pid").write_text("1")
    for words in (["up"], ["down"], ["down", "--purge"], *(["up", "--port", port] for port in ("80", "8x", "99999"))):
        done = script(*words, "--dir", str(tmp_path))
        assert (words, done.returncode, done.stderr.count("\n")) == (words, 1, 1)
        assert [path.name for path in tmp_path.rglob("*")] == ["run", "web.pid"]


def articles() -> list[dict[str, Any]]:
    """The sample newsroom."""
    return [json.loads(line) for line in (SAMPLE / "articles.jsonl").read_text(encoding="utf-8").splitlines()]


def titles() -> dict[str, str]:
    return {article["id"]: article["title"] for article in articles()}


def test_the_site_holds_the_newsroom_and_shows_what_is_published(site: Site) -> None:
    """All articles of the sample are posts with their addresses; drafts and the private post are not to be had."""
    assert set(site.ids) == set(titles())
    assert site.php("echo wp_count_posts()->draft, ' ', wp_count_posts()->private;") == "3 1"
    for slug in ("for-editors-only", "for-another-day"):
        assert site.get(f"/{slug}/")[0] == 404


def test_posts_have_date_section_tags_and_author_of_their_article(site: Site) -> None:
    """One article by its address: what the REST API says is what the sample says."""
    article = next(article for article in articles() if article["id"] == PUTIN)
    post = json.loads(site.get(f"/wp-json/wp/v2/posts?slug={PUTIN}&_embed=1")[1])[0]
    terms = [term["name"] for terms in post["_embedded"]["wp:term"] for term in terms]
    assert sorted(html.unescape(term) for term in terms) == sorted([article["section"], *article["tags"]])
    assert [author["name"] for author in post["_embedded"]["author"]] == article["authors"][:1]
    assert post["date_gmt"] == site.php("echo gmdate('Y-m-d\\TH:i:s', strtotime($in['at']));", at=article["published"])


def test_up_again_changes_nothing(site: Site) -> None:
    """The same address, password and posts; the same processes."""
    processes = {path.name: path.read_text() for path in (site.folder / "run").iterdir()}
    done = script("up", "--dir", str(site.folder))
    assert dict(line.split() for line in done.stdout.splitlines())["password"] == site.password
    assert {path.name: path.read_text() for path in (site.folder / "run").iterdir()} == processes
    assert site.php("echo wp_count_posts()->publish;") == "291"  # one has a password


def test_related_stories_stand_in_place_of_latest(site: Site, server: Server) -> None:
    """With today's titles and addresses of the posts, not those of the index; on other pages 'Latest' stays."""
    page = site.page()
    known = titles()
    assert lists(page) == [("Related stories", [(f"{site.url}/{slug}/", known[slug].replace("'", "’")) for slug in RELATED])]
    assert not has_latest(page)
    assert has_latest(site.get("/")[1])
    assert not lists(site.get("/")[1])


def test_what_a_server_says_is_escaped(site: Site, server: Server) -> None:
    """Markup in titles of other sites is shown as text; an address that is no http address is not linked at all."""
    bad = "<script>alert(1)</script> \"& ' <b>"
    link = 'https://other.example/a?b=1&c="><script>alert(2)</script>'
    elsewhere = [
        {"id": "x1", "title": bad, "url": link, "published": "2024-06-19T00:00:00+00:00"},
        {"id": "x2", "title": "Runs a script", "url": "javascript:alert(3)", "published": None},
        {"id": "x3", "title": "Carries data", "url": "data:text/html,<script>alert(4)</script>", "published": None},
        {"id": "x4", "title": "Has no address", "url": None, "published": '"><script>alert(5)</script>'},
    ]
    server.answers[f"/related/{site.ids[PUTIN]}"] = answer(*elsewhere)
    page = site.page()
    assert [[title for _, title in stories] for _, stories in lists(page)] == [[bad]]
    assert 'datetime="2024-06-19T00:00:00Z"' in page
    assert "<script>alert" not in page
    assert "javascript:alert" not in page


def test_posts_that_are_withdrawn_are_not_shown(site: Site, server: Server) -> None:
    """A draft, a private post, one with a password, one that is gone and the article itself are left out, though cached."""
    slugs = ["what-kim-gains-from-russia", "washington-watches-pyongyang-trip", "korea-eight-nil-crowds"]
    slugs.append("kremlin-leader-lands-pyongyang")
    server.answers[f"/related/{site.ids[PUTIN]}"] = answer(*(item(site, slug) for slug in [*slugs, RELATED[0], PUTIN]))
    assert len(lists(site.page())[0][1]) == 5
    changes = [{"post_status": status} for status in ("draft", "private", "trash")]
    changes.append({"post_password": "x"})
    code = "foreach ($in['posts'] as $post) { $was = get_post($post['ID'], ARRAY_A); wp_update_post(array_merge($was, $post)); }"
    site.php(code, posts=[{"ID": site.ids[slug], **change} for slug, change in zip(slugs, changes, strict=True)])
    assert [link for _, stories in lists(site.page()) for link, _ in stories] == [f"{site.url}/{RELATED[0]}/"]
    back = {"post_status": "publish", "post_password": ""}
    site.php(code, posts=[{"ID": site.ids[slug], **back, "post_name": slug} for slug in slugs])
    assert len(server.asked) == 1


def test_a_list_is_asked_for_once(site: Site, server: Server) -> None:
    """Ten views, one question, with the number of the settings."""
    for _ in range(10):
        assert lists(site.page())
    assert server.asked == [f"/related/{site.ids[PUTIN]}?k=5"]
    expire(site)
    site.page()
    assert len(server.asked) == 2


def test_a_stale_list_outlives_the_server(site: Site, server: Server) -> None:
    """What was known is shown when the server fails; an article that nothing is known of keeps 'Latest'."""
    before = lists(site.page())
    expire(site)
    server.answers[f"/related/{site.ids[PUTIN]}"] = 503, b"busy"
    assert lists(site.page()) == before
    assert has_latest(site.page("who-tb-steps"))


def test_nobody_listens(site: Site) -> None:
    """A server that is not there costs nothing that a reader sees; after one failure no page asks for a while."""
    settings(site, server=f"http://127.0.0.1:{free_port()}", append=True)
    page = site.page()
    assert has_latest(page)
    assert not lists(page)
    assert "pause" in site.php(f"echo implode(' ', {OPTIONS});")


def test_a_slow_server_is_waited_for_once(site: Site, server: Server) -> None:
    """The first page waits two seconds, the next ones, of other articles too, do not wait."""
    server.delay = 5
    start = time.monotonic()
    assert has_latest(site.page())
    assert time.monotonic() - start < 4
    start = time.monotonic()
    assert has_latest(site.page())
    assert has_latest(site.page("who-tb-steps"))
    assert time.monotonic() - start < 1.5
    assert len(server.asked) == 1


def wrong_answers() -> dict[str, tuple[int, bytes]]:
    """Answers that are no list."""
    deep = b'{"items": ' + b"[" * 5000 + b"]" * 5000 + b"}"
    items: list[Any] = [
        None,
        7,
        "x",
        [],
        {},
        {"id": "1"},
        {"id": [], "title": "t"},
        {"id": "x", "title": 5, "url": "https://a.b"},
    ]
    addresses: list[Any] = [None, 5, [], "", "//", "ftp://a.example", "java\nscript:alert(1)", "http:", "https://", "/local"]
    items += [{"id": "x", "title": "t", "url": address} for address in addresses]
    items += [{"id": "x", "title": "   ", "url": "https://a.example"}, {"id": "9" * 40, "title": "t", "url": ""}]
    statuses = (204, 304, 400, 401, 403, 404, 410, 418, 429, 500, 502, 503)
    return {
        **{f"status {status}": (status, b'{"items": []}') for status in statuses},
        "nothing": (200, b""),
        "no JSON": (200, b"<html>It works</html>"),
        "half": (200, b'{"id": "1", "items": [{"id": "2", "ti'),
        "null": (200, b"null"),
        "a number": (200, b"5"),
        "a list": (200, b'[{"id": "1"}]'),
        "items null": (200, b'{"items": null}'),
        "items text": (200, b'{"items": "x"}'),
        "items number": (200, b'{"items": 1e999}'),
        "no items": (200, b'{"thread": null}'),
        "empty": (200, b'{"id": "1", "thread": null, "items": []}'),
        "deep": (200, deep),
        "bytes": (200, b"\xff\xfe\x00{\x00"),
        "bad utf-8": (200, b'{"items": [{"id": "x", "title": "\xff\xc0", "url": "https://a.example"}]}'),
        "large": (200, b'{"items": ["' + b"x" * 5_000_000 + b'"]}'),
        "serialised": (200, b'O:8:"stdClass":1:{s:5:"items";a:0:{}}'),
        **{f"item {number}": answer(bad) for number, bad in enumerate(items)},
    }


def test_no_answer_of_a_server_breaks_a_page(site: Site, server: Server) -> None:
    """Whatever comes that is no list: the site's own list stays, no warning of PHP, the article is there."""
    answers = wrong_answers()
    assert len(answers) >= 40
    for name, wrong in answers.items():
        server.answers[f"/related/{site.ids[PUTIN]}"] = wrong
        settings(site, server=server.url)
        page = site.page()
        assert (name, has_latest(page), lists(page)) == (name, True, [])
        assert "Putin arrives" in page
    assert len(server.asked) == len(answers)
    server.redirects = True
    settings(site, server=server.url)
    assert has_latest(site.page())


def test_the_list_stands_below_the_article_where_asked(site: Site, server: Server) -> None:
    """With the title of the settings, once, and not in a feed, an excerpt or the REST API."""
    settings(site, server=server.url, append=True, replace=False, title="More on <this>")
    page = site.page()
    assert [heading for heading, _ in lists(page)] == ["More on <this>"]
    assert page.index('related-stories" aria-label') < page.index("widget_recent_entries")
    for path in ("/feed/", "/", f"/wp-json/wp/v2/posts/{site.ids[PUTIN]}"):
        assert "More on" not in site.get(path)[1]


def test_the_block_and_the_widget_show_the_list_or_the_latest(site: Site, server: Server) -> None:
    """The block in a post and the classic widget in the footer, with numbers and titles of their own."""
    other = "who-tb-steps"
    server.answers[f"/related/{site.ids[other]}"] = server.answers[f"/related/{site.ids[PUTIN]}"]
    arranged = json.loads(site.php("echo wp_json_encode(get_option('sidebars_widgets'));"))
    text = site.php("echo get_post($in['id'])->post_content;", id=site.ids[other])
    change = "wp_update_post(wp_slash(array('ID' => $in['id'], 'post_content' => $in['content'])));"
    site.php(
        f"{change} $widget = array('title' => 'A & B', 'number' => 0);"
        "update_option('widget_related_stories', array(2 => $widget, '_multiwidget' => 1));"
        "update_option('sidebars_widgets', array('sidebar-1' => array('related_stories-2', 'recent-posts-2')));",
        id=site.ids[other],
        content='<!-- wp:related-stories/list {"number":1} /--><!-- wp:group --><div><!-- wp:heading --><h2>Newest</h2>'
        '<!-- /wp:heading --><!-- wp:latest-posts {"postsToShow":1} /--></div><!-- /wp:group -->',
    )
    settings(site, server=server.url, replace=True)
    page = site.page(other)
    assert [(heading, len(stories)) for heading, stories in lists(page)] == [
        ("Related stories", 1), ("Related stories", 1), ("A & B", 2), ("Related stories", 2),
    ]  # fmt: skip
    assert "Newest" not in page
    settings(site, server=server.url, replace=False)
    assert "Newest" in site.page(other)
    server.answers.clear()
    settings(site, server=server.url, replace=True)
    page = site.page(other)
    assert [(heading, len(stories)) for heading, stories in lists(page)] == [("Latest", 1), ("Latest", 5)]
    assert "Newest" in page
    assert has_latest(page)
    site.php("update_option('sidebars_widgets', $in);", **arranged)
    site.php(change, id=site.ids[other], content=text)


def test_another_address_can_be_asked(site: Site, server: Server) -> None:
    """A filter leads to a list under another name."""
    server.answers["/lists/7.json"] = server.answers.pop(f"/related/{site.ids[PUTIN]}")
    plugins = site.folder / "site" / "wp-content" / "mu-plugins"
    plugins.mkdir(exist_ok=True)
    leads = f"function () {{ return '{server.url}/lists/7.json'; }}"
    (plugins / "export.php").write_text(f"<?php add_filter('related_stories_url', {leads});")
    settings(site)
    assert lists(site.page())
    (plugins / "export.php").unlink()
    assert server.asked == ["/lists/7.json"]


def form_of(text: str) -> dict[str, str]:
    """The hidden fields of the settings form."""
    fields = re.findall(r"""<input type=["']hidden["'][^>]*name=["'](.*?)["'] value=["'](.*?)["']""", text)
    return {name: html.unescape(value) for name, value in fields}


def test_the_settings_page_keeps_what_is_sound(site: Site, server: Server) -> None:
    """Logged in, with the nonce of the form; a bad address is refused with a message, markup is shown as text."""
    settings(site)
    opener = site.log_in()
    page = "/wp-admin/options-general.php?page=related-stories"
    hidden = form_of(site.get(page, opener)[1])
    assert hidden["option_page"] == "related_stories"
    name = "related_stories[{}]".format
    title = '"><script>alert(6)</script>See & read'
    typed = {name("server"): f"{server.url}/", name("number"): "999", name("title"): title, name("replace"): "1"}
    _, text = site.get("/wp-admin/options.php", opener, {**hidden, **typed})
    stored = json.loads(site.php("echo wp_json_encode(get_option('related_stories'));"))
    kept = {"source": "server", "server": server.url}
    assert stored == {**kept, "number": 20, "title": '">See & read', "append": False, "replace": True}
    assert "<script>alert(6)" not in text
    assert [heading for heading, _ in lists(site.page())] == ['">See & read']
    refused = [
        "javascript:alert(1)",
        "ftp://a.example",
        "nonsense",
        "https://",
        "http://a.example/?x=1",
        "//a.example",
        "file:///x",
    ]
    for bad in refused:
        _, text = site.get("/wp-admin/options.php", opener, {**hidden, **typed, name("server"): bad})
        assert (bad, "must begin with" in text) == (bad, True)
        assert site.php("echo get_option('related_stories')['server'];") == server.url


def test_static_files_are_asked_for_by_their_digest(site: Site, server: Server) -> None:
    """As the settings page stores it; the list is no longer than the settings say. What is no source is the server."""
    digest = hashlib.sha256(str(site.ids[PUTIN]).encode()).hexdigest()
    path = f"/stories/related/{digest[:2]}/{digest}.json"
    server.answers = {path: server.answers[f"/related/{site.ids[PUTIN]}"]}
    opener = site.log_in()
    hidden = form_of(site.get("/wp-admin/options-general.php?page=related-stories", opener)[1])
    typed = {"server": f"{server.url}/stories/", "number": "1", "replace": "1"}
    for source, stored in (("export", "export"), ('"><script>alert(7)</script>', "server"), ("", "server")):
        form = {f"related_stories[{name}]": value for name, value in {**typed, "source": source}.items()}
        site.get("/wp-admin/options.php", opener, {**hidden, **form})
        assert json.loads(site.php("echo wp_json_encode(get_option('related_stories'));"))["source"] == stored
        expire(site)
        server.asked.clear()
        assert [len(stories) for _, stories in lists(site.page())] == ([1] if stored == "export" else [])
        assert server.asked == [path if stored == "export" else f"/stories/related/{site.ids[PUTIN]}?k=1"]


def test_the_settings_page_tells_how_the_address_answers(site: Site, server: Server) -> None:
    """For the latest post: so many stories, no such post, no recommender, nobody there; what comes is shown as text."""
    opener = site.log_in()
    latest = site.php("echo get_posts(array('numberposts' => 1))[0]->ID;")

    def told(address: str = server.url) -> str:
        settings(site, server=address)
        _, text = site.get("/wp-admin/options-general.php?page=related-stories", opener)
        found = re.findall(r'<p id="related-stories-told">(.*?)</p>', text)
        return html.unescape(found[0]) if found else ""

    assert "there is no list for the post" in told()
    server.answers[f"/related/{latest}"] = answer(*(item(site, slug) for slug in RELATED))
    assert told().startswith("It answers: 2 stories beside the post")
    server.answers[f"/related/{latest}"] = 200, b"<script>alert(8)</script>"
    assert "gives no list of stories (status 200)" in told()
    assert "No answer from http://127.0.0.1:" in told(f"http://127.0.0.1:{free_port()}")
    assert told("") == ""
    assert "alert(8)" not in site.get("/wp-admin/options-general.php?page=related-stories", opener)[1]


def test_nobody_else_changes_the_settings(site: Site, server: Server) -> None:
    """Without the nonce, without a login, or as an author, nothing is stored."""
    typed = {"option_page": "related_stories", "action": "update", "related_stories[server]": "http://evil.example"}
    opener = site.log_in()
    hidden = form_of(site.get("/wp-admin/options-general.php?page=related-stories", opener)[1])
    assert site.get("/wp-admin/options.php", opener, typed)[0] == 403
    assert site.get("/wp-admin/options.php", opener, {**typed, "_wpnonce": hidden["_wpnonce"][::-1]})[0] == 403
    site.get("/wp-admin/options.php", None, {**typed, **hidden})
    author = "get_users(array('role' => 'author', 'number' => 1))[0]"
    assert site.php(f"echo user_can({author}, 'manage_options') ? 'may' : 'may not';") == "may not"
    assert site.php("echo get_option('related_stories')['server'];") == server.url


def test_uninstalling_leaves_nothing(site: Site, server: Server) -> None:
    """No option and no cached list is left; the site goes on."""
    site.page()
    names = f"echo implode(' ', {OPTIONS});"
    assert site.php(names)
    site.php(
        f"{PLUGINS} deactivate_plugins('related-stories/related-stories.php');"
        "uninstall_plugin('related-stories/related-stories.php');"
    )
    assert site.php(names) == ""
    assert has_latest(site.page())
    site.php(f"{PLUGINS} activate_plugin('related-stories/related-stories.php');")
