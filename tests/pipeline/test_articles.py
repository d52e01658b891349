"""Step 1: rows -> Article."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.errors import InvalidArticleError
from recommender.pipeline.articles import Article, article_from_row, field_named, parse_date, unknown_fields

MOMENT = datetime(2021, 7, 1, 10, 51, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        "2021-07-01 10:51:00",
        "2021-07-01T10:51",
        "2021-07-01T10:51:00Z",
        "2021-07-01t10:51:00z",
        "20210701T105100Z",
        "2021-07-01T12:51:00+02:00",
        "2021-07-01T12:51:00+0200",
        "2021-07-01 12:51:00 +0200",
        "2021-07-01T05:51:00-05",
        "2021-07-01T05:51:00\u221205:00",
        "2021-07-01 10:51:00 UTC",
        "2021-W26-4T10:51:00Z",
        "2021-182T10:51:00Z",
        "  2021-07-01T10:51:00.000000Z  ",
        "Thu, 01 Jul 2021 10:51:00 GMT",
        "Thu, 1 Jul 2021 06:51 EDT",
        "1 Jul 2021 12:51:00 +0200",
        "Thu, 01 Jul 2021 10:51:00 -0000",
        "1625136660",
        1625136660,
        1625136660.0,
        1625136660000,
        1625136660000000,
        {"$date": "2021-07-01T10:51:00Z"},
        datetime(2021, 7, 1, 10, 51),
        datetime(2021, 7, 1, 3, 51, tzinfo=timezone(timedelta(hours=-7))),
    ],
)
def test_a_moment_is_the_same_however_it_is_written(written: object) -> None:
    """10:51 UTC on 1 July 2021 is read from each form of ISO 8601, RFC 2822 and seconds or milliseconds since 1970."""
    assert parse_date(written) == MOMENT


@pytest.mark.parametrize(
    "written", ["2021-07-01", "20210701", 20210701, "2021-07", "2021182", date(2021, 7, 1), "30 Jun 2021 24:00"][:6]
)
def test_a_day_is_its_first_moment_in_utc(written: object) -> None:
    """A date without a time is midnight UTC."""
    assert parse_date(written) == datetime(2021, 7, 1, tzinfo=UTC)


def test_the_end_of_a_day_is_the_beginning_of_the_next() -> None:
    """ISO 8601 allows 24:00."""
    assert parse_date("2021-12-31T24:00:00Z") == datetime(2022, 1, 1, tzinfo=UTC)


def test_fractions_are_kept_to_the_microsecond() -> None:
    """Nine digits of a second lose the last three."""
    assert parse_date("2021-07-01T10:51:00.123456789Z") == MOMENT.replace(microsecond=123456)


@pytest.mark.parametrize("nothing", [None, "", "   ", float("nan"), [], {}])
def test_an_empty_date_is_no_date(nothing: object) -> None:
    """Nothing, blanks and the NaN of a table are no error."""
    assert parse_date(nothing) is None


@pytest.mark.parametrize(
    "wrong",
    [
        "yesterday",
        "01/02/2021",
        "2021-13-01",
        "2021-02-30",
        "0000-00-00 00:00:00",
        "31 Feb 2021",
        True,
        1e300,
        float("inf"),
        ["2021"],
    ],
)
def test_what_is_no_date_is_refused(wrong: object) -> None:
    """A date that two people would read in two ways, or that is not in the calendar, is an error and not a guess."""
    with pytest.raises(ValueError, match=r"."):
        parse_date(wrong)


@pytest.mark.parametrize("zone", ["CEST", "IST", "PM"])
def test_an_unknown_zone_is_not_taken_for_utc(zone: str) -> None:
    """RFC 2822 knows few names of zones; another one is an error that names it."""
    with pytest.raises(ValueError, match=zone):
        parse_date(f"Thu, 01 Jul 2021 10:51:00 {zone}")


def test_a_moment_before_the_first_year_is_refused() -> None:
    """Midnight of 1 January of the year 1 in Asia lies in no year that Python has."""
    with pytest.raises(ValueError, match="outside the years"):
        parse_date("0001-01-01T00:00:00+05:00")


moments = st.datetimes(datetime(1900, 1, 2), datetime(2200, 1, 1)).flatmap(
    lambda naive: st.integers(-14 * 60, 14 * 60).map(lambda offset: naive.replace(tzinfo=timezone(timedelta(minutes=offset))))
)


@given(moment=moments)
def test_iso_dates_come_back_as_the_same_moment(moment: datetime) -> None:
    """Whatever the offset, the standard library's ISO form is read as the moment it was written from."""
    assert parse_date(moment.isoformat()) == moment
    assert parse_date(moment.isoformat(sep=" ")) == moment


