"""docs/wordpress.md: what it tells a stranger to type is run as written, against a real WordPress."""

from __future__ import annotations

import configparser
import html
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.test_readme import BLOCK
from tests.web.test_wordpress_reader import numbers, static
from tests.web.wordpress import PUTIN, ROOT, Site, free_port, settings

pytestmark = pytest.mark.slow

GUIDE = ROOT / "docs" / "wordpress.md"


def blocks(site: Site, folder: Path, port: int) -> list[tuple[str, str]]:
    """(language, text) of what is run, with the addresses and folders of this test."""
    text = GUIDE.read_text(encoding="utf-8")
    here = {
        "https://news.example": site.url, "/srv/recommender": str(folder), "/var/www/html/stories": str(folder / "web/stories"),
        "/var/www/html": str(folder / "html"), "8377": str(port), "?post=42": "",
    }  # fmt: skip
    number = str(site.ids[PUTIN])
    found = []
    for block in BLOCK.finditer(text):
        if re.fullmatch(r"not run: \w.+", block["mark"] or ""):
            continue
        told = re.sub(r"\b42\b", number, block["text"])
        for written, meant in here.items():
            told = told.replace(written, meant)
        found.append((block["language"], told))
    return found


@contextmanager
def unit(text: str, port: int) -> Iterator[configparser.ConfigParser]:
    """A systemd unit's service, as its lines say."""
    told = configparser.ConfigParser(interpolation=None)
    told.optionxform = str  # type: ignore[assignment,method-assign]
    told.read_string(text)
    service = told["Service"]
    name, _, value = service["Environment"].partition("=")
    with subprocess.Popen(shlex.split(service["ExecStart"]), env={"PATH": os.environ["PATH"], name: value}) as process:
        try:
            deadline = time.monotonic() + 30
            while process.poll() is None and time.monotonic() < deadline:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
                    break
                except urllib.error.URLError:
                    time.sleep(0.1)
            yield told
        finally:
            process.terminate()


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_a_stranger_gets_to_related_stories_by_the_guide(site: Site, tmp_path: Path) -> None:
    """Its blocks in order; at the end the site shows the same list by the server and by the static files."""
    port = free_port()
    program = tmp_path / "venv" / "bin" / "recommender"
    program.parent.mkdir(parents=True)
    start = "from recommender.cli import main; main()"
    program.write_text(f"#!/bin/sh\nPYTHONPATH='{ROOT}' exec '{sys.executable}' -c '{start}' \"$@\"\n")
    program.chmod(0o755)
    (tmp_path / "html" / "wp-content" / "plugins").mkdir(parents=True)
    work = tmp_path / "work"
    work.mkdir()
    (work / "recommender").symlink_to(ROOT / "recommender")
    environment = os.environ | {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
    environment["RECOMMENDER_INDEX"] = str(tmp_path / "news")
    told = blocks(site, tmp_path, port)
    said: list[str] = []
    crontab: dict[str, str] = {}

    def run(text: str, *, cron: bool = False) -> None:
        shell = ["/bin/sh", "-c"] if cron else ["bash", "-euo", "pipefail", "-c"]
        known = crontab if cron else environment
        done = subprocess.run([*shell, text], cwd=work, env=known, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        if cron:
            assert done.stdout + done.stderr == "", text
        said.append(done.stdout + done.stderr)

    def run_all(languages: str) -> None:
        while told and told[0][0] in languages.split():
            language, text = told.pop(0)
            for line in text.splitlines() if language == "crontab" else []:
                if assigned := re.fullmatch(r"(\w+)=(.*)", line):
                    crontab[assigned[1]] = assigned[2]
                else:
                    assert re.fullmatch(r"\*/\d+( \*){4}", " ".join(line.split()[:5]))
                    run(" ".join(line.split()[5:]), cron=True)
            if language == "sh":
                run(text)

    run_all("sh crontab")
    assert f"added {len(site.ids)}, updated 0" in said[0]
    assert "Russia and North Korea promise" in said[1]
    with unit(told.pop(0)[1], port) as service:
        assert service["Install"]["WantedBy"] == "multi-user.target"
        run_all("sh crontab")
        settings(site, source="server", server=f"http://127.0.0.1:{port}")
        by_server = numbers(site, site.page())
        assert len(by_server) == 5
    assert [language for language, _ in told] == ["html"]
    (answered,) = (json.loads(text.splitlines()[-1]) for text in said if '"items"' in text)
    assert [int(item["id"]) for item in answered["items"]] == by_server
    with static(tmp_path / "web") as address:
        settings(site, source="export", server=f"{address}/stories")
        assert numbers(site, site.page()) == by_server
    plug_in = ROOT / "recommender" / "web" / "wordpress" / "related-stories"
    files = {str(path.relative_to(plug_in)): path.read_bytes() for path in plug_in.rglob("*") if path.is_file()}
    unpacked = site.folder / "site" / "wp-content" / "upgrade"
    package = shutil.copy(work / "related-stories.zip", site.folder / "site" / "related-stories.zip")
    result = site.php(
        "require_once ABSPATH . 'wp-admin/includes/file.php'; define('FS_METHOD', 'direct'); WP_Filesystem();"
        "wp_mkdir_p($in['to']); echo unzip_file($in['zip'], $in['to']) === true ? 'ok' : 'no';",
        zip=str(package),
        to=str(unpacked),
    )
    assert result == "ok"
    for place in (unpacked / "related-stories", tmp_path / "html" / "wp-content" / "plugins" / "related-stories"):
        assert {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()} == files
    shutil.rmtree(unpacked)


def test_the_guide_names_every_setting_as_the_page_does(site: Site) -> None:
    """The rows of its table are the labels of the form, in their order; what it quotes of the page, the plug-in says."""
    text = GUIDE.read_text(encoding="utf-8")
    table = text.split("| setting | value |")[1].split("\n\n")[0]
    rows = [row.split(" | ")[0].strip("| ") for row in table.splitlines()[2:]]
    page = site.get("/wp-admin/options-general.php?page=related-stories", site.log_in())[1]
    assert rows == [html.unescape(label) for label in re.findall(r'<label for="related-stories-[a-z]+">(.*?)</label>', page)]
    source = (ROOT / "recommender/web/wordpress/related-stories/includes/class-related-stories-source.php").read_text()
    quoted = re.findall(r"Settings: \*(?:… )?(.*?)(?: …)?\*", text)
    assert len(quoted) == 3
    assert all(words in source for words in quoted)
