"""One suite, every describer: what the bank relies on when media are put into words."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from encoders.base import Modality
from encoders.describe.configured import Describers
from encoders.describe.description import Described, Description, Kind
from encoders.hub.settings import DescribeSettings, HubModel
from encoders.media.decoded import Decoded
from encoders.observer import Observer
from encoders.settings import EncoderSettings
from tests import tiny_models
from tests.encoder_samples import ODD, ORDINARY

KINDS = {"captions": Kind.CAPTION, "sounds": Kind.HEARD, "emotion": Kind.EMOTION,
         "transcripts": Kind.TRANSCRIPT, "phonemes": Kind.PHONEMES}  # fmt: skip
NAMES = [f"{key}:{model}" for key, models in tiny_models.DESCRIBERS.items() for model in models]


def build(key: str, name: str) -> Describers:
    models = {"own": HubModel(model=str(tiny_models.tiny(name)), local_files_only=True)}
    describe = DescribeSettings(**{key: "own"}, min_score=0.0, max_new_tokens=6, max_transcript_tokens=6)
    return Describers(EncoderSettings(models=models, describe=describe), torch.device("cpu"), Observer())


@pytest.fixture(scope="module", params=NAMES)
def chosen(request: pytest.FixtureRequest) -> Iterator[tuple[str, Describers]]:
    torch.set_num_threads(1)
    key, _, name = request.param.partition(":")
    yield key, build(key, name)


def samples(key: str) -> list[Decoded]:
    if key == "captions":
        pixels: list[Any] = ORDINARY[Modality.IMAGE] + ODD[Modality.IMAGE]
        return [Decoded(Modality.IMAGE, image=one) for one in pixels]
    sounds: list[Any] = ORDINARY[Modality.AUDIO] + ODD[Modality.AUDIO]
    return [Decoded(Modality.AUDIO, sound=one) for one in sounds]


def described(describers: Describers, decoded: Sequence[Decoded]) -> list[Described]:
    found, failed = describers.describe(decoded)
    assert not failed
    return found


def test_every_sample_gets_its_words_however_odd(chosen: tuple[str, Describers]) -> None:
    key, describers = chosen
    found = described(describers, samples(key))
    assert len(found) == len(samples(key))
    assert any(found)
    for one in (one for each in found for one in each):
        assert isinstance(one, Description)
        assert one.kind is KINDS[key]
        assert one.text.strip() == one.text != ""
        assert 0 <= one.score <= 1


def test_a_sample_is_described_alike_alone_and_in_company(chosen: tuple[str, Describers]) -> None:
    key, describers = chosen
    together = described(describers, samples(key))
    alone = [described(describers, [sample])[0] for sample in samples(key)]
    assert [[one.text for one in each] for each in together] == [[one.text for one in each] for each in alone]
    for many, single in zip(together, alone, strict=True):
        for one, other in zip(many, single, strict=True):
            assert one.score == pytest.approx(other.score, abs=2e-4)


def test_words_are_the_same_at_every_call(chosen: tuple[str, Describers]) -> None:
    key, describers = chosen
    assert described(describers, samples(key)) == described(describers, samples(key))


def test_nothing_to_describe_gives_nothing(chosen: tuple[str, Describers]) -> None:
    _, describers = chosen
    assert described(describers, []) == []
    assert described(describers, [Decoded(Modality.TEXT, text="a word")]) == [()]


def test_a_video_is_described_by_its_middle_frame_or_its_sound(chosen: tuple[str, Describers]) -> None:
    key, describers = chosen
    if key == "captions":
        frame = ORDINARY[Modality.IMAGE][3]
        video: dict[str, Any] = {"frames": np.stack([frame, frame[::-1], frame])}
        alone = Decoded(Modality.IMAGE, image=video["frames"][1])
    else:
        video = {"frames": ORDINARY[Modality.IMAGE][3][None], "sound": ORDINARY[Modality.AUDIO][0]}
        alone = Decoded(Modality.AUDIO, sound=video["sound"])
    assert described(describers, [Decoded(Modality.VIDEO, **video)]) == described(describers, [alone])


def test_versions_belong_to_the_media_that_are_described(chosen: tuple[str, Describers]) -> None:
    key, describers = chosen
    own, other = (Modality.IMAGE, Modality.AUDIO) if key == "captions" else (Modality.AUDIO, Modality.IMAGE)
    (version,) = describers.versions(own)
    assert version.startswith("own-")
    assert describers.versions(Modality.VIDEO) == (version,)
    assert describers.versions(other) == describers.versions(Modality.TEXT) == ()
