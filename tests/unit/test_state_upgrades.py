"""Stored states outlive the builds that wrote them: bytes of any version are read, and rewritten in passing.

A test that registers an older layout makes it up: the product has had one of each kind so far.
"""

import base64
import json
import zlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from state import codec, profile
from state.codec import decode, empty, encode
from state.errors import CodecError
from state.layout import FORMAT, MAGIC, RECORD, RECORD_BYTES
from state.profile import Profile, decode_profile, encode_profile
from state.versions import Versions
from streams.engine.processor import Work
from streams.errors import EngineError
from streams.interests.processor import KIND_FUSION, KIND_PROFILE, InterestsProcessor
from streams.settings import Settings
from tests.tastes import catalogue, item, row

GOLDEN = Path(__file__).parent / "golden"
STOCK = [item(number) for number in range(4)]
FIELDS = [name for name in RECORD.names or () if name not in ("cursor", "modalities")]
OLD_RECORD = np.dtype(
    [("magic", "S2"), ("format", "<u2"), ("model", "<u4")]
    + [(name, RECORD.fields[name][0]) for name in FIELDS[3:]]  # type: ignore[index]
)
"""A layout that was never written: no share of the modalities, and no cursor among the remembered events."""


def golden(version: int) -> dict[str, object]:
    found: dict[str, object] = json.loads((GOLDEN / f"states_{version}.json").read_text())
    return found


def golden_state(version: int) -> bytes:
    return zlib.decompress(base64.b64decode(str(golden(version)["fusion"])))


def golden_profile(version: int) -> bytes:
    return base64.b64decode(str(golden(version)["profile"]))


def model_of(state: bytes) -> int:
    return int.from_bytes(state[4:8], "little")


@pytest.mark.parametrize("version", range(1, FORMAT + 1))
def test_records_of_every_version_are_read_for_ever(version: int) -> None:
    state = golden_state(version)
    assert state[:4] == MAGIC + version.to_bytes(2, "little")
    (record,) = decode([state], model_of(state))
    holds = golden(version)["fusion_holds"]
    assert isinstance(holds, dict)
    ring = sorted(record["ring"], key=lambda slot: (slot["time"], slot["event"]))
    for slot, held in zip(ring, holds.pop("ring"), strict=True):
        assert slot["vector"][:4].tolist() == held.pop("vector")
        assert {name: slot[name].tolist() for name in held} == held
    assert set(holds.pop("remembered")) <= set(record["remembered"].tolist())
    for name, start in (("value", record["value"][:, :4]), ("dislike_value", record["dislike_value"][:4])):
        np.testing.assert_allclose(start, holds.pop(name), atol=1e-6)
    assert {name: record[name].tolist() for name in holds} == holds


@pytest.mark.parametrize("version", range(1, profile.VERSION + 1))
def test_profiles_of_every_version_are_read_for_ever(version: int) -> None:
    value = golden_profile(version)
    assert value[1] == version
    found = decode_profile(value)
    assert golden(version)["profile_holds"] == {
        **{name: getattr(found, name).hex() for name in ("seen", "disliked", "liked", "pending")},
        "topics": {name: list(mass) for name, mass in found.topics.items()},
        "searches": [list(search) for search in found.searches],
    }


def test_the_present_version_is_written_as_it_was_read() -> None:
    state = golden_state(FORMAT)
    assert encode(decode([state], model_of(state))) == [state]
    assert encode_profile(decode_profile(golden_profile(profile.VERSION))) == golden_profile(profile.VERSION)


def older_records(states: Sequence[bytes]) -> list[bytes]:
    """States in the older layout, as version FORMAT - 1."""
    records = np.frombuffer(b"".join(states), RECORD)
    old = np.zeros(len(records), OLD_RECORD)
    for name in OLD_RECORD.names or ():
        old[name] = records[name]
    old["format"] = FORMAT - 1
    return [each.tobytes() for each in old]


