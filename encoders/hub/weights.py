"""Loads a model's weights, and tells them apart from any other's."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import xxhash

from encoders.hub.files import ModelFiles

REVISION = 1
"""Raise it with any change to what these encoders make of the same weights."""
SPEAKING = ("config.json", "preprocessor_config.json", "processor_config.json", "tokenizer.json",
            "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt", "sentencepiece.bpe.model",
            "spiece.model", "tokenizer.model", "modules.json", "1_Pooling/config.json",
            "sentence_bert_config.json")  # fmt: skip
"""Files beside the weights that decide the vectors."""
UNUSED = ("pooler.", "decoder.", "lm_head.", "masked_spec_embed.", "mask_token.")
"""Parts that may be without weights: nothing is made of their output, once that is known."""


class Weights(NamedTuple):
    """A model in evaluation mode, on the CPU, in the numbers that its file has."""

    model: Any
    missing: frozenset[str]
    """Tensors that the file lacks: they hold chance, and nothing may be made of them."""
    fingerprint: str
    """32 hexadecimal digits of the weights and the files beside them."""

    @property
    def pooler_is_trained(self) -> bool:
        return not any("pooler." in name for name in self.missing)


def load_weights(files: ModelFiles, auto: Any, adaptable: bool = False) -> Weights:
    """The model by one of the `Auto...` classes of transformers.

    An adapter is for an encoder of texts alone, which says that it is `adaptable`.

    Raises ArtifactError for an architecture that transformers does not know, for a file that cannot be read,
    for weights that are not all there, and for an adapter that the settings name where none is taken.
    """
    if files.hub.adapter and not adaptable:
        raise files.problem("only encoders of texts take an adapter", f"leave {files.where}.adapter out")
    with quiet():
        try:
            model, info = auto.from_pretrained(
                files.folder, local_files_only=True, trust_remote_code=False, dtype="auto",
                output_loading_info=True,
            )  # fmt: skip
        except Exception as error:
            # Whatever is in a stranger's folder, the reader must learn which setting named it.
            raise files.problem(one_line(error), "name a model that this transformers can load") from error
    missing = frozenset(info["missing_keys"])
    lacking = sorted(name for name in missing if not any(part in f"{name}." for part in UNUSED))
    lacking += sorted(str(name) for name in info.get("mismatched_keys", ()))
    if lacking:
        raise files.problem(
            f"its files lack {len(lacking)} of the weights, {lacking[0]} among them",
            f"name a model that was saved as a {type(model).__name__}",
        )
    return Weights(model.eval(), missing, _fingerprint(files, model, missing))


def placed(model: Any, files: ModelFiles, convolutional: bool = False) -> Any:
    """The model on its device, in its working precision; pictures channels-last on CUDA."""
    layout = {"memory_format": torch.channels_last} if convolutional and files.device.type == "cuda" else {}
    return model.to(files.device, files.dtype, **layout).requires_grad_(False)


def version_of(files: ModelFiles, weights: Weights, *options: object) -> str:
    """Name and digest: equal for equal weights, files beside them, and options that decide the vectors."""
    found = xxhash.xxh3_64_hexdigest(f"{REVISION} {weights.fingerprint} {options}".encode())
    return f"{files.name}-{found}"


def without(model: Any, *prefixes: str) -> Any:
    """The model without the parts of these names, so that an encoder holds its own tower alone."""
    for name, _ in list(model.named_children()):
        if name.startswith(prefixes):
            setattr(model, name, None)
    return model


def _fingerprint(files: ModelFiles, model: Any, missing: frozenset[str]) -> str:
    found = xxhash.xxh3_128()
    for name in SPEAKING:
        path = files.folder / name
        if path.is_file():
            content = path.read_bytes()
            found.update(f"{name} {len(content)} ".encode())
            found.update(content)
    for name, tensor in sorted(model.state_dict().items()):
        if name not in missing:
            found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} ".encode())
            found.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())
    return found.hexdigest()


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bar and no report of unused weights, least of all in a worker's log."""
    from transformers.utils import logging as shown

    bar, level = shown.is_progress_bar_enabled(), shown.get_verbosity()
    shown.disable_progress_bar()  # type: ignore[no-untyped-call]
    shown.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        shown.set_verbosity(level)
        if bar:
            shown.enable_progress_bar()  # type: ignore[no-untyped-call]


def one_line(error: Exception) -> str:
    """The first words of what a library says."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def read_part(files: ModelFiles, auto: Any, what: str) -> Any:
    """A tokenizer or feature extractor of the folder. Raises ArtifactError where there is none."""
    with quiet():
        try:
            return auto.from_pretrained(files.folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:
            raise files.problem(
                f"no {what} can be read ({one_line(error)})", f"save the {what} beside the weights"
            ) from error


def image_processor(files: ModelFiles) -> Any:
    """The resizing and normalising that the model was trained with, by Pillow.

    Pillow's rather than torchvision's, so that two machines make the same vectors whether or not the other
    is installed. Raises ArtifactError where the folder names none.
    """
    import transformers

    saved = files.json("preprocessor_config.json")
    if not saved:
        saved = files.json("processor_config.json").get("image_processor", {})
    kind = saved.get("image_processor_type") or saved.get("feature_extractor_type") or ""
    name = kind.replace("FeatureExtractor", "ImageProcessor").removesuffix("Fast").removesuffix("Pil")
    found = getattr(transformers, f"{name}Pil", None) if name.endswith("ImageProcessor") else None
    if found is None:
        raise files.problem(
            f"preprocessor_config.json names the image processor {kind!r}, which is not known",
            "save the model's own image processor beside the weights",
        )
    with quiet():
        try:
            return found.from_dict(saved)
        except Exception as error:
            raise files.problem(
                f"its image processor is broken ({one_line(error)})", "save it again"
            ) from error
