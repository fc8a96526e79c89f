"""The describers that the settings ask for."""

import math
from collections.abc import Mapping, Sequence
from typing import Generic, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.base import Float32, Modality
from encoders.canaries import pictures, sounds
from encoders.describe.description import Described, Describer, Kind
from encoders.errors import ArtifactError, MediumError
from encoders.hub.files import ModelFiles, find_model
from encoders.isolation import Isolated, SampleT
from encoders.media.decoded import Decoded
from encoders.observer import Observer
from encoders.settings import EncoderSettings

Pixels = NDArray[np.uint8]


class Describers:
    """All configured describers; none by default. Raises ArtifactError for a model that cannot be loaded."""

    def __init__(self, settings: EncoderSettings, device: torch.device, observer: Observer) -> None:
        self._pictures: list[_Safe[Pixels]] = []
        self._sounds: list[_Safe[Float32]] = []
        wanted = settings.describe
        for key in ("captions", "sounds", "transcripts", "phonemes", "emotion"):
            name = getattr(wanted, key)
            if not name:
                continue
            if name not in settings.models:
                raise ArtifactError(
                    f"encoders.describe.{key} is '{name}': say in encoders.models.{name} where it is"
                )
            files = find_model(name, settings.models[name], device)
            called = f"encoders.describe.{key} {name}"
            if key == "captions":
                captions = _captions(files, wanted.max_new_tokens)
                self._pictures.append(_safe(called, captions, pictures(), observer))
            else:
                self._sounds.append(_safe(called, _of_sounds(key, files, settings), sounds(), observer))

    def __bool__(self) -> bool:
        return bool(self._pictures or self._sounds)

    def versions(self, modality: Modality) -> tuple[str, ...]:
        """Versions of those that speak of media of this modality."""
        seeing = [one.version for one in self._pictures]
        hearing = [one.version for one in self._sounds]
        by_modality = {Modality.IMAGE: seeing, Modality.AUDIO: hearing, Modality.VIDEO: seeing + hearing}
        return tuple(by_modality.get(modality, ()))

    def describe(self, decoded: Sequence[Decoded]) -> tuple[list[Described], set[int]]:
        """What each medium is put into words as; of a video its middle key frame and its sound.

        The second is the rows of media that some describer failed on. Raises EncodersError for one that is
        broken.
        """
        found: list[Described] = [() for _ in decoded]
        seen = {row: shown for row, one in enumerate(decoded) if (shown := _picture(one)) is not None}
        heard = {row: one.sound for row, one in enumerate(decoded) if one.sound is not None}
        failed: set[int] = set()
        for seeing in self._pictures:
            failed |= _add(found, seen, seeing)
        for hearing in self._sounds:
            failed |= _add(found, heard, hearing)
        return found, failed


class _Safe(NamedTuple, Generic[SampleT]):
    """A describer that does not fail for one sample's sake."""

    version: str
    describe: Isolated[SampleT, Described]


def _safe(
    name: str, describer: Describer[SampleT], canaries: Sequence[SampleT], observer: Observer
) -> _Safe[SampleT]:
    def run(samples: Sequence[SampleT]) -> list[Described | MediumError]:
        return [_finite(one) for one in describer.describe(samples)]

    return _Safe(describer.version, Isolated(name, run, canaries, observer))


def _finite(described: Described) -> Described | MediumError:
    if all(math.isfinite(one.score) for one in described):
        return described
    return MediumError("encoder_failed", "the model gave numbers that are not finite")


def _add(found: list[Described], samples: Mapping[int, SampleT], safe: _Safe[SampleT]) -> set[int]:
    """Adds what is said of the samples, by row. Gives the rows that failed."""
    failed: set[int] = set()
    if samples:
        for row, one in zip(samples, safe.describe(list(samples.values())), strict=True):
            if isinstance(one, MediumError):
                failed.add(row)
            else:
                found[row] += one
    return failed


def _picture(decoded: Decoded) -> Pixels | None:
    if decoded.frames is None:
        return decoded.image
    middle: Pixels = decoded.frames[len(decoded.frames) // 2]
    return middle


def _captions(files: ModelFiles, max_new_tokens: int) -> Describer[Pixels]:
    from encoders.describe.captions import Captions

    return Captions(files, max_new_tokens)


def _of_sounds(key: str, files: ModelFiles, settings: EncoderSettings) -> Describer[Float32]:
    from encoders.describe.sounds import SoundLabels
    from encoders.describe.speech import SpelledSpeech, transcripts

    if key == "transcripts":
        return transcripts(files, settings.describe.max_transcript_tokens)
    if key == "phonemes":
        return SpelledSpeech(files, Kind.PHONEMES)
    return SoundLabels(files, Kind.HEARD if key == "sounds" else Kind.EMOTION, settings.describe)