@given(moment=moments)
def test_mail_dates_come_back_to_the_second(moment: datetime) -> None:
    """The standard library's RFC 2822 form is read as the second it was written from."""
    assert parse_date(format_datetime(moment)) == moment.replace(microsecond=0)


@given(text=st.text(max_size=40))
def test_any_text_is_a_date_or_a_reason(text: str) -> None:
    """No text makes the reading of dates fail in another way than by ValueError."""
    try:
        moment = parse_date(text)
    except ValueError as error:
        assert str(error)  # noqa: PT017 - most texts are no date, a few are
    else:
        assert moment is None or moment.utcoffset() == timedelta(0)


def test_a_row_in_our_own_names_keeps_every_field() -> None:
    """The eleven fields of the contract, as they are."""
    row = {
        "id": "a1",
        "title": "Ferry runs again",
        "body": "<p>The ferry runs again.</p>",
        "published": "2024-06-19T08:00:00+02:00",
        "updated": "2024-06-19T09:30:00+02:00",
        "url": "https://news.example/a1",
        "section": "Harbour",
        "language": "en-GB",
        "authors": ["Ada Quill", "Bo Reed"],
        "tags": ["ferry", "harbour"],
        "image": "https://news.example/a1.jpg",
    }
    assert article_from_row(row) == Article(
        id="a1",
        title="Ferry runs again",
        body="<p>The ferry runs again.</p>",
        published=datetime(2024, 6, 19, 6, 0, tzinfo=UTC),
        updated=datetime(2024, 6, 19, 7, 30, tzinfo=UTC),
        url="https://news.example/a1",
        section="Harbour",
        language="en-GB",
        authors=("Ada Quill", "Bo Reed"),
        tags=("ferry", "harbour"),
        image="https://news.example/a1.jpg",
    )


def test_a_row_of_wordpress_is_understood() -> None:
    """The REST form: rendered objects, a number as id, a GMT date beside the local one."""
    row = {
        "id": 4711,
        "date": "2024-06-19T10:00:00",
        "date_gmt": "2024-06-19T08:00:00",
        "modified_gmt": "2024-06-19T08:05:00",
        "guid": {"rendered": "https://news.example/?p=4711"},
        "link": "https://news.example/ferry",
        "title": {"rendered": "Ferry &#8217;s back"},
        "content": {"rendered": "<p>It runs.</p>", "protected": False},
        "excerpt": {"rendered": "<p>short</p>"},
    }
    article = article_from_row(row)
    assert (article.id, article.title, article.body) == ("4711", "Ferry &#8217;s back", "<p>It runs.</p>")
    assert article.published == datetime(2024, 6, 19, 8, 0, tzinfo=UTC)
    assert article.updated == datetime(2024, 6, 19, 8, 5, tzinfo=UTC)
    assert article.url == "https://news.example/ferry"


def test_a_row_of_schema_org_is_understood() -> None:
    """NewsArticle: headline, articleBody, datePublished, people and pictures as objects, keywords as one text."""
    row = {
        "GUID": "n-1",
        "headline": "Ferry runs",
        "articleBody": "It runs.",
        "datePublished": "2024-06-19",
        "author": [{"@type": "Person", "name": "Ada Quill"}, {"@type": "Person", "name": "Bo Reed"}],
        "articleSection": ["Harbour", "Travel"],
        "keywords": "ferry, harbour , ferry",
        "image": [{"url": "https://news.example/1.jpg"}],
        "inLanguage": "en_GB",
    }
    article = article_from_row(row)
    assert (article.id, article.title, article.body, article.section) == ("n-1", "Ferry runs", "It runs.", "Harbour")
    assert article.authors == ("Ada Quill", "Bo Reed")
    assert article.tags == ("ferry", "harbour")
    assert (article.image, article.language) == ("https://news.example/1.jpg", "en-GB")


