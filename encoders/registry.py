"""The encoders by name, as the settings speak of them."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from encoders import classics
from encoders.base import Encoder, Float32
from encoders.errors import ArtifactError
from encoders.hub.files import ModelFiles, find_model, section
from encoders.image.classes import ClassShares
from encoders.settings import EncoderSettings
from encoders.text.windowed import windowed
from encoders.video.keyframes import KeyFrames

Pixels = NDArray[np.uint8]
TextEncoder = Encoder[str]
ImageEncoder = Encoder[Pixels]
AudioEncoder = Encoder[Float32]


class VideoEncoder(Encoder[Pixels], Protocol):
    """An encoder of key frames."""

    def encode_with_classes(self, batch: Sequence[Pixels]) -> tuple[Float32, ClassShares | None]: ...


EncoderT = TypeVar("EncoderT")


def _use_multilingual(settings: EncoderSettings, _: torch.device) -> TextEncoder:
    from encoders.text.use_multilingual import UseMultilingual

    return UseMultilingual(settings.threads)


def _minilm(settings: EncoderSettings, device: torch.device) -> TextEncoder:
    from encoders.text.minilm import MiniLm

    return MiniLm(device, settings.threads if settings.exported else None)


def _efficientnet(settings: EncoderSettings, device: torch.device) -> ImageEncoder:
    from encoders.image.efficientnet import EfficientNetLite0

    return EfficientNetLite0(device, settings.threads if settings.exported else None)


def _aisfx(_: EncoderSettings, device: torch.device) -> AudioEncoder:
    from encoders.audio.aisfx import AiSfx

    return AiSfx(device)


Factory = Callable[[EncoderSettings, torch.device], EncoderT]

TEXT: dict[str, Factory[TextEncoder]] = {
    "use-multilingual": _use_multilingual,
    "minilm": _minilm,
    **classics.TEXT,
}
IMAGE: dict[str, Factory[ImageEncoder]] = {"efficientnet-lite0": _efficientnet, **classics.IMAGE}
AUDIO: dict[str, Factory[AudioEncoder]] = {"aisfx": _aisfx, **classics.AUDIO}


KEY_FRAMES = "key-frames"


def _hub_text(files: ModelFiles) -> TextEncoder:
    from encoders.hub.text import HubText

    return HubText(files)


def _hub_image(files: ModelFiles) -> ImageEncoder:
    from encoders.hub.image import hub_image

    return hub_image(files)


def _hub_audio(files: ModelFiles) -> AudioEncoder:
    from encoders.hub.audio import HubAudio

    return HubAudio(files)


def _hub_video(files: ModelFiles) -> VideoEncoder:
    from encoders.hub.video import hub_video

    return hub_video(files)


def text_encoder(settings: EncoderSettings, device: torch.device) -> TextEncoder:
    """The encoder that `settings.text` names, which sees long texts in windows.

    Raises ArtifactError for another name or a missing package.
    """
    encoder = _chosen("text", settings.text, TEXT, _hub_text)(settings, device)
    return windowed(encoder, settings.max_text_windows)


def image_encoder(settings: EncoderSettings, device: torch.device) -> ImageEncoder:
    """The encoder that `settings.image` names. Raises ArtifactError for another name or a missing package."""
    return _chosen("image", settings.image, IMAGE, _hub_image)(settings, device)


def audio_encoder(settings: EncoderSettings, device: torch.device) -> AudioEncoder:
    """The encoder that `settings.audio` names. Raises ArtifactError for another name or a missing package."""
    return _chosen("audio", settings.audio, AUDIO, _hub_audio)(settings, device)


def video_encoder(settings: EncoderSettings, device: torch.device, image: ImageEncoder) -> VideoEncoder:
    """The encoder that `settings.video` names. Raises as the others."""
    known: dict[str, Factory[VideoEncoder]] = {KEY_FRAMES: lambda settings, device: KeyFrames(image)}
    return _chosen("video", settings.video, known, _hub_video)(settings, device)


def _chosen(
    modality: str,
    name: str,
    known: dict[str, Factory[EncoderT]],
    hub: Callable[[ModelFiles], EncoderT],
) -> Factory[EncoderT]:
    def build(settings: EncoderSettings, device: torch.device) -> EncoderT:
        model = settings.models.get(name)
        if model is None and name not in known:
            names = ", ".join(sorted({*known, *settings.models}))
            raise ArtifactError(
                f"encoders.{modality} is '{name}'; known are: {names}; a transformers model is known once "
                f"{section(name)} says where it is"
            )
        if model is not None and name in known:
            raise ArtifactError(f"{section(name)}: an encoder has that name already; choose another")
        try:
            return known[name](settings, device) if model is None else hub(find_model(name, model, device))
        except ImportError as error:
            raise ArtifactError(
                f"encoders.{modality} '{name}' lacks a package: install {error.name}"
            ) from error

    return build
