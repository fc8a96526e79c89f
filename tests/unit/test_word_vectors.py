"""Word vectors of a file and of MiniLM, averaged with rare words above common ones."""

from pathlib import Path

import numpy as np
import pytest

from encoders.errors import ArtifactError
from encoders.text import word_vectors
from encoders.text.word_vectors import from_file, of_minilm

LINES = ["the 1 0 0", "cat 0 1 0", "Paris 0 0 1", "new york 0 1 1"]


def written(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines), "utf-8")
    return path


@pytest.mark.parametrize("head", [[], ["4 3"]])
def test_a_file_with_and_without_its_first_line(tmp_path: Path, head: list[str]) -> None:
    encoder = from_file(written(tmp_path / "words.vec", head + LINES))
    vectors = encoder.encode(["Cat", "PARIS", "unknown words"])
    np.testing.assert_allclose(vectors, [[0, 1, 0], [0, 0, 1], [0, 0, 0]], atol=1e-6)


def test_common_words_count_less(tmp_path: Path) -> None:
    encoder = from_file(written(tmp_path / "words.vec", LINES))
    the, cat, _ = encoder.encode(["the cat"])[0]
    assert 0 < the < cat


def test_the_version_is_of_what_is_in_the_file(tmp_path: Path) -> None:
    first, again = (from_file(written(tmp_path / name, LINES)).version for name in ("a", "b"))
    other = from_file(written(tmp_path / "c", LINES[:-1])).version
    assert first == again != other


def test_only_the_most_frequent_words_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_vectors, "MOST_WORDS", 2)
    encoder = from_file(written(tmp_path / "words.vec", LINES))
    assert encoder.encode(["cat"]).any()
    assert not encoder.encode(["paris"]).any()


@pytest.mark.parametrize(
    "lines",
    [[], [""], ["no numbers here"], ["a 1 2 3", "b 1 x 3"], ["a 1 2 3", "b 1"], ["a 1 nan 3"], ["1 2"]],
)
def test_what_is_no_such_file_says_so(tmp_path: Path, lines: list[str]) -> None:
    with pytest.raises(ArtifactError, match=r"encoders\.word_vectors: .*words"):
        from_file(written(tmp_path / "words.vec", lines))
    with pytest.raises(ArtifactError, match="missing"):
        from_file(tmp_path / "missing")


def test_minilm_brings_like_words_together() -> None:
    dog, puppy, market, nothing = of_minilm().encode(["a small dog", "a little puppy", "stock market", ""])
    assert dog @ puppy > dog @ market + 0.3
    assert not nothing.any()
