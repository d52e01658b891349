"""Learn P(same story) of `recommender/pipeline/weights.json` from articles whose stories are known.

    python scripts/learn_weights.py DATA_DIR [--write | --ablate]

DATA_DIR holds gzipped JSON Lines with gold labels (`story`, and `topic` where there are two levels). Prints, for each
set, what weights learned without that set reach on it, then what the weights learned on all sets reach, for several
values of the joining limit; --write puts the latter into the package. P(related), which is learned from graded lists by
scripts/learn_related.py, stays as it is.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from recommender.archives.archive import Archive, days_of
from recommender.evaluation import bcubed, ndcg_at_k
from recommender.pipeline.articles import article_from_row
from recommender.pipeline.candidates import Pairs, pairs_in
from recommender.pipeline.content import BoilerplateCounter, plain_text, plain_title, without_boilerplate
from recommender.pipeline.counting import count_terms
from recommender.pipeline.embedding import LsaEncoder, rounded
from recommender.pipeline.evidence import Evidence, background_of, evidence_of
from recommender.pipeline.index import VectorIndex
from recommender.pipeline.linking import DEFAULT as LINKING
from recommender.pipeline.linking import thread_groups
from recommender.pipeline.scoring import DEFAULT as MERIT
from recommender.pipeline.scoring import FEATURES as COLUMNS
from recommender.pipeline.scoring import Weights as Known
from recommender.pipeline.scoring import merit, score, shipped_weights
from recommender.pipeline.terms import Vocabulary

SETS = ("gva", "ecbplus", "fnc1", "og2021", "uci", "wikinews")
WEIGHTS = Path(__file__).parents[1] / "recommender/pipeline/weights.json"
JUDGMENTS = Path(__file__).with_name("judgments.csv")
JUDGED = ("telegram", "reuters")
SAMPLE = Path(__file__).parents[1] / "recommender/sample"
CUTS = (0.3, 0.35, 0.4, 0.45, 0.5)

FEATURES = ("merit", "form", "names_differ", "numbers_differ", "bare")
"""What P(same story) is learned over."""

KEPT = {"bare": 0.5, "form": 1.25}
"""Share of what is learned of a feature that ships. The two archives of bare headlines contradict each other on `bare`: 16 in
100 candidate pairs of og2021 are of one story, 64 of uci. Forms are rare in labelled news and common on a site, with its
columns and figures; a quarter more changes B-cubed F1 by less than .3 points on each set."""

Weights = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledSet:
    """The candidate pairs of a set with their evidence and what is known of them."""

    name: str
    story: list[str]
    """Of each article; an article of no story has one of its own."""
    gains: dict[int, dict[int, float]]
    """What each judged article earns by each other: 2 of its story, 1 related, nothing else."""
    pairs: Pairs
    evidence: Evidence
    same: NDArray[np.bool_]
    stands_for: NDArray[np.float64]
    """How many pairs each pair represents."""


def archive_of(rows: list[dict[str, object]]) -> Archive:
    """The archive of some rows as `recommender build` makes it."""
    articles = [article_from_row(row) for row in rows]
    plain = [(plain_title(a.title), plain_text(a.body)) for a in articles]
    counter = BoilerplateCounter()
    for _, text in plain:
        counter.add(text)
    boilerplate = counter.find()
    contents = [without_boilerplate(title, text, boilerplate) for title, text in plain]
    vocabulary = Vocabulary()
    counts = count_terms(contents, vocabulary, learn=True)
    encoder = LsaEncoder.fit(counts, vocabulary)
    vectors = rounded(encoder.encode(contents, counts))
    numbers = np.arange(len(articles), dtype=np.int64)
    index = VectorIndex(encoder.dimensions)
    index.add(numbers, vectors)
    days = days_of([a.published.timestamp() if a.published else None for a in articles])
    background = background_of(vectors, days, np.diff(counts.text.indptr))
    return Archive(
        rows=numbers, days=days, counts=counts, vectors=vectors, vocabulary=vocabulary, encoder=encoder,
        boilerplate=boilerplate, background=background, weights=shipped_weights(), index=index,
    )  # fmt: skip


def candidate_pairs(archive: Archive) -> tuple[Pairs, Evidence]:
    """All pairs that the engine would look at, with their evidence."""
    views = archive.views()
    pairs = pairs_in(archive.nominated(np.arange(len(archive)), views))
    return pairs, evidence_of(views, pairs.left, views, pairs.right, archive.background)


def load_set(path: Path) -> LabelledSet:
    """A set of DATA_DIR."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    story = [row.pop("story") for row in rows]
    topic = [row.pop("topic", None) for row in rows]
    pairs, evidence = candidate_pairs(archive_of(rows))
    names, topics = np.array(story), np.array([t or s for t, s in zip(topic, story, strict=True)])
    same = names[pairs.left] == names[pairs.right]
    gains: dict[int, dict[int, float]] = {}
    for place in range(len(rows)):
        mates = np.flatnonzero(topics == topics[place])
        if (names == names[place]).sum() > 1:
            gains[place] = {int(m): 2.0 if names[m] == names[place] else 1.0 for m in mates if m != place}
    return LabelledSet(
        name=path.name.split(".")[0], story=story, gains=gains, pairs=pairs, evidence=evidence, same=same,
        stands_for=np.ones(len(same)),
    )  # fmt: skip


