"""Step 4: Content and terms -> unit vectors by the built-in encoder."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from recommender.errors import EncoderError
from recommender.pipeline import embedding
from recommender.pipeline.content import Content
from recommender.pipeline.counting import count_terms
from recommender.pipeline.embedding import (
    ARTICLES_PER_DIMENSION,
    DIMENSIONS,
    LSA,
    SMALLEST_FIT,
    Encoder,
    HashedEncoder,
    LsaEncoder,
    open_encoder,
    rounded,
    state_of,
)
from recommender.pipeline.terms import TermCounts, Vocabulary


def archive(n: int, *, seed: int = 0, topics: int = 8, words: int = 40) -> list[str]:
    """Texts of n articles; article i is of topic i % topics, whose words no other topic has, among common ones."""
    rng = np.random.default_rng(seed)
    own = [[f"topic{topic}word{word}" for word in range(25)] for topic in range(topics)]
    common = [f"common{word}" for word in range(60)]
    return [" ".join([*rng.choice(own[i % topics], words // 2), *rng.choice(common, words // 2)]) for i in range(n)]


def counted(texts: list[str]) -> tuple[list[Content], TermCounts, Vocabulary]:
    """The contents of some texts with their counts and the vocabulary of the archive that they are."""
    contents = [Content(title="", lead="", text=text) for text in texts]
    vocabulary = Vocabulary()
    return contents, count_terms(contents, vocabulary, learn=True), vocabulary


def folded_in(encoder: Encoder, vocabulary: Vocabulary, *texts: str) -> NDArray[np.float32]:
    """The vectors of articles that came after the fit."""
    contents = [Content(title="", lead="", text=text) for text in texts]
    return encoder.encode(contents, count_terms(contents, vocabulary, learn=True))


def fitted(texts: list[str]) -> tuple[Encoder, NDArray[np.float32], Vocabulary]:
    """The encoder of an archive, its vectors and its vocabulary."""
    contents, counts, vocabulary = counted(texts)
    encoder = LsaEncoder.fit(counts, vocabulary)
    return encoder, encoder.encode(contents, counts), vocabulary


@pytest.mark.parametrize("n", [1, 2, 10, SMALLEST_FIT - 1, SMALLEST_FIT, 150])
def test_every_archive_gets_unit_vectors(n: int) -> None:
    """One article or many: float32 rows of length 1, of as many dimensions as the encoder says, DIMENSIONS at most."""
    encoder, vectors, _ = fitted(archive(n))
    assert vectors.dtype == np.float32
    assert vectors.shape == (n, encoder.dimensions)
    assert encoder.dimensions <= DIMENSIONS
    assert encoder.name == LSA
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_an_archive_without_two_articles_that_share_a_word_is_served() -> None:
    """Nothing can be fitted where no word stands twice; every article still has a direction of its own."""
    texts = [" ".join(f"word{number}of{article}" for number in range(10)) for article in range(100)]
    _, vectors, _ = fitted(texts)
    cosines = vectors @ vectors.T - np.eye(100)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.abs(cosines).max() < 0.6


def test_lsa_spans_what_scikit_learn_spans() -> None:
    """Cosines are those of TfidfVectorizer and an exact TruncatedSVD (arpack) of the same dimensions."""
    texts = [text if number % 3 else " ".join(text.split()[::5]) for number, text in enumerate(archive(200))]
    encoder, vectors, vocabulary = fitted(texts)
    terms = [term for term, n in zip(vocabulary.terms(), vocabulary.document_frequency, strict=True) if n >= 2]
    weights = TfidfVectorizer(sublinear_tf=True, smooth_idf=True, vocabulary=terms).fit_transform(texts)
    assert encoder.dimensions == 200 // ARTICLES_PER_DIMENSION
    reference = weights @ TruncatedSVD(encoder.dimensions, algorithm="arpack", random_state=1).fit(weights).components_.T
    reference /= np.linalg.norm(reference, axis=1, keepdims=True)
    difference = np.abs(vectors @ vectors.T - reference @ reference.T)
    assert difference.mean() < 0.02


def test_articles_of_one_topic_stand_together() -> None:
    """The nearest article of each is of its own topic, though any two share many common words."""
    _, vectors, _ = fitted(archive(160))
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    assert (cosines.argmax(axis=1) % 8 == np.arange(160) % 8).all()


@pytest.mark.parametrize("n", [20, 160])
def test_the_same_archive_gives_the_same_bytes(n: int) -> None:
    """No chance anywhere: vectors, state and revision of two fits are byte for byte the same."""
    one, vectors, _ = fitted(archive(n))
    two, again, _ = fitted(archive(n))
    assert vectors.tobytes() == again.tobytes()
    assert state_of(one) == state_of(two)
    assert one.revision == two.revision


def test_another_archive_is_another_revision() -> None:
    """A revision tells fits apart."""
    assert fitted(archive(160, seed=1))[0].revision != fitted(archive(160, seed=2))[0].revision


@pytest.mark.parametrize("n", [20, 160])
def test_an_encoder_comes_back_from_its_state(n: int) -> None:
    """What the index keeps of an encoder gives the same vectors, bit for bit, and the same revision."""
    contents, counts, vocabulary = counted(archive(n))
    encoder = LsaEncoder.fit(counts, vocabulary)
    again = open_encoder(encoder.name, encoder.revision, state_of(encoder), vocabulary)
    assert (again.revision, again.dimensions) == (encoder.revision, encoder.dimensions)
    assert again.encode(contents, counts).tobytes() == encoder.encode(contents, counts).tobytes()


def test_later_articles_fold_in() -> None:
    """Articles that come after the fit land on their topic."""
    encoder, vectors, vocabulary = fitted(archive(160))
    cosines = folded_in(encoder, vocabulary, *archive(168, seed=9)[-8:]) @ vectors.T
    assert (cosines.argmax(axis=1) % 8 == np.arange(8)).all()


@pytest.mark.parametrize("n", [20, 160])
def test_a_text_that_comes_again_has_the_same_vector(n: int) -> None:
    """Fitted or folded in: one text, one vector."""
    texts = archive(n)
    encoder, vectors, vocabulary = fitted(texts)
    np.testing.assert_allclose(folded_in(encoder, vocabulary, "another topic", texts[3])[1], vectors[3], atol=1e-6)


def test_terms_the_fit_did_not_know_say_nothing() -> None:
    """Unknown words neither move a folded-in article nor make a direction of their own."""
    texts = archive(160)
    encoder, vectors, vocabulary = fitted(texts)
    found = folded_in(encoder, vocabulary, texts[0] + " neverseen1 neverseen2", "neverseen3 neverseen4")
    np.testing.assert_allclose(found[0], vectors[0], atol=1e-6)
    assert not found[1].any()


def test_a_small_archive_serves_terms_that_nobody_has_seen() -> None:
    """Where nothing was fitted, two later articles on something new find each other."""
    encoder, vectors, vocabulary = fitted(archive(10))
    assert isinstance(encoder, HashedEncoder)
    one, two = folded_in(encoder, vocabulary, "volcano ash cloud island", "volcano ash lava island")
    assert one @ two > 0.5
    assert np.abs(vectors @ one).max() < 0.4


def test_the_hashed_projection_keeps_cosines() -> None:
    """Between small articles of many terms the projected cosine is that of (1 + ln tf) within four standard errors of .06."""
    texts = archive(40, words=60)
    _, vectors, vocabulary = fitted(texts)
    weights = TfidfVectorizer(sublinear_tf=True, use_idf=False, vocabulary=vocabulary.terms()).fit_transform(texts)
    difference = vectors @ vectors.T - (weights @ weights.T).toarray()
    assert np.abs(difference).max() < 4 / np.sqrt(DIMENSIONS)
    assert difference.std() < 1.3 / np.sqrt(DIMENSIONS)


@pytest.mark.parametrize("n", [20, 160])
def test_an_article_without_terms_has_a_zero_vector(n: int) -> None:
    """Stop words alone point nowhere; no nan comes of it."""
    texts = archive(n)
    texts[5] = "the of and"
    _, vectors, _ = fitted(texts)
    assert not vectors[5].any()
    assert np.isfinite(vectors).all()


def test_only_the_most_frequent_terms_are_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The projection never has more terms than its limit, and has the frequent ones."""
    monkeypatch.setattr(embedding, "MAX_FIT_TERMS", 70)
    encoder, _, vocabulary = fitted(archive(160))
    assert isinstance(encoder, LsaEncoder)
    frequency = vocabulary.document_frequency
    others = np.setdiff1d(np.arange(len(vocabulary)), encoder.terms)
    assert len(encoder.terms) == 70
    assert frequency[encoder.terms].min() >= frequency[others].max()


def test_a_large_archive_is_fitted_on_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many, evenly chosen, are enough to put every article on its topic."""
    monkeypatch.setattr(embedding, "MAX_FIT_ARTICLES", 100)
    _, vectors, _ = fitted(archive(450, topics=7))
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    assert vectors.shape == (450, 100 // ARTICLES_PER_DIMENSION)
    assert (cosines.argmax(axis=1) % 7 == np.arange(450) % 7).mean() > 0.99


def test_rounding_is_what_half_precision_keeps() -> None:
    """Rounded vectors survive a trip through float16 bit for bit, and stay within its precision."""
    vectors = np.random.default_rng(0).normal(size=(20, 30)).astype(np.float32)
    assert rounded(vectors).dtype == np.float32
    assert rounded(vectors).astype(np.float16).astype(np.float32).tobytes() == rounded(vectors).tobytes()
    np.testing.assert_allclose(rounded(vectors), vectors, rtol=2**-10)


@pytest.mark.slow
def test_a_model_that_is_not_there_is_one_error() -> None:
    """An index built with a model whose folder has gone says which model."""
    with pytest.raises(EncoderError, match="/no/such/model"):
        open_encoder("/no/such/model", "r1", b"", Vocabulary())
