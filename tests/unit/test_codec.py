"""The fusion record: size, round trip, and what it refuses."""

import numpy as np
import pytest

from state.codec import decode, empty, encode
from state.errors import CodecError
from state.layout import RECORD, RECORD_BYTES
from tests.fusion_samples import FUSIONS, event, fold

MODEL = 0xABCD1234


def noise(count: int) -> np.ndarray:
    records = np.frombuffer(np.random.default_rng(1).bytes(count * RECORD_BYTES), RECORD).copy()
    fresh = empty(count, MODEL)
    for name in ("magic", "format", "model"):
        records[name] = fresh[name]
    return records


def test_a_record_is_small_and_always_of_one_size() -> None:
    assert RECORD_BYTES <= 6_000
    fusion = FUSIONS["prior"]
    assert {len(fold(fusion, [event(n) for n in range(count)])) for count in (0, 1, 33, 200)} == {
        RECORD_BYTES
    }


def test_round_trip() -> None:
    states = encode(noise(5))
    mixed = [states[0], None, *states[1:]]
    records = decode(mixed, MODEL)
    assert encode(records[[0, 2, 3, 4, 5]]) == states
    assert encode(records[1:2]) == encode(empty(1, MODEL))


def test_decoded_records_can_be_written_and_leave_the_bytes_alone() -> None:
    state = encode(noise(1))[0]
    kept = bytes(bytearray(state))
    decode([state], MODEL)["version"] += 1
    assert state == kept


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda state: b"XX" + state[2:], "not a fusion record"),
        (
            lambda state: state[:2] + b"\x63\x00" + state[4:],
            "of version 99, yet this build reads up to version 1",
        ),
        (lambda state: state[:-1], f"{RECORD_BYTES - 1} bytes"),
        (lambda state: state + b"\x00", f"{RECORD_BYTES + 1} bytes"),
        (lambda state: b"", "not a fusion record"),
        (lambda state: state[:4] + b"\x00\x00\x00\x00" + state[8:], "abcd1234"),
    ],
)
def test_other_bytes_are_refused(change: object, word: str) -> None:
    good = encode(noise(2))
    with pytest.raises(CodecError, match=word):
        decode([good[0], change(good[1])], MODEL)


def test_the_head_of_a_record_never_moves() -> None:
    assert [(name, RECORD.fields[name][1]) for name in ("magic", "format", "model")] == [
        ("magic", 0),
        ("format", 2),
        ("model", 4),
    ]
