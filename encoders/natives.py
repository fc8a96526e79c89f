"""Decoded media to native vectors: the encoders of all modalities, batched over many media."""

import time
from collections.abc import Sequence
from functools import partial

from encoders.base import MODALITIES, Modality
from encoders.canaries import canaries
from encoders.classifying import with_classes
from encoders.describe.configured import Describers
from encoders.device import limit_threads, resolve_device
from encoders.errors import MediumError
from encoders.isolation import Isolated
from encoders.media.decoded import DECODER_VERSION, Decoded
from encoders.native import Made, NativeBatch, NativeMedium, NativeVector, split
from encoders.observer import Observer
from encoders.registry import audio_encoder, image_encoder, text_encoder, video_encoder
from encoders.settings import EncoderSettings


class Natives:
    """The encoders that the settings name. Raises ArtifactError for what is unknown or not installed."""

    def __init__(self, settings: EncoderSettings, observer: Observer) -> None:
        limit_threads(settings.threads)
        self.device = device = resolve_device(settings.device)
        self.text = text_encoder(settings, device)
        self.image = image_encoder(settings, device)
        self.audio = audio_encoder(settings, device)
        self.video = video_encoder(settings, device, self.image)
        self.describers = Describers(settings, device, observer)
        self._settings = settings
        self._observer = observer
        self._isolated = {
            modality: Isolated(
                self._named(modality), partial(self._vectors, modality), canaries(modality), observer
            )
            for modality in MODALITIES
        }

    @property
    def names(self) -> str:
        """The encoders' names, for people."""
        return "+".join(encoder.name for encoder in (self.text, self.image, self.audio))

    @property
    def versions(self) -> dict[Modality, str]:
        """The encoder version of each modality."""
        encoders = (self.text, self.image, self.audio, self.video)
        return {encoder.modality: encoder.version for encoder in encoders}

    def context(self, modality: Modality) -> str:
        """What else decides the native vectors of one modality's bytes: encoders, limits of decoding."""
        settings, versions = self._settings, self.versions
        sound = (versions[Modality.AUDIO], settings.max_audio_seconds)
        parts: dict[Modality, tuple[object, ...]] = {
            Modality.TEXT: (versions[Modality.TEXT], settings.max_text_characters),
            Modality.IMAGE: (versions[Modality.IMAGE],),
            Modality.AUDIO: sound,
            Modality.VIDEO: (
                versions[Modality.VIDEO], settings.key_frames, settings.max_video_frames,
                settings.max_video_seconds, *sound,
            ),
        }  # fmt: skip
        words = self.describers.versions(modality)
        return " ".join((f"decoder-{DECODER_VERSION} {parts[modality]}", *words))

    def encode(self, decoded: Sequence[Decoded]) -> list[Made]:
        """One record per decoded medium, in their order. A video's sound track gives an audio vector.

        A medium that an encoder fails on fails alone, and a video may fail in one modality only. Raises
        EncodersError for an encoder that is broken.
        """
        vectors: list[dict[Modality, NativeVector]] = [{} for _ in decoded]
        failed: list[dict[Modality, MediumError]] = [{} for _ in decoded]
        for modality in MODALITIES:
            rows = [row for row, one in enumerate(decoded) if _holds(one, modality)]
            if not rows:
                continue
            started = time.perf_counter()
            made = self._isolated[modality]([decoded[row] for row in rows])
            self._observer.encoded(modality, len(rows), time.perf_counter() - started)
            for row, one in zip(rows, made, strict=True):
                if isinstance(one, MediumError):
                    failed[row][modality] = one
                else:
                    vectors[row][modality] = one
        words, unsaid = self.describers.describe(decoded)
        return [
            Made(NativeMedium(vectors[row], words[row]), failed[row], not failed[row] and row not in unsaid)
            for row in range(len(decoded))
        ]

    def _vectors(self, modality: Modality, decoded: Sequence[Decoded]) -> list[NativeVector | MediumError]:
        return split(self._encode(modality, decoded))

    def _named(self, modality: Modality) -> str:
        """How messages call an encoder."""
        names = {one.modality: one.name for one in (self.text, self.image, self.audio, self.video)}
        return f"encoders.{modality} {names[modality]}"

    def _encode(self, modality: Modality, decoded: Sequence[Decoded]) -> NativeBatch:
        if modality is Modality.TEXT:
            return NativeBatch(self.text.encode([one.text for one in decoded if one.text is not None]))
        if modality is Modality.AUDIO:
            return NativeBatch(self.audio.encode([one.sound for one in decoded if one.sound is not None]))
        if modality is Modality.IMAGE:
            images = [one.image for one in decoded if one.image is not None]
            return NativeBatch(*with_classes(self.image, images))
        videos = [one.frames for one in decoded if one.frames is not None]
        return NativeBatch(*self.video.encode_with_classes(videos))


def _holds(decoded: Decoded, modality: Modality) -> bool:
    parts = {
        Modality.TEXT: decoded.text,
        Modality.IMAGE: decoded.image,
        Modality.AUDIO: decoded.sound,
        Modality.VIDEO: decoded.frames,
    }
    return parts[modality] is not None