def step(values: Sequence[bytes]) -> list[bytes]:
    old = np.frombuffer(b"".join(values), OLD_RECORD)
    records = empty(len(old), 0)
    for name in OLD_RECORD.names or ():
        if name != "format":
            records[name] = old[name]
    return encode(records)


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers an older layout of both kinds of record."""
    monkeypatch.setattr(codec, "VERSIONS", replace_steps(codec.VERSIONS, step))
    monkeypatch.setattr(profile, "VERSIONS", replace_steps(profile.VERSIONS, profile_step))


def replace_steps(versions: Versions, made: object) -> Versions:
    return Versions(versions.kind, versions.current, versions.version_of, {versions.current - 1: made})  # type: ignore[dict-item]


def older_profile(value: bytes) -> bytes:
    """In a layout that has one member: the topics."""
    return msgspec.msgpack.encode([profile.VERSION - 1, decode_profile(value).topics])


def profile_step(values: Sequence[bytes]) -> list[bytes]:
    return [encode_profile(Profile(topics=msgspec.msgpack.decode(value)[1])) for value in values]


@pytest.mark.usefixtures("older")
def test_a_batch_of_old_and_new_is_read_in_its_order() -> None:
    states = encode(numbered(6))
    old = older_records(states)
    assert len(old[0]) < RECORD_BYTES
    mixed = [states[0], old[1], None, old[2], states[3], old[4], states[5]]
    records = decode(mixed, 7)
    assert records["version"].tolist() == [0, 1, 0, 2, 3, 4, 5]
    assert records["event_count"].tolist() == [100, 101, 0, 102, 103, 104, 105]
    assert set(records["format"].tolist()) == {FORMAT}
    assert encode(records[[0, 4, 6]]) == [states[0], states[3], states[5]]


def numbered(count: int) -> codec.Records:
    records = empty(count, 7)
    records["version"] = np.arange(count)
    records["event_count"] = np.arange(count) + 100
    return records


@pytest.mark.usefixtures("older")
def test_an_old_state_of_another_artifact_is_still_refused() -> None:
    with pytest.raises(CodecError, match="state of artifact 00000007 met artifact 00000008"):
        decode(older_records(encode(numbered(1))), 8)


@pytest.mark.usefixtures("older")
def test_what_is_stored_is_rewritten_with_its_next_change_and_not_before() -> None:
    """Both users' records are of the version before, and only ann does something."""
    made, fusion = catalogue(STOCK)
    processor = InterestsProcessor(fusion, made, Settings())
    before = apply(processor, {}, [row(user, 1, STOCK[0]) for user in ("ann", "bob")])
    old = {
        key: older_records([value])[0] if key.startswith(KIND_FUSION) else older_profile(value)
        for key, value in before.items()
    }
    after = apply(processor, old, [row("ann", 2, STOCK[0])])
    assert set(after) == {KIND_FUSION + b"ann", KIND_PROFILE + b"ann"}
    (record,) = decode([after[KIND_FUSION + b"ann"]], fusion.artifact.fingerprint)
    assert after[KIND_FUSION + b"ann"].startswith(codec.HEADER)
    assert (record["version"], record["event_count"]) == (2, 2)
    assert after[KIND_PROFILE + b"ann"][1] == profile.VERSION
    assert (
        decode_profile(after[KIND_PROFILE + b"ann"]).topics["birds"]
        > (decode_profile(before[KIND_PROFILE + b"ann"]).topics["birds"])
    )


def apply(
    processor: InterestsProcessor, stored: dict[bytes, bytes], rows: list[object]
) -> dict[bytes, bytes]:
    work = Work(rows, [], 10)  # type: ignore[arg-type]
    wanted = {key: stored.get(key) for key in processor.keys(work)}
    effects = processor.apply({0: work}, {0: wanted}, 1_800_000_000_000)[0]
    return {
        key: value
        for key, value in effects.puts.items()
        if value is not None and key[:1] in (KIND_FUSION, KIND_PROFILE)
    }


@pytest.mark.parametrize("kind", [KIND_FUSION, KIND_PROFILE])
def test_what_a_newer_build_wrote_stops_the_worker_with_both_versions_and_the_mend(kind: bytes) -> None:
    made, fusion = catalogue(STOCK)
    processor = InterestsProcessor(fusion, made, Settings())
    stored = apply(processor, {}, [row("ann", 1, STOCK[0])])
    value = bytearray(stored[kind + b"ann"])
    value[1 if kind == KIND_PROFILE else 2] = 3
    with pytest.raises(
        EngineError, match="of version 3, yet this build reads up to version 1: a newer build"
    ):
        apply(processor, {**stored, kind + b"ann": bytes(value)}, [row("ann", 2, STOCK[1])])


def test_steps_follow_each_other_and_leave_the_present_version_alone() -> None:
    asked: list[tuple[int, int]] = []

    def to(version: int) -> object:
        def raised(values: Sequence[bytes]) -> list[bytes]:
            asked.append((version, len(values)))
            return [bytes([version]) + value[1:] for value in values]

        return raised

    versions = Versions("thing", 4, lambda value: value[0], {2: to(3), 3: to(4)})  # type: ignore[dict-item]
    values = [b"\4a", b"\2b", b"\3c", b"\2d", b"\4e"]
    assert versions.upgrade(values) == [b"\4a", b"\4b", b"\4c", b"\4d", b"\4e"]
    assert asked == [(3, 2), (4, 3)]
    assert versions.upgrade([]) == []
    with pytest.raises(CodecError, match="thing of version 1, yet this build reads versions 2 to 4"):
        versions.upgrade([b"\4a", b"\1b"])
    with pytest.raises(CodecError, match="thing of version 9, yet this build reads up to version 4"):
        versions.upgrade([b"\2b", b"\x09"])
