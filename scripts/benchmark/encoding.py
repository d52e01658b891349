"""Row encoding: what our way around a sentence-transformers model costs."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from scripts.benchmark.children import in_child
from scripts.benchmark.measures import Goal, Measure, in_turn, seconds
from scripts.benchmark.workshop import Workshop, articles_of

WORDS = 5_000
LIMIT = 256


def encoding(shop: Workshop) -> list[Measure]:
    """Row encoding."""
    size = shop.size
    count = min(size.encoded, size.main)
    file = str(shop.texts(size.main).file)
    found = in_child(encode, file, count, size.width, size.layers, size.rounds, str(shop.folder / "model"))
    return [
        Measure(
            row="encoding", what=f"encoding {count:,} articles by a sentence-transformers model", unit="s", ours=found["ours"],
            against="the model's own `encode` of the same texts, sorted by length", reference=found["reference"],
            goal=Goal(bound=1.1),
            note=f"{found['chunks']:,} texts of at most {LIMIT} tokens; a BERT of {size.layers} layers, {size.width} wide",
        )
    ]  # fmt: skip


def encode(file: str, count: int, width: int, layers: int, rounds: int, folder: str) -> dict[str, Any]:
    """In a child: medians in seconds. The model's `encode` gets the very pieces that ours cuts, longest first."""
    from recommender.pipeline.content import content_of
    from recommender.pipeline.transformer import TransformerEncoder
    from tests.models import transformer_model

    contents = [content_of(article) for article in articles_of(file)[:count]]
    often = Counter(word for content in contents for word in re.findall(r"[a-z]+", content.text.lower()))
    words = [word for word, _ in often.most_common(WORDS)]
    made = transformer_model(Path(folder), words=words, max_seq_length=LIMIT, width=width, layers=layers)
    encoder = TransformerEncoder.load(str(made), device="cpu")
    texts = sorted((piece.text for content in contents for piece in encoder.chunks(content)), key=len, reverse=True)
    encoder.encode(contents[:10])
    ours, reference = in_turn(
        rounds,
        lambda: seconds(lambda: encoder.encode(contents)),
        lambda: seconds(lambda: encoder.model.encode(texts, show_progress_bar=False)),
    )
    return {"ours": ours, "reference": reference, "chunks": len(texts)}
