"""Long texts are seen to their end, and short ones as before."""

from collections.abc import Sequence

import numpy as np
import torch

from encoders.base import Float32, Modality
from encoders.registry import text_encoder
from encoders.settings import EncoderSettings
from encoders.text import windowed as module
from encoders.text.bag_of_words import BagOfWords
from encoders.text.windowed import Windowed, windowed

CPU = torch.device("cpu")


class Letters:
    """Counts of the letters a to z among the first ten characters; notes its batches."""

    name, version, modality, dim, window_characters = "letters", "letters-1", Modality.TEXT, 26, 10

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def encode(self, batch: Sequence[str]) -> Float32:
        self.batches.append(list(batch))
        rows = [[text[:10].count(chr(97 + letter)) for letter in range(26)] for text in batch]
        return np.asarray(rows, np.float32).reshape(-1, 26)


def test_the_end_of_a_long_text_is_seen() -> None:
    encoder = windowed(Letters(), 4)
    assert isinstance(encoder, Windowed)
    assert not Letters().encode(["a" * 30 + "z" * 10])[0, 25]
    assert encoder.encode(["a" * 30 + "z" * 10])[0, 25]


def test_short_texts_are_as_before_and_beside_long_ones() -> None:
    plain, encoder = Letters(), windowed(Letters(), 4)
    texts = ["abc", "", "bcd"]
    np.testing.assert_array_equal(encoder.encode(texts), plain.encode(texts))
    mixed = encoder.encode(["abc", "xy " * 30, "bcd"])
    np.testing.assert_array_equal(mixed[[0, 2]], plain.encode(["abc", "bcd"]))
    assert encoder.encode([]).shape == (0, 26)


def test_windows_go_through_the_model_in_bounded_batches(monkeypatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 3)
    plain = Letters()
    windowed(plain, 4).encode(["ab " * 30, "c", "de " * 30])
    assert [len(batch) for batch in plain.batches] == [3, 3, 3]


def test_the_version_says_how_it_is_seen() -> None:
    versions = {windowed(Letters(), most).version for most in (1, 2, 4)}
    assert len(versions) == 3
    assert "letters-1" in versions


def test_an_encoder_that_reads_all_has_no_windows() -> None:
    encoder = BagOfWords()
    assert windowed(encoder, 4) is encoder


def test_settings_bound_the_windows() -> None:
    once = text_encoder(EncoderSettings(device="cpu", max_text_windows=1), CPU)
    more = text_encoder(EncoderSettings(device="cpu"), CPU)
    tail = "the cat sleeps. " * 400 + "stocks fell in the market. " * 400
    head = tail[:4000]
    assert once.encode([tail])[0] @ once.encode([head])[0] > 0.999
    assert more.encode([tail])[0] @ once.encode([head])[0] < 0.95
