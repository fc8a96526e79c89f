"""A bank whose every encoder is a model in the transformers format: one space, built in or fitted."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from encoders.alignment_fit import FEWEST_VIDEOS, fit_from_media
from encoders.bank import EncoderBank
from encoders.base import SHARED_DIM, Medium, Modality
from encoders.errors import ArtifactError
from encoders.hub.settings import HubModel
from encoders.media.decoded import Decoded
from encoders.media.decoding import Decoding
from encoders.settings import EncoderSettings
from tests import tiny_models
from tests.encoder_samples import picture, sound

TOWERS = {"text": "clip", "image": "clip", "audio": "clap", "video": "xclip"}
SINGLE = {"text": "bert", "image": "vit", "audio": "ast", "video": "videomae"}


class Samples:
    """Decodes `<modality>-<seed>`."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1)

    def decode_ahead(self, media: Sequence[Medium], ahead: int) -> Decoding:
        return Decoding(self._threads, lambda medium: self._one(medium.content.decode()), media, ahead)

    @staticmethod
    def _one(content: str) -> Decoded:
        kind, _, number = content.partition("-")
        seed = int(number)
        if kind == "image":
            return Decoded(Modality.IMAGE, image=picture(seed))
        if kind == "audio":
            return Decoded(Modality.AUDIO, sound=sound(seed, 1.0))
        frames = np.stack([picture(seed), picture(seed + 100)])
        return Decoded(Modality.VIDEO, frames=frames, sound=sound(seed, 0.5))


def bank(chosen: dict[str, str]) -> EncoderBank:
    models = {
        name: HubModel(model=str(tiny_models.tiny(name)), local_files_only=True) for name in chosen.values()
    }
    return EncoderBank(EncoderSettings(device="cpu", models=models, **chosen), None, Samples())


@pytest.fixture(scope="module")
def towers() -> EncoderBank:
    return bank(TOWERS)


@pytest.fixture(scope="module")
def single() -> EncoderBank:
    return bank(SINGLE)


def media(seed: int) -> list[Medium]:
    return [
        Medium(f"the {seed} red bicycle".encode(), Modality.TEXT),
        *(Medium(f"{kind}-{seed}".encode(), kind) for kind in list(Modality)[1:]),
    ]


@pytest.mark.parametrize("name", ["towers", "single"])
def test_every_modality_lands_in_the_shared_space(name: str, request: pytest.FixtureRequest) -> None:
    encoders: EncoderBank = request.getfixturevalue(name)
    found = encoders.encode(media(1))
    assert [set(each.vectors) for each in found] == [
        {Modality.TEXT}, {Modality.IMAGE}, {Modality.AUDIO}, {Modality.VIDEO, Modality.AUDIO},
    ]  # fmt: skip
    for each in found:
        for vector in each.vectors.values():
            assert vector.shape == (SHARED_DIM,)
            np.testing.assert_allclose(np.linalg.norm(vector), 1, atol=1e-5)


def test_the_versions_are_those_of_the_models(towers: EncoderBank, single: EncoderBank) -> None:
    assert towers.version != single.version
    assert towers.encoders[Modality.TEXT].startswith("clip-")
    assert towers.encoders[Modality.VIDEO].startswith("xclip-")
    assert towers.encoders[Modality.TEXT] != towers.encoders[Modality.IMAGE]


def test_an_alignment_of_other_models_is_refused(towers: EncoderBank, single: EncoderBank) -> None:
    with pytest.raises(ArtifactError, match="is for other encoders"):
        single.use(towers.alignment)


@pytest.mark.parametrize("name", ["towers", "single"])
def test_a_catalogue_fits_videos_of_their_own_kind(name: str, request: pytest.FixtureRequest) -> None:
    encoders: EncoderBank = request.getfixturevalue(name)
    fitted = fit_from_media(encoders, [media(seed) for seed in range(FEWEST_VIDEOS + 4)])
    fitted.check(encoders.encoders)
    assert fitted.maps[Modality.VIDEO] is not fitted.maps[Modality.IMAGE]
    native = encoders.natives(media(3))[3]
    assert native is not None
    assert len(fitted.maps[Modality.VIDEO].centre) == len(native.vectors[Modality.VIDEO].vector) // 2


def test_too_few_videos_to_fit_are_counted(single: EncoderBank) -> None:
    items = [media(seed) if seed < 3 else media(seed)[:2] for seed in range(12)]
    with pytest.raises(ArtifactError, match="3 items have a video; they are fitted on 16 or more"):
        fit_from_media(single, items)
