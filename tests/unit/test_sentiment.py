"""How comments are judged: by the default, and by classifiers in the `transformers` format."""

import tomllib
from functools import cache
from pathlib import Path

import pytest
import torch

from encoders.errors import ArtifactError
from encoders.hub.settings import HubModel
from encoders.language.sentiment import Sentiment, class_values, configured_sentiment, examples
from encoders.settings import EncoderSettings
from tests.tiny_models import judging, tiny

CPU = torch.device("cpu")
WRITTEN = Path(__file__).parents[1] / "sentiment_sentences.toml"
LEAST = {"en": 0.80, "zh": 0.75, "other": 0.75}


@cache
def default() -> Sentiment:
    judge = configured_sentiment("default", EncoderSettings(), CPU)
    assert judge is not None
    return judge


def sentences(language: str) -> list[tuple[str, int]]:
    parts = tomllib.loads(WRITTEN.read_text(encoding="utf-8"))[language]
    labels = {"positive": 1, "negative": -1}
    return [(text, label) for name, label in labels.items() for text in parts[name].strip().splitlines()]


@pytest.mark.parametrize("language", LEAST)
def test_the_default_tells_praise_from_blame(language: str) -> None:
    found = sentences(language)
    scores = default().score([text for text, _ in found])
    right = sum(score * label > 0 for score, (_, label) in zip(scores, found, strict=True))
    assert right / len(found) >= LEAST[language]


def test_nothing_that_is_measured_on_was_learned_from() -> None:
    learned, _ = examples()
    measured = {text for language in LEAST for text, _ in sentences(language)}
    assert measured.isdisjoint(learned)


def test_together_as_alone_and_always_the_same() -> None:
    texts = ["I love it", "so boring. never again!", "", "12345", "太棒了。就是有点贵。", "x " * 5_000]
    together = default().score(texts)
    assert together == [score for text in texts for score in default().score([text])]
    assert all(-1 <= score <= 1 for score in together)
    assert together[2] == together[3] == 0
    assert default().score([]) == []


def test_off_judges_nothing() -> None:
    assert configured_sentiment("off", EncoderSettings(), CPU) is None


def settings(folder: Path) -> EncoderSettings:
    return EncoderSettings(models={"mine": HubModel(str(folder))})


def test_a_classifier_by_setting() -> None:
    judge = configured_sentiment("mine", settings(tiny("judging")), CPU)
    assert judge is not None
    texts = ["the red bicycle", "fresh bread and cheese", "!!!"]
    scores = judge.score(texts)
    assert len(scores) == 3 and all(-1 <= score <= 1 for score in scores) and scores[2] == 0
    assert scores == pytest.approx([judge.score([text])[0] for text in texts], abs=0.011)
    assert judge.version.startswith("mine-")


def test_a_classifier_of_something_else_is_refused(tmp_path: Path) -> None:
    judging(tmp_path, ("cat", "dog"))
    with pytest.raises(ArtifactError, match=r"encoders\.models\.mine\.model .* classes are cat, dog"):
        configured_sentiment("mine", settings(tmp_path), CPU)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ArtifactError, match=r"encode\.sentiment is 'mine'"):
        configured_sentiment("mine", EncoderSettings(), CPU)


@pytest.mark.parametrize(
    ("names", "values"),
    [
        (["NEGATIVE", "POSITIVE"], [-1, 1]),
        (["positive", "neutral", "negative"], [1, 0, -1]),
        (["LABEL_0", "LABEL_1"], [-1, 1]),
        (["LABEL_0", "LABEL_1", "LABEL_2"], [-1, 0, 1]),
        (["1 star", "2 stars", "3 stars", "4 stars", "5 stars"], [-1, -0.5, 0, 0.5, 1]),
        (["Very Negative", "Negative", "Neutral", "Positive", "Very Positive"], [-1, -1, 0, 1, 1]),
        (["LABEL_0"], None),
        (["positive"], None),
        (["joy", "anger"], None),
    ],
)
def test_classes_by_their_names(names: list[str], values: list[float] | None) -> None:
    assert class_values(names) == values