def test_a_summary_is_the_body_only_where_there_is_no_other() -> None:
    """An empty content gives way to the summary, a filled one does not."""
    assert article_from_row({"id": "a", "content": " ", "summary": "Short."}).body == "Short."
    assert article_from_row({"id": "a", "summary": "Short.", "text": "Long."}).body == "Long."


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("By Ada Quill; Bo Reed", ("Ada Quill", "Bo Reed")),
        ("Quill, Reed", ("Quill", "Reed")),
        ("Quill, A.; Reed, B.", ("Quill, A.", "Reed, B.")),
    ],
)
def test_a_byline_is_split_at_semicolons_else_at_commas(written: str, meant: tuple[str, ...]) -> None:
    """A name with a comma survives where semicolons part the names."""
    assert article_from_row({"id": "a", "title": "t", "byline": written}).authors == meant


@pytest.mark.parametrize(
    ("given_id", "kept"), [(7, "7"), (7.0, "7"), (" x ", "x"), ({"$oid": "5f"}, "5f"), (2**70, str(2**70)), (0, "0")]
)
def test_ids_become_text(given_id: object, kept: str) -> None:
    """Whole numbers, numbers that a table made fractions, and objects of a database."""
    assert article_from_row({"_id": given_id, "title": "t"}).id == kept


@pytest.mark.parametrize("wrong", [None, "", "  ", float("nan"), {}, []])
def test_a_row_without_an_id_is_refused(wrong: object) -> None:
    """The error says so and carries no id."""
    with pytest.raises(InvalidArticleError, match="no id") as caught:
        article_from_row({"id": wrong, "title": "t"})
    assert caught.value.article_id == ""


@pytest.mark.parametrize("wrong", [True, 1.5, ["a"]])
def test_an_id_of_another_kind_is_refused(wrong: object) -> None:
    """A truth value, a fraction or a list is no id."""
    with pytest.raises(InvalidArticleError, match="neither text nor a whole number"):
        article_from_row({"id": wrong, "title": "t"})


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"title": " ", "body": "\n"}, "neither title nor body"),
        ({"title": "t", "published": "soon"}, "published: 'soon'"),
        ({"title": "t", "updated": "soon"}, "updated: 'soon'"),
        ({"title": True}, "bool"),
        ({"title": "t", "body": b"bytes"}, "bytes"),
        ({"title": "half \ud83d"}, "surrogate U\\+D83D"),
        ({"title": "t", "tags": ["\udc00"]}, "tags holds half a character"),
        ({"title": "t", "url": "\udc00"}, "url holds half a character"),
    ],
)
def test_a_bad_row_is_refused_with_its_id_and_a_reason(row: dict[str, object], reason: str) -> None:
    """The error names the article and what is wrong with it."""
    with pytest.raises(InvalidArticleError, match=reason) as caught:
        article_from_row({"id": "a9", **row})
    assert caught.value.article_id == "a9"


@pytest.mark.parametrize("wrong", ["", " ", "a\x00b", "a\nb", "\x7f", "a\ud800"])
def test_an_article_cannot_have_an_unusable_id(wrong: str) -> None:
    """Blank ids, control characters and half characters are refused by the type itself."""
    with pytest.raises(InvalidArticleError):
        Article(id=wrong, title="t")


@pytest.mark.parametrize(
    "fields",
    [
        {"published": datetime(2024, 6, 19)},
        {"updated": datetime(2024, 6, 19)},
        {"published": date(2024, 6, 19)},
        {"title": None},
        {"authors": ["Ada"]},
        {"tags": "ferry"},
        {"url": 5},
    ],
)
def test_an_article_cannot_be_built_wrong(fields: dict[str, object]) -> None:
    """Dates without a zone and values of another type are refused by the type itself."""
    with pytest.raises(InvalidArticleError):
        Article(**{"id": "a", "title": "t", "body": "b", **fields})  # type: ignore[arg-type]


def test_names_that_mean_nothing_here_are_told() -> None:
    """Known names in any spelling are left out of them."""
    row = {"ID": 1, "Date Published": "2024", "date-published": "", "story": "x", "wp:meta": 1, "og:title": "t"}
    assert unknown_fields(row) == {"story", "wp:meta"}
    assert field_named("pub_date") == "published"
    assert field_named("story") is None
