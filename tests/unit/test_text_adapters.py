"""Adapters of text models: what is learnt holds for texts held out, and serves as it was trained."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from encoders.adapters.artifact import (
    CONFIG,
    FORMAT,
    MANIFEST,
    TENSORS,
    AdapterManifest,
    digest_of,
    save_adapter,
)
from encoders.adapters.learner import Learner
from encoders.adapters.live import begun, callable_of
from encoders.adapters.objectives import counterparts, fellowship, likeness_loss
from encoders.adapters.serving import adapted, fill
from encoders.adapters.settings import AdapterPlan, Kind
from encoders.adapters.texts import CatalogueText, material, sharing
from encoders.adapters.trainee import Trainee
from encoders.adapters.training import AdapterFit, fit_adapter
from encoders.base import Float32
from encoders.errors import ArtifactError
from encoders.hub.files import ModelFiles, find_model
from encoders.hub.image import hub_image
from encoders.hub.settings import HubModel
from encoders.hub.text import HubText, text_weights
from tests import tiny_models
from tests.adapter_samples import catalogue

CPU = torch.device("cpu")
LONG = "the dog and the cat like fresh bread " * 8
"""More tokens than the tiny models have positions."""
TEXTS = ["red bicycle x", "fresh cheese", "the cat", "", LONG]
RATES: dict[Kind, float] = {"lora": 5e-3, "adalora": 0.1, "prefix": 0.1}
RANKS: dict[Kind, int] = {"lora": 4, "adalora": 4, "prefix": 10}
KINDS = tuple(RATES)
Made = dict[str, tuple[AdapterFit, Path]]


def files(model: str = "bert", **options: Any) -> ModelFiles:
    return find_model("own", HubModel(model=str(tiny_models.tiny(model)), **options), CPU)


def plan(kind: Kind, **options: Any) -> AdapterPlan:
    return msgspec.structs.replace(AdapterPlan(kind, rank=RANKS[kind], epochs=7, rate=RATES[kind]), **options)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """One adapter of each kind, trained and saved."""
    found: Made = {}
    for kind in KINDS:
        fitted = fit_adapter(files("causal"), catalogue(), plan(kind))
        folder = tmp_path_factory.mktemp("adapters") / kind
        fitted.save(folder)
        found[kind] = fitted, folder
    return found


def served(made: Made, kind: str) -> HubText:
    return HubText(files("causal", adapter=str(made[kind][1])))


def live_vectors(made: Made, kind: str) -> Float32:
    """By PEFT's own model around the base, nothing merged."""
    import peft

    fitted, folder = made[kind]
    base = files("causal")
    trainee = Trainee(base, text_weights(base), AdapterPlan())
    assert fitted.state is not None
    live = peft.get_peft_model(trainee.model, peft.PeftConfig.from_pretrained(str(folder)))
    fill(live, fitted.state.tensors)
    trainee.read_by(callable_of(live.eval()))
    return trainee.vectors(TEXTS)


@pytest.mark.parametrize("kind", KINDS)
def test_training_brings_texts_of_a_category_together_even_those_held_out(made: Made, kind: str) -> None:
    fitted, _ = made[kind]
    assert fitted.epochs[-1].loss < fitted.epochs[0].loss
    assert fitted.manifest.after["precision"] > fitted.manifest.before["precision"] + 0.05
    assert fitted.manifest.after == fitted.epochs[fitted.best - 1].figures


@pytest.mark.filterwarnings("ignore:The following rank_pattern keys")
@pytest.mark.parametrize("kind", KINDS)
def test_what_serves_is_what_was_trained(made: Made, kind: str) -> None:
    encoder = served(made, kind)
    found = encoder.encode(TEXTS)
    np.testing.assert_allclose(found, np.concatenate([encoder.encode([text]) for text in TEXTS]), atol=1e-5)
    np.testing.assert_allclose(found, live_vectors(made, kind), atol=1e-5)
    assert np.abs(found - HubText(files("causal")).encode(TEXTS)).max() > 0.01


def test_a_prefix_takes_no_place_from_a_text() -> None:
    """BERT learned a vector for each of its 40 positions: none is left for a prefix that counted as text."""
    base = files()
    weights = text_weights(base)
    trainee = Trainee(base, weights, AdapterPlan())
    longest = trainee.vectors([LONG])
    live = begun(trainee.model, plan("prefix"), [], 1)
    for parameter in live.prompt_encoder.parameters():
        torch.nn.init.zeros_(parameter)
    trainee.read_by(callable_of(live.eval()))
    found = trainee.vectors([LONG])
    assert found.shape == longest.shape
    assert float((found @ longest.T).item()) > 0.8


