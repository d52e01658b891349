"""Rows build, bertopic, growth, memory, million, disk: what an index costs to make and to keep."""

from __future__ import annotations

import warnings
from pathlib import Path
from statistics import median
from typing import Any

from scripts.benchmark.children import in_child
from scripts.benchmark.measures import Goal, Measure, Spent
from scripts.benchmark.workshop import Workshop, articles_of

DIMENSIONS = 256


def against_floor(shop: Workshop) -> list[Measure]:
    """Row build."""
    count = shop.size.main
    file = str(shop.texts(count).file)
    ours, floors = [], []
    for number in range(shop.size.long_rounds):  # of the first round other rows ask too
        ours.append(shop.built_again(count) if number else shop.built(count))
        floors.append(in_child(floor, file) if number else shop.once(floor, file))
    return [
        Measure(
            row="build", what=f"build of {count:,} articles, from file to committed index", goal=Goal(bound=2.0),
            against=f"TfidfVectorizer + TruncatedSVD({DIMENSIONS}) of the same text", unit="s",
            ours=median(one.seconds for one in ours), reference=median(float(one["seconds"]) for one in floors),
            note=processors(median(one.processor for one in ours), median(float(one["processor"]) for one in floors))
            + "; stages, s: " + ", ".join(f"{name} {spent:.1f}" for name, spent in ours[0].stages.items()),
        )
    ]  # fmt: skip


def processors(ours: float, reference: float) -> str:
    """What both took of all cores together."""
    return f"seconds of all cores {ours:.1f} and {reference:.1f}, {ours / reference:.2f} ×"


def floor(file: str) -> dict[str, Any]:
    """In a child: the least that any engine of this kind does."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = texts_of(file)
    with Spent() as spent:
        weights = TfidfVectorizer().fit_transform(texts)
        TruncatedSVD(min(DIMENSIONS, *(side - 1 for side in weights.shape))).fit_transform(weights)
    return spent.told()


def texts_of(file: str) -> list[str]:
    """Title and body of each article."""
    return [f"{article.title}\n{article.body}" for article in articles_of(file)]


def against_bertopic(shop: Workshop) -> list[Measure]:
    """Row bertopic."""
    count = shop.size.main
    texts, built = shop.texts(count), shop.built(count)
    fitted = in_child(bertopic, str(texts.file), str(built.index))
    return [
        Measure(
            row="bertopic", what=f"build of {count:,} articles", against="BERTopic fitted on the same LSA vectors", unit="s",
            ours=built.seconds, reference=fitted["seconds"], goal=Goal(bound=0.7),
            note=f"{processors(built.processor, fitted['processor'])}; {fitted['topics']:,} topics,"
            f" {fitted['outliers']:.0%} of the articles in none; its code was compiled before",
        )
    ]  # fmt: skip


def bertopic(file: str, index: str) -> dict[str, Any]:
    """In a child: the seconds of `fit` on the vectors of an index, once it has compiled what it compiles."""
    texts, vectors = texts_of(file), vectors_of(index)
    topics_of(texts[:200], vectors[:200], 10)
    with Spent() as spent:
        topics = topics_of(texts, vectors, 10)
    return {**spent.told(), "topics": len(set(topics) - {-1}), "outliers": topics.count(-1) / len(topics)}


def topics_of(texts: list[str], vectors: Any, least: int) -> list[int]:
    """The topic of each text by BERTopic; -1 for none. As it comes, but for the smallest topic."""
    warnings.filterwarnings("ignore")
    from bertopic import BERTopic

    return [int(topic) for topic in BERTopic(embedding_model=None, min_topic_size=least).fit(texts, vectors).topics_]


def vectors_of(index: str) -> Any:
    """(articles, dimensions) the vectors of an index, in the order the articles came in."""
    from recommender.archives.loading import load
    from recommender.storage.store import Store

    return load(Store.open(index)).vectors


def growth(shop: Workshop) -> list[Measure]:
    """Row growth: from the second largest archive to the largest."""
    smaller, larger = shop.size.growth[-2:]
    each = {count: 1000 * shop.built(count).seconds / count for count in shop.size.growth}
    return [
        Measure(
            row="growth", what=f"build of {larger:,} articles, each", against=f"each of {smaller:,}", unit="ms",
            ours=each[larger], reference=each[smaller], goal=Goal(bound=1.3),
            note=", ".join(f"{count:,}: {spent:.2f} ms" for count, spent in each.items()),
        )
    ]  # fmt: skip


def memory(shop: Workshop) -> list[Measure]:
    """Row memory: the peak of a build, of the whole process, beside the bytes of its titles and bodies."""
    return [_held(shop, shop.largest, "memory", 4.0)]


def million(shop: Workshop) -> list[Measure]:
    """Row million: the same of an archive that should not be held in memory as a whole; none in the smaller sizes."""
    return [_held(shop, shop.size.huge, "million", 1.0)] if shop.size.huge else []


def _held(shop: Workshop, count: int, row: str, bound: float) -> Measure:
    texts, built = shop.texts(count), shop.built(count)
    return Measure(
        row=row, what=f"peak memory of a build of {count:,} articles", against="titles and bodies", unit="MB",
        ours=built.peak / 1e6, reference=texts.bytes / 1e6, goal=Goal(bound=bound),
        note=f"{built.imported / 1e6:.0f} MB of it before the first article is read; built in {built.seconds:,.0f} s",
    )  # fmt: skip


def disk(shop: Workshop) -> list[Measure]:
    """Row disk: the files of an index, of the articles as they are and of the largest archive."""
    measures = []
    for count in dict.fromkeys((shop.size.main, shop.largest)):
        texts, built = shop.texts(count), shop.built(count)
        size = sum(file.stat().st_size for file in built.index.iterdir())
        tables = ", ".join(f"{name} {held / 1e6:.1f}" for name, held in table_sizes(built.index).items())
        measures.append(
            Measure(
                row="disk", what=f"index of {count:,} articles on disk", against="the input, gzipped", unit="MB", ours=size / 1e6,
                reference=texts.gzipped / 1e6, goal=Goal(bound=1.5), note=f"MB: {tables}",
            )
        )  # fmt: skip
    return measures


def table_sizes(index: Path) -> dict[str, int]:
    """Bytes of the tables, their indexes and the other files, the largest first; those above a hundredth."""
    import sqlite3

    sizes = {file.name: file.stat().st_size for file in index.iterdir() if file.suffix != ".sqlite"}
    for file in index.glob("*.sqlite"):
        try:
            with sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True) as db:
                sizes |= dict(db.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"))
        except sqlite3.OperationalError:  # dbstat is not in every SQLite
            sizes[file.name] = file.stat().st_size
    total = sum(sizes.values())
    largest = sorted(sizes.items(), key=lambda item: -item[1])
    return {name: held for name, held in largest if held > total / 100}
