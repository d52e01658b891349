"""What readers and editors see, by axe-core in a real browser where there is one: wide and light, narrow and dark."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe

from recommender import Recommender
from recommender.web.connections import options
from recommender.web.desk import desk
from recommender.web.fragments import related_html
from recommender.web.guard import Access
from tests.web.test_server import HERO, free_port, running, wait_for
from tests.web.test_widget import page, site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SCREENS: tuple[dict[str, Any], ...] = (
    {"viewport": {"width": 1200, "height": 800}, "color_scheme": "light"},
    {"viewport": {"width": 320, "height": 640}, "color_scheme": "dark"},
)
TOKEN = "correct-horse-battery-staple"
SITE = """<!DOCTYPE html><html lang="en"><meta name="color-scheme" content="light dark"><title>A page</title>
<meta name="viewport" content="width=device-width"><style>body {{ background: Canvas; color: CanvasText; }}</style>
<main><h1>A story</h1>{}</main>"""

pytestmark = pytest.mark.slow


def faults(shown: Page) -> list[str]:
    """What axe-core finds, and whether anything is wider than the screen."""
    found = Axe().run(shown).response
    assert len(found["passes"]) > 8  # it has looked at the page
    wide = shown.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    told = [f"{one['id']}: {node['html'][:200]}" for one in found["violations"] for node in one["nodes"]]
    return told + ([f"{wide} pixels too wide"] if wide > 0 else [])


def test_pages_and_lists_have_no_fault(newsroom_index: Path, browser: Browser, tmp_path: Path) -> None:
    """The page of a thread, a fragment in a page, and the widget in a page; bypassed policies would forbid axe-core itself."""
    engine = Recommender.open(newsroom_index)
    thread = engine.threads()[0].id
    port = free_port()
    fragment = related_html(engine.related_list(HERO), thread_url="https://a.example/t")
    (tmp_path / "fragment.html").write_text(SITE.format(fragment))
    with running(newsroom_index, "--cors", f"http://127.0.0.1:{port}") as (_, served), site(tmp_path, port):
        wait_for(served)
        widget = page(served, f'data-article="{HERO}" data-heading="More on this story"')
        (tmp_path / "widget.html").write_text(SITE.format(widget[widget.index("<div") :].removesuffix("</html>")))
        addresses = [f"http://127.0.0.1:{served}/threads/{thread}.html"]
        addresses += [f"http://127.0.0.1:{port}/{name}.html" for name in ("fragment", "widget")]
        for screen in SCREENS:
            context = browser.new_context(bypass_csp=True, **screen)
            for address in addresses:
                shown = context.new_page()
                shown.goto(address)
                if address.endswith("widget.html"):
                    shown.wait_for_selector("#related nav a")
                assert faults(shown) == [], (address, screen)
            context.close()


@contextmanager
def editors(index: Path) -> Iterator[str]:
    """The address of a desk that asks for a token."""
    port = free_port()
    engine = Recommender.open(index)
    server = uvicorn.Server(uvicorn.Config(desk(engine, Access(token=TOKEN)), port=port, **options(50)))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
        engine.close()


def test_the_desk_has_no_fault(newsroom_index: Path, browser: Browser, tmp_path: Path) -> None:
    """Every page of it: the login, the search, an article, a thread, a pair, the rules, the changes, an error, a refusal."""
    index = Path(shutil.copytree(newsroom_index, tmp_path / "index"))
    engine = Recommender.open(index)
    engine.add_rule(f"pin {HERO} {engine.related_ids(HERO)[2]}  # asked for")
    thread, other = engine.thread_of(HERO), engine.related_ids(HERO)[0]
    assert thread is not None
    pages = (
        *("/", "/?q=Putin", "/?q=nothing-at-all", f"/article?id={HERO}", f"/article?id={HERO}&done=pin"),
        *(f"/thread?id={thread.id}", f"/pair?one={HERO}&other={other}", "/rules", "/changes", "/none"),
    )
    with editors(index) as address:
        for screen in SCREENS:
            context = browser.new_context(bypass_csp=True, **screen)
            shown = context.new_page()
            shown.goto(f"{address}/login")
            assert faults(shown) == [], screen
            shown.fill("#token", TOKEN)
            shown.click("main button")
            for path in pages:
                shown.goto(f"{address}{path}")
                assert faults(shown) == [], (path, screen)
            shown.goto(f"{address}/article?id={HERO}")
            shown.fill("#pin-other", HERO)
            shown.click("form.asking[action='/do/pin'] button")
            assert shown.locator("[role=alert]").count() == 1
            assert faults(shown) == [], screen
            context.close()
