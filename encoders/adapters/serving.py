"""Puts a trained adapter to a model that serves: merged into its weights, or live where it is a prefix."""

import warnings
from pathlib import Path
from typing import Any, NamedTuple

from encoders.adapters.artifact import Tensors, load_manifest, load_tensors
from encoders.adapters.library import peft_library
from encoders.adapters.live import callable_of, held_tensors
from encoders.errors import ArtifactError
from encoders.hub.files import ModelFiles
from encoders.hub.weights import Weights, one_line

AGAIN = "train it again by `penchant train text-adapter`, or leave the key out"


class Adapted(NamedTuple):
    """A model that takes `input_ids` and `attention_mask`, and the adapter's digest; empty without one."""

    model: Any
    digest: str


def adapted(files: ModelFiles, weights: Weights, reading: str) -> Adapted:
    """The model with the adapter that the settings name, if they do.

    `reading` says how vectors are read out of the model. LoRA and AdaLoRA become part of the weights, and
    cost nothing any more. Raises ArtifactError for an adapter that is broken, of another model, or read
    otherwise.
    """
    if not files.hub.adapter:
        return Adapted(weights.model, "")
    folder = Path(files.hub.adapter).expanduser()
    try:
        manifest = load_manifest(folder)
    except ArtifactError as error:
        raise adapter_problem(files, str(error), AGAIN) from error
    if manifest.base != weights.fingerprint:
        raise adapter_problem(
            files,
            f"it was trained beside {manifest.model}, whose weights or files are not {files.hub.model}'s",
            "name that model, or train an adapter for this one",
        )
    if manifest.reading != reading:
        raise adapter_problem(
            files,
            f"it was trained to be read by {manifest.reading!r}, and the settings say {reading!r}",
            "set pooling and prefix as they were, or train it again",
        )
    try:
        return Adapted(_put(weights.model.float(), folder), manifest.digest)
    except ArtifactError as error:
        raise adapter_problem(files, str(error), AGAIN) from error


def adapter_problem(files: ModelFiles, what: str, mend: str) -> ArtifactError:
    """The error that names the setting, what is wrong with the adapter, and the mend."""
    return ArtifactError(f"{files.where}.adapter is {files.hub.adapter}: {what}; {mend}")


def _put(model: Any, folder: Path) -> Any:
    """Merging is done in float32, whatever the model's numbers are."""
    peft = peft_library()
    try:
        with warnings.catch_warnings():
            # PEFT takes AdaLoRA's ranks for a pattern of LoRA's, and warns of names that it does not know.
            warnings.simplefilter("ignore")
            config = peft.PeftConfig.from_pretrained(str(folder))
            if config.peft_type not in (
                peft.PeftType.LORA,
                peft.PeftType.ADALORA,
                peft.PeftType.PREFIX_TUNING,
            ):
                raise ArtifactError(f"its kind is {config.peft_type.value}, which is not known here")
            live = peft.get_peft_model(model, config)
            fill(live, load_tensors(folder))
    except ArtifactError:
        raise
    except Exception as error:
        # Whatever is in a stranger's folder, the reader must learn which setting named it.
        raise ArtifactError(f"it cannot be loaded ({one_line(error)})") from error
    if config.is_prompt_learning:
        return callable_of(live)
    return live.merge_and_unload(safe_merge=True)


def fill(live: Any, tensors: Tensors) -> None:
    """Gives an adapter its numbers. Raises ArtifactError unless they are just those that it has."""
    peft_library().set_peft_model_state_dict(live, tensors)
    held = held_tensors(live)
    if {name: each.shape for name, each in held.items()} != {
        name: each.shape for name, each in tensors.items()
    }:
        raise ArtifactError("its tensors are not those that its configuration asks for")
