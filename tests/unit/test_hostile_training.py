"""Trainings that cannot go well: told before hours were spent, and nothing that was there is lost."""

import fcntl
import json
import os
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from safetensors import safe_open
from safetensors.torch import save_file

from state.errors import LearningError
from state.layout import MODALITY_COUNT, SHARED_DIM
from state.learning.checkpoints import CHECKPOINT
from state.learning.interactions import Interactions, ItemContent, interactions_of
from state.learning.optimiser import OptimiserSettings
from state.learning.protocol import Task
from state.learning.search import search
from state.learning.sequential import Plan, train
from state.learning.splits import leave_one_out
from state.learning.start import load_start
from state.learning.trainer import Aside, Schedule, Trainer
from streams.cli import cli
from streams.model_training import CHECKPOINTS

CPU = torch.device("cpu")
USERS, EVENTS, ITEMS = 12, 6, 8


def walks() -> Interactions:
    steps = np.tile(np.arange(EVENTS), USERS)
    return interactions_of(
        {
            "user": np.repeat(np.arange(USERS), EVENTS),
            "item": (steps + np.repeat(np.arange(USERS), EVENTS)) % ITEMS,
            "time_ms": steps * 60_000 + 1_600_000_000_000,
            "action": np.full(USERS * EVENTS, 2),
        },
        [f"user-{at}" for at in range(USERS)],
        [f"item-{at}" for at in range(ITEMS)],
    )


SPLIT = leave_one_out(walks())
TASK = Task(SPLIT.train, SPLIT.validation, None)


def plan(rate: float = 1e-2, kind: str = "gru4rec") -> Plan:
    return Plan(kind, schedule=Schedule(epochs=1, batch=4, optimiser=OptimiserSettings(rate=rate, warm_up=1)))


def trained(folder: Path, task: Task = TASK) -> None:
    train(plan(kind="interest"), task, lambda done: None, CPU, Aside(folder))


def content(seed: int) -> ItemContent:
    vectors = np.zeros((ITEMS, MODALITY_COUNT, SHARED_DIM), np.float32)
    vectors[:, 0] = np.random.default_rng(seed).normal(size=(ITEMS, SHARED_DIM))
    vectors /= np.maximum(np.linalg.norm(vectors, axis=2, keepdims=True), 1e-9)
    return ItemContent(vectors, vectors.any(axis=2), ((),) * ITEMS)


def test_a_checkpoint_of_other_content_is_refused(tmp_path: Path) -> None:
    trained(tmp_path, replace(TASK, content=content(1)))
    with pytest.raises(LearningError, match="other data, another model or other settings"):
        trained(tmp_path, replace(TASK, content=content(2)))
    trained(tmp_path, replace(TASK, content=content(1)))


def test_a_checkpoint_of_other_topics_is_refused(tmp_path: Path) -> None:
    first, second = (("jazz",), ("rock",)) * (ITEMS // 2), (("rock",), ("jazz",)) * (ITEMS // 2)
    trained(tmp_path, replace(TASK, content=replace(content(1), topics=first)))
    with pytest.raises(LearningError, match="other data, another model or other settings"):
        trained(tmp_path, replace(TASK, content=replace(content(1), topics=second)))


def test_a_checkpoint_of_other_targets_is_refused(tmp_path: Path) -> None:
    trained(tmp_path)
    with pytest.raises(LearningError, match="other data, another model or other settings"):
        trained(
            tmp_path, replace(TASK, validation=SPLIT.validation.part(np.arange(len(SPLIT.validation)) < 4))
        )


@pytest.mark.parametrize("harm", ["flipped", "cut", "lacking", "foreign", "empty", "half"])
def test_a_broken_checkpoint_is_told_with_the_mend(harm: str, tmp_path: Path) -> None:
    trained(tmp_path)
    path = tmp_path / CHECKPOINT
    whole = path.read_bytes()
    with safe_open(path, "pt") as file:
        told = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if harm == "flipped":
        path.write_bytes(whole[:-3] + bytes([whole[-3] ^ 64]) + whole[-2:])
    elif harm == "lacking":
        tensors.pop("model/head_query")
        save_file(tensors, path, told)
    elif harm == "foreign":
        save_file({"a": torch.zeros(1)}, path)
    else:
        path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "half": whole[:7]}[harm])
    with pytest.raises(LearningError, match="remove it to begin anew") as raised:
        trained(tmp_path)
    assert str(path) in str(raised.value)


def test_a_training_that_diverges_is_told_with_its_rate(tmp_path: Path) -> None:
    with pytest.raises(LearningError, match=r"epoch 1: .* not finite: .* smaller rate than 1e\+30"):
        train(plan(1e30, "interest"), TASK, lambda done: None, CPU, Aside(tmp_path))
    assert not (tmp_path / CHECKPOINT).exists()


