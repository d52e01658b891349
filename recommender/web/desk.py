"""The editor's desk: pages on an index, and forms that make and drop its rules. `guard` decides who may send them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlencode

import jinja2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from recommender.answers import Related, RelatedList
from recommender.archives.rulebook import KeptRule
from recommender.engine import Recommender
from recommender.errors import (
    IndexBusyError,
    InvalidRuleError,
    RecommenderError,
    UnknownArticleError,
    UnknownRuleError,
    UnknownThreadError,
)
from recommender.pipeline.rules import Kind, Rule
from recommender.web.fragments import web_address
from recommender.web.guard import Access, Guard
from recommender.web.sessions import Sessions

HERE = Path(__file__).parent
LIST_LENGTH = 10
"""Items of a list that an editor sees: what a reader sees, and what would come next."""
RESULTS = 50
"""Most articles that a search shows."""
NAMED = 5
"""Most headlines beside a rule."""
CHANGES_DAYS = 30
CHANGES_SHOWN = 200

DONE = {
    "pin": "Pinned.", "never": "These two are not shown beside each other any more.", "hide": "It is in no list any more.",
    "merge": "The two are one thread now.", "split": "Split off.", "rename": "Renamed.", "lock": "Locked.",
    "drop": "The rule is dropped, and what it did undone.", "waits": "The rule is kept; it waits for an article to come.",
}  # fmt: skip
"""What a page says after a form; the address names one of these, and nothing that it says is shown."""


def desk(engine: Recommender, access: Access | None = None, sessions: Sessions | None = None) -> ASGIApp:
    """The desk of an index as an ASGI application."""
    return Guard(_Desk(engine).app, access or Access(), sessions or Sessions())


class _Desk:
    """The pages. Each is made anew for each request; nothing is kept between two."""

    def __init__(self, engine: Recommender) -> None:
        self._engine = engine
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
        )
        self._templates.filters |= {"link": web_address, "day": _day, "time": _time, "percent": _percent, "address": _address}
        routes = [
            *(Route(path, page) for path, page in (("/", self.search), ("/article", self.article), ("/thread", self.thread))),
            *(Route(path, page) for path, page in (("/pair", self.pair), ("/rules", self.rules), ("/changes", self.changes))),
            Route("/do/{action}", self.act, methods=["POST"]),
            Route("/login", self.login, methods=["GET", "POST"]),
            Route("/desk.css", self.style),
        ]
        handlers: Mapping[Any, Any] = {RecommenderError: self.failed, 404: self.lost, 405: self.lost}
        self.app = Starlette(routes=routes, exception_handlers=handlers)

    def search(self, request: Request) -> Response:
        words = request.query_params.get("q", "").strip()
        found = self._engine.search(words, limit=RESULTS) if words else self._engine.latest(None, 20)
        return self._page(request, "search.html", q=words, found=found, most=RESULTS)

    def article(self, request: Request) -> Response:
        return self._article(request, request.query_params.get("id", ""))

    def thread(self, request: Request) -> Response:
        return self._thread(request, request.query_params.get("id", ""))

    def pair(self, request: Request) -> Response:
        one, other = (request.query_params.get(name, "") for name in ("one", "other"))
        known = self._engine.explain(one, other)
        articles = [self._engine.article(one), self._engine.article(other)]
        return self._page(request, "pair.html", known=known, articles=articles)

    def rules(self, request: Request) -> Response:
        return self._rules(request)

    def changes(self, request: Request) -> Response:
        found = self._engine.changes(datetime.now(UTC) - timedelta(days=CHANGES_DAYS))[::-1]
        return self._page(
            request, "changes.html", changes=found[:CHANGES_SHOWN], more=len(found) > CHANGES_SHOWN, days=CHANGES_DAYS
        )

    def act(self, request: Request) -> Response:
        """Make or drop a rule, and go back to the page; where it is refused the page says why and nothing is changed."""
        action, form = request.path_params["action"], request.state.form
        if action not in DONE or action == "waits":
            return self.lost(request, None)
        try:
            if action == "drop":
                self._engine.drop_rule(_number(form))
            elif self._engine.add_rule(self._rule(action, form)).missing:
                action = "waits"
        except RecommenderError as error:
            return self._again(request, form, error)
        return RedirectResponse(_back(form, done=action), status_code=303)

    def login(self, request: Request) -> Response:
        """Ask for the token, once a session."""
        if request.method == "POST":
            cookie = request.state.admit()
            if cookie is not None:
                return RedirectResponse("/", status_code=303, headers={"Set-Cookie": cookie})
        wrong = "That is not the token." if request.method == "POST" else ""
        return self._page(request, "login.html", error=wrong, status=403 if wrong else 200)

    def style(self, request: Request) -> Response:
        return Response((HERE / "templates" / "desk.css").read_text(encoding="utf-8"), media_type="text/css")

    def failed(self, request: Request, error: Any) -> Response:
        message, status = _told(error)
        return self._page(request, "error.html", error=message, status=status)

    def lost(self, request: Request, error: Any) -> Response:
        return self._page(request, "error.html", error="There is no such page.", status=404)

    def _article(self, request: Request, article_id: str, error: str = "", status: int = 200) -> Response:
        with self._engine.moment() as now:
            shown, found = now.article(article_id), now.related_list(article_id, LIST_LENGTH)
            rules = [kept for kept in now.rules() if article_id in kept.rule.articles]
            named = _named(now, rules)
            thread = now.thread_of(article_id)
            timeline = [now.article(one) for one in thread.article_ids] if thread else []
        return self._page(
            request, "article.html", status, article=shown, found=found, pins=_pins(found, rules), rules=rules,
            named=named, thread=thread, timeline=timeline, error=error,
        )  # fmt: skip

    def _thread(self, request: Request, thread_id: str, error: str = "", status: int = 200) -> Response:
        with self._engine.moment() as now:
            thread = now.thread(thread_id)
            timeline = [now.article(one) for one in thread.article_ids]
            within = set(thread.article_ids)
            rules = [kept for kept in now.rules() if within & set(kept.rule.articles)]
            named = _named(now, rules)
        return self._page(request, "thread.html", status, thread=thread, timeline=timeline, rules=rules, named=named, error=error)

    def _rules(self, request: Request, error: str = "", status: int = 200) -> Response:
        with self._engine.moment() as now:
            rules = now.rules()
            named = _named(now, rules)
        return self._page(request, "rules.html", status, rules=rules, named=named, error=error)

    def _again(self, request: Request, form: Mapping[str, str], error: RecommenderError) -> Response:
        """The page that the form was on, with what was wrong."""
        message, status = _told(error)
        try:
            if form.get("article"):
                return self._article(request, form["article"], message, status)
            if form.get("thread"):
                return self._thread(request, form["thread"], message, status)
            return self._rules(request, message, status)
        except RecommenderError:
            return self._page(request, "error.html", error=message, status=status)

    def _rule(self, action: str, form: Mapping[str, str]) -> Rule:
        """What a form asks for, as the command of that name does."""
        article, other = form.get("article", ""), form.get("other", "").strip()
        named = article or form.get("thread", "")
        note = " ".join(form.get("note", "").split())
        kind: Kind = next((one for one in get_args(Kind) if one == action), "never")  # to hide is never, anywhere
        if action in ("pin", "never", "merge") and not other:
            raise InvalidRuleError(f"{action} needs another article", "write its id")
        if action in ("pin", "never"):
            articles: tuple[str, ...] = (article, other)
        elif action == "merge":
            articles = (self._engine.leading(named), self._engine.leading(other))
        elif action == "lock":
            articles = self._locked(named)
        else:
            articles = (self._engine.leading(named),) if action == "rename" else (article,)
        label = " ".join(form.get("label", "").split()) if action == "rename" else None
        return Rule(kind=kind, articles=articles, label=label, note=note)

    def _locked(self, named: str) -> tuple[str, ...]:
        found = self._engine.thread_of(named) if named in self._engine else self._engine.thread(named)
        if found is None:
            raise InvalidRuleError(f"{named!r} stands alone, in no thread", "merge it with another article first")
        return found.article_ids

    def _page(self, request: Request, template: str, status: int = 200, **known: Any) -> Response:
        done = DONE.get(request.query_params.get("done", "")) if request.method == "GET" else None
        shown = {"form_token": request.state.form_token, "may_leave": request.state.may_leave, "path": request.url.path}
        values = {**shown, "error": "", "done": done, **known}
        return HTMLResponse(self._templates.get_template(template).render(values), status_code=status)


def _pins(found: RelatedList, rules: list[KeptRule]) -> dict[str, int]:
    """Of each item that is pinned, the number of the rule."""
    return {
        kept.rule.articles[1]: kept.number
        for kept in rules
        if kept.rule.kind == "pin" and kept.rule.articles[0] == found.id
    }  # fmt: skip


def _named(now: Recommender, rules: list[KeptRule]) -> dict[int, list[Related]]:
    """The first articles of each rule that are there, by its number: ids tell an editor nothing."""
    there = {kept.number: [one for one in kept.rule.articles if one not in kept.missing] for kept in rules}
    return {number: [now.article(one) for one in articles[:NAMED]] for number, articles in there.items()}


def _number(form: Mapping[str, str]) -> int:
    """The number of the rule that a form names."""
    given = form.get("number", "")
    if not (given.isascii() and given.isdecimal() and len(given) < 16):
        raise InvalidRuleError("the form names no rule", "load the page again")
    return int(given)


def _back(form: Mapping[str, str], **query: str) -> str:
    for page in ("article", "thread"):
        if form.get(page):
            return _address(page, {"id": form[page], **query})
    return _address("rules", query)


def _address(page: str, query: Mapping[str, str]) -> str:
    return f"/{page}?{urlencode(query)}"


def _told(error: RecommenderError) -> tuple[str, int]:
    """What a page says of an error, on one line, and its HTTP status; paths of this machine go to stderr alone."""
    if isinstance(error, UnknownArticleError | UnknownThreadError | UnknownRuleError):
        return str(error), 404
    if isinstance(error, InvalidRuleError):
        return str(error), 409
    print(f"error: {error}", file=sys.stderr, flush=True)  # noqa: T201
    if isinstance(error, IndexBusyError):
        return "Another program writes to the index; nothing was changed. Try again in a moment.", 503
    return "The index could not be read or written; nothing was changed. The desk's terminal says why.", 500


def _day(moment: str | None) -> str:
    return f"{datetime.fromisoformat(moment):%d %b %Y}".lstrip("0") if moment else "no date"


def _time(moment: str | None) -> str:
    """The time of day in UTC; midnight is what a date alone has become."""
    return f"{datetime.fromisoformat(moment):%H:%M}".replace("00:00", "") if moment else ""


def _percent(score: float) -> str:
    if 0.995 <= score < 1:
        return "over 99%"
    return "under 1%" if 0 < score < 0.005 else f"{score:.0%}"
