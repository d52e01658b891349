"""What the server can be asked and what it answers, as OpenAPI 3.1. Pure; held against the server's routes by its tests."""

from __future__ import annotations

from typing import Any

from recommender.web.answering import LONGEST_LIST, MOST_NUMBER, MOST_THREADS

_TEXT = {"type": "string"}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_TEXTS = {"type": "array", "items": _TEXT}


def contract(version: str, base_url: str) -> dict[str, Any]:
    """The description of the server that is reached at `base_url`."""
    related, thread = (400, 404), (404, 308)
    return {
        "openapi": "3.1.0",
        "info": {"title": "recommender", "version": version, "description": _ABOUT},
        "servers": [{"url": base_url}],
        "paths": {
            "/related": _path("The same for any id, even one such as ..", _BY_QUERY, _JSON("RelatedList") | _HTML, *related),
            "/related/{id}": _path("The list beside an article", _RELATED, _JSON("RelatedList") | _HTML, *related),
            "/related/{id}.html": _path("The list as an HTML fragment; empty where it is", _RELATED[:-1], _HTML, *related),
            "/threads": _path("Story threads, the latest first", _THREADS, _JSON("Threads"), 400),
            "/threads/{id}": _path("A story thread", _ID, _JSON("Thread"), *thread),
            "/threads/{id}.html": _path("Its timeline as a page", _ID, _HTML, *thread),
            "/feeds/threads/{id}.xml": _path("Its articles as RSS 2.0", _ID, {"application/rss+xml": {}}, *thread),
            "/health": _path("Whether the index can be read", [], _JSON("Health"), kept=False),
            "/metrics": _path("Counts for Prometheus", [], {"text/plain": {}}, kept=False),
            "/openapi.json": _path("This description", [], {"application/json": {}}),
            "/widget.js": _path("The script that shows the list on a page", [], {"text/javascript": {}}),
        },
        "components": {"schemas": _SCHEMAS},
    }


def _path(
    summary: str, parameters: list[dict[str, Any]], content: dict[str, Any], *others: int, kept: bool = True
) -> dict[str, Any]:
    """One address; `kept` where caches may keep the answer and ask whether it is still good."""
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    headers = _HEADERS | (_VALIDATORS if kept else {})
    answers: dict[str, Any] = {"200": {"description": "The answer", "headers": headers, "content": content}}
    if kept:
        answers["304"] = {"description": "What If-None-Match names is still the answer", "headers": headers}
    for status in sorted({414, *others}):
        moved = {"Location": _header("Its address, relative to this one")} if status == 308 else {}
        answers[str(status)] = {"description": _STATUS[status], "headers": _HEADERS | moved, "content": error}
    answers["503"] = {"description": _STATUS[503], "content": error | {"text/plain": {}}}
    return {"get": {"summary": summary, "parameters": parameters, "responses": answers}}


def _JSON(name: str) -> dict[str, Any]:  # noqa: N802
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _in_query(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": sorted(properties)}


def _header(description: str, **schema: Any) -> dict[str, Any]:
    return {"description": description, "required": True, "schema": {"type": "string"} | schema}


_ABOUT = (
    "Related articles and story threads. Read-only: HEAD is answered wherever GET is, any other method 405, any other address "
    "404. What is no HTTP is answered 400 in plain text, and 503 likewise where there are too many connections. A script of an "
    "origin that was named to the server finds it in Access-Control-Allow-Origin."
)
_HEADERS = {
    "Cache-Control": _header("How long others may keep it"),
    "Vary": _header("On what of the request it depends"),
    "X-Content-Type-Options": _header("Never to be guessed", const="nosniff"),
}
_VALIDATORS = {"ETag": _header("For If-None-Match", pattern='^W/"')}
_HTML: dict[str, Any] = {"text/html": {}}
_STATUS = {
    308: "The thread was merged into another; Location has it",
    400: "A parameter is wrong",
    404: "There is none of that id",
    414: "The address is too long",
    503: "The index cannot be read now, or there are too many connections",
}
_ID: list[dict[str, Any]] = [
    {"name": "id", "in": "path", "required": True, "description": "The id, percent-encoded, slashes too", "schema": _TEXT}
]
_RELATED = [
    *_ID,
    _in_query("k", "Length of the list at most", type="integer", minimum=1, maximum=LONGEST_LIST, default=5),
    _in_query("profile", "What a reader should see, or pure order of relevance", enum=["sidebar", "similar"], default="sidebar"),
    _in_query("format", "The form; an id is then taken whole, whatever it ends in", enum=["json", "html"]),
]
_BY_QUERY = [{"name": "id", "in": "query", "required": True, "description": "The id", "schema": _TEXT}, *_RELATED[1:]]
_THREADS = [
    _in_query("min_size", "Only threads of so many articles or more", type="integer", minimum=1, maximum=MOST_NUMBER, default=2),
    _in_query("limit", "Threads in the answer at most", type="integer", minimum=1, maximum=MOST_THREADS, default=50),
    _in_query("offset", "Threads to leave out at the beginning", type="integer", minimum=0, maximum=MOST_NUMBER, default=0),
]
_SCHEMAS: dict[str, Any] = {
    "Error": _object(error=_TEXT),
    "Health": _object(status={"const": "ok"}, articles={"type": "integer"}),
    "RelatedList": _object(
        id=_TEXT,
        thread={
            "type": ["object", "null"],
            "properties": {"id": _TEXT, "label": _TEXT, "position": {"type": "integer"}, "size": {"type": "integer"}},
        },
        items={
            "type": "array",
            "items": _object(
                id=_TEXT,
                title=_TEXT,
                url=_TEXT_OR_NULL,
                published=_TEXT_OR_NULL,
                score={"type": "number", "minimum": 0, "maximum": 1},
                relation={"enum": ["duplicate", "same-story", "related"]},
                thread_id=_TEXT_OR_NULL,
                reasons=_TEXTS,
            ),
        },
    ),
    "Thread": _object(
        id=_TEXT,
        label=_TEXT,
        keywords=_TEXTS,
        size={"type": "integer", "minimum": 2},
        first_published=_TEXT_OR_NULL,
        last_published=_TEXT_OR_NULL,
        lead_id=_TEXT,
        article_ids=_TEXTS,
    ),
    "Threads": _object(
        total={"type": "integer"},
        offset={"type": "integer"},
        threads={"type": "array", "items": {"$ref": "#/components/schemas/Thread"}},
    ),
}
