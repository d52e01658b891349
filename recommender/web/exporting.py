"""All answers of one moment as static files: written where they differ, removed where nothing stands behind them.

    DIR/related/ab/abcd….json    the list of an article, as `related --json` prints it; .html is the same as a fragment
    DIR/threads/ab/abcd….json    a thread, as `thread --json` prints it; .html is its timeline
    DIR/feeds/ab/abcd….xml       the same as a feed
    DIR/threads, DIR/feeds       the same names for a thread that was merged: {"merged_into"} as JSON, a page that leads
                                 to the thread that goes on, and the feed of that
    DIR/manifest.json            format, counts, and the rule of the names

The name of a file is the hex SHA-256 of the id in UTF-8, its folder the first two digits of that.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from recommender.answers import Profile, Related, RelatedList, StoryThread
from recommender.engine import Recommender
from recommender.errors import ExportError, RecommenderError
from recommender.web import fragments
from recommender.web.tree import ENDINGS, MANIFEST, Tree, claimed

FORMAT = 1
"""Version of the layout."""

RULE = "KIND/first two digits/DIGEST.ending, where DIGEST is the hex SHA-256 of the id in UTF-8"

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """What is exported and how."""

    k: int = 5
    profile: Profile = "sidebar"
    base_url: str | None = None
    """Where DIR will be found on the web; without it no page links to another page of the export."""
    changed_list: Path | None = None
    """Gets the paths that were changed or removed, relative to DIR, one a line, sorted."""
    progress: Progress = lambda stage, done, total: None

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k must be 1 or more, not {self.k}")
        if self.base_url is not None and not _is_base(self.base_url):
            raise RecommenderError(f"{self.base_url!r} is no address for an export; write one as https://cdn.example/related")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export has done; all but the first two count files."""

    articles: int
    threads: int
    written: int
    unchanged: int
    removed: int


def path_of(kind: str, id: str, ending: str) -> str:
    """The path of a file in an export: `path_of("related", "a17", ".json")`."""
    digest = hashlib.sha256(id.encode()).hexdigest()
    return f"{kind}/{digest[:2]}/{digest}{ending}"


def export(engine: Recommender, folder: str | os.PathLike[str], options: ExportOptions | None = None) -> Exported:
    """Bring a folder up to date with an index; ExportError, and nothing changed, where the folder holds something else.

    Each file is whole at any time. Where an export is killed or fails the next one ends what it began.
    """
    chosen = options or ExportOptions()
    path = Path(folder)
    try:
        with claimed(path), Tree.opened(path) as tree, engine.moment() as now:
            found = _export(now, tree, chosen)
            if chosen.changed_list is not None:
                _write_list(chosen.changed_list, tree.owed)
            tree.settle()
            return found
    except OSError as error:
        about = error.strerror or str(error)
        raise ExportError(path, f"it cannot be written ({about})", "make room or mend the rights and export again") from error


def _export(engine: Recommender, tree: Tree, options: ExportOptions) -> Exported:
    threads = engine.threads()
    for done, thread in enumerate(threads):
        options.progress("threads", done, len(threads))
        for path, content in _thread_files(thread, [engine.article(one) for one in thread.article_ids], options):
            tree.write(path, content)
    for former, thread in _merged(engine, threads):
        for path, content in _redirect_files(former, thread, engine, options):
            tree.write(path, content)
    articles, total = 0, len(engine)
    for found in engine.all_related(options.k, profile=options.profile):
        if not articles % 100:
            options.progress("articles", articles, total)
        for path, content in _list_files(found, options):
            tree.write(path, content)
        articles += 1
    manifest = _manifest(engine, articles, len(threads), options)
    tree.write(MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=1) + "\n")
    options.progress("removing", 0, 0)
    tree.prune()  # last: until now whatever is linked to was there
    return Exported(articles=articles, threads=len(threads), written=tree.written, unchanged=tree.unchanged, removed=tree.removed)


def _list_files(found: RelatedList, options: ExportOptions) -> Iterator[tuple[str, str]]:
    article = str(found.id)
    page = None if found.thread is None else _address(options, path_of("threads", found.thread.id, ".html"))
    yield path_of("related", article, ".json"), json.dumps(found.to_json(), ensure_ascii=False) + "\n"
    yield path_of("related", article, ".html"), fragments.related_html(found, thread_url=page)


def _thread_files(thread: StoryThread, articles: Sequence[Related], options: ExportOptions) -> Iterator[tuple[str, str]]:
    page, feed = path_of("threads", thread.id, ".html"), path_of("feeds", thread.id, ".xml")
    page_url, feed_url = _address(options, page), _address(options, feed)
    yield path_of("threads", thread.id, ".json"), json.dumps(thread.to_json(), ensure_ascii=False) + "\n"
    yield feed, fragments.thread_feed(thread, articles, page_url=page_url, feed_url=feed_url)
    yield page, fragments.thread_html(thread, articles, feed_url=feed_url)


def _merged(engine: Recommender, threads: Sequence[StoryThread]) -> Iterator[tuple[str, StoryThread]]:
    """The ids of threads that were merged, each with the thread that goes on."""
    known = {thread.id: thread for thread in threads}
    return ((former, known[kept]) for former, kept in engine.merged().items() if former not in known and kept in known)


def _redirect_files(former: str, thread: StoryThread, engine: Recommender, options: ExportOptions) -> Iterator[tuple[str, str]]:
    """What stands where a thread was that goes on as another: whoever follows its feed gets that of the other."""
    page, feed = path_of("threads", thread.id, ".html"), path_of("feeds", thread.id, ".xml")
    articles = [engine.article(one) for one in thread.article_ids]
    told = {"id": former, "merged_into": thread.id, "path": path_of("threads", thread.id, ".json")}
    yield path_of("threads", former, ".json"), json.dumps(told, ensure_ascii=False) + "\n"
    page_url, feed_url = _address(options, page), _address(options, feed)
    yield path_of("feeds", former, ".xml"), fragments.thread_feed(thread, articles, page_url=page_url, feed_url=feed_url)
    yield path_of("threads", former, ".html"), fragments.redirect_html(thread, f"../../{page}", canonical=page_url)


def _address(options: ExportOptions, path: str) -> str | None:
    return None if options.base_url is None else f"{options.base_url.rstrip('/')}/{path}"


def _manifest(engine: Recommender, articles: int, threads: int, options: ExportOptions) -> dict[str, Any]:
    """What the export says of itself; the same for the same index, so that an export of nothing new changes nothing."""
    known = engine.info()
    return {
        "format": FORMAT, "version": known["version"], "written": known["written"], "articles": articles, "threads": threads,
        "k": options.k, "profile": options.profile, "base_url": options.base_url, "rule": RULE,
        "endings": {kind: list(endings) for kind, endings in ENDINGS.items()},
    }  # fmt: skip


def _is_base(url: str) -> bool:
    try:
        parts = urlsplit(url)
        plain_enough = url.isprintable() and not re.search(r"[\s\\<>\"']", url) and not (parts.query or parts.fragment)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and plain_enough
    except ValueError:
        return False


def _write_list(file: Path, paths: set[str]) -> None:
    beside = file.with_name(f"{file.name}.new")
    try:
        beside.write_text("".join(f"{path}\n" for path in sorted(paths)), encoding="utf-8")
        beside.replace(file)
    except OSError as error:
        reason = f"the list of what changed cannot be written ({error.strerror})"
        raise ExportError(file, reason, "mend that and export again: the next list has it all") from error
