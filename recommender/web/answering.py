"""What is asked, a path's id and its query -> Answer, kept while the index is the same. Knows nothing of HTTP libraries."""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import parse_qsl, quote

from recommender.answers import Profile
from recommender.engine import Recommender
from recommender.errors import UnknownArticleError, UnknownThreadError
from recommender.web.fragments import PAGE_POLICY, related_html, thread_feed, thread_html

Kind = Literal["related", "threads", "thread", "feed"]

LONGEST_LIST = 50
MOST_THREADS = 500
"""Of one answer to /threads."""
MOST_NUMBER = 10**9
"""Beyond it no other number is understood either."""

ROOM = 64 * 2**20
"""Bytes of answers that are kept, of each process; those asked for longest ago go first."""

AGES = ((timedelta(days=2), 300), (timedelta(days=14), 3600), (timedelta(days=90), 43_200))
"""Until which age of an article others may keep its list for how many seconds. Discourse has 15 minutes to a week; after 14 days
of silence a thread is over, and beyond the last age the list hardly changes."""
OLD = 172_800
UNDATED = 3600
NEVER_CHANGES = 86_400
"""Seconds likewise: for the oldest articles, for those without a date, for what comes with the program."""
UNKNOWN = 60
"""The same for what is not there: it may be added any moment."""

WORTH_ZIPPING = 600
"""Bytes from which an answer is compressed: below, it fits one packet anyway."""

JSON, HTML, RSS = "application/json", "text/html; charset=utf-8", "application/rss+xml; charset=utf-8"


