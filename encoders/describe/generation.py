"""Runs a model that writes, and says how sure it was."""

from typing import Any

import torch

from encoders.describe.description import Described, Description, Kind
from encoders.hub.weights import quiet

LONGEST_TEXT = 2_000


class Writer:
    """Writes at most `max_new_tokens` tokens a sample, always the likeliest next one."""

    def __init__(self, model: Any, tokenizer: Any, kind: Kind, max_new_tokens: int) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._kind = kind
        self._max_new_tokens = max_new_tokens

    @torch.inference_mode()
    def write(self, inputs: dict[str, torch.Tensor]) -> list[Described]:
        """One text, or none, per row of the inputs."""
        with quiet():
            output = self._model.generate(
                **inputs, max_new_tokens=self._max_new_tokens, do_sample=False, num_beams=1,
                return_dict_in_generate=True, output_scores=True,
            )  # fmt: skip
        # What stands before the written tokens is the model's own start.
        tokens = output.sequences[:, -len(output.scores) :]
        scores = _scores(tokens, output.scores, self._model.generation_config.pad_token_id)
        texts = self._tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return [described(self._kind, text, score) for text, score in zip(texts, scores, strict=True)]


def described(kind: Kind, text: str, score: float) -> Described:
    """A text in one line, or nothing where nothing was written."""
    line = " ".join(text.split())[:LONGEST_TEXT]
    return (Description(kind, line, round(score, 4)),) if line else ()


def _scores(tokens: torch.Tensor, scores: tuple[torch.Tensor, ...], padding: int | None) -> list[float]:
    """The geometric mean of the written tokens' probabilities, per row of int64 [n, t]."""
    logs = torch.stack([step.float().log_softmax(dim=-1) for step in scores], dim=1)
    chosen = logs.gather(2, tokens.unsqueeze(-1)).squeeze(-1)
    written = torch.ones_like(tokens) if padding is None else (tokens != padding).long()
    means = (chosen * written).sum(dim=1) / written.sum(dim=1).clamp(min=1)
    found: list[float] = means.exp().tolist()
    return found
