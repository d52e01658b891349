"""A page -> the text of its article, by trafilatura, once bars, boxes and lines that point elsewhere are gone.

The only module that imports trafilatura.
"""

from __future__ import annotations

import logging
import re
from typing import Any

import trafilatura
from trafilatura.utils import load_html

from recommender.sources.pagefields import classes, words

for _library in ("trafilatura", "htmldate", "courlan"):
    logging.getLogger(_library).setLevel(logging.CRITICAL)  # what they complain of is in our own message

MOST_TEXT = 0.5
"""Share of the text of all paragraphs above which an element holds the article, whatever it is called; and share of a line's
text above which links make it up."""

_CHROME = re.compile(
    r"(?:^|[\s_-])(?:related|read-?more|also-?read|read-?also|dont-?miss|newsletter|subscrib\w*|sign-?up|share\w*|sharing|social|"
    r"sharedaddy|jp-relatedposts|addtoany\w*|post-?nav\w*|nav-links|pagination|prev(?:ious)?-?(?:post|story|article)|next-?(?:post|story"
    r"|article)|author-?(?:box|bio)|breadcrumbs?|comments?|widget\w*|sidebar|recent-?posts|latest|trending|most-?(?:read|popular)|"
    r"popular-?posts|promo|advert\w*|ads?|sponsor\w*|cookie\w*|inline-?related|yarpp\w*)(?=$|[\s_-])",
    re.I,
)
_LABEL = re.compile(
    r"\s*(?:also read|read also|read more|read next|don[’']?t miss|see also|previous story|next story|related(?: stor(?:y|ies)|"
    r" articles?| posts?)?|latest from|more from|you may (?:also )?like|watch|share this)\b",
    re.I,
)
_BARS = frozenset(("nav", "aside", "footer", "form", "button"))
_LINES = frozenset(("p", "h2", "h3", "h4", "h5", "h6", "li", "div", "ul"))
_CONTENT_MARKS = (
    "entry-content",
    "post-content",
    "article-content",
    "td-post-content",
    "wp-block-post-content",
    "single-content",
)


def tree_of(text: str) -> Any:
    """The elements of a page; ValueError where there are none."""
    tree = load_html(text)
    if tree is None:
        raise ValueError("it is no page: it holds no markup that can be read")
    return tree


def body_of(tree: Any, title: str) -> str:
    """The paragraphs of the article, one a line."""
    _prune(tree)
    found = trafilatura.extract(tree, include_comments=False, include_tables=True, favor_recall=True, deduplicate=False)
    lines = [line.strip().removeprefix("- ") for line in (found or "").split("\n")]
    return "\n".join(line for line in lines if line and line != title)


def _frame(tree: Any) -> set[Any]:
    """The headline, the element that themes mark as the content of the entry, and all that they stand in."""
    marked = [one for one in tree.iter("div", "section", "article") if set(_CONTENT_MARKS) & {*classes(one)}]
    headings = list(tree.iter("h1"))
    kept = [max(marked, key=lambda one: len(words(one)))] if marked else []
    kept += headings if len(headings) == 1 else []
    return {*kept, *(above for one in kept for above in one.iterancestors())}


def _prune(tree: Any) -> None:
    """Take from the page what is not its article: bars, boxes, and lines that point to other articles."""
    gone = []
    frame = _frame(tree)
    bulk = _length_of_paragraphs(tree)
    for element in tree.iter():
        if not isinstance(element.tag, str) or element.tag in ("html", "body", "main") or element in frame:
            continue
        named = " ".join(filter(None, (element.get("class"), element.get("id"), element.get("role"))))
        if element.tag in _BARS or (named and _CHROME.search(named)):
            if bulk and _length_of_paragraphs(element) > MOST_TEXT * bulk:
                element.tag = "div"  # some programs put the whole page into a form, or name it after its sidebar
            else:
                gone.append(element)
        elif element.tag in _LINES and _points_away(element):
            gone.append(element)
            following = element.getnext()
            if (
                following is not None
                and following.tag in ("ul", "ol")
                and _length_of_links(following) > MOST_TEXT * _length(following)
            ):
                gone.append(following)
    for element in gone:
        if element.getparent() is not None:
            element.drop_tree()


def _length(element: Any) -> int:
    return len(words(element))


def _length_of_paragraphs(element: Any) -> int:
    return sum(map(_length, element.iter("p")))


def _length_of_links(element: Any) -> int:
    return sum(map(_length, element.iter("a")))


def _points_away(element: Any) -> bool:
    """Whether an element is a label such as 'ALSO READ' with links, or such a label alone."""
    line = words(element) if len(element) < 20 else ""
    label = _LABEL.match(line)
    if label is None or len(line) > 300:
        return False
    rest = len(line) - len(label[0])
    linked = _length_of_links(element)
    return linked > MOST_TEXT * rest if linked else rest < 3
