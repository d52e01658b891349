"""Every error of ours: which thing, what is wrong, what to do next. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Sequence


def one_line(error: Exception) -> str:
    """What an error of a library says, on one line and not too long."""
    return " ".join(str(error).split())[:160] or type(error).__name__


class RecommenderError(Exception):
    """Whatever this package refuses on purpose; the message is one line for a person.

    `exit_code` is what the command line ends with: 1 failed, 3 no such article, thread or rule, 4 the index is unusable.
    """

    exit_code = 1


class InvalidArticleError(RecommenderError):
    """One article breaks a rule of the `Article` type."""

    def __init__(self, article_id: str, reason: str) -> None:
        super().__init__(f"article {article_id!r}: {reason}")
        self.article_id = article_id
        self.reason = reason


class UnreadableSourceError(RecommenderError):
    """A source of articles cannot be read as a whole: missing, a folder, truncated, of another format."""

    def __init__(self, source: str, reason: str, remedy: str) -> None:
        super().__init__(f"{source}: {reason}; {remedy}")
        self.source = source
        self.reason = reason


class FetchError(UnreadableSourceError):
    """An address cannot be fetched, or must not be."""

    def __init__(self, address: str, reason: str, remedy: str, *, status: int | None = None) -> None:
        plain = "".join(letter if letter.isprintable() else "?" for letter in address)
        super().__init__(plain if len(plain) <= 200 else f"{plain[:200]}…", reason, remedy)
        self.status = status
        """What the server answered with, where that is what is wrong."""


class InvalidRowsError(RecommenderError):
    """Rows of a source are no articles; nothing has been changed."""

    def __init__(self, total: int, first: Sequence[str]) -> None:
        shown = "\n".join(f"  {line}" for line in first)
        more = f"\n  … and {total - len(first)} more" if total > len(first) else ""
        rows, them = ("1 row is", "it") if total == 1 else (f"{total:,} rows are", "them")
        super().__init__(
            f"{rows} not valid; nothing was changed; mend {them} or go on without {them} with --skip-invalid:\n{shown}{more}"
        )
        self.total = total
        self.first = tuple(first)


class UnknownArticleError(RecommenderError):
    """No article of that id is in the index."""

    exit_code = 3

    def __init__(self, article_id: str) -> None:
        super().__init__(f"no article {article_id!r} in this index; add it with `recommender add`")
        self.article_id = article_id


class UnknownThreadError(RecommenderError):
    """No thread of that id is in the index."""

    exit_code = 3

    def __init__(self, thread_id: str) -> None:
        super().__init__(f"no thread {thread_id!r} in this index; `recommender threads` lists them")
        self.thread_id = thread_id


class InvalidRuleError(RecommenderError):
    """A rule is not written as one, or contradicts another."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason}; {remedy}")


class InvalidRulesError(RecommenderError):
    """Lines of a file of rules are none; nothing has been changed."""

    def __init__(self, source: str, wrong: Sequence[str]) -> None:
        lines = "1 line is" if len(wrong) == 1 else f"{len(wrong)} lines are"
        shown = "\n".join(f"  {line}" for line in wrong)
        super().__init__(f"{source}: {lines} not valid; nothing was changed:\n{shown}")
        self.wrong = tuple(wrong)


class UnknownRuleError(RecommenderError):
    """No rule of that number is in the index."""

    exit_code = 3

    def __init__(self, number: int) -> None:
        super().__init__(f"no rule {number} in this index; `recommender rules list` has the numbers")


class IndexUnusableError(RecommenderError):
    """The index is missing, damaged or of another format version."""

    exit_code = 4

    def __init__(self, index: str, reason: str, remedy: str) -> None:
        super().__init__(f"index {index}: {reason}; {remedy}")


class IndexBusyError(RecommenderError):
    """Another process writes to the index."""

    def __init__(self, index: str, holder: str) -> None:
        super().__init__(f"index {index}: {holder} is writing to it; try again when it has ended")


class SyncBusyError(RecommenderError):
    """Another process brings the same index up to date."""

    def __init__(self, index: str, holder: str) -> None:
        super().__init__(f"index {index}: {holder} is syncing it; nothing was changed; try again when it has ended")


class TooManyRemovalsError(RecommenderError):
    """A sync would empty a good part of the index, which is rather a fault of the site than its will."""

    def __init__(self, source: str, gone: int, total: int) -> None:
        super().__init__(
            f"{source}: {gone:,} of the {total:,} articles of the index are gone there, more than a third; none was removed; "
            "look at the site, and if that is right run it again with --allow-removals"
        )


class WriteFailedError(RecommenderError):
    """The index could not be written: a full disk, a folder without the right to write, a failed device.

    Where the disk took the last word and did not confirm it (`unconfirmed`), all of the write may be there, or none of it.
    """

    def __init__(self, index: str, reason: str, *, unconfirmed: bool = False) -> None:
        kept = "all of it may be there after all, or none: see to the disk" if unconfirmed else "nothing was changed"
        remedy = "do it again" if unconfirmed else "make room or mend the rights and try again"
        super().__init__(f"index {index}: it cannot be written ({reason}); {kept}; {remedy}")


class EncoderError(RecommenderError):
    """An encoder cannot be loaded, or is not the one that the index was built with."""


class BackupError(RecommenderError):
    """A backup cannot be written, or is none, damaged or of another format version; nothing was changed."""

    def __init__(self, file: str, reason: str, remedy: str) -> None:
        super().__init__(f"backup {file}: {reason}; nothing was changed; {remedy}")
        self.file = file


class ExportError(RecommenderError):
    """A folder is not one to export to, or cannot be written."""

    def __init__(self, folder: object, reason: str, remedy: str) -> None:
        super().__init__(f"export to {folder}: {reason}; {remedy}")
