"""What a reader of a real WordPress sees: the plug-in, a real `recommender serve` or export of that very site, and a browser.

RECOMMENDER_SCREENSHOTS names a folder for pictures of what was seen.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from recommender import Recommender, read_articles
from tests.web.test_server import running
from tests.web.wordpress import PUTIN, ROOT, Site, expire, free_port, has_latest, lists, must_use, recommender_command, settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

PICTURES = os.environ.get("RECOMMENDER_SCREENSHOTS")
SOME = (PUTIN, "what-kim-gains-from-russia", "who-tb-steps", "quince-paste-recipe", "pennsylvania-covered-bridges")


@pytest.fixture(scope="module")
def index(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the site, by its REST API."""
    folder = tmp_path_factory.mktemp("site") / "index"
    Recommender.build(read_articles([site.url]), folder).close()
    return folder


@pytest.fixture(scope="module")
def expected(site: Site, index: Path) -> dict[str, list[int]]:
    """The numbers of the posts beside some posts, by the library."""
    engine = Recommender.open(index)
    return {slug: [int(number) for number in engine.related_ids(str(site.ids[slug]), k=5)] for slug in SOME}


@pytest.fixture(scope="module")
def serving(index: Path, site: Site) -> Iterator[str]:
    """The address of a real server."""
    with running(index, "--cors", site.url) as (_, port):
        yield f"http://127.0.0.1:{port}"


def numbers(site: Site, text: str) -> list[int]:
    """The posts that the list on a page leads to."""
    found = lists(text)
    return [site.ids[link.removeprefix(site.url).strip("/")] for link, _ in found[0][1]] if found else []


def picture(page: Page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=ROOT / PICTURES / f"wordpress-{name}.png")


@contextmanager
def opened(browser: Browser, name: str) -> Iterator[Page]:
    """A page on a desk, a phone or in the dark; no script may fail on it."""
    width, height = {"desktop": (1000, 820), "dark": (1000, 720), "phone": (390, 780)}[name]
    scheme: Literal["dark", "light"] = "dark" if name == "dark" else "light"
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    yield page
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.close()
    assert wrong == []


def number_of(page: Page) -> int:
    """The number of the post whose page this is, as the theme says it."""
    found = re.search(r"\bpostid-(\d+)\b", page.locator("body").get_attribute("class") or "")
    assert found
    return int(found[1])


@pytest.mark.parametrize("name", ["desktop", "phone", "dark"])
def test_a_reader_goes_from_an_article_to_a_related_one(
    site: Site, serving: str, expected: dict[str, list[int]], browser: Browser, name: str
) -> None:
    """'Latest' before, 'Related stories' in its place after; a click leads to the very post that the engine named."""

    def seen(heading: str, shot: str) -> list[str]:
        page.goto(f"{site.url}/{PUTIN}/")
        assert heading in page.locator("footer h2, aside h2").all_inner_texts()
        place = page.get_by_role("heading", name=heading, exact=True)
        place.evaluate("node => window.scrollTo(0, node.getBoundingClientRect().top + scrollY - 60)")
        if shot == "dark-after":
            picture(page, shot)
        return page.get_by_role("navigation", name=heading, exact=True).get_by_role("link").all_inner_texts()

    with opened(browser, name) as page:
        settings(site)
        before = seen("Latest", f"{name}-before")
        settings(site, server=serving)
        after = seen("Related stories", f"{name}-after")
        assert len(after) == 5
        assert not set(before) & set(after)
        page.get_by_role("navigation", name="Related stories").get_by_role("link").first.click()
        page.wait_for_load_state()
        assert page.locator("h1").inner_text() == after[0]
        assert number_of(page) == expected[PUTIN][0]


def test_the_posts_on_a_page_are_those_that_the_engine_names(site: Site, serving: str, expected: dict[str, list[int]]) -> None:
    """Number by number and in this order, beside posts with and without a story; where nothing is related 'Latest' stays."""
    settings(site, server=serving)
    shown = {slug: site.page(slug) for slug in SOME}
    assert {slug: numbers(site, text) for slug, text in shown.items()} == expected
    assert [slug for slug, text in shown.items() if has_latest(text)] == [slug for slug in SOME if not expected[slug]]
    assert sum(map(len, expected.values())) >= 10


