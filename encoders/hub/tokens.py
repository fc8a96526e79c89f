"""Texts to token numbers, in batches of like length and bounded cost."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch

from encoders.device import on_device
from encoders.hub.files import ModelFiles
from encoders.hub.sentence import longest_text
from encoders.hub.weights import read_part
from encoders.text.rows import CPU_TOKENS, rows_by_cost

LONGEST = 512
"""Tokens of a text that are read unless the settings ask for more: time grows with their square."""
OFFSET_POSITIONS = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "longformer")
"""Their positions begin behind the padding token's number."""
BATCH_TOKENS = 8192


class TokenBatch(NamedTuple):
    """Token numbers and mask, both int64 [n, t], and which rows of the input they are."""

    rows: list[int]
    ids: torch.Tensor
    mask: torch.Tensor


class Tokens:
    """The tokenizer of a model. With `to_length`, every text is filled up to that many tokens."""

    def __init__(self, files: ModelFiles, config: Any, to_length: int = 0) -> None:
        from transformers import AutoTokenizer

        self._tokenizer = read_part(files, AutoTokenizer, "tokenizer")
        self._padding = _padding(files, self._tokenizer)
        self._to_length = to_length
        self._prefix = files.hub.prefix
        self.longest = to_length or files.hub.max_tokens or _longest(files, self._tokenizer, config)
        self._device = files.device

    def batches(self, texts: Sequence[str], cost: int) -> Iterator[TokenBatch]:
        """Texts of like length share a batch, so that little is padding; tokens a batch stay below `cost`."""
        if texts:
            ids = self._numbers(texts)
            for rows in rows_by_cost([len(each) for each in ids], cost):
                yield self._batch(rows, ids)

    def _numbers(self, texts: Sequence[str]) -> list[list[int]]:
        prefixed = [self._prefix + text for text in texts]
        found = self._tokenizer(prefixed, truncation=True, max_length=self.longest, padding=False)
        # A text without a token is one padding token: there is no vector of nothing.
        return [ids or [self._padding] for ids in found["input_ids"]]

    def _batch(self, rows: list[int], ids: list[list[int]]) -> TokenBatch:
        length = self._to_length or max(len(ids[row]) for row in rows)
        filled = torch.full((len(rows), length), self._padding, dtype=torch.int64)
        mask = torch.zeros((len(rows), length), dtype=torch.int64)
        for line, row in enumerate(rows):
            filled[line, : len(ids[row])] = torch.tensor(ids[row])
            mask[line, : len(ids[row])] = 1
        return TokenBatch(rows, on_device(filled, self._device), on_device(mask, self._device))


def batch_tokens(files: ModelFiles) -> int:
    """Tokens, padding among them, that go through the model at once."""
    return files.hub.batch_cost or (BATCH_TOKENS if files.device.type == "cuda" else CPU_TOKENS)


def _padding(files: ModelFiles, tokenizer: Any) -> int:
    for number in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if number is not None:
            return int(number)
    raise files.problem("its tokenizer has neither a padding nor an end token", "add a pad_token to it")


def _longest(files: ModelFiles, tokenizer: Any, config: Any) -> int:
    positions = getattr(config, "max_position_embeddings", None) or LONGEST
    if config.model_type in OFFSET_POSITIONS:
        positions -= (config.pad_token_id or 0) + 1
    allowed = (LONGEST, positions, tokenizer.model_max_length, longest_text(files) or LONGEST)
    return int(min(allowed))
