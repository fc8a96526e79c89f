"""Terms of texts in many scripts, hashed alike everywhere, counted in a stream."""

import numpy as np
import pytest

from encoders.text.bag_of_words import BagOfWords
from encoders.text.document_vectors import DocumentVectors, document_axes
from encoders.text.terms import DIM, placed, term_counts, term_ids, terms
from encoders.text.tf_idf import DocumentFrequency, TfIdf

DOCUMENTS = ["the cat", "the dog", "the red cat", "the sea"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The CAT's tail, 2nd!", ["the", "cat", "s", "tail", "2nd"]),
        ("STRASSE Straße", ["strasse", "strasse"]),
        ("foo_bar", ["foo", "bar"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("猫", ["猫"]),
        ("一只猫!", ["一", "只", "猫", "一只", "只猫"]),
        ("iPhone15手机", ["iphone15", "手", "机", "手机"]),
        ("שלום عليكم", ["שלום", "عليكم"]),
        ("🦄 ...", []),
    ],
)
def test_terms(text: str, found: list[str]) -> None:
    assert list(terms(text)) == found


def test_numbers_of_terms_are_fixed() -> None:
    # Vectors of other machines and days must agree.
    assert term_ids("cat dog").tolist() == [4779597430144128238, 9235930386215613111]


def test_counts_are_of_different_terms() -> None:
    numbers, counts = term_counts("cat dog cat")
    assert dict(zip(numbers, counts, strict=True)) == dict(zip(term_ids("cat dog"), (2, 1), strict=True))
    assert len(term_counts("")[0]) == 0


def test_terms_that_meet_cancel_as_often_as_they_add() -> None:
    numbers = term_ids(" ".join(f"word{number}" for number in range(20_000)))
    vector = placed(numbers, np.ones(len(numbers), np.float32))
    assert vector.shape == (DIM,)
    assert abs(vector.mean()) < 0.6
    assert abs(np.square(vector).mean() - 20_000 / DIM) < 4


def test_shared_words_bring_bags_together() -> None:
    red, same, other = BagOfWords().encode(["a red cat", "CAT, red: a", "blue sea"])
    assert red @ same == pytest.approx(1, abs=1e-6)
    assert abs(red @ other) < 0.1
    assert not BagOfWords().encode(["..."]).any()


def frequency(documents: list[str]) -> DocumentFrequency:
    counted = DocumentFrequency()
    counted.add(documents)
    return counted


def test_document_frequency_counts_documents_and_not_words() -> None:
    counted = frequency([*DOCUMENTS, "cat cat cat", "", "..."])
    assert counted.documents == 5
    the, cat, unseen = counted.weights(term_ids("the cat unseen"))
    assert the == pytest.approx(np.log(6 / 5) + 1, abs=1e-6)
    assert cat == pytest.approx(np.log(6 / 4) + 1, abs=1e-6)
    assert unseen == pytest.approx(np.log(6) + 1, abs=1e-6)


def test_a_stream_counts_as_the_whole_does() -> None:
    stream = DocumentFrequency()
    for document in DOCUMENTS:
        stream.add([document])
    whole = frequency(DOCUMENTS)
    np.testing.assert_array_equal(stream.counts, whole.counts)
    assert stream.digest == whole.digest
    stream.add(["one more"])
    assert stream.digest != whole.digest


def test_rare_words_rule_tf_idf() -> None:
    encoder = TfIdf(frequency(DOCUMENTS * 20))
    cat, dog, red = encoder.encode(["the cat", "the dog", "red cat"])
    assert cat @ red > cat @ dog
    bag = BagOfWords().encode(["the cat", "the dog"])
    assert cat @ dog < bag[0] @ bag[1]


def test_the_version_names_what_was_counted() -> None:
    one, same, other = (TfIdf(frequency(each)) for each in (DOCUMENTS, DOCUMENTS, DOCUMENTS[1:]))
    assert one.version == same.version != other.version


def test_document_vectors_bring_together_what_never_meets() -> None:
    # Cats and kittens share no text, and both go with milk.
    documents = ["cat milk", "kitten milk", "cat purr milk", "kitten purr milk", "ship sea", "boat sea"] * 3
    terms_ = TfIdf(frequency(documents))
    axes = document_axes(terms_.encode(documents))
    assert axes.shape == (DIM, 128)
    narrow = DocumentVectors(terms_, axes[:, :2])
    cat, kitten, ship = narrow.encode(["cat", "kitten", "ship"])
    assert cat @ kitten > 0.9
    assert abs(cat @ ship) < 0.1
    words = terms_.encode(["cat", "kitten"])
    assert abs(words[0] @ words[1]) < 0.1
    assert narrow.version != DocumentVectors(terms_, axes).version