@pytest.mark.parametrize("kind", ["lora", "adalora"])
def test_a_merged_adapter_costs_nothing(made: Made, kind: str) -> None:
    base = files("causal", adapter=str(made[kind][1]))
    merged = adapted(base, text_weights(base), "mean").model
    plain = text_weights(files("causal")).model
    assert {name: each.shape for name, each in merged.state_dict().items()} == {
        name: each.shape for name, each in plain.state_dict().items()
    }


def test_versions_differ_by_the_adapter_alone(made: Made, tmp_path: Path) -> None:
    plain, tuned, other = HubText(files("causal")), served(made, "lora"), served(made, "prefix")
    assert len({plain.version, tuned.version, other.version}) == 3
    moved = tmp_path / "elsewhere"
    shutil.copytree(made["lora"][1], moved)
    assert HubText(files("causal", adapter=str(moved))).version == tuned.version


def test_adalora_ends_with_the_ranks_that_it_was_asked_for(made: Made) -> None:
    fitted, _ = made["adalora"]
    assert fitted.state is not None
    ranks = [len(each) for name, each in fitted.state.tensors.items() if "lora_E" in name]
    assert len(ranks) == 14
    assert 0 < sum(ranks) <= 4 * len(ranks)
    assert len(set(ranks)) > 1


def test_the_same_seed_gives_the_same_adapter_and_steps_are_told() -> None:
    told: list[tuple[int, int]] = []
    first, again, other = (
        fit_adapter(
            files("causal"),
            catalogue(),
            plan("lora", epochs=1, seed=seed),
            lambda done, of: told.append((done, of)),
        ).epochs
        for seed in (1, 1, 2)
    )
    assert first == again != other
    assert told == 3 * [(1, 2), (2, 2)]


def test_a_title_finds_the_rest_of_its_item() -> None:
    fitted = fit_adapter(files("causal"), catalogue(), plan("lora", objective="parts", epochs=5))
    assert fitted.manifest.after["inverse rank"] > fitted.manifest.before["inverse rank"]
    assert fitted.manifest.plan.objective == "parts"


@pytest.mark.parametrize(("model", "kind"), [("sentence", "lora"), ("t5", "adalora"), ("bert", "prefix")])
def test_models_of_all_shapes_serve_what_an_adapter_says(model: str, kind: Kind, tmp_path: Path) -> None:
    """Numbers of chance: whether they help is another question."""
    base = files(model)
    weights = text_weights(base)
    trainee = Trainee(base, weights, AdapterPlan())
    before = trainee.vectors(TEXTS)
    live = begun(trainee.model, plan(kind), trainee.layers(), 20)
    torch.manual_seed(1)
    for parameter in live.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    trainee.read_by(callable_of(live.eval()))
    state = Learner(live, plan(kind), 20).state()
    manifest = AdapterManifest(
        FORMAT, plan(kind), weights.fingerprint, "own", trainee.reading, "", "", 0, 0, {}, {}
    )
    expected = trainee.vectors(TEXTS)
    save_adapter(tmp_path / kind, state.tensors, state.config, manifest)
    found = HubText(files(model, adapter=str(tmp_path / kind))).encode(TEXTS)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - before).max() > 0.01


def test_training_that_helps_nothing_writes_nothing(tmp_path: Path) -> None:
    noise = [CatalogueText(f"{a}{b} {b}{a}", categories=(str(at % 7),))
             for at, (a, b) in enumerate((a, b) for a in "abcdefg" for b in "hijklmn")]  # fmt: skip
    fitted = fit_adapter(files(), noise, plan("lora", epochs=2, rate=1e-9))
    with pytest.raises(ArtifactError, match="2 epochs made nothing better for texts held out"):
        fitted.save(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_an_adapter_of_another_model_is_refused(made: Made) -> None:
    folder = str(made["lora"][1])
    with pytest.raises(ArtifactError, match=r"encoders.models.own.adapter is .*trained beside .*name that"):
        HubText(files("bert", adapter=folder))
    with pytest.raises(ArtifactError, match="set pooling and prefix as they were"):
        HubText(files("causal", adapter=folder, pooling="cls"))
    with pytest.raises(ArtifactError, match="share a space"):
        HubText(files("clip", adapter=folder))
    with pytest.raises(ArtifactError, match=r"only encoders of texts.*leave encoders.models.own.adapter out"):
        hub_image(files("vit", adapter=folder))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (shutil.rmtree, "cannot be read"),
        (lambda folder: (folder / MANIFEST).unlink(), "cannot be read"),
        (lambda folder: (folder / MANIFEST).write_text("{"), "cannot be read"),
        (lambda folder: (folder / TENSORS).unlink(), "cannot be read"),
        (lambda folder: (folder / TENSORS).write_bytes(b"nonsense"), "not those of its manifest"),
        (lambda folder: (folder / CONFIG).write_text("{}"), "not those of its manifest"),
        (lambda folder: change(folder, format=9), "has format 9, not 1"),
    ],
)
def test_a_broken_folder_says_the_mend(made: Made, tmp_path: Path, spoil: Any, said: str) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(made["lora"][1], folder)
    spoil(folder)
    with pytest.raises(ArtifactError, match=rf"encoders.models.own.adapter is .*{said}.*text-adapter"):
        HubText(files("causal", adapter=str(folder)))


