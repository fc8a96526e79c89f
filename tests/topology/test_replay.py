"""Prequential replay: each event is held against the slate that was sent before it, by the whole pipeline."""

from pathlib import Path

import msgspec
import pytest

from state.learning.dataset import Dataset
from state.learning.reading import read_dataset
from state.prior import content_prior
from streams.encode.media import MediaEncoder
from streams.replay import Replay, ReplayResult
from streams.settings import Settings
from tests.fake_media import FakeBank, FakeFetcher
from tests.made_interactions import Size, write_recbole

HEADER = "user_id:token\titem_id:token\ttimestamp:float\n"
ITEMS = "item_id:token\ttitle:token_seq\n"


def replayed(dataset: Dataset, events: int = 0) -> ReplayResult:
    media = MediaEncoder(FakeBank(), FakeFetcher(), 1.0)
    told: list[int] = []
    replay = Replay(dataset, Settings(), media, "", events)
    result = replay.run("prior", told.append)
    assert told[-1] == replay.total == result.events
    return result


def figures(result: ReplayResult) -> dict[str, dict[str, float]]:
    return {one.name: one.metrics for one in result.figures}


def folder(tmp_path: Path, events: list[tuple[str, str]], items: dict[str, str]) -> Dataset:
    lines = "".join(f"{user}\t{item}\t{time}\n" for time, (user, item) in enumerate(events, 1))
    (tmp_path / "way.inter").write_text(HEADER + lines)
    (tmp_path / "way.item").write_text(ITEMS + "".join(f"{item}\t{text}\n" for item, text in items.items()))
    return read_dataset(tmp_path)


def test_the_slate_before_an_event_foretells_it_and_the_first_event_has_none(tmp_path: Path) -> None:
    # Equal texts have equal vectors: after a1 the slate begins with a2, which ann takes next.
    texts = {"a1": "apple", "a2": "apple", "b1": "boat", "b2": "boat"}
    dataset = folder(
        tmp_path,
        [("bob", "b1"), ("bob", "b2"), ("ann", "a1"), ("ann", "a2")],
        texts,
    )
    result = replayed(dataset)
    assert result.model == content_prior().version
    assert (result.events, result.users, result.answered) == (4, 2, 0.5)
    assert result.by_tenth == [1.0, 1.0]
    assert figures(result)["prior"]["mrr@20"] == 1.0
    assert figures(result)["chance"]["hr@5"] == 1.0


def test_what_a_user_took_is_not_shown_again_and_counts_as_missed(tmp_path: Path) -> None:
    texts = {"a1": "apple", "a2": "apple"}
    result = replayed(folder(tmp_path, [("ann", "a1"), ("bob", "a2"), ("ann", "a1"), ("ann", "a2")], texts))
    # The second time ann takes a1 it is not in the slate; then a2 is all that is left for her.
    assert figures(result)["prior"]["mrr@20"] == pytest.approx(0.5)


def test_the_last_events_alone_may_be_replayed_and_nothing_piles_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.replay._TRIM", 1)
    write_recbole(tmp_path, Size(30, 48, 600))
    dataset = read_dataset(tmp_path)
    media = MediaEncoder(FakeBank(), FakeFetcher(), 1.0)
    replay = Replay(dataset, Settings(), media, "", 200)
    result = replay.run("prior", lambda done: None)
    assert result.events == 200
    assert not replay.pipeline.interests.log.outputs
    whole = replayed(dataset)
    assert whole.events == 600
    assert len(whole.by_tenth) == 10
    assert 0 < figures(whole)["chance"]["hr@10"] < 1
    assert set(msgspec.to_builtins(whole)) >= {"figures", "by_tenth", "answered"}


def test_users_who_take_turns_in_a_window_are_shown_what_they_were_shown_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_recbole(tmp_path, Size(20, 48, 300))
    dataset = read_dataset(tmp_path)
    taking_turns = replayed(dataset)
    monkeypatch.setattr("streams.replay.WINDOW", 1)
    one_by_one = replayed(dataset)
    assert figures(taking_turns)["prior"] == pytest.approx(figures(one_by_one)["prior"])
    assert taking_turns.answered == one_by_one.answered
    assert figures(one_by_one)["popularity so far"]["hr@10"] > 0