def test_a_server_that_ends_leaves_the_last_known_list(site: Site, index: Path, expected: dict[str, list[int]]) -> None:
    """What was once shown stays, also when it is old; on other articles the site's own list stands."""
    with running(index) as (_, port):
        settings(site, server=f"http://127.0.0.1:{port}")
        assert numbers(site, site.page()) == expected[PUTIN]
    expire(site)
    assert numbers(site, site.page()) == expected[PUTIN]
    assert has_latest(site.page(SOME[1]))


@contextmanager
def static(folder: Path) -> Iterator[str]:
    """A server of files alone."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_static_export_does_what_the_server_does(
    site: Site, index: Path, expected: dict[str, list[int]], tmp_path: Path
) -> None:
    """The same posts in the same order; what stands in no file keeps 'Latest'."""
    recommender_command("export", tmp_path / "web" / "stories", "--index", index)
    with static(tmp_path / "web") as address:
        settings(site, source="export", server=f"{address}/stories")
        assert {slug: numbers(site, site.page(slug)) for slug in SOME} == expected
        settings(site, source="export", server=f"{address}/elsewhere")
        assert has_latest(site.page())


SCRIPT_TAG = """
add_action('wp_footer', function () {
    if (is_singular('post')) {
        $tag = '<script src="ADDRESS/widget.js" data-article="%d" data-target=".widget_recent_entries"';
        printf($tag . ' data-heading="Related stories" defer></script>', get_the_ID());
    }
});
"""


def test_the_script_alone_does_it_without_the_plug_in(
    site: Site, serving: str, expected: dict[str, list[int]], browser: Browser
) -> None:
    """`widget.js` of the real server in place of the 'Recent Posts' widget; without the server that stays as it was."""
    settings(site)
    for address in (serving, f"http://127.0.0.1:{free_port()}"):
        code = SCRIPT_TAG.replace("ADDRESS", address)
        with must_use(site, code), opened(browser, "desktop") as page:
            page.goto(f"{site.url}/{PUTIN}/")
            if address == serving:
                links = page.locator("nav.related-stories a")
                links.first.wait_for()
                slugs = [str(link.get_attribute("href")).removeprefix(site.url).strip("/") for link in links.all()]
                assert [site.ids[slug] for slug in slugs] == expected[PUTIN][: len(slugs)]
                assert len(slugs) >= 3
                assert not has_latest(page.content())
                links.first.click()
                page.wait_for_load_state()
                assert number_of(page) == expected[PUTIN][0]
            else:
                page.wait_for_load_state("networkidle")
                assert has_latest(page.content())


BLOCK_TEMPLATE = """
<!-- wp:template-part {"slug":"header","theme":"twentytwentythree","tagName":"header"} /-->
<!-- wp:group {"tagName":"main","layout":{"type":"constrained"}} --><main class="wp-block-group">
<!-- wp:columns {"align":"wide"} --><div class="wp-block-columns alignwide">
<!-- wp:column {"width":"62%"} --><div class="wp-block-column" style="flex-basis:62%">
<!-- wp:post-title {"level":1,"fontSize":"x-large"} /--><!-- wp:post-date /--><!-- wp:post-content /--></div><!-- /wp:column -->
<!-- wp:column --><div class="wp-block-column"><!-- wp:group --><div class="wp-block-group">
<!-- wp:heading {"fontSize":"medium"} --><h2 class="wp-block-heading has-medium-font-size">Latest</h2><!-- /wp:heading -->
<!-- wp:latest-posts {"postsToShow":4,"displayPostDate":true} /--></div><!-- /wp:group --></div><!-- /wp:column -->
</div><!-- /wp:columns --></main><!-- /wp:group -->
<!-- wp:template-part {"slug":"footer","theme":"twentytwentythree","tagName":"footer"} /-->
"""
"""The page of a post with the latest posts at its side, as the site editor keeps it."""


@contextmanager
def block_theme(site: Site, template: str | None = BLOCK_TEMPLATE) -> Iterator[None]:
    """Twenty Twenty-Three, with this template of posts as the site editor keeps one; None: with its own."""
    if not (site.folder / "site" / "wp-content" / "themes" / "twentytwentythree").exists():
        pytest.skip("this WordPress brings no block theme")
    arranged = site.php("echo wp_json_encode(get_option('sidebars_widgets'));")
    made = site.php(
        "switch_theme('twentytwentythree'); delete_option('theme_switched'); if ($in['template'] === null) { exit('0'); }"
        "$post = array('post_type' => 'wp_template', 'post_name' => 'single', 'post_title' => 'Single');"
        "$id = wp_insert_post(wp_slash($post + array('post_status' => 'publish', 'post_content' => $in['template'])));"
        "wp_set_object_terms($id, 'twentytwentythree', 'wp_theme'); echo $id;",
        template=template,
    )
    try:
        yield
    finally:
        site.php(
            "wp_delete_post($in['made'], true); switch_theme('twentytwentyone'); delete_option('theme_switched');"
            "set_theme_mod('respect_user_color_preference', true);"
            "update_option('sidebars_widgets', json_decode($in['arranged'], true));",
            made=int(made),
            arranged=arranged,
        )


@pytest.mark.parametrize("name", ["desktop", "phone"])
def test_a_block_theme_shows_them_too(
    site: Site, serving: str, expected: dict[str, list[int]], browser: Browser, name: str
) -> None:
    """The 'Latest Posts' block of the template and its heading give way, with as many stories as it was to show."""

    def see(shot: str) -> None:
        page.goto(f"{site.url}/{PUTIN}/")
        if name == "phone":
            page.locator(".entry-content p").nth(-1).evaluate("node => window.scrollTo(0, node.getBoundingClientRect().top - 20)")
        if (name, shot) != ("phone", "before"):
            picture(page, f"{name}-{shot}")

    with block_theme(site), opened(browser, name) as page:
        settings(site)
        see("before")
        assert page.locator(".wp-block-latest-posts li").count() == 4
        settings(site, server=serving)
        see("after")
        text = page.content()
        assert numbers(site, text) == expected[PUTIN][:4]
        assert "wp-block-latest-posts__list" not in text
        assert ">Latest</h2>" not in text
        links = page.get_by_role("navigation", name="Related stories")
        place, body = links.bounding_box(), page.locator(".entry-content").bounding_box()
        assert place
        assert body
        assert place["x"] >= body["x"] + (body["width"] if name == "desktop" else 0)
        assert place["y"] >= body["y"] + (body["height"] if name == "phone" else -200)
        links.get_by_role("link").nth(1).click()
        page.wait_for_load_state()
        assert number_of(page) == expected[PUTIN][1]


def test_a_block_theme_shows_them_below_the_article(site: Site, serving: str, expected: dict[str, list[int]]) -> None:
    """With the theme's own template, which has no latest posts; once, after the text."""
    with block_theme(site, template=None):
        settings(site, server=serving, append=True)
        text = site.page()
        assert numbers(site, text) == expected[PUTIN]
        assert text.count('<nav class="related-stories"') == 1
        assert text.index("setting foot in North Korea") < text.index('<nav class="related-stories"') < text.index("</main>")


def test_the_block_widgets_of_a_new_site_are_replaced(site: Site, serving: str, expected: dict[str, list[int]]) -> None:
    """What WordPress puts into the sidebar of a classic theme since 5.8: a group of a heading and latest posts."""
    given = (
        '<!-- wp:group --><div class="wp-block-group"><!-- wp:heading --><h2>Recent Posts</h2><!-- /wp:heading -->'
        "<!-- wp:latest-posts /--></div><!-- /wp:group -->"
    )
    arranged = site.php(
        "echo wp_json_encode(get_option('sidebars_widgets'));"
        "update_option('widget_block', array(9 => array('content' => $in['given'])));"
        "update_option('sidebars_widgets', array('sidebar-1' => array('block-9')));",
        given=given,
    )
    try:
        settings(site)
        assert ">Recent Posts</h2>" in site.page()
        settings(site, server=serving)
        text = site.page()
        assert numbers(site, text) == expected[PUTIN]
        assert "Recent Posts" not in text
        assert "wp-block-latest-posts__list" not in text
    finally:
        site.php("update_option('sidebars_widgets', $in); delete_option('widget_block');", **json.loads(arranged))
