"""A model with an adapter beside its own numbers, as training has it, and as serving has a prefix."""

import inspect
from typing import Any

import torch

from encoders.adapters.artifact import Tensors
from encoders.adapters.library import peft_library
from encoders.adapters.settings import AdapterPlan
from encoders.errors import ArtifactError
from encoders.hub.tokens import OFFSET_POSITIONS

ADALORA_START = 1.5
"""AdaLoRA begins with so many times the rank that it ends with, as its authors do."""
WARMING, SETTLING = 0.1, 0.4
"""Shares of AdaLoRA's steps before its ranks begin to fall, and after they have."""
LEAST_STEPS = 10
PREFIX_SCALE = 0.02
"""PEFT's own 1 moves the vectors from the start (decision 0030)."""


class Prefixed(torch.nn.Module):
    """A model whose layers see learned keys and values before a text's own.

    PEFT's own call counts the prefix among the positions, so that a text's first token would stand where the
    model never saw one, and a long text would have no places left. Here positions are what they were.
    """

    def __init__(self, live: Any) -> None:
        super().__init__()
        self.live = live
        self.tokens: int = live.active_peft_config.num_virtual_tokens
        config = live.config
        offset = config.model_type in OFFSET_POSITIONS
        self._first = (config.pad_token_id or 0) + 1 if offset else 0

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        rows, length = input_ids.shape
        before = attention_mask.new_ones((rows, self.tokens))
        positions = torch.arange(self._first, self._first + length, device=input_ids.device)
        return self.live.base_model(
            input_ids=input_ids,
            attention_mask=torch.cat((before, attention_mask), dim=1),
            position_ids=positions.expand(rows, -1),
            past_key_values=self.live.get_prompt(rows),
        )


def begun(model: Any, plan: AdapterPlan, targets: list[str], steps: int) -> Any:
    """PEFT's model around the given one, with an adapter that has learned nothing yet.

    `targets` are the layers that LoRA and AdaLoRA change, `steps` how long AdaLoRA's schedule is. Raises
    ArtifactError for a model that takes no such adapter.
    """
    peft = peft_library()
    task = peft.TaskType.FEATURE_EXTRACTION
    if plan.kind == "lora":
        config = peft.LoraConfig(
            task_type=task, r=plan.rank, lora_alpha=2 * plan.rank, target_modules=targets
        )
    elif plan.kind == "adalora":
        if steps < LEAST_STEPS:
            raise ArtifactError(
                f"AdaLoRA takes {LEAST_STEPS} steps or more, and these are {steps}: give it more epochs"
            )
        start = max(plan.rank + 1, round(ADALORA_START * plan.rank))
        config = peft.AdaLoraConfig(
            task_type=task, init_r=start, target_r=plan.rank, lora_alpha=2 * start, target_modules=targets,
            total_step=steps, tinit=int(WARMING * steps), tfinal=int(SETTLING * steps),
        )  # fmt: skip
    else:
        _check_takes_prefix(model)
        config = peft.PrefixTuningConfig(task_type=task, num_virtual_tokens=plan.rank)
    live = peft.get_peft_model(model, config)
    if plan.kind == "prefix":
        for parameter in live.prompt_encoder.parameters():
            torch.nn.init.normal_(parameter, std=PREFIX_SCALE)
    return live


def held_tensors(live: Any) -> Tensors:
    """The adapter's own numbers, by PEFT's names."""
    # Left to decide itself, PEFT asks the hub for the model's vocabulary.
    found: Tensors = peft_library().get_peft_model_state_dict(live, save_embedding_layers=False)
    return found


def callable_of(live: Any) -> Any:
    """What takes `input_ids` and `attention_mask` like the model itself."""
    return Prefixed(live) if live.active_peft_config.is_prompt_learning else live


def _check_takes_prefix(model: Any) -> None:
    if "past_key_values" not in inspect.signature(model.forward).parameters:
        raise ArtifactError(
            f"a {type(model).__name__} has no place for a prefix: train the kind lora or adalora"
        )
