"""The encode stage takes its share of the records, and fetches media of the next batch meanwhile."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from encoders.base import Encoded, Medium
from encoders.errors import MediumError
from encoders.fetch.request import FetchRequest
from streams.encode.packs import Border
from streams.encode.stage import Share
from tests.topology.test_encode_stage import BASE, Bench, picture, rows


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_no_more_than_the_allowed_records_are_taken(bench: Bench) -> None:
    records = [bench.event(text=f"words {number}") for number in range(5)]
    outcome = bench.stage.process(records, {1: Border(0)}, share=Share(records=3))
    assert (outcome.taken, len(rows(outcome))) == (3, 3)


def test_media_of_the_batch_to_come_are_fetched_once_and_change_nothing(bench: Bench) -> None:
    records = [
        bench.event(media=[picture("a")]),
        bench.record("interactions", "u1", b'"uri" in no event'),
        bench.event(media=[picture("b"), picture("a")]),
        bench.event(media=[picture("!too_slow")], text="words"),
        bench.item("i1", title="T", media=[picture("c")]),
        bench.event(media=[picture("d")]),
    ]
    taken, packs, at = 0, [], 0
    while taken < len(records):
        outcome = bench.stage.process(records[taken:], {1: Border(at)}, share=Share(1, 2))
        bench.stage.settle(outcome)
        taken += outcome.taken
        at = records[taken - 1].offset + 1
        packs += rows(outcome)
        if bench.stage._ahead._work is not None:
            bench.stage._ahead._work.result(60)
    plain = Bench()
    expected = plain.stage.process(records, {1: Border(0)})
    assert packs == rows(expected)
    assert len({one.offset for one in packs}) == 4
    # What a batch in hand encodes is fetched with it alone; nothing is fetched twice but that.
    asked = [one.uri.removeprefix(BASE) for one in bench.fetcher.asked]
    assert sorted(asked) == ["!too_slow", "a", "a", "b", "c", "d"]
    assert sorted(one.uri.removeprefix(BASE) for one in plain.fetcher.asked) == sorted(set(asked))


def test_the_next_batch_is_being_fetched_while_this_one_is_encoded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, fetch, encode = threading.Event(), bench.fetcher.fetch_many, bench.bank.encode

    def noted(requests: Sequence[FetchRequest], *rest: Any) -> list[bytes | MediumError]:
        if [request.uri for request in requests] == [BASE + "b"]:
            asked.set()
        return fetch(requests, *rest)

    def encode_then(media: Sequence[Medium]) -> list[Encoded]:
        assert asked.wait(60)
        return encode(media)

    monkeypatch.setattr(bench.fetcher, "fetch_many", noted)
    monkeypatch.setattr(bench.bank, "encode", encode_then)
    records = [bench.event(media=[picture(name)]) for name in ("a", "b")]
    outcome = bench.stage.process(records, {1: Border(0)}, share=Share(1, 1))
    assert (outcome.taken, len(rows(outcome))) == (1, 1)
    assert not outcome.dead_letters
