"""An index kept up to date with a site: what the site has afterwards is what the index has, whatever happened between."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recommender import Recommender, RecommenderError, read_articles
from recommender.errors import FetchError, SyncBusyError, TooManyRemovalsError, UnreadableSourceError
from recommender.sources.http import Manners
from recommender.sources.known import STATE, sole_sync
from recommender.storage.store import Store
from recommender.syncing import LARGEST_SHARE_GONE, Synced, SyncOptions, sync
from tests.archives import report
from tests.sources.site import Request, Site

QUICK = Manners(rate=10_000, retries=1, first_wait=0.001, read_seconds=1.0)


def brought(site: Site, index: Path, **options: Any) -> Synced:
    return sync(site.address, index, SyncOptions(manners=QUICK, **options))


def counts(done: Synced) -> tuple[int, int, int, int]:
    return done.added, done.updated, done.unchanged, done.removed


def held(index: Path) -> dict[str, str]:
    """id -> title of all articles of an index."""
    store = Store.open(index)
    try:
        return {str(article_id): str(title) for article_id, title in store.query("SELECT id, title FROM articles")}
    finally:
        store.close()


def published(site: Site) -> dict[str, str]:
    return {str(number): post["title"]["rendered"] for number, post in site.posts.items()}


def sends(content: bytes, status: int = 200, **headers: str) -> Callable[[Request], None]:
    return lambda request: request.send(content, status, **headers)


def a_day_later(index: Path) -> None:
    """Let the last comparison of all ids have been two days ago."""
    told = json.loads((index / STATE).read_text())
    for known in told["sources"].values():
        known["checked"] = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    (index / STATE).write_text(json.dumps(told))


def test_an_index_is_made_then_follows_new_changed_and_gone_posts(site: Site, tmp_path: Path) -> None:
    """The counts are those of what was done at the site; where nothing was, two or three requests say so."""
    index = tmp_path / "index"
    first = brought(site, index)
    assert counts(first) == (6, 0, 0, 0)
    assert first.requests == 4
    quiet = brought(site, index)
    assert counts(quiet)[0::3] == (0, 0)
    assert quiet.updated == 0
    assert quiet.requests <= 4
    site.write(7)
    site.write(2, title={"rendered": "Another headline"})
    site.trash(5)
    done = brought(site, index)
    assert (done.added, done.updated, done.removed) == (1, 1, 1)
    assert held(index) == published(site)
    assert held(index)["2"] == "Another headline"


def test_a_post_that_is_no_longer_published_is_removed_and_comes_back(site: Site, tmp_path: Path) -> None:
    """Draft again, private, published once more: without a change of its own date too."""
    index = tmp_path / "index"
    brought(site, index)
    post = site.posts.pop(3)
    assert brought(site, index).removed == 1
    site.posts[3] = post
    assert brought(site, index).added == 1
    assert held(index) == published(site)


def test_a_post_with_a_password_is_not_shown_to_anybody(site: Site, tmp_path: Path) -> None:
    """It leaves the index when it gets one, comes back without, and costs no further requests meanwhile."""
    index = tmp_path / "index"
    hidden: dict[str, Any] = {"title": {"rendered": "Protected: post 2"}, "content": {"rendered": "", "protected": True}}
    site.write(7, **hidden)
    assert brought(site, index).added == 6
    shown = dict(site.posts[2])
    site.write(2, **hidden)
    assert counts(brought(site, index))[0::3] == (0, 1)
    assert set(held(index)) == {"1", "3", "4", "5", "6"}
    quiet = brought(site, index)
    assert (quiet.added, quiet.updated, quiet.removed, quiet.left_out) == (0, 0, 0, 0)
    assert quiet.requests <= 4
    site.write(2, title=shown["title"], content=shown["content"])
    assert brought(site, index).added == 1
    assert set(held(index)) == {"1", "2", "3", "4", "5", "6"}


def test_a_scheduled_post_appears_though_it_was_written_long_ago(site: Site, tmp_path: Path) -> None:
    """Its change lies before what is known, so only the count and the ids tell of it."""
    index = tmp_path / "index"
    brought(site, index)
    site.write(9, modified_gmt="2020-01-01T00:00:00")
    assert brought(site, index).added == 1


def test_one_new_and_one_gone_are_found_within_a_day(site: Site, tmp_path: Path) -> None:
    """Where the counts agree by chance, the daily comparison of all ids tells."""
    index = tmp_path / "index"
    brought(site, index)
    site.trash(1)
    site.write(9, modified_gmt="2020-01-01T00:00:00")
    brought(site, index)
    a_day_later(index)
    assert counts(brought(site, index))[0::3] == (1, 1)
    assert held(index) == published(site)


def test_what_hides_while_ids_are_read_is_not_removed(site: Site, tmp_path: Path) -> None:
    """Before anything is removed the site is asked for just that."""
    index = tmp_path / "index"
    brought(site, index)
    a_day_later(index)
    hidden = json.dumps([{"id": number} for number in (1, 2, 3, 4, 5)]).encode()
    site.instead = [None, None, None, sends(hidden, X_WP_Total="6", X_WP_TotalPages="1")]
    assert brought(site, index).removed == 0
    assert sum("include=6" in path for path in site.asked) == 1


def test_no_more_than_a_third_is_removed_unasked(site: Site, tmp_path: Path) -> None:
    """What is new comes in all the same, the removal is refused each time until it is allowed."""
    index = tmp_path / "index"
    brought(site, index)
    for number in (1, 2, 3):
        site.trash(number)
    site.write(7)
    assert LARGEST_SHARE_GONE * 7 < 3
    for _ in range(2):
        with pytest.raises(TooManyRemovalsError, match="3 of the 7 articles"):
            brought(site, index)
        assert set(held(index)) == set("1234567")
    assert brought(site, index, allow_removals=True).removed == 3
    assert held(index) == published(site)


@pytest.mark.slow
def test_a_site_that_answers_nonsense_removes_nothing(site: Site, tmp_path: Path) -> None:
    """Empty lists, errors, a login page at any request: the index stays, and the next sync is right again."""
    index = tmp_path / "index"
    brought(site, index)
    before = held(index)
    answers = [(b"[]", 200), (b"<html>Log in", 200), (b"{}", 200), (b"", 500), (b"", 404), (b'{"code": "x"}', 401), (b"", 302)]
    for content, status in answers:
        for failing in range(6):
            a_day_later(index)
            site.instead = [*[None] * failing, *[sends(content, status)] * 20]
            try:
                brought(site, index)
            except RecommenderError as error:
                assert "\n" not in str(error)  # noqa: PT017
            assert held(index) == before
    site.instead = []
    assert counts(brought(site, index))[0::3] == (0, 0)


def test_articles_of_another_origin_stay(site: Site, tmp_path: Path) -> None:
    """What was added by hand or by another source is never removed for this one."""
    index = tmp_path / "index"
    Recommender.build([report("own", "story 1", 0.1), report("other", "story 2", 0.2)], index).close()
    brought(site, index)
    site.trash(6)
    brought(site, index)
    assert set(held(index)) == {"own", "other", *"12345"}


def test_what_a_build_brought_from_the_site_is_removed_when_it_goes(site: Site, tmp_path: Path) -> None:
    """A post that is trashed between `build` and the first `sync` too; posts of another site with such numbers stay."""
    index = tmp_path / "index"
    elsewhere = dataclasses.replace(report("77", "story 1", 0.1), url=f"{site.address}0/77")
    Recommender.build([*read_articles([site.address]), elsewhere], index).close()
    site.trash(5)
    assert counts(brought(site, index)) == (0, 0, 5, 1)
    assert set(held(index)) == {"1", "2", "3", "4", "6", "77"}
    assert brought(site, index).requests <= 4


def test_two_sites_with_the_same_ids_are_kept_apart(site: Site, tmp_path: Path) -> None:
    """Posts of both have numbers from 1 on: the second is refused before anything changes."""
    from tests.sources.site import served

    index = tmp_path / "index"
    brought(site, index)
    before = held(index)
    with served(Site()) as other:
        other.write(6, report("x", "another", 0))
        with pytest.raises(RecommenderError, match="an index of its own"):
            brought(other, index)
    assert held(index) == before


def test_an_index_that_was_made_anew_is_filled_again(site: Site, tmp_path: Path) -> None:
    """After a build, a restore or a rebuild nothing is taken as known."""
    index = tmp_path / "index"
    brought(site, index)
    Recommender.build([report("own", "story 1", 0.1)], index).close()
    assert brought(site, index).added == 6
    (index / STATE).write_text("{broken")
    assert counts(brought(site, index)) == (0, 0, 6, 0)


def test_a_strange_post_is_left_out_once(site: Site, tmp_path: Path) -> None:
    """It is counted and said, and does not come up as missing each time."""
    notices: list[str] = []
    site.write(3, title={"rendered": ""}, content={"rendered": " "})
    site.write(1)
    index = tmp_path / "index"
    assert brought(site, index, notice=notices.append).left_out == 1
    assert any("post 3" in notice for notice in notices)
    assert set(held(index)) == set("12456")
    site.asked.clear()
    assert brought(site, index).left_out == 0
    assert not any("include=" in path for path in site.asked)


def test_a_site_of_another_time_does_not_hide_what_comes(site: Site, tmp_path: Path) -> None:
    """A post from the year 2099 does not make the present old."""
    site.write(1, modified_gmt="2099-01-01T00:00:00")
    index = tmp_path / "index"
    brought(site, index)
    site.write(2, title={"rendered": "Another headline"}, modified_gmt=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    assert brought(site, index).updated == 1


@pytest.mark.parametrize(
    "moment", ["2025-02-30T00:00:00", "0000-00-00T00:00:00", None, "2025-03-01T24:00:00", "9999-12-31T23:59:59"]
)
def test_a_moment_that_is_none_does_not_lose_what_is_known(site: Site, tmp_path: Path, moment: str | None) -> None:
    """The post is left out or taken, and the next sync still knows the rest."""
    site.write(3, modified_gmt=moment)
    index = tmp_path / "index"
    brought(site, index)
    site.write(9)
    site.trash(1)
    a_day_later(index)
    done = brought(site, index)
    assert (done.added, done.removed) == (1, 1)


def test_nothing_is_made_of_a_site_without_posts(tmp_path: Path, site: Site) -> None:
    """An empty site is more likely a wrong address."""
    site.posts.clear()
    with pytest.raises(UnreadableSourceError, match="no articles"):
        brought(site, tmp_path / "index")


def test_a_second_sync_says_who_is_at_work(site: Site, tmp_path: Path) -> None:
    """And ends at once."""
    with sole_sync(tmp_path), pytest.raises(SyncBusyError, match=f"process {os.getpid()} is syncing"):
        brought(site, tmp_path)
    assert site.asked == []


@pytest.mark.slow
def test_the_index_follows_whatever_happens_at_the_site(site: Site, tmp_path: Path) -> None:
    """Twelve random days of a site: new, edited, trashed, scheduled posts, also while it is read; the index follows."""
    rng = random.Random(7)
    index = tmp_path / "index"
    site.per_page = 3

    def event() -> None:
        kind = rng.choice("nneeets")
        known = sorted(site.posts)
        if kind == "n":
            site.write(max(known) + 1)
        elif kind == "e":
            site.write(rng.choice(known), title={"rendered": f"headline {rng.random()}"})
        elif kind == "t" and len(known) > 6:
            site.trash(rng.choice(known))
        elif kind == "s":
            site.write(max(known) + 1, modified_gmt="2024-01-01T00:00:00")

    brought(site, index)
    for _ in range(12):
        for _ in range(rng.randrange(4)):
            event()
        site.between = [event for _ in range(rng.randrange(3))]
        brought(site, index, allow_removals=True)
        site.between = []
        a_day_later(index)
        brought(site, index, allow_removals=True)
        assert set(held(index)) == set(published(site))


def command(*arguments: str | Path) -> list[str]:
    return [*HEEDING, "sync", *map(str, arguments), "--rate", "1000"]


HEEDING = [
    *(sys.executable, "-c"),
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from recommender.cli import main; main()",
]
"""The command, which a shell would let ignore SIGINT where it is itself run behind `&`."""


@pytest.mark.slow
def test_the_command_tells_what_it_did(site: Site, tmp_path: Path) -> None:
    """One line at the end, on stderr; stdout stays empty; an error is one line and exit code 1."""
    done = subprocess.run(command(site.address, "--index", tmp_path), capture_output=True, text=True, check=True)
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"synced {tmp_path}: added 6, updated 0, unchanged 0, removed 0, ")
    refused = subprocess.run(command("https://[::1", "--index", tmp_path), capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert refused.stderr.startswith("error: ")


@pytest.mark.slow
def test_watch_goes_on_through_errors_and_ends_when_told(site: Site, tmp_path: Path) -> None:
    """A site that fails is a line; SIGTERM and SIGINT end it with code 0."""
    for number in (signal.SIGTERM, signal.SIGINT):
        with subprocess.Popen(
            command(site.address, "--index", tmp_path, "--watch", "1"), stderr=subprocess.PIPE, text=True
        ) as watch:
            assert watch.stderr is not None
            lines: list[str] = []
            while "synced" not in (line := watch.stderr.readline()):
                lines.append(line)
            site.instead = [sends(b"", 403)]
            while "error: " not in (line := watch.stderr.readline()):
                lines.append(line)
            assert "(403)" in line
            while "synced" not in (line := watch.stderr.readline()):
                lines.append(line)
            watch.send_signal(number)
            assert watch.wait(10) == 0
            assert watch.stderr.read().splitlines()[-1] == "stopped"


@pytest.mark.slow
@pytest.mark.faults
def test_a_sync_that_is_killed_anywhere_is_made_good_by_the_next(site: Site, tmp_path: Path) -> None:
    """Killed at each request and at moments after the last, with changes at the site between: the index is the site's again."""
    index = tmp_path / "index"
    brought(site, index)
    for kill in range(10):
        site.write(100 + kill)
        site.write(2, title={"rendered": f"headline {kill}"})
        if kill % 2:
            site.posts.pop(100 + kill - 1, None)
        a_day_later(index)
        process = subprocess.Popen(command(site.address, "--index", index), stderr=subprocess.DEVNULL)
        site.asked.clear()
        while len(site.asked) < min(kill, 5) and process.poll() is None:
            time.sleep(0.002)
        time.sleep(0.1 * max(0, kill - 4))
        process.kill()
        process.wait()
        if kill % 3 == 0:
            site.trash(100 + kill)
        brought(site, index, allow_removals=True)
        assert held(index) == published(site), kill
    assert Recommender.open(index).check() == []


def test_errors_of_fetching_are_told_with_their_address(site: Site, tmp_path: Path) -> None:
    """Which site, what it answered, what to do."""
    site.instead = [sends(b"", 403)]
    with pytest.raises(FetchError, match=rf"{site.address}/: the server refuses it \(403\); "):
        brought(site, tmp_path / "index")
