"""One WordPress and one browser for all tests that need them: both take long to start."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.web.wordpress import PLUGINS, Site, can_install, free_port, script

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """A real WordPress with the sample newsroom and the plug-in, active. Who changes its posts puts them back."""
    if not can_install():
        pytest.skip("no WordPress: neither apt-get with the right to install nor PHP, MariaDB and WordPress are here")
    folder = Path(tempfile.mkdtemp(prefix="wordpress-test-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        done = script("up", "--port", str(free_port()), "--dir", str(folder))
        assert done.returncode == 0, done.stderr
        account = dict(line.split() for line in done.stdout.splitlines())
        running = Site(folder, account["url"].rstrip("/"), account["password"], {})
        for page in (1, 2, 3):
            status, text = running.get(f"/wp-json/wp/v2/posts?per_page=100&page={page}&_fields=id,slug,content")
            assert status == 200
            running.ids.update({post["slug"]: post["id"] for post in json.loads(text) if not post["content"]["protected"]})
        running.php(f"{PLUGINS} activate_plugin('related-stories/related-stories.php');")
        yield running
    finally:
        ended = script("down", "--purge", "--dir", str(folder))
        assert ended.returncode == 0, ended.stderr
        assert not folder.exists()


@pytest.fixture(scope="session")
def chromium() -> str:
    """The program; Debian's is installed where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    if not any(map(shutil.which, names)) and shutil.which("apt-get") and os.geteuid() == 0:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
        for order in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
            subprocess.run([*apt, *order], check=False, capture_output=True, timeout=600, env=quiet)
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip("no Chromium, and no apt-get with the right to install it")
    return program


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Chromium, driven by Playwright."""
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()
