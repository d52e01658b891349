"""Markdown with front matter."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from recommender import read_articles
from recommender.pipeline.content import plain_text
from recommender.sources.markdown import row_of_markdown
from tests.sources.exports import ids, written

YAML = """---
title: "Kiln fired: forty pots"
date: 2025-03-02T09:30:00+01:00
lastmod: 2025-03-03
slug: kiln-fired
categories: [Local]
tags:
  - kiln
  - clay
author: Ila Marsh
---
"""
TOML = """+++
title = "Kiln fired: forty pots"
date = 2025-03-02T09:30:00+01:00
lastmod = 2025-03-03
slug = "kiln-fired"
categories = ["Local"]
tags = ["kiln", "clay"]
author = "Ila Marsh"
+++
"""


def row(text: str, name: str = "posts/kiln.md") -> dict[str, Any]:
    found = row_of_markdown(text.encode(), name)
    assert found is not None
    return found


@pytest.mark.parametrize("front", [YAML, TOML, YAML.replace("\n", "\r\n"), "\ufeff" + YAML])
def test_front_matter_gives_the_fields(tmp_path: Path, front: str) -> None:
    """YAML and TOML mean the same."""
    (found,) = read_articles([written(tmp_path, "a.md", front + "It *was* fired.\n")])
    assert (found.id, found.title, found.section) == ("kiln-fired", "Kiln fired: forty pots", "Local")
    assert found.tags == ("kiln", "clay")
    assert found.published == datetime(2025, 3, 2, 8, 30, tzinfo=UTC)
    assert found.updated == datetime(2025, 3, 3, tzinfo=UTC)
    assert found.authors == ("Ila Marsh",)
    assert plain_text(found.body) == "It was fired."


@pytest.mark.parametrize(
    ("front", "name", "expected"),
    [
        ("id: 7\nslug: x", "a.md", 7),
        ("slug: x", "a.md", "x"),
        ("title: x", "posts/a.md", "posts/a"),
        ("title: x", "posts/kiln/index.md", "posts/kiln"),
        ("title: x", "index.md", "index"),
        ("title: x", "2025-03-02-kiln.markdown", "2025-03-02-kiln"),
    ],
)
def test_the_id_is_given_or_the_name(front: str, name: str, expected: object) -> None:
    """A folder with an index goes by its own name."""
    assert row(f"---\n{front}\n---\ntext", name)["id"] == expected


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("---\ndraft: true\n---\nx", "a.md"),
        ("+++\ndraft = true\n+++\nx", "a.md"),
        ("---\npublished: false\n---\nx", "a.md"),
        ("x", "p/_index.md"),
    ],
)
def test_what_is_not_published_is_left_out(text: str, name: str) -> None:
    """Drafts of Hugo and Jekyll, and Hugo's pages for sections."""
    assert row_of_markdown(text.encode(), name) is None


def test_the_name_may_hold_the_day_and_the_first_heading_the_title() -> None:
    """As Jekyll does it, where the front matter says neither."""
    found = row("# Kiln *fired*\n\nForty pots.", "2025-03-02-kiln.md")
    assert (found["title"], found["published"], plain_text(found["body"])) == ("Kiln *fired*", "2025-03-02", "Forty pots.")
    assert row("---\ndate: 2025-03-04\n---\nx", "2025-03-02-kiln.md")["published"] == date(2025, 3, 4)


def test_what_templates_write_leaves_the_text() -> None:
    """Shortcodes of Hugo, tags of Liquid."""
    assert plain_text(row('One {{< figure src="a" >}}two {% include x %}three.')["body"]) == "One two three."


def test_a_rule_is_no_front_matter() -> None:
    """A page that begins with a line across it has none."""
    assert plain_text(row("---\nForty pots came out whole.\n")["body"]) == "Forty pots came out whole."


BAD = {
    "never closed": ("---\ntitle: x\n", "not closed"),
    "closed far away": ("---\n" + "a: b\n" * 99_999 + "---\n", "not closed"),
    "broken YAML": ("---\ntitle: [x\n---\n", "cannot be read"),
    "a colon too many": ("---\ntitle: x\nlead: a: b\n---\n", r"cannot be read: mapping values are not allowed here \(line 3\)$"),
    "broken TOML": ("+++\ntitle: x\n+++\n", "cannot be read"),
    "a list": ("---\n- x\n---\n", "no fields"),
    "an object of Python": ("---\na: !!python/object/apply:os.getcwd []\n---\n", "cannot be read"),
    "aliases": ("---\na: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n---\n", "alias"),
    "deep YAML": ("---\na: " + "[" * 5_000 + "\n---\n", "nested too deeply"),
    "deep TOML": ("+++\na = " + "[" * 20_000 + "\n+++\n", "nested too deeply"),
    "a number of 9,999 digits": ("---\na: " + "9" * 9999 + "\n---\n", "cannot be read"),
    "a day that is none": ("---\ndate: 2025-02-30\n---\n", "cannot be read"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_front_matter_is_refused_with_a_reason(case: str) -> None:
    """One line, and nothing of it is run."""
    text, why = BAD[case]
    with pytest.raises(ValueError, match=why) as caught:
        row_of_markdown(text.encode(), "a.md")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    """With the byte at which it is not."""
    with pytest.raises(ValueError, match="not UTF-8 at byte 2"):
        row_of_markdown(b"ab\xff", "a.md")


def test_templates_without_end_take_no_time() -> None:
    """Twice as many would take four times as long, were each looked for to the end of the text."""
    assert plain_text(row("{{<" * 30_000 + "{%" * 30_000)["body"])


def test_a_folder_of_markdown_is_read_by_name(tmp_path: Path) -> None:
    """With the drafts counted."""
    written(tmp_path, "b.md", YAML.replace("kiln-fired", "b") + "x")
    written(tmp_path, "a/a.md", YAML.replace("kiln-fired", "a") + "x")
    written(tmp_path, "c.md", YAML.replace("slug", "draft: true\nslug") + "x")
    notices: list[str] = []
    assert [one.id for one in read_articles([tmp_path], notice=notices.append)] == ["b", "a"]
    assert notices == [f"{tmp_path}: a folder of 3 Markdown files", f"{tmp_path}: 1 draft left out"]
    assert ids(tmp_path, format="markdown") == ["b", "a"]
