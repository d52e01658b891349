"""Learn P(related) from graded lists, and measure what a reader would see by it.

    python -m scripts.learn_related DATA_DIR [--write | --ablate]

A graded list is a query article with candidates that were graded by reading: 3 the same text again, 2 the same story, 1 welcome
background, 0 does not belong. The ids and grades are in DATA_DIR/judged_NAME.tsv, in scripts/graded/NAME.tsv (more queries) and,
of the sample newsroom, in the package; the articles in DATA_DIR/NAME.jsonl.gz. Prints, for each archive, the lists by weights
that were learned without it; --write puts the weights learned from all into the package, --ablate prints what each piece of
evidence and each rule of the list is worth.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from recommender.evaluation import ndcg_at_k
from recommender.pipeline.candidates import Pairs, pairs_in, unique_codes
from recommender.pipeline.evidence import Background, Evidence, Views, evidence_of
from recommender.pipeline.linking import thread_groups
from recommender.pipeline.ranking import DEFAULT, Candidates, RankingConfig, is_duplicate, sidebar
from recommender.pipeline.scoring import FEATURES, NAMES, features, probability, score, shipped_weights
from scripts.learn_weights import SAMPLE, WEIGHTS, archive_of, calibration_error

GRADED = Path(__file__).with_name("graded")
LEARNED = ("merit", "cross", "words", "usual_words", "template", "names_differ")
"""What P(related) is learned over. `form` itself is left out: labelled stories teach that two weekly reports are no story, graded
lists that a reader often welcomes the one beside the other. Closeness without time and names, and `numbers_differ`, were given
weights of about 0."""
PRIOR = 0.3
"""Inverse strength of the ridge penalty, over features of unit variance."""
K = 5

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class GradedLists:
    """The candidates of some queries of an archive; position i of every array is one query with one candidate."""

    name: str
    queries: NDArray[np.int64]
    others: NDArray[np.int64]
    evidence: Evidence
    same_story: NDArray[np.float32]
    same_thread: NDArray[np.bool_]
    duplicate: NDArray[np.bool_]
    copies: NDArray[np.int64]
    days: NDArray[np.float64]
    """Of each article of the archive."""
    grades: NDArray[np.int64]
    """-1 where nobody judged."""
    of_query: Mapping[int, Mapping[int, int]]
    """Query -> candidate -> grade, all that were judged."""

    def learnable(self) -> NDArray[np.bool_]:
        """(n,) what the regressions learn from: a second copy of a text is neither related nor unrelated."""
        return (self.grades >= 0) & (self.grades < 3)


def read_grades(path: Path) -> dict[str, dict[str, int]]:
    """Query id -> candidate id -> grade."""
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        query, candidate, grade = line.split("\t")
        grades[query].setdefault(candidate, int(grade))
    return grades


def load(name: str, rows: list[dict[str, object]], grades: Mapping[str, Mapping[str, int]]) -> GradedLists:
    """The graded lists of an archive, with all candidates that the engine looks at."""
    for row in rows:
        row.pop("story", None)
        row.pop("topic", None)
    archive = archive_of(rows)
    place = {str(row["id"]): number for number, row in enumerate(rows)}
    of_query = {
        place[query]: {place[one]: grade for one, grade in of.items() if one in place}
        for query, of in grades.items()
        if query in place
    }
    views = archive.views()
    codes = archive.nominated(np.arange(len(rows)), views)
    pairs = pairs_in(codes)
    evidence, same_story = _in_blocks(views, pairs, archive.background)
    threads = np.zeros(len(rows), np.int64)
    for number, group in enumerate(thread_groups(len(rows), pairs, same_story), 1):
        threads[group] = number
    copies = _copies(len(rows), pairs, is_duplicate(evidence, views.words[pairs.left], views.words[pairs.right]))
    judged = [(query, other) for query, of in of_query.items() for other in of if query != other]
    wanted = np.isin(pairs.left, list(of_query)) | np.isin(pairs.right, list(of_query))
    more = unique_codes(*np.array(judged, np.int64).T)
    near = pairs_in(np.union1d(codes[wanted], more))
    ends = [(near.left, near.right), (near.right, near.left)]
    queries, others = (np.concatenate([end[side] for end in ends]) for side in (0, 1))
    asked = np.isin(queries, list(of_query))
    order = np.lexsort((others[asked], queries[asked]))
    queries, others = queries[asked][order], others[asked][order]
    evidence = evidence_of(views, queries, views, others, archive.background)
    return GradedLists(
        name=name, queries=queries, others=others, evidence=evidence,
        same_story=score(evidence, shipped_weights()).same_story,
        same_thread=(threads[queries] == threads[others]) & (threads[queries] > 0),
        duplicate=is_duplicate(evidence, views.words[queries], views.words[others]),
        copies=copies[others], days=archive.days,
        grades=np.array([of_query[q].get(o, -1) for q, o in zip(queries.tolist(), others.tolist(), strict=True)]),
        of_query=of_query,
    )  # fmt: skip


def _in_blocks(views: Views, pairs: Pairs, background: Background) -> tuple[Evidence, NDArray[np.float32]]:
    """(the evidence on the pairs, P(same story)), found a block after another to bound the memory."""
    parts = []
    for start in range(0, len(pairs.left), 100_000):
        part = slice(start, start + 100_000)
        parts.append(evidence_of(views, pairs.left[part], views, pairs.right[part], background))
    whole = Evidence(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in Evidence.__slots__})
    return whole, score(whole, shipped_weights()).same_story


def _copies(n: int, pairs: Pairs, twice: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n,) the lowest article that each is a copy of."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(twice.sum(), np.int8), (pairs.left[twice], pairs.right[twice])), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def learn(sets: Sequence[GradedLists], names: Sequence[str] = LEARNED) -> dict[str, float]:
    """Weights of P(related) by NAMES: a logistic regression with a ridge penalty; every archive weighs the same."""
    kept = [one.learnable() for one in sets]
    table = np.concatenate([_columns(one.evidence, names)[mask] for one, mask in zip(sets, kept, strict=True)])
    truth = np.concatenate([one.grades[mask] >= 1 for one, mask in zip(sets, kept, strict=True)])
    weight = _weights(sets)
    mean, spread = table.mean(axis=0), table.std(axis=0)
    model = LogisticRegression(C=PRIOR, max_iter=1000).fit((table - mean) / spread, truth, weight)
    slopes = model.coef_[0] / spread
    learned = dict(zip(names, slopes.tolist(), strict=True))
    intercept = float(model.intercept_[0] - slopes @ mean)
    return {name: round(intercept if name == "intercept" else learned.get(name, 0.0), 3) for name in NAMES}


def _weights(sets: Sequence[GradedLists]) -> Array:
    """(n,) of what can be learned from: an archive weighs the same whoever judged it."""
    sizes: dict[str, int] = defaultdict(int)
    for one in sets:
        sizes[archive_name(one)] += int(one.learnable().sum())
    weight = {one.name: 1000 / sizes[archive_name(one)] for one in sets}
    return np.concatenate([np.full(one.learnable().sum(), weight[one.name]) for one in sets])


def archive_name(one: GradedLists) -> str:
    """The name of the archive: further judgments of one stand apart as `NAME+`."""
    return one.name.rstrip("+")


def _columns(evidence: Evidence, names: Sequence[str]) -> Array:
    return np.column_stack([FEATURES[name](evidence) for name in names]).astype(np.float64)


def related(one: GradedLists, weights: Mapping[str, float]) -> Array:
    """(n,) P(related) by some weights, as the engine has it."""
    return probability(features(one.evidence), weights)


Policy = Callable[[GradedLists, Array], NDArray[np.int64]]
"""Lists with the score of each candidate -> (n,) the place of each, -1 for none."""


def shipped_policy(config: RankingConfig = DEFAULT) -> Policy:
    """What the engine does."""
    return lambda one, scores: sidebar(candidates_of(one, scores), config)


def candidates_of(one: GradedLists, scores: Array) -> Candidates:
    """The candidates as `sidebar` takes them."""
    lists = np.unique(one.queries, return_inverse=True)[1]
    return Candidates(lists, one.others, scores.astype(np.float32), scores.astype(np.float32), one.duplicate, one.copies)


def measure(one: GradedLists, places: NDArray[np.int64], scores: Array | None = None) -> dict[str, float]:
    """What a reader sees in the first K places: `belongs`, `filled` and nDCG@K (gains 2 and 1) as in `recommender evaluate`, and
    the share that nobody judged. With scores, `ece`: how far they are from what belongs, over the places shown."""
    shown = judged = good = could = filled = 0
    ndcg, said, true = [], [], []
    for query, of in one.of_query.items():
        mine = np.flatnonzero((one.queries == query) & (places >= 0) & (places < K))
        mine = mine[np.argsort(places[mine])]
        grades = one.grades[mine]
        gains = {str(other): float(grade) for other, grade in of.items() if grade in (1, 2)}
        right = int(np.isin(grades, (1, 2)).sum())
        shown, judged, good = shown + len(mine), judged + int((grades >= 0).sum()), good + right
        could, filled = could + min(K, len(gains)), filled + right
        if gains:
            ndcg.append(ndcg_at_k([str(other) for other in one.others[mine].tolist()], gains, K))
        if scores is not None:
            said.append(scores[mine[grades >= 0]])
            true.append(np.isin(grades[grades >= 0], (1, 2)))
    found = {"nDCG@5": float(np.mean(ndcg)), "belongs": good / max(judged, 1), "filled": filled / max(could, 1)}
    found["unjudged"] = (shown - judged) / max(shown, 1)
    if scores is not None:
        found["ece"] = calibration_error(np.concatenate(said), np.concatenate(true))
    return found


def show(title: str, rows: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    """A table: a row for each system, nDCG@5 / belongs / filled of each archive."""
    print(f"\n{title}")
    names = list(next(iter(rows.values())))
    print(f"{'':24s}" + "".join(f"{name:>22s}" for name in names))
    for row, of in rows.items():
        cells = ["{nDCG@5:.3f} {belongs:.3f} {filled:.3f}".format(**of[name]) for name in names]
        print(f"{row:24s}" + "".join(f"{cell:>22s}" for cell in cells))


def without(sets: Sequence[GradedLists], one: GradedLists) -> list[GradedLists]:
    """All archives but one; the two halves of an archive (its own judgments and further ones) go together."""
    return [other for other in sets if archive_name(other) != archive_name(one)]


def results(sets: Sequence[GradedLists], names: Sequence[str], policy: Policy) -> dict[str, dict[str, float]]:
    """Each archive by weights that were learned without it."""
    found = {}
    for one in sets:
        scores = related(one, learn(without(sets, one), names))
        found[one.name] = measure(one, policy(one, scores), scores)
    return found


def policies() -> dict[str, Policy]:
    """The list of the engine, with one rule more or less."""

    def order(key: Callable[[GradedLists, Array], Array], floor: Callable[[int], float] = lambda place: 0.35) -> Policy:
        return lambda one, scores: _choose(one, scores, key(one, scores), floor)

    flat = replace(DEFAULT, first_floor=0.35, floor_step=0.0, last_floor=0.35)
    return {
        "as shipped": shipped_policy(),
        "one floor, .35": shipped_policy(flat),
        "one floor, .5": shipped_policy(replace(flat, first_floor=0.5, last_floor=0.5)),
        "and P(same story)": order(lambda one, scores: scores + one.same_story, _rising),
        "the thread first": order(lambda one, scores: scores + 9 * one.same_thread, _rising),
        "freshness as a factor": order(lambda one, scores: scores * _freshness(one), _rising),
        "copies not collapsed": lambda one, scores: sidebar(
            candidates_of(one, scores)._replace(copies=np.arange(len(scores)), duplicate=np.zeros(len(scores), np.bool_))
        ),
    }


def _rising(place: int) -> float:
    return min(DEFAULT.first_floor + place * DEFAULT.floor_step, DEFAULT.last_floor)


def _freshness(one: GradedLists) -> Array:
    age = np.nan_to_num(np.abs(one.days[one.queries] - one.days[one.others]), nan=180.0)
    return np.asarray(0.6 + 0.4 * 0.5 ** (age / 180), np.float64)


def _choose(one: GradedLists, scores: Array, key: Array, floor: Callable[[int], float]) -> NDArray[np.int64]:
    places = np.full(len(scores), -1, np.int64)
    for query in one.of_query:
        mine = np.flatnonzero((one.queries == query) & ~one.duplicate)
        seen: set[int] = set()
        for at in mine[np.argsort(-key[mine], kind="stable")].tolist():
            if scores[at] >= floor(len(seen)) and int(one.copies[at]) not in seen:
                places[at] = len(seen)
                seen.add(int(one.copies[at]))
    return places


def reliability(sets: Sequence[GradedLists]) -> None:
    """What was said of the judged candidates and what was so, by weights learned without the archive."""
    print(f"\n{'said':10s}" + "".join(f"{one.name:>18s}" for one in sets) + "   share that belongs (candidates), copies left out")
    scores = [related(one, learn(without(sets, one))) for one in sets]
    for low in range(10):
        cells = []
        for one, said in zip(sets, scores, strict=True):
            inside = one.learnable() & (np.minimum((said * 10).astype(int), 9) == low)
            cells.append(f"{(one.grades[inside] >= 1).mean():.2f} ({inside.sum()})" if inside.any() else "-")
        print(f"{low / 10:.1f}-{(low + 1) / 10:.1f}   " + "".join(f"{cell:>18s}" for cell in cells))


def load_all(data: Path) -> list[GradedLists]:
    """The graded lists of every archive there is."""
    sets = []
    for path in sorted(data.glob("*.jsonl.gz")):
        name = path.name.split(".")[0]
        own, more = read_grades(data / f"judged_{name}.tsv"), read_grades(GRADED / f"{name}.tsv")
        for title, grades in ((name, own), (f"{name}+", more)):
            if grades:
                with gzip.open(path, "rt", encoding="utf-8") as file:
                    sets.append(load(title, [json.loads(line) for line in file], grades))
    if grades := read_grades(SAMPLE / "graded.tsv"):
        lines = (SAMPLE / "articles.jsonl").read_text(encoding="utf-8").splitlines()
        sets.append(load("newsroom", [json.loads(line) for line in lines], grades))
    return sets


def main() -> None:
    """Learn, show, and perhaps write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--write", action="store_true", help="put the weights into the package")
    parser.add_argument("--ablate", action="store_true", help="also show what each piece of evidence and each rule is worth")
    given = parser.parse_args()
    sets = load_all(given.data)
    for one in sets:
        print(f"{one.name}: {len(one.of_query)} queries, {sum(map(len, one.of_query.values()))} grades")
    left_out = results(sets, LEARNED, shipped_policy())
    show("learned without the archive: nDCG@5, belongs, filled", {"engine": left_out})
    print("ECE over the places shown: " + ", ".join(f"{name} {of['ece']:.3f}" for name, of in left_out.items()))
    reliability(sets)
    weights = learn(sets)
    show("learned from all", {"engine": {one.name: measure(one, shipped_policy()(one, related(one, weights))) for one in sets}})
    print(f"\nrelated: {weights}")
    if given.ablate:
        rows = {"all": LEARNED} | {f"no {name}": tuple(n for n in LEARNED if n != name) for name in LEARNED}
        found = {row: results(sets, names, shipped_policy()) for row, names in rows.items()}
        show("evidence, learned without the archive", found)
        show("rules of the list", {name: results(sets, LEARNED, policy) for name, policy in policies().items()})
    if given.write:
        kept = json.loads(WEIGHTS.read_text(encoding="utf-8"))
        kept["weights"]["related"] = weights
        kept["provenance"]["related"] = {
            "by": "scripts/learn_related.py", "date": datetime.now(UTC).date().isoformat(),
            "queries": {one.name: len(one.of_query) for one in sets},
            "left_out": {name: {what: round(value, 3) for what, value in of.items()} for name, of in left_out.items()},
        }  # fmt: skip
        WEIGHTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