def load_sample() -> LabelledSet:
    """The sample newsroom."""
    rows = [json.loads(line) for line in (SAMPLE / "articles.jsonl").read_text(encoding="utf-8").splitlines()]
    truth = json.loads((SAMPLE / "truth.json").read_text(encoding="utf-8"))
    place = {row["id"]: number for number, row in enumerate(rows)}
    thread = {article: name for name, members in truth["threads"].items() for article in members}
    story = [thread.get(row["id"], f"alone-{row['id']}") for row in rows]
    pairs, evidence = candidate_pairs(archive_of(rows))
    names = np.array(story)
    same = names[pairs.left] == names[pairs.right]
    gains = {place[a]: {place[b]: float(grade) for b, grade in others.items()} for a, others in truth["related"].items()}
    return LabelledSet(
        name="newsroom",
        story=story,
        gains=gains,
        pairs=pairs,
        evidence=evidence,
        same=same,
        stands_for=np.ones(len(same)),
    )


def load_judged(path: Path) -> LabelledSet:
    """A set without gold stories, of which some pairs have been judged by reading them: 2 same story, 1 related, 0 neither.

    The pairs were drawn from strata of closeness; `stands_for` is how many candidate pairs each represents.
    """
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    name = path.name.split(".")[0]
    place = {row["id"]: number for number, row in enumerate(rows)}
    with JUDGMENTS.open(encoding="utf-8") as lines:
        judged = [row for row in csv.DictReader(lines) if row["set"] == name]
    one, other = (np.array([place[row[side]] for row in judged], np.int64) for side in ("one", "other"))
    archive = archive_of(rows)
    views = archive.views()
    grade = np.array([int(row["grade"]) for row in judged])
    return LabelledSet(
        name=name, story=[], gains={}, pairs=Pairs(one, other),
        evidence=evidence_of(views, one, views, other, archive.background),
        same=grade == 2, stands_for=np.array([float(row["stands_for"]) for row in judged]),
    )  # fmt: skip


def learn(sets: list[LabelledSet], features: tuple[str, ...] = FEATURES) -> Weights:
    """A logistic regression for P(same story); every set weighs the same. P(related) is the shipped one."""
    everything = [(s.evidence, s.same, s.stands_for) for s in sets]
    return {"same_story": regression(everything, features), "related": dict(shipped_weights().related)}


def regression(
    parts: list[tuple[Evidence, NDArray[np.bool_], NDArray[np.float64]]], features: tuple[str, ...]
) -> dict[str, float]:
    """Intercept and weights of the features; 0 for those left out."""
    columns = np.concatenate([np.column_stack([COLUMNS[name](evidence) for name in features]) for evidence, _, _ in parts])
    truth = np.concatenate([truth for _, truth, _ in parts])
    weight = np.concatenate([1e5 * weight / weight.sum() for _, _, weight in parts])
    model = LogisticRegression(C=100, max_iter=1000).fit(columns, truth, weight)
    learned = dict(zip(features, model.coef_[0].tolist(), strict=True))
    weights = {"intercept": float(model.intercept_[0])} | {name: KEPT.get(name, 1) * learned.get(name, 0) for name in COLUMNS}
    return {name: round(value, 3) for name, value in weights.items()}


def ndcg_of(one: LabelledSet, values: NDArray[np.float32]) -> float:
    """Mean nDCG@5 of lists in the order of these values of the pairs, largest first."""
    found: dict[int, list[tuple[float, int]]] = {}
    for left, right, value in zip(one.pairs.left.tolist(), one.pairs.right.tolist(), values.tolist(), strict=True):
        found.setdefault(left, []).append((-value, right))
        found.setdefault(right, []).append((-value, left))
    ndcg = []
    for place, gains in one.gains.items():
        if gains:
            ranked = [str(other) for _, other in sorted(found.get(place, []))[:5]]
            ndcg.append(ndcg_at_k(ranked, {str(other): gain for other, gain in gains.items()}, 5))
    return float(np.mean(ndcg))


def threads_f1(one: LabelledSet, same_story: NDArray[np.float32], join: float) -> float:
    """B-cubed F1 of the threads at a joining limit."""
    groups = thread_groups(len(one.story), one.pairs, same_story, replace(LINKING, join=join))
    predicted = {str(member): str(number) for number, group in enumerate(groups) for member in group}
    return bcubed(predicted, {str(place): name for place, name in enumerate(one.story)}).f1


def results(one: LabelledSet, weights: Weights) -> dict[str, float]:
    """nDCG@5, calibration error and B-cubed F1 by joining limit."""
    scores = score(one.evidence, Known.from_json(weights))
    row = {"nDCG@5": ndcg_of(one, scores.nearness), "ECE": calibration_error(scores.same_story, one.same)}
    return row | {f"B3@{cut}": threads_f1(one, scores.same_story, cut) for cut in CUTS}


