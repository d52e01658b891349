"""Step 1 of 8: rows -> Article. Outside data is checked here and nowhere else."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from types import MappingProxyType

from recommender.errors import InvalidArticleError

FIELD_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "id": ("id", "articleid", "postid", "uuid", "docid", "documentid", "newsid", "guid"),
        "title": ("title", "headline", "heading", "name", "ogtitle"),
        "body": (
            *("body", "content", "text", "articlebody", "fulltext", "maintext", "bodytext", "contenttext", "plaintext"),
            *("bodyhtml", "contenthtml", "contentencoded", "html"),
            *("summary", "description", "excerpt", "abstract", "standfirst", "lead", "dek"),  # better than no text
        ),
        "published": (
            *("published", "publishedat", "datepublished", "publisheddate", "pubdate", "publishdate", "publicationdate"),
            *("publishedon", "publishedtime", "articlepublishedtime", "firstpublished", "firstpublishedat"),
            *("dategmt", "date", "datetime", "timestamp", "created", "createdat", "datecreated"),
        ),
        "updated": (
            *("updated", "updatedat", "dateupdated", "modifiedgmt", "modified", "modifiedat", "datemodified"),
            *("lastmodified", "lastupdated", "articlemodifiedtime"),
        ),
        "url": ("url", "link", "permalink", "canonicalurl", "canonical", "weburl", "articleurl", "href"),
        "section": ("section", "category", "categories", "articlesection", "sectionname", "channel", "desk", "rubric"),
        "language": ("language", "lang", "inlanguage", "locale"),
        "authors": ("authors", "author", "byline", "creator", "dccreator", "writer"),
        "tags": ("tags", "keywords", "tag", "newskeywords", "hashtags"),
        "image": ("image", "imageurl", "topimage", "leadimage", "featuredimage", "ogimage", "thumbnail", "thumbnailurl"),
    }
)
"""The names under which a field is looked for, first found first taken; case, blanks and punctuation do not matter."""

_FIELD_OF = {name: field for field, names in FIELD_NAMES.items() for name in names}
_INNER_NAMES = ("rendered", "name", "url", "text", "value", "#text", "$oid", "$date")
"""Where an object given for a field holds its value: WordPress, schema.org, feeds turned into JSON, MongoDB."""

_PARTIAL_DATE = re.compile(r"(\d{4})(?:-(\d{2}))?")
_ORDINAL_DATE = re.compile(r"(\d{4}-?\d{3})(?:[T ](.+))?")
_MAIL_DATE = re.compile(r"(?:[A-Za-z]{3,9},?\s+)?\d{1,2}[\s-]+[A-Za-z]{3,9}[\s-]+\d{2,4}\b.*")
_ZONE_NAME = re.compile(r"[A-Za-z]{2,5}$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """One published article; at least one of title and body holds text."""

    id: str
    title: str = ""
    body: str = ""
    """Plain text or HTML, as the site has it."""
    published: datetime | None = None
    """Timezone-aware; None where it is not known."""
    updated: datetime | None = None
    """Timezone-aware; None where it is not known."""
    url: str | None = None
    section: str | None = None
    language: str | None = None
    """BCP 47."""
    authors: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    image: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.id, str):
            raise InvalidArticleError(repr(self.id), f"its id is of type {type(self.id).__name__}; write it as a string")
        if not self.id.strip():
            raise InvalidArticleError(self.id, "its id is blank; every article needs an id of its own")
        if _CONTROL.search(self.id):
            raise InvalidArticleError(self.id, "its id holds a control character (NUL, tab, line break); leave it out")
        for name in ("title", "body"):
            if not isinstance(getattr(self, name), str):
                raise InvalidArticleError(
                    self.id, f"{name} is of type {type(getattr(self, name)).__name__}; write it as a string"
                )
        if not self.title.strip() and not self.body.strip():
            raise InvalidArticleError(self.id, "neither title nor body holds text; give one of them")
        self._check_dates()
        self._check_texts()

    def _check_dates(self) -> None:
        for name, moment in (("published", self.published), ("updated", self.updated)):
            if moment is None:
                continue
            if not isinstance(moment, datetime):
                raise InvalidArticleError(self.id, f"{name} is of type {type(moment).__name__}; give a datetime")
            if moment.utcoffset() is None:
                raise InvalidArticleError(self.id, f"{name} has no timezone; give one, such as datetime.UTC")
            try:
                moment.astimezone(UTC)
            except OverflowError:
                reason = f"{name} {moment} is outside the years 1 to 9999 in UTC; leave it out"
                raise InvalidArticleError(self.id, reason) from None

    def _check_texts(self) -> None:
        optional = {"url": self.url, "section": self.section, "language": self.language, "image": self.image}
        texts = {"id": (self.id,), "title": (self.title,), "body": (self.body,), "authors": self.authors, "tags": self.tags}
        texts |= {name: (text,) for name, text in optional.items() if text is not None}
        for name, values in texts.items():
            if not isinstance(values, tuple) or not all(isinstance(value, str) for value in values):
                raise InvalidArticleError(self.id, f"{name} is not made of strings; give text, or a tuple of texts for a list")
            try:
                "".join(values).encode()
            except UnicodeEncodeError as error:
                broken = f"{name} holds half a character (surrogate U+{ord(error.object[error.start]):04X})"
                raise InvalidArticleError(self.id, f"{broken}, which is not text; export it as UTF-8 again") from None


def article_from_row(row: Mapping[str, object]) -> Article:
    """The article that a row of a file means: usual names of fields and forms of dates are understood.

    Raises InvalidArticleError; its `article_id` is empty where the row has no id.
    """
    found = _fields_of(row)
    article_id = _id_from(found.get("id"))
    try:
        return Article(
            id=article_id,
            title=_text_from(found.get("title")),
            body=_text_from(found.get("body")),
            published=_date_named("published", found),
            updated=_date_named("updated", found),
            url=_first_from(found.get("url")),
            section=_first_from(found.get("section")),
            language=_language_from(found.get("language")),
            authors=tuple(re.sub(r"(?i)^by\s+", "", author) for author in _list_from(found.get("authors"))),
            tags=_list_from(found.get("tags")),
            image=_first_from(found.get("image")),
        )
    except ValueError as error:
        raise InvalidArticleError(article_id, str(error)) from None


def unknown_fields(row: Iterable[str]) -> set[str]:
    """The names of a row that no field of an article goes by; an iterable of names will do."""
    return {name for name in row if field_named(name) is None}


def field_named(name: str) -> str | None:
    """The field of an article that a row means by this name."""
    return _FIELD_OF.get(_bare_name(name))


def parse_date(value: object) -> datetime | None:
    """The moment in UTC that a value means; None for an empty one; ValueError with a reason for anything else.

    ISO 8601, RFC 2822, numbers since 1970 in seconds, milli-, micro- or nanoseconds, dates and datetimes of Python.
    Without an offset it is UTC.
    """
    if isinstance(value, Mapping):
        value = _inner_value(value)
    if _is_empty(value):
        return None
    moment = _moment_from(value)
    try:
        return (moment.replace(tzinfo=UTC) if moment.utcoffset() is None else moment).astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{str(value)!r} is outside the years 1 to 9999 in UTC") from None


@lru_cache(maxsize=4096)
def _bare_name(name: str) -> str:
    return "".join(filter(str.isalnum, str(name).casefold()))


def _fields_of(row: Mapping[str, object]) -> dict[str, object]:
    by_name: dict[str, object] = {}
    for name, value in row.items():
        if not _is_empty(value):
            by_name.setdefault(_bare_name(name), value)
    found: dict[str, object] = {}
    for field, names in FIELD_NAMES.items():
        for name in names:
            if name in by_name:
                found[field] = by_name[name]
                break
    return found


def _is_empty(value: object) -> bool:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    return not value.strip() if isinstance(value, str) else isinstance(value, list | tuple | Mapping) and not value


def _inner_value(value: Mapping[str, object]) -> object:
    return next((value[name] for name in _INNER_NAMES if not _is_empty(value.get(name))), None)


def _id_from(value: object) -> str:
    if isinstance(value, Mapping):
        value = _inner_value(value)
    if _is_empty(value):
        raise InvalidArticleError("", "it has no id; add a field `id` with a text of its own for every article")
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float) and value.is_integer():  # a column of whole numbers, after a spreadsheet
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise InvalidArticleError(str(value), "its id is neither text nor a whole number; write it as a string")


def _text_from(value: object) -> str:
    if isinstance(value, Mapping):
        value = _inner_value(value)
    if _is_empty(value):
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return "\n".join(filter(None, map(_text_from, value)))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"a value of type {type(value).__name__} stands where text is needed; write it as a string")


def _list_from(value: object) -> tuple[str, ...]:
    if isinstance(value, Mapping):
        value = _inner_value(value)
    if isinstance(value, list | tuple):
        texts = [_text_from(item) for item in value]
    else:
        text = _text_from(value)
        texts = text.split(";" if ";" in text else ",")
    return tuple(dict.fromkeys(text.strip() for text in texts if text.strip()))


def _first_from(value: object) -> str | None:
    texts = map(_text_from, value) if isinstance(value, list | tuple) else (_text_from(value),)
    return next((text.strip() for text in texts if text.strip()), None)


def _language_from(value: object) -> str | None:
    """A tag of BCP 47; what is none (a name such as 'English (UK)') tells the steps after this one nothing."""
    tag = (_first_from(value) or "").split(".")[0].replace("_", "-")
    return tag if _LANGUAGE.fullmatch(tag) else None


def _date_named(name: str, found: Mapping[str, object]) -> datetime | None:
    try:
        return parse_date(found.get(name))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _moment_from(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _moment_of_number(value)
    if not isinstance(value, str):
        raise ValueError(f"a value of type {type(value).__name__} is no date; write it as ISO 8601")
    text = value.strip().replace("\u2212", "-")  # the minus sign that ISO 8601 itself prefers
    if re.fullmatch(r"-?\d{9,19}(?:\.\d+)?", text):
        return _moment_of_number(float(text) if "." in text else int(text))
    return _moment_of_text(text)


def _moment_of_number(number: float) -> datetime:
    """Seconds since 1970; from 1e11 on (year 5138) milliseconds, from 1e14 micro-, from 1e17 nanoseconds."""
    if isinstance(number, int) and (1000 <= number <= 2999 or 10_000_101 <= number <= 29_991_231):
        return _moment_of_text(str(number))  # a year, or a day such as 20240619: not the first months of 1970
    power = 0 if abs(number) < 1e11 else 3 if abs(number) < 1e14 else 6 if abs(number) < 1e17 else 9
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=number * 10**6 / 10**power)
    except (OverflowError, ValueError):
        raise ValueError(f"{number} is no number of seconds or milliseconds since 1970") from None


def _moment_of_text(text: str) -> datetime:
    iso = re.sub(r"\s*\b(?:UTC|GMT|Z|z)$|(?<=\d)[zZ]$", "+00:00", text)
    iso = re.sub(r"(?<=\d)\s+(?=[+-]\d{2}:?\d{2}$)", "", iso)
    if partial := _PARTIAL_DATE.fullmatch(iso):
        iso = f"{partial[1]}-{partial[2] or '01'}-01"
    try:
        if ordinal := _ORDINAL_DATE.fullmatch(iso):
            day = datetime.strptime(ordinal[1].replace("-", ""), "%Y%j").date()
            iso = day.isoformat() + (f"T{ordinal[2]}" if ordinal[2] else "")
        if re.match(r"\d{4}-?\w{2,3}-?\d{1,2}T?\s?24:?00", iso):
            return datetime.fromisoformat(re.sub(r"(?<=[T ])24", "00", iso)) + timedelta(days=1)
        return datetime.fromisoformat(iso)
    except ValueError:
        return _moment_of_mail_date(text)


def _moment_of_mail_date(text: str) -> datetime:
    wrong = ValueError(f"{text[:60]!r} is no date that can be read; write it as ISO 8601, such as 2024-06-19T08:00:00+02:00")
    if not _MAIL_DATE.fullmatch(text):
        raise wrong
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError):
        raise wrong from None
    if moment.tzinfo is None and (zone := _ZONE_NAME.search(text)):
        raise ValueError(f"the time zone {zone[0]!r} of {text[:60]!r} is not known; write an offset such as +02:00")
    return moment
