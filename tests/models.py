"""Small real sentence-transformers models, built on the spot and saved to a folder: no network, random but seeded weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import BertConfig, BertModel, BertTokenizer

_VOCABULARY = """
    putin kremlin leader north korea kim pyongyang visit russia ukraine talks peace vietnam hanoi election carney canada
    vote modi meloni selfie tuberculosis who health balochistan protest bangladesh children labour campaign the a of in to
    for and on with summit treaty storm flood match goal coach budget minister says after first years
"""
WORDS = _VOCABULARY.split()
"""The vocabulary of both models unless another is given."""


def static_model(folder: Path, *, words: Sequence[str] = WORDS, dimensions: int = 32, seed: int = 0) -> Path:
    """A StaticEmbedding over whole words; unknown words share one vector, marks have none. No limit of length."""
    vocabulary = {word: number for number, word in enumerate(["[UNK]", *words])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation(behavior="removed")]
    )
    weights = torch.randn(len(vocabulary), dimensions, generator=torch.Generator().manual_seed(seed))
    _save(SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)], device="cpu"), folder)
    return folder


def transformer_model(
    folder: Path,
    *,
    words: Sequence[str] = WORDS,
    max_seq_length: int = 32,
    seed: int = 0,
    prompts: Mapping[str, str] | None = None,
    width: int = 32,
    layers: int = 2,
) -> Path:
    """A small BERT of `layers` and `width` dimensions with mean pooling; words outside the vocabulary are spelt by letters."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,:;!?'-"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters), *words]
    vocabulary = list(dict.fromkeys(pieces))
    bare = folder.with_name(folder.name + "-bare")
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=2 * width,
        max_position_embeddings=max_seq_length,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        BertModel(config).save_pretrained(bare)
    tokens = {token: number for number, token in enumerate(vocabulary)}
    BertTokenizer(vocab=tokens, model_max_length=max_seq_length).save_pretrained(bare)
    body = Transformer(str(bare), max_seq_length=max_seq_length)
    model = SentenceTransformer(
        modules=[body, Pooling(body.get_embedding_dimension(), "mean")], device="cpu", prompts=dict(prompts or {})
    )
    _save(model, folder)
    return folder


def _save(model: SentenceTransformer, folder: Path) -> None:
    model.save_pretrained(str(folder), create_model_card=False)
