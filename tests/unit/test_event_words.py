"""Sentiment and keywords of events, from the encode stage into rows."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from state.events import ACTIONS, Action, Pack, Row
from streams.encode.drafts import joined_topics
from streams.encode.item_view import ItemView
from streams.encode.packs import Border
from streams.encode.stage import EncodeStage
from streams.encode.words import WordReader
from streams.raw import RawRecord
from streams.settings import Settings
from tests.fake_media import fake_media


class FakeJudge:
    """Judges by one word, and keeps what it was asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[list[str]] = []
        self.error = error

    def score(self, texts: Sequence[str]) -> list[float]:
        self.asked.append(list(texts))
        if self.error is not None:
            raise self.error
        return [-0.8 if "bad" in text else 0.6 for text in texts]


class FakeFinder:
    """Finds the last word."""

    def find(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        return [(text.split()[-1],) for text in texts]


def record(topic: str, number: int, value: dict[str, Any]) -> RawRecord:
    key = value.get("user_id") or value.get("item_id")
    return RawRecord(topic, 0, number, 1_700_000_000_000, str(key).encode(), msgspec.json.encode(value))


def event(number: int, action: str, text: str | None = None, item: str | None = None) -> RawRecord:
    value = {"user_id": "ann", "event_id": f"e{number}", "action": action, "timestamp": 1_700_000_000_000}
    more = {"text": text, "item_id": item}
    return record("interactions", number, {**value, **{k: v for k, v in more.items() if v is not None}})


def rows(reader: WordReader, *records: RawRecord) -> list[Row]:
    media = fake_media()
    media.words = reader
    outcome = EncodeStage(Settings(), media, ItemView()).process(records, {0: Border(0)})
    packs = [msgspec.msgpack.decode(value, type=Pack) for _, value in outcome.packs]
    return [row for pack in packs for row in pack.rows]


ITEM = record("items", 0, {"item_id": "robin", "title": "A robin", "tags": ["birds"]})


def test_comments_carry_how_they_sound() -> None:
    judge = FakeJudge()
    found = rows(
        WordReader(judge),
        ITEM,
        event(0, "comment", "so bad", "robin"),
        event(1, "comment", "so good", "unknown"),
        event(2, "comment", "so good"),
        event(3, "search", "bad weather"),
        event(4, "view", None, "robin"),
        event(5, "comment", "  ", "robin"),
    )
    assert [row.sentiment for row in found] == [-0.8, 0.6, 0.6, None, None, None]
    assert judge.asked == [["so bad", "so good"]], "one call a batch, every text once"


def test_keywords_become_topics_beside_the_item_s() -> None:
    found = rows(
        WordReader(None, FakeFinder()),
        ITEM,
        event(0, "search", "snowy owls"),
        event(1, "comment", "lovely Birds", "robin"),
        event(2, "comment", "lovely beak", "robin"),
        event(3, "comment", "lovely beak", "unknown"),
        event(4, "share", "steam trains"),
        event(5, "view", "ignored words", "robin"),
    )
    assert [row.topics for row in found] == [
        ("owls",),
        ("birds",),
        ("birds", "beak"),
        (),
        ("trains",),
        ("birds",),
    ]


def test_a_judge_that_fails_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    (found,) = rows(WordReader(FakeJudge(ValueError("broken"))), event(0, "comment", "so bad"))
    assert found.sentiment is None and found.action == ACTIONS.index(Action.COMMENT)
    assert "could not be read" in caplog.text
    assert "so bad" not in caplog.text, "no user's words in the log"


def test_without_a_reader_rows_are_as_they_were() -> None:
    (found,) = rows(WordReader(), event(0, "comment", "so bad"))
    assert found.sentiment is None and found.topics == ()


def test_case_makes_no_other_topic() -> None:
    assert joined_topics(("Birds",), ("birds", "owls")) == ("Birds", "owls")