def test_numbers_of_another_configuration_are_refused(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(made["lora"][1], folder)
    config = json.loads((folder / CONFIG).read_text())
    for changed, said in (({"r": 2}, "cannot be loaded|tensors"), ({"peft_type": "IA3"}, "IA3")):
        (folder / CONFIG).write_text(json.dumps(config | changed))
        sealed(folder)
        with pytest.raises(ArtifactError, match=rf"own.adapter is .*({said}).*text-adapter"):
            HubText(files("causal", adapter=str(folder)))


def test_without_peft_the_extra_is_named(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ArtifactError, match=r"own.adapter .*penchant\[adapters\]"):
        served(made, "lora")
    with pytest.raises(ArtifactError, match=r"penchant\[adapters\]"):
        fit_adapter(files(), catalogue(), plan("lora"))
    assert HubText(files()).encode(["a"]).shape == (1, 32)


def test_models_that_take_no_adapter_are_refused() -> None:
    with pytest.raises(ArtifactError, match="no place for a prefix: train the kind lora"):
        fit_adapter(files("t5"), catalogue(), plan("prefix"))
    with pytest.raises(ArtifactError, match="share a space"):
        fit_adapter(files("clip"), catalogue(), plan("lora"))
    with pytest.raises(ArtifactError, match="10 steps or more, and these are 4: give it more epochs"):
        fit_adapter(files("causal"), catalogue(), plan("adalora", epochs=2))


def test_what_there_is_decides_what_is_learnt() -> None:
    told = catalogue()
    assert material(told, None).objective == "categories"
    assert material([each._replace(categories=()) for each in told], None).objective == "parts"
    twice = material([*told, *told], "categories")
    assert len(twice.texts) == len(told)
    with pytest.raises(ArtifactError, match="0 of 96 texts have a category that another text has"):
        material([each._replace(categories=("one",)) for each in told], "categories")
    pairs = [CatalogueText(f"{at}", categories=(str(at // 2),)) for at in range(20)]
    with pytest.raises(ArtifactError, match="no two of 4 texts held out have a category in common"):
        fit_adapter(files("causal"), pairs, plan("lora", seed=1))
    with pytest.raises(ArtifactError, match="0 of 96 texts have both a title and a description"):
        material([each._replace(rest="") for each in told], "parts")


def test_figures_by_hand() -> None:
    texts = [CatalogueText("a", categories=("x", "y")), CatalogueText("b", categories=("y",)),
             CatalogueText("c", categories=("z",)), CatalogueText("d", categories=("x",))]  # fmt: skip
    shared = sharing(texts)
    assert shared.tolist() == [
        [False, True, False, True], [True, False, False, False],
        [False, False, False, False], [True, False, False, False],
    ]  # fmt: skip
    vectors = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8], [0, 1]], np.float32)
    # a finds b, c, d; b finds c, a, d; d finds c, b, a; c has no fellow and is not asked.
    found = fellowship(vectors, shared)
    assert found["nearest"] == pytest.approx(1 / 3)
    assert found["precision"] == pytest.approx(((1 + 2 / 3) / 2 + 1 / 2 + 1 / 3) / 3)
    pairs = counterparts(vectors, vectors[[0, 2, 1, 3]])
    assert pairs["first"] == pytest.approx(1 / 2)
    assert pairs["inverse rank"] == pytest.approx((1 + 1 / 2 + 1 / 2 + 1) / 4)


def test_the_loss_is_the_formula() -> None:
    vectors = torch.nn.functional.normalize(torch.randn(5, 3, generator=torch.manual_seed(1)), dim=1)
    fellows = torch.tensor(sharing([CatalogueText("", categories=(name,)) for name in "aabbc"]))
    scores = torch.exp(vectors @ vectors.T / 0.5)
    expected = []
    for row in range(4):
        others = sum(scores[row, at] for at in range(5) if at != row)
        (fellow,) = (at for at in range(5) if fellows[row, at])
        expected.append(-torch.log(scores[row, fellow] / others))
    assert float(likeness_loss(vectors, fellows, 0.5)) == pytest.approx(float(sum(expected) / 4), rel=1e-5)
    assert float(likeness_loss(vectors, torch.zeros(5, 5, dtype=torch.bool), 0.5)) == 0


def change(folder: Path, **fields: Any) -> None:
    manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=AdapterManifest)
    (folder / MANIFEST).write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, **fields)))


def sealed(folder: Path) -> None:
    """The manifest agrees with the files, whatever is in them."""
    change(folder, digest=digest_of(folder))