def ablation_of_lists(sets: list[LabelledSet]) -> dict[str, dict[str, float]]:
    """nDCG@5 of lists ordered by merit without one piece of evidence; the mean of the other cosines stands in for a cosine."""

    def without(evidence: Evidence, cosine: str) -> Evidence:
        others = [getattr(evidence, name) for name in ("dense", "text", "lead") if name != cosine]
        return replace(evidence, **{cosine: np.asarray(sum(others) / 2, np.float32)})

    variants: dict[str, Callable[[Evidence], NDArray[np.float32]]] = {
        "all evidence": merit,
        "no dense": lambda e: merit(without(e, "dense")),
        "no text": lambda e: merit(without(e, "text")),
        "no lead": lambda e: merit(without(e, "lead")),
        "no burst": lambda e: merit(e, replace(MERIT, burst=0.0)),
        "no names": lambda e: merit(e, replace(MERIT, names=0.0)),
        "no time": lambda e: merit(e, replace(MERIT, time=0.0)),
        "dense alone": lambda e: e.dense,
        "text alone": lambda e: e.text,
    }
    return {title: {s.name: ndcg_of(s, order(s.evidence)) for s in sets} for title, order in variants.items()}


def ablation_of_threads(sets: list[LabelledSet], streams: list[LabelledSet]) -> dict[str, dict[str, float]]:
    """B-cubed F1 of threads with weights learned on all sets without one feature."""
    rows = {}
    for left_out in (None, *FEATURES[1:]):
        weights = learn(sets + streams, tuple(name for name in FEATURES if name != left_out))
        title = f"no {left_out}" if left_out else "all"
        rows[title] = {s.name: threads_f1(s, score(s.evidence, Known.from_json(weights)).same_story, LINKING.join) for s in sets}
    return rows


def show_reliability(sets: list[LabelledSet], probabilities: dict[str, NDArray[np.float32]]) -> None:
    """What share of the pairs is of one story, by the probability that was said of them; every set left out of its learning."""
    print("\nreliability of P(same story), learned without the set: the share of one story (pairs) by what was said")
    print(f"{'said':10s}" + "".join(f"{s.name:>16s}" for s in sets))
    for low in range(10):
        cells = []
        for s in sets:
            inside = np.minimum((probabilities[s.name] * 10).astype(int), 9) == low
            cells.append(f"{s.same[inside].mean():.2f} ({inside.sum()})" if inside.any() else "-")
        print(f"{low / 10:.1f}-{(low + 1) / 10:.1f}   " + "".join(f"{cell:>16s}" for cell in cells))


def calibration_error(probability: NDArray[np.float32], truth: NDArray[np.bool_]) -> float:
    """Expected calibration error over ten bins of equal width (Guo et al., 2017)."""
    bins = np.minimum((probability * 10).astype(int), 9)
    return float(sum(abs(probability[bins == b].mean() - truth[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)))


def show(title: str, rows: dict[str, dict[str, float]]) -> None:
    """A table, with the mean of the columns."""
    print(f"\n{title}")
    names = list(next(iter(rows.values())))
    print(f"{'':17s}" + "".join(f"{name:>9s}" for name in names))
    for name, row in rows.items():
        print(f"{name:17s}" + "".join(f"{value:9.3f}" for value in row.values()))
    print(f"{'mean':17s}" + "".join(f"{np.mean([row[name] for row in rows.values()]):9.3f}" for name in names), flush=True)


def main() -> None:
    """Print the tables; write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--ablate", action="store_true", help="only show what each piece of evidence is worth")
    arguments = parser.parse_args()
    sets = [load_set(arguments.data / f"{name}.jsonl.gz") for name in SETS] + [load_sample()]
    if arguments.ablate:
        show("nDCG@5 without a piece of evidence", ablation_of_lists(sets))
    streams = [load_judged(arguments.data / f"{name}.jsonl.gz") for name in JUDGED]
    if arguments.ablate:
        show("B-cubed F1 without a feature", ablation_of_threads(sets, streams))
        return
    weights_without = {s.name: learn([other for other in sets if other is not s] + streams) for s in sets}
    left_out = {s.name: results(s, weights_without[s.name]) for s in sets}
    show("learned without the set", left_out)
    show_reliability(sets, {s.name: score(s.evidence, Known.from_json(weights_without[s.name])).same_story for s in sets})
    weights = learn(sets + streams)
    shipped = {s.name: results(s, weights) for s in sets}
    show("learned on all sets", shipped)
    print(json.dumps(weights, indent=1))
    if arguments.write:
        provenance = {
            "by": "scripts/learn_weights.py",
            "date": datetime.now(UTC).date().isoformat(),
            "sets": [s.name for s in sets + streams],
            "left_out": left_out,
            "shipped": shipped,
        }
        rounded_provenance = json.loads(json.dumps(provenance), parse_float=lambda text: round(float(text), 3))
        kept = json.loads(WEIGHTS.read_text(encoding="utf-8"))["provenance"]["related"]
        known = {"weights": weights, "provenance": rounded_provenance | {"related": kept}}
        WEIGHTS.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