class Refused(Exception):  # noqa: N818
    """A question that gets no answer: the status to send, and one line that says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """What goes out, whoever asks; its other forms are made when they are first asked for."""

    body: bytes
    media_type: str
    max_age: int
    """Seconds for which others may keep it."""
    location: str | None = None
    """Where the thread is that goes on, relative to what was asked; then there is nothing else to see."""

    @functools.cached_property
    def etag(self) -> str:
        """Weak, since the same body goes out plain and compressed."""
        return f'W/"{hashlib.blake2b(self.body, digest_size=12).hexdigest()}"'

    @functools.cached_property
    def zipped(self) -> bytes | None:
        """The body compressed; None where that is not worth it."""
        return gzip.compress(self.body, 6, mtime=0) if len(self.body) >= WORTH_ZIPPING else None

    @functools.cached_property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """Those that do not depend on who asks, without the ones on the body."""
        found = {"x-content-type-options": "nosniff", "cache-control": f"public, max-age={self.max_age}"}
        found |= {"etag": self.etag} if self.location is None else {"location": self.location}
        if self.media_type == HTML:
            found["content-security-policy"] = PAGE_POLICY
        return tuple((name.encode(), value.encode("ascii")) for name, value in found.items())


class Answering:
    """Answers from one index. Safe to share between threads; IndexUnusableError where it cannot be read."""

    def __init__(
        self, index: str | os.PathLike[str], *, base_url: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._engine = Recommender.open(index)
        self._patient = Recommender.open(index)
        """For all that reads many rows, so that no list waits for it."""
        self._base_url = base_url.rstrip("/")
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str, str], Answer] = OrderedDict()
        self._edition: tuple[int, int] | None = None
        self._bytes = 0

    def look(self) -> None:
        """Forget what was kept if the index has changed."""
        edition = self._engine.edition()
        with self._lock:
            if edition != self._edition:
                self._kept.clear()
                self._edition, self._bytes = edition, 0

    def kept(self, kind: Kind, asked_id: str, query: str) -> Answer | None:
        """The answer, where it was given before and the index had not changed at the last look."""
        with self._lock:
            answer = self._kept.get((kind, asked_id, query))
            if answer is not None:
                self._kept.move_to_end((kind, asked_id, query))
            return answer

    def answer(self, kind: Kind, asked_id: str, query: str) -> Answer:
        """The answer, made anew; Refused where there is none."""
        edition = self._engine.edition()
        try:
            answer = getattr(self, f"_{kind}")(asked_id, query)
        except UnknownArticleError:
            raise Refused(404, "no such article") from None
        except UnknownThreadError:
            raise Refused(404, "no such thread") from None
        assert isinstance(answer, Answer)  # noqa: S101
        self._keep(edition, (kind, asked_id, query), answer)
        return answer

    def articles(self) -> int:
        """How many articles the index holds now."""
        return len(self._engine)

    def _keep(self, edition: tuple[int, int], key: tuple[str, str, str], answer: Answer) -> None:
        with self._lock:
            if edition != self._edition or key in self._kept or len(answer.body) > ROOM // 16:
                return
            self._kept[key] = answer
            self._bytes += _room(key, answer)
            while self._bytes > ROOM:
                self._bytes -= _room(*self._kept.popitem(last=False))

    def _related(self, asked_id: str, query: str) -> Answer:
        asked = _asked(query, {"id", "k", "profile", "format"})
        k = _number(asked, "k", 5, 1, LONGEST_LIST)
        profile = _choice(asked, "profile", ("sidebar", "similar"))
        form = _choice(asked, "format", ("json", "html")) if "format" in asked else None
        if "id" in asked:
            if asked_id:
                raise Refused(400, "the id is given twice: in the path and as id=")
            asked_id = asked["id"]
        elif not asked_id:
            raise Refused(400, "no article is named; ask for /related/ID")
        kind: Profile = "similar" if profile == "similar" else "sidebar"
        if form is None and asked_id.endswith(".html") and asked_id not in self._engine:
            form, asked_id = "html", asked_id.removesuffix(".html")
        found = self._engine.related_list(asked_id, k, profile=kind)
        max_age = self._max_age(self._engine.article(asked_id).published)
        if form == "html":
            return Answer(body=related_html(found).encode(), media_type=HTML, max_age=max_age)
        return Answer(body=_json(found.to_json()), media_type=JSON, max_age=max_age)

    def _threads(self, _: str, query: str) -> Answer:
        asked = _asked(query, {"min_size", "limit", "offset"})
        found = self._patient.threads(min_size=_number(asked, "min_size", 2, 1, MOST_NUMBER))
        first = _number(asked, "offset", 0, 0, MOST_NUMBER)
        shown = found[first : first + _number(asked, "limit", 50, 1, MOST_THREADS)]
        body = _json({"total": len(found), "offset": first, "threads": [thread.to_json() for thread in shown]})
        return Answer(body=body, media_type=JSON, max_age=AGES[0][1])

    def _thread(self, asked_id: str, query: str) -> Answer:
        _asked(query, set())
        name = asked_id.removesuffix(".html")
        page = name != asked_id
        thread, articles = self._patient.timeline(name)
        max_age = self._max_age(thread.last_published)
        if thread.id != name:
            return self._elsewhere(thread.id, ".html" if page else "")
        if page:
            text = thread_html(thread, articles, feed_url=self._address("feeds/threads", thread.id, ".xml"))
            return Answer(body=text.encode(), media_type=HTML, max_age=max_age)
        return Answer(body=_json(thread.to_json()), media_type=JSON, max_age=max_age)

    def _feed(self, asked_id: str, query: str) -> Answer:
        _asked(query, set())
        name = asked_id.removesuffix(".xml")
        if name == asked_id:
            raise Refused(404, "no such feed; its address ends in .xml")
        thread, articles = self._patient.timeline(name)
        if thread.id != name:
            return self._elsewhere(thread.id, ".xml")
        addresses = {
            "page_url": self._address("threads", thread.id, ".html"),
            "feed_url": self._address("feeds/threads", thread.id, ".xml"),
        }
        body = thread_feed(thread, articles, **addresses).encode()
        return Answer(body=body, media_type=RSS, max_age=min(self._max_age(thread.last_published), AGES[1][1]))

    def _elsewhere(self, thread_id: str, ending: str) -> Answer:
        place = f"./{quote(thread_id, safe='')}{ending}"
        body = _json({"error": f"this thread goes on as {thread_id}"})
        return Answer(body=body, media_type=JSON, max_age=AGES[0][1], location=place)

    def _address(self, folder: str, name: str, ending: str) -> str:
        return f"{self._base_url}/{folder}/{quote(name, safe='')}{ending}"

    def _max_age(self, published: str | None) -> int:
        if published is None:
            return UNDATED
        try:
            age = self._clock() - datetime.fromisoformat(published)
        except (ValueError, TypeError, OverflowError):
            return UNDATED
        return next((seconds for until, seconds in AGES if age < until), OLD)


def _room(key: tuple[str, str, str], answer: Answer) -> int:
    return 3 * len(answer.body) // 2 + 4 * sum(map(len, key)) + 1500  # with its compressed form and its headers


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, ensure_ascii=False) + "\n").encode()


def _asked(query: str, known: set[str]) -> dict[str, str]:
    """The parameters that mean something; others, such as those of campaigns, are let pass."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=20) if query else []
    except ValueError:
        raise Refused(400, "too many parameters; 20 are allowed") from None
    asked: dict[str, str] = {}
    for name, value in pairs:
        if name in known and asked.setdefault(name, value) != value:
            raise Refused(400, f"{name} is given twice")
    return asked


def _number(asked: Mapping[str, str], name: str, usual: int, least: int, most: int) -> int:
    given = asked.get(name)
    if given is None:
        return usual
    if not (given.isascii() and given.isdigit() and len(given) <= 10 and least <= int(given) <= most):
        raise Refused(400, f"{name} must be a whole number from {least} to {most}")
    return int(given)


def _choice(asked: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    given = asked.get(name, choices[0])
    if given not in choices:
        raise Refused(400, f"{name} must be {' or '.join(choices)}")
    return given
