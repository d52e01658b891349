"""What a truth of the site's own tells of an index: `evaluate`, `tune`."""

from pathlib import Path
from typing import Annotated

import typer

from recommender import Recommender
from recommender.drawing import counted, evaluation_table, tuning_lines
from recommender.shell import (
    DEFAULT_INDEX,
    Command,
    DebugOption,
    DeviceOption,
    FormatOption,
    IndexOption,
    JsonOption,
    QuietOption,
    at_work,
    examples,
    ink,
    json_line,
    print_lines,
)

commands = typer.Typer()


@commands.command(
    cls=Command,
    epilog=examples(
        "recommender evaluate gold.csv",
        "recommender evaluate graded.tsv                    what readers see, by graded lists",
        "recommender evaluate gold.csv --json --quiet",
        "zcat judged.jsonl.gz | recommender evaluate - --resamples 5000",
    ),
)
def evaluate(
    gold: Annotated[str, typer.Argument(metavar="GOLD", show_default=False, help="CSV, TSV or JSON Lines; - is stdin.")],
    index: IndexOption = DEFAULT_INDEX,
    resamples: Annotated[int, typer.Option(min=1, metavar="N", help="Resamples behind the 95 % intervals.")] = 1000,
    format: FormatOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Measure an index against your own truth, beside simple lists.

    GOLD holds story labels, in the columns id and story (empty: it stands alone), perhaps topic; or judged pairs, in the
    columns one, other (or a, b) and grade: 2 of one story, 1 related, 0 not; or graded lists, in the columns query,
    candidate and grade: 3 the same text again, 2 same story, 1 welcome background, 0 does not belong. Tab-separated graded
    lists need no header.

    Graded lists measure what a reader sees: five places of --profile sidebar and similar, of the latest and of TF-IDF,
    over the whole index. belongs: judged places with grade 1 or 2, of all judged places. filled: the same, of the places
    that could hold one. gain: their grades, of those of the best five candidates. empty: lists that show nothing although
    something belongs. unjudged: places without a judgment. shown: places per list. ECE: distance of the score from the
    share that belongs, over ten bins. Intervals are bootstraps over queries.

    Labels and pairs measure the lists of --profile similar. Beside them stand the latest (the newest of the same section
    before the article, then of any), TF-IDF (cosine; its threads by average linkage at one fixed cut) and random ones.

    With labels and pairs, an article that was not judged is left out of every list before it is measured (condensed
    lists: Sakai 2007, Alternatives to Bpref), so nobody is blamed for showing what the truth does not know. With labels,
    nDCG@5 (gain 2 for the story, 1 for the topic) and P@1 are over articles with a story mate; with pairs, over articles
    whose judged mates have different grades: elsewhere no order is right or wrong. Intervals are bootstraps over articles,
    pairs going with their first one; the same files give the same numbers.
    """
    with at_work(quiet) as (notice, _):
        found = Recommender.open(index).evaluate(gold, resamples=resamples, format=format, notice=notice)
    print_lines([json_line(found.to_json())] if as_json else evaluation_table(found, ink()))


@commands.command(
    cls=Command,
    epilog=examples(
        "recommender tune gold.csv                          what weights of your own would gain",
        "recommender tune gold.csv --apply                  use them, where they gain",
        "recommender tune gold.csv --output weights.json    keep them for `build --weights`",
        "recommender tune gold.csv --json --quiet",
    ),
)
def tune(
    gold: Annotated[str, typer.Argument(metavar="GOLD", show_default=False, help="As for `evaluate`; - is stdin.")],
    index: IndexOption = DEFAULT_INDEX,
    apply: Annotated[bool, typer.Option("--apply", help="Give the index the weights, where they are better.")] = False,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write the weights.", show_default=False)] = None,
    format: FormatOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Learn the weights of the score again, from your own truth.

    The shipped weights are the starting point, and the fewer judgments there are the closer the new ones stay to them.
    What they gain is measured on five parts of the judged articles, each by weights learned without it. Where the 95 %
    interval of the gain does not lie above 0, or threads are worse, --apply changes nothing and --output writes the shipped
    ones.

    --apply makes links, threads and lists again from what the index holds, in one transaction; no source is needed. A later
    `build` starts from the shipped weights, unless it is given --weights.
    """
    engine = Recommender.open(index, device=device)
    with at_work(quiet) as (notice, progress):
        found = engine.tune(gold, apply=apply, output=output, format=format, notice=notice, progress=progress)
    print_lines([json_line(found.to_json())] if as_json else tuning_lines(found, ink()))
    if found.applied:
        notice(f"{index} has the tuned weights now: {counted(engine.info()['threads'], 'threads')}")
    else:
        notice("nothing was changed; --apply gives the tuned weights to the index" if found.better else "nothing was changed")
