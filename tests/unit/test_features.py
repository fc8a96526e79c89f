"""Which features tell likes from dislikes: counted exactly, shown by a command, and chosen for training."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from state.errors import LearningError
from state.events import ACTIONS, Action
from state.learning.dataset import Facts, dataset_of
from state.learning.gain import best_topics, gains, modalities_of, topics_of
from state.learning.interactions import Interactions, ItemContent, interactions_of
from streams.cli import cli

LIKE, DISLIKE, VIEW = (ACTIONS.index(one) for one in (Action.LIKE, Action.DISLIKE, Action.VIEW))
ITEMS = 12
TOPICS: tuple[tuple[str, ...], ...] = tuple(
    ("boats", "all") if item < 4 else ("trains", "all", "noise") if item % 2 else ("trains", "all")
    for item in range(ITEMS)
)


def events(seed: int = 0) -> Interactions:
    """Boats are liked nine times of ten, all else three times; views say nothing."""
    rng = np.random.default_rng(seed)
    item = rng.integers(0, ITEMS, 400)
    liked = rng.random(400) < np.where(item < 4, 0.9, 0.3)
    action = np.where(rng.random(400) < 0.2, VIEW, np.where(liked, LIKE, DISLIKE))
    columns = {"user": item % 5, "item": item, "time_ms": np.arange(400), "action": action}
    return interactions_of(columns, [f"user-{at}" for at in range(5)], [f"item-{at}" for at in range(ITEMS)])


def test_gain_is_the_mutual_information_of_verdict_and_feature() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    some = events()
    with_verdict = some.action != VIEW
    verdict = some.action[with_verdict] == LIKE
    for gain in gains(some, topics_of(TOPICS)):
        has = np.array([gain.name in TOPICS[item] for item in some.item[with_verdict]])
        assert gain.bits == pytest.approx(metrics.mutual_info_score(has, verdict) / np.log(2), abs=1e-9)
        assert gain.events == has.sum()
        assert gain.liked == pytest.approx(verdict[has].mean())


def test_what_tells_most_comes_first_and_what_all_have_tells_nothing() -> None:
    found = {gain.name: gain for gain in gains(events(), topics_of(TOPICS))}
    names = list(found)
    assert set(names[:2]) == {"boats", "trains"}
    assert names[-1] == "all"
    assert found["all"].bits == pytest.approx(0, abs=1e-9)
    assert found["all"].chance == pytest.approx(1, abs=1e-3)
    assert found["boats"].chance < 1e-6 < found["noise"].chance
    assert best_topics(events(), TOPICS, 2) == {"boats", "trains"}


def test_modalities_that_some_items_lack_are_features() -> None:
    present = np.zeros((ITEMS, 4), np.bool_)
    present[:, 0] = True
    present[:4, 2] = True
    content = ItemContent(np.zeros((ITEMS, 4, 128), np.float32), present, TOPICS)
    (gain,) = gains(events(), modalities_of(content))
    assert (gain.kind, gain.name) == ("modality", "audio")
    assert gain.liked > 0.8


def test_without_verdicts_nothing_is_counted() -> None:
    some = events()
    with pytest.raises(LearningError, match="too few likes or dislikes"):
        gains(some.subset(some.action != DISLIKE), topics_of(TOPICS))


def test_a_dataset_tells_of_chosen_topics_alone() -> None:
    facts = {"item-0": Facts("A boat", ("boats", "all")), "item-5": Facts("", ("all",))}
    dataset = dataset_of("some", events(), facts)
    assert dataset.texts[0] == "A boat. boats all"
    chosen = dataset.of_topics({"boats"})
    assert chosen.texts[0] == "A boat. boats"
    assert chosen.topics[0] == ("boats",)
    assert chosen.texts[5] == ""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("events")
    some = events()
    lines = [
        {
            "user_id": f"user-{some.user[at]}",
            "item_id": f"item-{some.item[at]}",
            "action": ACTIONS[some.action[at]],
            "timestamp": 1_600_000_000_000 + int(some.time_ms[at]) * 60_000,
        }
        for at in range(len(some))
    ]
    items = [{"item_id": f"item-{at}", "tags": TOPICS[at]} for at in range(ITEMS)]
    (path / "events.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (path / "items.jsonl").write_text("\n".join(map(json.dumps, items)))
    return path / "events.jsonl"


def command(data: Path, *words: str) -> Result:
    environment = {"PENCHANT_APP__DATA": str(data), "PENCHANT_ENCODERS__DEVICE": "cpu", "COLUMNS": "120"}
    return CliRunner().invoke(cli, words, prog_name="penchant", env=environment)


def test_the_command_shows_the_best_and_writes_all(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "gains.json"
    result = command(tmp_path, "features", "--from", str(folder), "--top", "2", "--json", str(file))
    assert result.exit_code == 0, result.output
    assert "topic boats" in result.output
    assert "topic all" not in result.output
    assert {one["name"] for one in json.loads(file.read_bytes())} == {"boats", "trains", "noise", "all"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("features",), "one of --from and --from-topics"),
        (("train", "model", "--from-topics", "--into", "x", "--best-topics", "2"), "--best-topics needs"),
    ],
)
def test_what_cannot_be_counted_is_told(words: tuple[str, ...], told: str, tmp_path: Path) -> None:
    result = command(tmp_path, *words)
    assert result.exit_code != 0
    assert told in result.output + str(result.exception)