def test_a_search_goes_on_behind_a_trial_that_diverges() -> None:
    found, _ = search(plan(1e30, "interest"), TASK, 2, lambda done: None, CPU)
    assert found.tried[0].found == 0.0
    assert found.plan.schedule.optimiser.rate < 1


@pytest.mark.parametrize("tensor", [torch.zeros(3), torch.tensor(float("nan"))])
def test_a_start_whose_sharpness_is_none_is_refused(tmp_path: Path, tensor: torch.Tensor) -> None:
    from state.artifact import save_artifact
    from state.prior import content_prior

    save_artifact(content_prior(), str(tmp_path))
    save_file({"sharpness": tensor}, tmp_path / "numbers.safetensors")
    with pytest.raises(LearningError, match=r"numbers\.safetensors: sharpness"):
        load_start(str(tmp_path))


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    told = walks()
    lines = [
        {"user_id": f"user-{user}", "item_id": f"item-{item}", "action": "like", "timestamp": time}
        for user, item, time in zip(
            told.user.tolist(), told.item.tolist(), told.time_ms.tolist(), strict=True
        )
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def command(data: Path, *words: object) -> Result:
    environment = {"PENCHANT_APP__DATA": str(data), "PENCHANT_ENCODERS__DEVICE": "cpu"}
    told = ("train", "model", "--device", "cpu", "--epochs", "1", *map(str, words))
    return CliRunner().invoke(cli, told, prog_name="penchant", env=environment)


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_read(
    tmp_path: Path, events: Path
) -> None:
    (tmp_path / "file").write_text("")
    made = command(tmp_path, "--from", tmp_path / "none.jsonl", "--into", tmp_path / "file")
    assert made.exit_code == 2
    assert f"--into {tmp_path / 'file'}: cannot be written" in made.stderr
    if os.geteuid():
        (tmp_path / "shut").mkdir(mode=0o500)
        made = command(tmp_path, "--from", events, "--into", tmp_path / "shut")
        assert f"--into {tmp_path / 'shut'}: cannot be written" in made.stderr


def test_two_trainings_do_not_share_a_folder(tmp_path: Path, events: Path) -> None:
    held = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    made = command(tmp_path, "--from", events, "--into", tmp_path)
    os.close(held)
    assert made.exit_code == 2
    assert f"--into {tmp_path}: another training writes there" in made.stderr


def test_a_model_for_comparison_takes_no_artifact_s_place(tmp_path: Path, events: Path) -> None:
    assert command(tmp_path, "--from", events, "--into", tmp_path / "made").exit_code == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "made").iterdir() if path.is_file()}
    made = command(tmp_path, "--from", events, "--into", tmp_path / "made", "--model", "sasrec")
    assert made.exit_code == 2
    assert "holds a model that serves" in made.stderr
    assert {
        path.name: path.read_bytes() for path in (tmp_path / "made").iterdir() if path.is_file()
    } == before


def test_a_training_that_does_not_resume_leaves_the_checkpoint_until_it_has_its_own(
    tmp_path: Path, events: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--from", events, "--into", tmp_path / "made")
    assert command(tmp_path, *words).exit_code == 0
    checkpoint = tmp_path / "made" / CHECKPOINTS / CHECKPOINT
    before = checkpoint.read_bytes()

    def cut_off(*_: object) -> float:
        raise OSError("cut off")

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_epoch", cut_off)
        assert command(tmp_path, *words).exit_code == 1
    assert checkpoint.read_bytes() == before
    assert command(tmp_path, *words, "--seed", "3").exit_code == 0
    assert checkpoint.read_bytes() != before


def test_without_a_share_to_validate_on_everything_is_learnt_from(tmp_path: Path, events: Path) -> None:
    made = command(tmp_path, "--from", events, "--into", tmp_path / "made", "--validation-share", "0")
    assert made.exit_code == 0, made.output
    report = msgspec.json.decode((tmp_path / "made" / "training.json").read_bytes())
    assert report["validation"] == pytest.approx(float(np.exp(-report["losses"][-1])))


def test_events_of_one_time_leave_nothing_to_learn_from(tmp_path: Path) -> None:
    event = {"user_id": "ann", "action": "view", "timestamp": 5}
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(json.dumps({**event, "item_id": str(item)}) for item in range(9)))
    made = command(tmp_path, "--from", path, "--into", tmp_path / "made")
    assert made.exit_code == 2
    assert "set --validation-share 0" in made.stderr


@pytest.mark.parametrize("seed", ["-1", str(2**70)])
def test_a_seed_out_of_range(tmp_path: Path, events: Path, seed: str) -> None:
    made = command(tmp_path, "--from", events, "--into", tmp_path / "made", "--seed", seed)
    assert made.exit_code == 2
    assert "--seed" in made.stderr
