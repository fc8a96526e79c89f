"""The encoders by name, as the settings speak of them."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.base import Encoder, Float32
from encoders.errors import ArtifactError
from encoders.settings import EncoderSettings

Pixels = NDArray[np.uint8]
TextEncoder = Encoder[str]
ImageEncoder = Encoder[Pixels]
AudioEncoder = Encoder[Float32]
EncoderT = TypeVar("EncoderT")


def _use_multilingual(settings: EncoderSettings, _: torch.device) -> TextEncoder:
    from encoders.text.use_multilingual import UseMultilingual

    return UseMultilingual(settings.threads)


def _minilm(_: EncoderSettings, device: torch.device) -> TextEncoder:
    from encoders.text.minilm import MiniLm

    return MiniLm(device)


def _efficientnet(_: EncoderSettings, device: torch.device) -> ImageEncoder:
    from encoders.image.efficientnet import EfficientNetLite0

    return EfficientNetLite0(device)


def _aisfx(_: EncoderSettings, device: torch.device) -> AudioEncoder:
    from encoders.audio.aisfx import AiSfx

    return AiSfx(device)


Factory = Callable[[EncoderSettings, torch.device], EncoderT]

TEXT: dict[str, Factory[TextEncoder]] = {"use-multilingual": _use_multilingual, "minilm": _minilm}
IMAGE: dict[str, Factory[ImageEncoder]] = {"efficientnet-lite0": _efficientnet}
AUDIO: dict[str, Factory[AudioEncoder]] = {"aisfx": _aisfx}


def text_encoder(settings: EncoderSettings, device: torch.device) -> TextEncoder:
    """The encoder that `settings.text` names. Raises ArtifactError for another name or a missing package."""
    return _chosen("text", settings.text, TEXT)(settings, device)


def image_encoder(settings: EncoderSettings, device: torch.device) -> ImageEncoder:
    """The encoder that `settings.image` names. Raises ArtifactError for another name or a missing package."""
    return _chosen("image", settings.image, IMAGE)(settings, device)


def audio_encoder(settings: EncoderSettings, device: torch.device) -> AudioEncoder:
    """The encoder that `settings.audio` names. Raises ArtifactError for another name or a missing package."""
    return _chosen("audio", settings.audio, AUDIO)(settings, device)


def _chosen(modality: str, name: str, known: dict[str, Factory[EncoderT]]) -> Factory[EncoderT]:
    if name not in known:
        raise ArtifactError(f"encoders.{modality} is '{name}'; known are: {', '.join(sorted(known))}")
    factory = known[name]

    def build(settings: EncoderSettings, device: torch.device) -> EncoderT:
        try:
            return factory(settings, device)
        except ImportError as error:
            raise ArtifactError(
                f"encoders.{modality} '{name}' lacks a package: install {error.name}"
            ) from error

    return build
