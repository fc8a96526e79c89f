"""Learning from the topics: what rows come to after all corrections, and whose vectors are taken."""

import msgspec
import numpy as np
import pytest

from state.events import Command, Pack, Row, RowKind
from state.items import EncodedItem
from streams import topic_learning
from streams.errors import InputError
from streams.raw import RawRecord
from streams.reading import Stretch
from streams.settings import Settings
from streams.topic_learning import Gathered, content_of_items, read_topics


def row(user: str, number: int, **fields: object) -> Row:
    base: dict[str, object] = {"user_id": user, "event_id": f"{user}-{number}", "action": 2, "time": number}
    return Row(**(base | {"offset": number, "broker_time": number, "item_id": f"item-{number % 3}"} | fields))


def found(rows: list[Row]) -> list[tuple[str, str, int]]:
    gathered = Gathered()
    gathered.take(rows)
    made = gathered.finished()
    return [
        (made.user_ids[user], made.item_ids[item], int(time))
        for user, item, time in zip(made.user, made.item, made.time_ms, strict=True)
    ]


def test_an_event_counts_once_and_without_an_item_not_at_all() -> None:
    rows = [row("ann", 1), row("ann", 1), row("ann", 2, item_id=None), row("bob", 3)]
    assert found(rows) == [("ann", "item-1", 1), ("bob", "item-0", 3)]


def test_what_was_taken_back_or_forgotten_is_not_learnt() -> None:
    rows = [row("ann", 1), row("ann", 2), row("bob", 1), row("bob", 2)]
    rows.append(row("ann", 1, kind=int(RowKind.RETRACT), offset=-1))
    rows.append(row("bob", 9, kind=int(RowKind.FORGET), item_id=None))
    rows += [row("bob", 8), row("bob", 10, time=8), row("bob", 13)]
    assert found(rows) == [("ann", "item-2", 2), ("bob", "item-1", 13)]


def merged(user: str, into: str, time: int) -> Row:
    return row(user, time, kind=int(RowKind.MERGE), item_id=None, command=Command(into=into))


def test_who_became_another_user_is_learnt_from_as_that_one() -> None:
    rows = [merged("ann", "bob", 5), row("ann", 1), row("ann", 7), row("bob", 2)]
    for order in (rows, rows[::-1]):
        assert found(order) == [("bob", "item-1", 1), ("bob", "item-2", 2), ("bob", "item-1", 7)]
    circle = [merged("ann", "bob", 5), merged("bob", "ann", 6), row("ann", 1), row("bob", 2)]
    assert len(found(circle)) == 2


def test_who_is_forgotten_by_an_old_id_is_forgotten_whole() -> None:
    rows = [merged("ann", "bob", 5), row("ann", 1), row("bob", 2), row("bob", 20), row("cat", 4)]
    after = row("ann", 9, kind=int(RowKind.FORGET), item_id=None)
    assert found([*rows, after]) == [("bob", "item-2", 20), ("cat", "item-1", 4)]
    before = row("ann", 3, kind=int(RowKind.FORGET), item_id=None)
    assert found([*rows, before]) == [("bob", "item-2", 2), ("bob", "item-2", 20), ("cat", "item-1", 4)]


def test_signals_come_along() -> None:
    gathered = Gathered()
    told = {"watched_fraction": 0.25, "sentiment": -0.5}
    gathered.take([row("ann", 1, value=4.0), row("ann", 2, dwell_seconds=7.5, **told)])
    made = gathered.finished()
    np.testing.assert_array_equal(made.watched, np.array([np.nan, 0.25], np.float32))
    np.testing.assert_array_equal(made.sentiment, np.array([np.nan, -0.5], np.float32))
    np.testing.assert_array_equal(made.value, np.array([4, np.nan], np.float32))
    np.testing.assert_array_equal(made.dwell, np.array([np.nan, 7.5], np.float32))


def test_nothing_to_learn_is_told() -> None:
    with pytest.raises(InputError, match="no event of an item"):
        Gathered().finished()


def vector(place: int) -> bytes:
    made = np.zeros(128, np.float16)
    made[place] = 2.0
    return made.astype("<f2").tobytes()


def test_vectors_of_the_encoders_that_made_most_are_taken(caplog: pytest.LogCaptureFixture) -> None:
    items = {
        "one": EncodedItem("one", 0, 0, vectors={0: vector(5)}, encoders="new", categories=("a",)),
        "two": EncodedItem("two", 0, 1, vectors={1: vector(6), 9: vector(6)}, encoders="new"),
        "old": EncodedItem("old", 0, 2, vectors={0: vector(7)}, encoders="old"),
        "odd": EncodedItem("odd", 0, 3, vectors={0: bytes(256), 2: b"short"}, encoders="new"),
    }
    content, space = content_of_items(("two", "old", "odd", "one", "gone"), items)
    assert space == "new"
    assert content.present.tolist() == [
        [False, True, False, False],
        [False] * 4,
        [False] * 4,
        [True, False, False, False],
        [False] * 4,
    ]
    assert content.vectors[3, 0, 5] == 1
    assert content.topics[3] == ("a",)
    assert "1 items were encoded by others than new" in caplog.text


def test_what_is_no_pack_and_no_item_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    topics = Settings().topics
    pack = msgspec.msgpack.encode(Pack(0, 2, [row("ann", 1), row("ann", 2, action=99)]))
    item = msgspec.msgpack.encode(EncodedItem("item-1", 0, 0, vectors={0: vector(5)}))
    logs = {
        topics.interactions_encoded: [b"junk", pack, b"\xa1\xff", None],
        topics.items_encoded: [b"\xff", item, b"\x93\xa1\xff"],
    }
    monkeypatch.setattr(
        topic_learning, "whole", lambda _, topic, settled: [Stretch(topic, 0, 0, len(logs[topic]))]
    )
    monkeypatch.setattr(
        topic_learning,
        "read",
        lambda _, stretches, tell: [
            RawRecord(stretches[0].topic, 0, offset, 0, b"key", value)
            for offset, value in enumerate(logs[stretches[0].topic])
        ],
    )
    events, content, _ = read_topics(Settings(), lambda done: None)
    assert events.item_ids == ("item-1",) and len(events) == 1
    assert content.present[0, 0]
    assert f"{topics.interactions_encoded}-0@0 is passed over" in caplog.text
    assert f"{topics.items_encoded}-0@2 is passed over" in caplog.text
