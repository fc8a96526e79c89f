"""Descriptions by a model in this process, on a small one with words of chance."""

import re
from pathlib import Path

import msgspec
import pytest
import torch

from encoders.errors import ArtifactError, LanguageError
from encoders.language.base import Description
from encoders.language.local import LocalModel, working_numbers
from encoders.language.local_files import LocalFiles
from encoders.language.settings import LanguageSettings
from encoders.language.writers import configured_writer
from tests.language_samples import BIRDS, ROBIN, TRAINS, request
from tests.tiny_models import tiny

SETTINGS = LanguageSettings(
    backend="transformers", model=str(tiny("writing")), device="cpu", max_new_tokens=8, batch=3
)


@pytest.fixture(scope="module")
def model() -> LocalModel:
    return LocalModel(SETTINGS)


def test_one_outcome_per_request_in_their_order(model: LocalModel) -> None:
    found = model.write([request(BIRDS), request(), request(TRAINS, ROBIN)])
    assert len(found) == 3
    for one in found:
        assert isinstance(one, Description | LanguageError)
    first = found[0]
    assert isinstance(first, LanguageError) or first.tags == ("birds",)


def test_the_same_facts_give_the_same_words(model: LocalModel) -> None:
    assert model.write([request()]) == model.write([request()])


def test_words_of_chance_are_never_published() -> None:
    """The check drops what the model makes up, and the template writes."""
    writer = configured_writer(SETTINGS)
    (found,) = writer.write([request()])
    assert isinstance(found, Description)
    assert found.model == "template" and found.fallback in ("ungrounded", "malformed")
    assert found.sentences


def test_nothing_known_nothing_written(model: LocalModel) -> None:
    (found,) = model.write([msgspec.structs.replace(request(), statements=())])
    assert isinstance(found, Description) and found.sentences == ()


def test_the_time_that_is_set_is_kept() -> None:
    """The first batch may end what it began; what comes after the deadline is not begun."""
    hurried = LocalModel(msgspec.structs.replace(SETTINGS, timeout_seconds=1e-6, batch=1))
    found = hurried.write([request() for _ in range(3)])
    assert all(isinstance(one, LanguageError) and one.reason == "timeout" for one in found)


def test_whole_prompts() -> None:
    found = LocalModel(msgspec.structs.replace(SETTINGS, prompt="whole")).write([request()])
    assert len(found) == 1


def test_a_model_without_a_chat_template(tmp_path: Path) -> None:
    for path in tiny("writing").iterdir():
        if "chat_template" not in path.name:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    plain = LocalModel(msgspec.structs.replace(SETTINGS, model=str(tmp_path)))
    assert len(plain.write([request(BIRDS)])) == 1


def test_versions_tell_models_and_options_apart(model: LocalModel, caplog: pytest.LogCaptureFixture) -> None:
    longer = LocalModel(msgspec.structs.replace(SETTINGS, max_new_tokens=9))
    with caplog.at_level("INFO", "encoders"):
        again = LocalModel(SETTINGS)
    assert model.version == again.version != longer.version
    begins, ends = caplog.messages
    assert begins == f"loading the language model {SETTINGS.model}"
    assert re.fullmatch(rf"{re.escape(SETTINGS.model)} is loaded on cpu after \d+\.\d s", ends)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "language.model is empty"),
        ("/no/such/folder", "config.json"),
        ("/no/such/file.gguf", "no such file"),
        (str(tiny("vit")), "language.model"),
    ],
    ids=["none", "no folder", "no file", "a model of pictures"],
)
def test_what_is_no_language_model_is_refused(name: str, told: str) -> None:
    with pytest.raises(ArtifactError, match=told):
        LocalModel(msgspec.structs.replace(SETTINGS, model=name))


@pytest.mark.parametrize(
    ("config", "gguf", "wanted", "expected"),
    [
        ('{"dtype": "bfloat16"}', "", "auto", torch.bfloat16),
        ('{"dtype": "float16"}', "", "auto", torch.float16),
        ('{"torch_dtype": "bfloat16"}', "", "auto", torch.bfloat16),
        ("no JSON", "", "auto", torch.float16),
        ("{}", "model.gguf", "auto", torch.bfloat16),
        ('{"dtype": "bfloat16"}', "", "float32", torch.float32),
    ],
)
def test_a_model_keeps_to_the_numbers_that_it_was_trained_in(
    config: str,
    gguf: str,
    wanted: str,
    expected: torch.dtype,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was trained in bfloat16 may leave float16's range, and then writes nothing that holds."""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    (tmp_path / "config.json").write_text(config)
    settings = msgspec.structs.replace(SETTINGS, dtype=wanted)
    files = LocalFiles(tmp_path, gguf)
    assert working_numbers(files, settings, torch.device("cuda")) is expected
    if wanted == "auto":
        assert working_numbers(files, settings, torch.device("cpu")) is torch.float32
