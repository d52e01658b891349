"""What stands between a shell and a command: streams, emphasis, words into values, errors into exit codes."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from typer.core import TyperCommand, TyperGroup

from recommender.drawing import Ink
from recommender.errors import RecommenderError, UnreadableSourceError

INTERRUPTED = 130
BROKEN_PIPE = 141
TERMINATED = 143
"""What a shell reports for a program that the signals INT, PIPE and TERM have ended."""

_DEBUG = "recommender.debug"


class Terminated(KeyboardInterrupt):
    """The signal TERM has come: all work ends as it does when a person interrupts it."""


class Commands(TyperGroup):
    """Ends whatever goes wrong in a command with its exit code and a line on stderr."""

    def get_params(self, ctx: Any) -> Any:
        """The parameters, as typer asks for them."""
        return _taken_plainly(super().get_params(ctx))

    def invoke(self, ctx: Any) -> Any:
        """Run a command; raises typer.Exit with the code of what went wrong."""
        try:
            answer = super().invoke(ctx)
            if sys.stdout is not None:
                sys.stdout.flush()
        except KeyboardInterrupt as end:
            terminated = isinstance(end, Terminated)
            say("terminated" if terminated else "interrupted")
            raise typer.Exit(TERMINATED if terminated else INTERRUPTED) from None
        except BrokenPipeError:
            _let_go_of_stdout()
            raise typer.Exit(BROKEN_PIPE) from None
        except Exception as error:
            if isinstance(error, typer.Exit | typer.Abort) or hasattr(error, "format_message"):
                raise  # typer's own: an end that was asked for, or wrong usage
            if ctx.meta.get(_DEBUG):
                import traceback

                traceback.print_exc()
            say(f"error: {_told(error)}")
            raise typer.Exit(error.exit_code if isinstance(error, RecommenderError) else 1) from None
        return answer


class Command(TyperCommand):
    """A command whose plain words are taken as they are."""

    def get_params(self, ctx: Any) -> Any:
        """The parameters, as typer asks for them."""
        return _taken_plainly(super().get_params(ctx))


def _taken_plainly(params: list[Any]) -> list[Any]:
    """Parameters that need no pydantic, which typer 0.29 imports for the first value: 80 of the 175 ms of an answer."""
    for param in params:
        if "process_value" not in vars(param):
            vars(param)["process_value"] = functools.partial(_value_of, param, param.process_value)
    return params


def _value_of(param: Any, typers: Callable[[Any, Any], Any], ctx: Any, given: Any) -> Any:
    """The value of a parameter; what is not plainly right is left to typer, which knows how to complain."""
    descriptor = getattr(param, "type_descriptor", None)
    value = _plain_value(getattr(descriptor, "annotation", None), given)
    least, most = (getattr(param, bound, None) for bound in ("min", "max"))
    if isinstance(value, int) and ((least is not None and value < least) or (most is not None and value > most)):
        return _checked(typers, ctx, given)
    if value is None and (given is not None or param.required):
        return _checked(typers, ctx, given)
    return param.callback(ctx, param, value) if param.callback else value


def _checked(typers: Callable[[Any, Any], Any], ctx: Any, given: Any) -> Any:
    """What typer makes of a value, or its complaint without the words of pydantic before it."""
    try:
        return typers(ctx, given)
    except typer.BadParameter as error:
        error.message = error.message.removeprefix("Value error, ")
        raise


def _plain_value(annotation: Any, given: Any) -> Any:
    """None where it is not plain to see what is meant."""
    if annotation == list[str] and given and all(isinstance(one, str) for one in given):
        return list(given)
    if annotation is int and re.fullmatch("[0-9]{1,9}", str(given)):
        return int(given)
    if annotation is Path and isinstance(given, str | Path):
        return Path(given)
    chosen = annotation is str or (get_origin(annotation) is Literal and given in get_args(annotation))
    return given if (chosen and isinstance(given, str)) or isinstance(given, bool) else None


def remember_debug(ctx: typer.Context, value: bool) -> bool:
    """Keep what --debug says for `Commands`, which sees the error."""
    ctx.meta[_DEBUG] = value
    return value


IndexOption = Annotated[Path, typer.Option("--index", metavar="DIR", envvar="RECOMMENDER_INDEX", help="The index folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Nothing on stderr but errors.")]
DebugOption = Annotated[bool, typer.Option("--debug", callback=remember_debug, help="Show the traceback of an error.")]
DeviceOption = Annotated[str | None, typer.Option("--device", metavar="NAME", help="Where the model runs: cpu, cuda, mps.")]
Format = Literal["jsonl", "ndjson", "json", "csv", "tsv", "parquet", "pq"]
FormatOption = Annotated[Format | None, typer.Option("--format", help="Format of the sources, where the ending does not tell.")]
SourceFormat = Literal[
    "jsonl", "ndjson", "json", "csv", "tsv", "parquet", "pq", "wxr", "feed", "html", "markdown", "wordpress", "sitemap", "list"
]  # fmt: skip
SourceFormatOption = Annotated[
    SourceFormat | None, typer.Option("--format", help="What the sources are, where their content or ending does not tell.")
]
RateOption = Annotated[float, typer.Option("--rate", metavar="N", min=0.01, help="Requests a second to a site, at most.")]
HostOption = Annotated[
    list[str] | None,
    typer.Option("--allow-host", metavar="HOST", show_default=False, help="Another host that may be asked; repeatable."),
]
DEFAULT_RATE = 4.0
DEFAULT_INDEX = Path("artifacts/index")


def examples(*lines: str) -> str:
    """The end of a help text."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def _told(error: Exception) -> str:
    if isinstance(error, RecommenderError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        named = f"{error.filename}: " if error.filename else ""
        return f"{named}{error.strerror}; check the path, its rights and the room on the disk"
    if isinstance(error, MemoryError):
        return "out of memory; the whole archive must fit into it while an index is written"
    said = " ".join(str(error).split()) or "no message"
    return f"unexpected {type(error).__name__}: {said}; the same command with --debug shows where"


def _let_go_of_stdout() -> None:
    """What reads our output has gone: whatever is still to come goes nowhere, in silence."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(message: str) -> None:
    """Write a line to stderr."""
    if sys.stderr is not None:
        print(message, file=sys.stderr, flush=True)  # noqa: T201


@contextlib.contextmanager
def at_work(quiet: bool) -> Iterator[tuple[Any, Any]]:
    """What to tell a person of, and how far the work is; what ends it half-way lets it leave everything as it was."""
    from recommender.progress import shown_progress

    with _orderly_end(), shown_progress(quiet=quiet) as progress:
        yield (lambda message: None) if quiet else say, progress


@contextlib.contextmanager
def _orderly_end() -> Iterator[None]:
    """The signal TERM is an error in the block, so that files are put away; without it a process just stops."""
    import signal

    def end(*_: object) -> None:
        raise Terminated

    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:  # somebody sees to it already
        yield
        return
    try:
        signal.signal(signal.SIGTERM, end)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def print_lines(lines: Iterable[str]) -> None:
    """Write lines to stdout as they come."""
    if sys.stdout is not None:
        sys.stdout.writelines(f"{line}\n" for line in lines)


def json_line(value: dict[str, Any]) -> str:
    """One line of JSON that the encoding of stdout can carry."""
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "")
    return json.dumps(value, ensure_ascii=encoding != "utf8")


def ink() -> Ink:
    """Emphasis where stdout is a terminal and nobody asked for none (NO_COLOR)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return Ink(on=sys.stdout is not None and sys.stdout.isatty() and not plain)


def text_of(source: str) -> str:
    """The text of a file or, for `-`, of stdin."""
    shown = "stdin" if source == "-" else source
    try:
        given = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        return given.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableSourceError(shown, f"it is not UTF-8 at byte {error.start}", "write it as UTF-8 text") from None
    except OSError as error:
        raise UnreadableSourceError(shown, f"it cannot be read ({error.strerror})", "check the path") from None
