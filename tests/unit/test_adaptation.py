"""Training that begins with an artifact: what it serves stays what it was, until training moves it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from state.artifact import MANIFEST, Artifact, load_artifact, save_artifact
from state.errors import LearningError
from state.fusions import FUSIONS
from state.fusions.untrained import untrained
from state.known import category_hash
from state.learning.exporting import artifact_of
from state.learning.interactions import Bool, ItemContent
from state.learning.interest import InterestModel, InterestShape
from state.learning.optimiser import OptimiserSettings
from state.learning.protocol import Targets, Task
from state.learning.saving import load_report
from state.learning.sequential import Plan, build, recommender, train
from state.learning.served import Served
from state.learning.start import PRIOR, Start, load_start
from state.learning.trainer import Schedule
from state.learning.transfer import Tuned, begin, shape_of
from state.prior import content_prior
from state.signals import REJECTING
from state.slots import item_hash
from streams.cli import cli
from streams.commands import train_model
from tests.learning_samples import (
    ITEMS,
    content,
    item_ids,
    known,
    many_events,
    model,
    with_topics,
    write_likes,
)

CPU = torch.device("cpu")


def trained(told: ItemContent | None, seed: int = 1) -> Artifact:
    return artifact_of(model(told=told, seed=seed), item_ids())


def moved(start: Start, told: ItemContent | None, seen: Bool | None = None) -> InterestModel:
    """A model of the start before any training."""
    torch.manual_seed(7)
    made = InterestModel(shape_of(start, InterestShape()), known() if seen is None else seen, told)
    begin(made, start, item_ids())
    return made.eval()


def without_bare(told: ItemContent) -> ItemContent:
    """The same with a text of every item."""
    vectors, present = told.vectors.copy(), told.present.copy()
    vectors[:, 0], present[:, 0] = np.eye(ITEMS, vectors.shape[2]), True
    return replace(told, vectors=vectors, present=present)


def scores(artifact: Artifact, told: ItemContent | None) -> np.ndarray:
    events = many_events(60, seed=2)
    histories = Targets(events, np.arange(1, len(events))).histories()
    return Served("", artifact, told, events).scores(histories)


@pytest.mark.parametrize("kind", sorted(FUSIONS))
def test_what_a_prior_serves_is_where_training_begins(kind: str) -> None:
    artifact = replace(content_prior(), items=untrained(kind))
    told = without_bare(content())
    again = artifact_of(moved(Start(artifact), told), item_ids())
    np.testing.assert_allclose(scores(again, told), scores(artifact, told), atol=1e-5)


@pytest.mark.parametrize("told", [content(), with_topics(content())], ids=["plain", "categories"])
def test_every_number_of_a_trained_artifact_is_where_training_begins(told: ItemContent) -> None:
    artifact = trained(told)
    again = artifact_of(moved(Start(artifact), told), item_ids())
    assert artifact.known is not None
    assert again.known is not None
    assert artifact.judges is not None
    assert again.judges is not None
    assert set(again.arrays) == set(artifact.arrays)
    for mine, others in (
        (again.arrays, artifact.arrays),
        (again.known.arrays, artifact.known.arrays),
        (again.judges.arrays, artifact.judges.arrays),
    ):
        for name, array in others.items():
            if name != "head_item":
                np.testing.assert_array_equal(mine[name], array, err_msg=name)


def test_items_of_another_catalogue_begin_as_their_content() -> None:
    start = Start(replace(trained(content()), known=None))
    made = moved(start, content())
    bare = ~made.tower.present.any(dim=1)
    assert not made.tower.embedding[~bare].any()
    assert made.tower.embedding[bare].any(dim=1).all()
    rows = torch.arange(ITEMS)[~bare]
    own = InterestModel(shape_of(start, InterestShape(ids=False)), known(), content())
    begin(own, start, item_ids())
    torch.testing.assert_close(made.tower(rows), own.eval().tower(rows))


def test_a_model_of_ids_alone_leaves_content_to_the_prior() -> None:
    start = Start(trained(None))
    assert not start.speaks
    made = moved(start, content())
    gain = made.tower.fusion["item_gain"]
    torch.testing.assert_close(gain, torch.full_like(gain, float(gain.detach()[0, 0])))
    assert gain.all()


def test_items_that_training_had_nothing_of_stay_known(tmp_path: Path) -> None:
    former = trained(content())
    few = np.arange(ITEMS) < 3
    others = tuple(f"other-{number}" if number >= 3 else name for number, name in enumerate(item_ids()))
    made = InterestModel(shape_of(Start(former), InterestShape()), few, content())
    assert begin(made, Start(former), others) == 3
    joined = artifact_of(made, others, former=former.known).known
    assert former.known is not None
    assert joined is not None
    assert joined.keys.tolist() == former.known.keys.tolist()
    np.testing.assert_array_equal(joined.embedding, former.known.embedding)


def test_categories_that_training_had_nothing_of_stay_known() -> None:
    told = with_topics(content())
    former = trained(told)
    other = replace(told, topics=tuple(one and ("third-0", "other") for one in told.topics))
    made = moved(Start(former), other)
    assert former.known is not None
    joined = artifact_of(made, item_ids(), former=former.known).known
    assert former.known.categories is not None
    assert joined is not None
    assert joined.categories is not None
    kept = joined.categories.own([("third-0",), ("third-1",), ("half-1",)])
    np.testing.assert_array_equal(
        kept, former.known.categories.own([("third-0",), ("third-1",), ("half-1",)])
    )
    assert category_hash("other") in joined.categories.keys
    assert not joined.categories.own([("other",)]).any()


@pytest.mark.parametrize("tuned", ["whole", "biases", "ids"])
def test_training_moves_what_it_is_told_to(tuned: Tuned) -> None:
    events = many_events(60, seed=4)
    start = Start(trained(content()))
    task = Task(events, Targets(events, np.zeros(0, np.int64)), content(), start=start)
    plan = Plan(schedule=Schedule(epochs=1), tuned=tuned)
    before = {name: each.detach().clone() for name, each in build(plan, task, CPU).named_parameters()}
    made = train(plan, task, lambda done: None, CPU).model
    changed = {name for name, each in made.named_parameters() if not torch.equal(each, before[name])}
    assert "tower.embedding" in changed
    assert ("event_action" in changed) == (tuned != "ids")
    assert ("readout.into" in changed) == (tuned == "whole")


def test_a_training_begins_with_the_content_prior_and_serves(tmp_path: Path) -> None:
    """Attention leaves out rejecting actions by biases of minus infinity, and goes on to."""
    events = many_events(60, seed=4)
    task = Task(events, Targets(events, np.zeros(0, np.int64)), content(), start=load_start(PRIOR))
    made = train(Plan(schedule=Schedule(epochs=2, length=32)), task, lambda done: None, CPU)
    assert isinstance(made.model, InterestModel)
    assert np.isfinite(made.outcome.course.losses).all()
    save_artifact(artifact_of(made.model, item_ids()), str(tmp_path))
    weights = load_artifact(str(tmp_path)).weights
    assert (np.isneginf(weights.attention_action).all(axis=1) == REJECTING).all()


def test_a_start_that_no_epoch_improves_on_is_kept() -> None:
    """The one event to be foretold is what the start puts first."""
    events, told = many_events(60, seed=4), without_bare(content())
    start = Start(trained(told))
    task = Task(events.subset(np.arange(59)), Targets(events, np.array([59])), told, start=start)
    ruinous = Plan(schedule=Schedule(epochs=2, optimiser=OptimiserSettings(rate=50.0, warm_up=1)))
    begun = build(ruinous, task, CPU)
    likely = recommender(begun, task, CPU).scores(task.validation.histories())[0]
    likely[events.item[:59]] = -np.inf
    item = events.item.copy()
    item[59] = likely.argmax()
    task = replace(task, validation=Targets(replace(events, item=item), np.array([59])))
    made = train(ruinous, task, lambda done: None, CPU)
    assert made.outcome.course.best == 1
    assert made.outcome.course.best_epoch == 0
    for name, number in begun.named_parameters():
        assert torch.equal(number, made.model.get_parameter(name)), name


def test_only_the_interest_model_has_a_start() -> None:
    events = many_events(20, seed=4)
    task = Task(events, Targets(events, np.zeros(0, np.int64)), None, start=load_start(PRIOR))
    with pytest.raises(LearningError, match="gru4rec"):
        build(Plan("gru4rec"), task, CPU)


def test_vectors_of_other_encoders_are_refused() -> None:
    start = Start(replace(content_prior(), space="use-1"))
    start.check_space("use-1")
    start.check_space("")
    with pytest.raises(LearningError, match=r"vectors of use-1, and these are of minilm-2.*set encoders"):
        start.check_space("minilm-2")


def test_other_weights_of_actions_are_refused() -> None:
    prior = content_prior()
    for name in ("action_weight", "asks"):
        weights = replace(prior.weights, **{name: np.flip(getattr(prior.weights, name)).copy()})
        with pytest.raises(LearningError, match="actions"):
            Start(replace(prior, weights=weights))


def test_the_command_knows_all_that_can_be_moved() -> None:
    assert get_args(Tuned) == train_model.TUNED


def command(data: Path, *words: str) -> Result:
    environment = {"PENCHANT_APP__DATA": str(data), "PENCHANT_ENCODERS__DEVICE": "cpu"}
    words = ("train", "model", "--device", "cpu", "--epochs", "1", *words)
    return CliRunner().invoke(cli, words, prog_name="penchant", env=environment)


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    write_likes(path)
    return path


def test_the_command_says_what_it_started_from(events: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert command(tmp_path, "--from", str(events), "--into", str(first)).exit_code == 0
    version = load_artifact(str(first)).version
    result = command(tmp_path, "--from", str(events), "--into", str(second), "--start", str(first))
    assert result.exit_code == 0, result.output
    assert f"started from {version}" in result.output
    assert json.loads((second / MANIFEST).read_text())["notes"]["started from"] == version
    assert load_report(second).started_from == version
    kept = load_artifact(str(second)).known
    assert kept is not None
    assert item_hash("item-3") in kept.keys


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--tune", "ids"), "name a --start"),
        (("--start", PRIOR, "--search", "2"), "--search or --start"),
        (("--start", PRIOR, "--model", "sasrec"), "only the interest model"),
        (("--start", "nowhere"), "nowhere"),
    ],
)
def test_what_cannot_be_started_is_told(
    words: tuple[str, ...], told: str, events: Path, tmp_path: Path
) -> None:
    result = command(tmp_path, "--from", str(events), "--into", str(tmp_path / "made"), *words)
    assert result.exit_code != 0
    assert told in result.output or told in str(result.exception)


def test_a_broken_artifact_is_named(tmp_path: Path) -> None:
    save_artifact(content_prior(), str(tmp_path))
    (tmp_path / "numbers.safetensors").write_bytes(b"nonsense")
    with pytest.raises(LearningError, match=r"numbers\.safetensors"):
        load_start(str(tmp_path))
