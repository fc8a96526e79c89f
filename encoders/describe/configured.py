"""The describers that the settings ask for."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.base import Float32, Modality
from encoders.describe.description import Described, Describer, Kind
from encoders.errors import ArtifactError
from encoders.hub.files import ModelFiles, find_model
from encoders.media.decoded import Decoded
from encoders.settings import EncoderSettings

Pixels = NDArray[np.uint8]


class Describers:
    """All configured describers; none by default. Raises ArtifactError for a model that cannot be loaded."""

    def __init__(self, settings: EncoderSettings, device: torch.device) -> None:
        self._pictures: list[Describer[Pixels]] = []
        self._sounds: list[Describer[Float32]] = []
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
            if key == "captions":
                self._pictures.append(_captions(files, wanted.max_new_tokens))
            else:
                self._sounds.append(_of_sounds(key, files, settings))

    def __bool__(self) -> bool:
        return bool(self._pictures or self._sounds)

    def versions(self, modality: Modality) -> tuple[str, ...]:
        """Versions of those that speak of media of this modality."""
        pictures = [one.version for one in self._pictures]
        sounds = [one.version for one in self._sounds]
        by_modality = {Modality.IMAGE: pictures, Modality.AUDIO: sounds, Modality.VIDEO: pictures + sounds}
        return tuple(by_modality.get(modality, ()))

    def describe(self, decoded: Sequence[Decoded]) -> list[Described]:
        """What each medium is put into words as; of a video its middle key frame and its sound."""
        found: list[Described] = [() for _ in decoded]
        pictures = {row: _picture(one) for row, one in enumerate(decoded)}
        seen = {row: picture for row, picture in pictures.items() if picture is not None}
        heard = {row: one.sound for row, one in enumerate(decoded) if one.sound is not None}
        for picture_describer in self._pictures:
            _add(found, list(seen), picture_describer.describe(list(seen.values())))
        for sound_describer in self._sounds:
            _add(found, list(heard), sound_describer.describe(list(heard.values())))
        return found


def _add(found: list[Described], rows: Sequence[int], more: Sequence[Described]) -> None:
    for row, one in zip(rows, more, strict=True):
        found[row] += one


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
        return transcripts(files, settings.describe.max_new_tokens)
    if key == "phonemes":
        return SpelledSpeech(files, Kind.PHONEMES)
    return SoundLabels(files, Kind.HEARD if key == "sounds" else Kind.EMOTION, settings.describe)
