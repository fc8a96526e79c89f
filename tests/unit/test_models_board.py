"""What processes agree on about models: records of the board, names that go with a model."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from streams.engine.kafka_engine import EngineSpec
from streams.errors import EngineError, PromotionError
from streams.models.board import (
    POINTER,
    Ack,
    Board,
    Entry,
    Pointer,
    ack_key,
    changelog_of,
    entry_key,
    owner_of,
    spec_of,
    turned_key,
)
from streams.models.live import whole_model
from streams.settings import Settings

FIRST = Entry("prior-1", 0xA, 1, first=True)
SECOND = Entry("learnt-2", 0xB, 2)
TWIN = Entry("learnt-2", 0xC, 3)


def board(*entries: Entry, pointer: Pointer | None = None) -> Board:
    made = Board()
    for entry in entries:
        made.take(entry_key(entry.fingerprint), msgspec.json.encode(entry))
    if pointer is not None:
        made.take(POINTER, msgspec.json.encode(pointer))
    return made


def test_records_come_back_and_go() -> None:
    made = board(FIRST, SECOND, pointer=Pointer(3, 0xB, 0xA))
    ack = Ack(0xA, 0xB, 5)
    made.take(ack_key("one"), msgspec.json.encode(ack))
    made.take(turned_key(3, 0), b"{}")
    assert made.entries == {0xA: FIRST, 0xB: SECOND}
    assert made.acks == {"one": ack}
    assert made.waiting(2) == [1]
    kept = made.copy()
    made.take(entry_key(0xB), None)
    made.take(ack_key("one"), None)
    made.take(turned_key(3, 0), None)
    made.take(b"of-a-later-build/7", b"?")
    assert (made.entries, made.acks, made.waiting(2)) == ({0xA: FIRST}, {}, [0, 1])
    assert kept.waiting(2) == [1]
    assert kept.acks == {"one": ack}


def test_nothing_waits_where_nothing_was_promoted() -> None:
    assert board().waiting(4) == []
    assert board(FIRST, pointer=Pointer(0, 0xA, building=0xB)).waiting(4) == []


def test_a_model_is_found_by_version_and_by_code() -> None:
    made = board(FIRST, SECOND)
    assert made.named("learnt-2") == made.named("0000000b") == SECOND
    with pytest.raises(PromotionError, match=r"nobody: .*known: prior-1 \(0000000a\), learnt-2"):
        made.named("nobody")
    with pytest.raises(PromotionError, match=r"several models.*0000000b, 0000000c"):
        board(FIRST, SECOND, TWIN).named("learnt-2")


def test_each_model_has_a_changelog_transactions_and_a_folder_of_its_own() -> None:
    settings = Settings()
    base = EngineSpec("interests", "packs", changelog_of(settings, None), Path("data/0/interests"))
    assert spec_of(settings, None, base) == spec_of(settings, FIRST, base) == base
    other = spec_of(settings, SECOND, base)
    assert other.changelog == f"{base.changelog}-0000000b"
    assert other.folder == Path("data/0/interests-0000000b")
    assert other.owner == owner_of(settings, SECOND) == "penchant-interests-0000000b"
    assert replace(other, changelog=base.changelog, folder=base.folder, owner=base.owner) == base


def test_readers_of_states_stay_with_the_former_model_until_all_partitions_went_over() -> None:
    made = board(FIRST, SECOND, pointer=Pointer(1, 0xB, 0xA))
    assert whole_model(board(), 2) == (None, 0)
    assert whole_model(made, 2) == (FIRST, 0)
    for number in range(2):
        made.take(turned_key(1, number), b"{}")
    assert whole_model(made, 2) == (SECOND, 1)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (POINTER, b"{"),
        (POINTER, b'{"generation": "1"}'),
        (b"model/xyz", b"{}"),
        (entry_key(0xA), b"\xff"),
        (b"turned/1", b"{}"),
        (b"worker/\xff", b"{}"),
    ],
)
def test_a_record_that_cannot_be_read_changes_nothing(key: bytes, value: bytes) -> None:
    made = board(FIRST, SECOND, pointer=Pointer(1, 0xB, 0xA))
    before = made.copy()
    made.take(key, value)
    assert made == before


def test_a_model_that_serves_and_has_no_entry_is_told() -> None:
    made = board(FIRST, pointer=Pointer(1, 0xB, 0xA))
    made.turned.add((1, 0))
    with pytest.raises(EngineError, match="model 0000000b is to serve, and is not among the models"):
        whole_model(made, 1)
