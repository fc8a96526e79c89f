"""Interests and slates on the real engine, without a broker."""

import itertools
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.events import ACTIONS, NO_TOPIC, Action, Pack, Row, RowKind
from state.profile import decode_profile
from state.settings import RecommendSettings
from state.trending import ItemDelta
from streams.engine.engine import EngineOptions
from streams.engine.faults import no_fault
from streams.engine.processor import Output, Work
from streams.errors import EngineError, RecordError
from streams.interests.processor import KIND_FUSION, KIND_PROFILE, InterestsProcessor
from streams.interests.signals import SignalsProcessor
from streams.records import Interest, Recommendation
from streams.settings import Settings
from streams.testing import START_MS, Driver
from tests.tastes import START, catalogue, item, pack, row

STOCK = [item(number) for number in range(30)]
TOPICS = Settings().topics
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def processor(options: RecommendSettings | None = None) -> InterestsProcessor:
    made, fusion = catalogue(STOCK)
    return InterestsProcessor(fusion, made, Settings(recommend=options or RecommendSettings()))


def interests(outputs: Sequence[Output]) -> list[Interest]:
    return [msgspec.json.decode(output.value or b"", type=Interest) for output in outputs]


def slates(outputs: Sequence[Output]) -> list[Recommendation]:
    return [msgspec.json.decode(output.value or b"", type=Recommendation) for output in outputs]


def headers(output: Output) -> dict[str, bytes]:
    return dict(output.headers)


def test_one_event_gives_one_interest_and_one_slate() -> None:
    driver = Driver(processor())
    event = row("ann", 40, STOCK[0], Action.LIKE, traceparent=TRACE)
    driver.push(pack([event], 40))
    (output,) = driver.read(TOPICS.interests)
    (interest,) = interests([output])
    assert output.key == b"ann"
    assert headers(output) == {"event_time": b"%d" % event.time, "traceparent": TRACE.encode()}
    assert (interest.user_id, interest.version, interest.event_count) == ("ann", 1, 1)
    assert interest.timestamp == event.time
    assert interest.model == "content-prior-1"
    assert interest.caused_by == ["event-40"]
    assert interest.as_of == {"0": 41}
    assert sum(number**2 for number in interest.vector) == pytest.approx(1.0, abs=1e-3)
    assert sum(head.weight for head in interest.heads) == pytest.approx(1.0, abs=1e-3)
    assert {len(head.vector) for head in interest.heads} == {64}
    assert interest.heads[-1].half_life_seconds is None
    assert interest.topics == {"birds": 0.5, "tag-0": 0.5}
    assert interest.modalities == {"image": 1.0}
    (output,) = driver.read(TOPICS.recommendations)
    (slate,) = slates([output])
    assert output.key == b"ann"
    assert headers(output) == {"event_time": b"%d" % event.time, "traceparent": TRACE.encode()}
    assert (slate.user_id, slate.version, slate.timestamp) == ("ann", 1, event.time)
    assert [place.rank for place in slate.items] == list(range(1, 11))
    assert "item-0" not in [place.item_id for place in slate.items]
    assert slate.items[0].reasons[0].item_id == "item-0"
    assert slate.items[0].reasons[0].topics[0] == "birds"


def test_outputs_are_one_per_user_and_micro_batch() -> None:
    driver = Driver(processor())
    rows = [row(user, turn, STOCK[turn]) for turn, user in enumerate(["ann", "bob", "ann", "ann", "bob"])]
    driver.push_many([pack(rows[:2], 0), pack(rows[2:], 2)])
    found = interests(driver.read(TOPICS.interests))
    assert [(made.user_id, made.version, made.caused_by) for made in found] == [
        ("ann", 3, ["event-0", "event-2", "event-3"]),
        ("bob", 2, ["event-1", "event-4"]),
    ]
    assert [made.user_id for made in slates(driver.read(TOPICS.recommendations))] == ["ann", "bob"]


def test_a_duplicate_gives_no_output_and_changes_nothing() -> None:
    driver = Driver(processor())
    event = row("ann", 0, STOCK[0])
    driver.push(pack([event], 0))
    before = driver.stored(prefix=KIND_FUSION), driver.stored(prefix=KIND_PROFILE)
    driver.read(TOPICS.interests)
    driver.read(TOPICS.recommendations)
    driver.push(pack([msgspec.structs.replace(event, offset=1)], 1))
    assert driver.read(TOPICS.interests) == driver.read(TOPICS.recommendations) == []
    assert (driver.stored(prefix=KIND_FUSION), driver.stored(prefix=KIND_PROFILE)) == before


def test_an_amendment_brings_vector_and_topics() -> None:
    driver = Driver(processor())
    bare = row("ann", 0, STOCK[0], vectors={}, topics=(), masked={1: "unknown_item"})
    driver.push(pack([bare], 0))
    (first,) = interests(driver.read(TOPICS.interests))
    assert first.topics == {}
    assert not any(first.vector)
    whole = row("ann", 0, STOCK[0], offset=-1, kind=int(RowKind.AMEND), sequence=1)
    driver.push(corrections([whole]))
    (amended,) = interests(driver.read(TOPICS.interests))
    assert amended.topics == {"birds": 0.5, "tag-0": 0.5}
    assert any(amended.vector)
    assert (amended.version, amended.event_count, amended.as_of) == (2, 1, {"0": 1})
    driver.push(corrections([whole]))
    assert driver.read(TOPICS.interests) == []


def corrections(rows: list[Row]) -> bytes:
    return msgspec.msgpack.encode([-1, -1, rows])


def test_an_event_without_media_counts_and_gets_what_is_in_demand() -> None:
    driver = Driver(processor())
    driver.push(pack([row("ann", 0, None, Action.SEARCH, text="Boats please")], 0))
    (interest,) = interests(driver.read(TOPICS.interests))
    assert interest.event_count == 1
    assert interest.heads == []
    assert interest.topics == {"boats": 1.0}
    (slate,) = slates(driver.read(TOPICS.recommendations))
    assert {place.source for place in slate.items} == {"new"}


def test_item_deltas_count_by_item_and_action() -> None:
    driver = Driver(processor())
    rows = [
        row("ann", 0, STOCK[0]),
        row("bob", 1, STOCK[0]),
        row("ann", 2, STOCK[0], Action.LIKE),
        row("ann", 3, STOCK[4]),
        row("ann", 4, None, Action.SEARCH, text="boats"),
    ]
    driver.push(pack([*rows, msgspec.structs.replace(rows[0], offset=5)], 0))
    deltas = [
        (output.key, msgspec.msgpack.decode(output.value or b"", type=ItemDelta))
        for output in driver.read(TOPICS.item_deltas)
    ]
    view, like = ACTIONS.index(Action.VIEW), ACTIONS.index(Action.LIKE)
    assert deltas == [
        (b"item-0", ItemDelta("item-0", rows[2].time, {view: 2, like: 1})),
        (b"item-4", ItemDelta("item-4", rows[3].time, {view: 1})),
    ]


def test_deltas_become_signals_that_rank_what_is_in_demand() -> None:
    driver = Driver(processor())
    driver.push(pack([row(f"u{turn}", turn, STOCK[turn % 3]) for turn in range(8)], 0))
    signals = Driver(SignalsProcessor(Settings()))
    signals.push_many([output.value or b"" for output in driver.read(TOPICS.item_deltas)])
    made = {output.key: output.value for output in signals.read(TOPICS.item_signals)}
    assert set(made) == {b"item-0", b"item-1", b"item-2"}
    assert {b"c" + key: value for key, value in made.items()} == signals.stored(prefix=b"c")


def test_signals_do_not_hang_on_the_cut_into_batches() -> None:
    deltas = [msgspec.msgpack.encode(ItemDelta(f"i{n % 3}", START + 977 * n, {0: n + 1})) for n in range(20)]
    whole, single = Driver(SignalsProcessor(Settings())), Driver(SignalsProcessor(Settings()))
    whole.push_many(deltas)
    for delta in deltas:
        single.push(delta)
    assert whole.stored(prefix=b"c") == single.stored(prefix=b"c")


histories = st.lists(
    st.tuples(st.sampled_from(["ann", "bob", "cat"]), st.integers(0, 29), st.sampled_from(list(Action))),
    min_size=1,
    max_size=40,
)


@settings(max_examples=15, deadline=None)
@given(histories, st.lists(st.integers(1, 39), max_size=5), st.integers(1, 40))
def test_profiles_do_not_hang_on_packs_batches_or_restarts(
    history: list[tuple[str, int, Action]], cuts: list[int], batch_rows: int
) -> None:
    rows = [row(user, turn, STOCK[number], action) for turn, (user, number, action) in enumerate(history)]
    whole = Driver(processor())
    whole.push(pack(rows, 0))
    parts = Driver(processor(), options=EngineOptions("parts", batch_rows, no_fault))
    edges = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
    for start, end in itertools.pairwise(edges):
        parts.push(pack(rows[start:end], start))
        parts.restart(processor(), wipe=True)
    assert parts.stored(prefix=KIND_PROFILE) == whole.stored(prefix=KIND_PROFILE)
    for value in whole.stored(prefix=KIND_PROFILE).values():
        decode_profile(value)


def test_a_slate_follows_the_last_one_after_the_interval() -> None:
    driver = Driver(processor(RecommendSettings(min_interval_seconds=2.0)))
    driver.push(pack([row("ann", 0, STOCK[0])], 0))
    assert len(driver.read(TOPICS.recommendations)) == 1
    driver.advance(500)
    driver.push(pack([row("ann", 1, STOCK[1], traceparent=TRACE)], 1))
    driver.push(pack([row("ann", 2, STOCK[2])], 2))
    assert driver.read(TOPICS.recommendations) == []
    assert [made.version for made in interests(driver.read(TOPICS.interests))] == [1, 2, 3]
    driver.advance(1_499)
    assert driver.read(TOPICS.recommendations) == []
    driver.advance(1)
    (output,) = driver.read(TOPICS.recommendations)
    (slate,) = slates([output])
    assert (slate.version, slate.caused_by) == (3, ["event-1", "event-2"])
    assert headers(output) == {"event_time": b"%d" % row("ann", 2, None).time, "traceparent": TRACE.encode()}
    assert not {"item-0", "item-1", "item-2"} & {place.item_id for place in slate.items}
    driver.advance(2_000)
    assert driver.read(TOPICS.recommendations) == []
    assert driver.stored(prefix=b"h") == {}


@pytest.mark.parametrize("wipe", [False, True])
def test_a_held_slate_survives_the_end_of_its_worker(wipe: bool) -> None:
    options = RecommendSettings(min_interval_seconds=2.0)
    driver = Driver(processor(options))
    driver.push(pack([row("ann", 0, STOCK[0])], 0))
    driver.push(pack([row("ann", 1, STOCK[1])], 1))
    driver.read(TOPICS.recommendations)
    driver.restart(processor(options), wipe=wipe)
    driver.advance(2_000)
    (slate,) = slates(driver.read(TOPICS.recommendations))
    assert slate.caused_by == ["event-1"]


def test_an_item_that_expires_while_its_slate_is_held_is_not_in_it() -> None:
    expiring = item(6, expires_at=START_MS + 1_000)
    made, fusion = catalogue([STOCK[0], expiring, STOCK[12]])
    options = Settings(recommend=RecommendSettings(min_interval_seconds=2.0))
    driver = Driver(InterestsProcessor(fusion, made, options))
    driver.push(pack([row("ann", 0, STOCK[0])], 0))
    driver.push(pack([row("ann", 1, STOCK[0], broker_time=START_MS + 10)], 1))
    (first,) = slates(driver.read(TOPICS.recommendations))
    driver.advance(2_000)
    (second,) = slates(driver.read(TOPICS.recommendations))
    assert sorted(place.item_id for place in first.items) == ["item-12", "item-6"]
    assert [place.item_id for place in second.items] == ["item-12"]


def test_users_of_several_partitions_are_worked_on_together() -> None:
    driver = Driver(processor(), partitions=2)
    driver.push(pack([row("ann", 0, STOCK[0])], 0), 0)
    driver.push(pack([row("bob", 7, STOCK[1])], 7), 1)
    found = interests(driver.read(TOPICS.interests))
    assert [(made.user_id, made.as_of) for made in found] == [("ann", {"0": 1}), ("bob", {"1": 8})]
    assert list(driver.stored(1, KIND_FUSION)) == [KIND_FUSION + b"bob"]


def test_a_user_may_have_any_name() -> None:
    driver = Driver(processor(RecommendSettings(min_interval_seconds=1.0)))
    names = ["p", "h", "\0", "u", "日本", "s" * 512]
    driver.push(pack([row(name, turn, STOCK[turn]) for turn, name in enumerate(names)], 0))
    assert [made.user_id for made in interests(driver.read(TOPICS.interests))] == names


def test_bytes_that_are_no_pack_are_refused() -> None:
    made, fusion = catalogue([])
    for value in (b"", b"\xc1", b"{}"):
        with pytest.raises(RecordError, match=r".+"):
            InterestsProcessor(fusion, made, Settings()).decode(value)
        with pytest.raises(RecordError, match=r".+"):
            SignalsProcessor(Settings()).decode(value)


def test_stored_bytes_of_another_build_stop_the_worker() -> None:
    work = {0: Work([row("ann", 1, STOCK[1])], [], 2)}
    for kind in (KIND_FUSION, KIND_PROFILE):
        with pytest.raises(EngineError):
            processor().apply(work, {0: {kind + b"ann": b"\x01other"}}, 0)


def test_freshness_is_counted_for_each_event_that_counted() -> None:
    made, fusion = catalogue(STOCK)
    engine_side = InterestsProcessor(fusion, made, Settings())
    events = [row("ann", 0, STOCK[0]), row("bob", 1, STOCK[1])]
    again = msgspec.structs.replace(events[0], offset=2)
    batch = engine_side.decode(pack([*events, again], 0))
    effects = engine_side.apply({0: Work(list(batch.rows), [], 3)}, {0: {}}, 0)
    assert effects[0].broker_times == [event.broker_time for event in events]
    assert effects[0].counts == {"applied": 2, "duplicate": 1}


def test_an_empty_catalogue_gives_an_empty_slate() -> None:
    made, fusion = catalogue([])
    driver = Driver(InterestsProcessor(fusion, made, Settings()))
    driver.push(pack([row("ann", 0, STOCK[0])], 0))
    (slate,) = slates(driver.read(TOPICS.recommendations))
    assert slate.items == []


def test_rows_of_a_later_build_are_set_aside_and_the_others_count() -> None:
    driver = Driver(processor())
    late = len(ACTIONS)
    rows = [
        row("ann", 0, STOCK[0]),
        msgspec.structs.replace(row("ann", 1, STOCK[1]), action=late),
        msgspec.structs.replace(row("bob", 2, STOCK[2]), action=-1),
        msgspec.structs.replace(row("bob", 3, STOCK[3]), kind=len(RowKind)),
        row("bob", 4, STOCK[4]),
    ]
    driver.push(pack(rows, 0))
    driver.push(pack([row("ann", 5, STOCK[5])], 5))
    found = interests(driver.read(TOPICS.interests))
    assert [(made.user_id, made.event_count) for made in found] == [("ann", 1), ("bob", 1), ("ann", 2)]
    letters = driver.read(TOPICS.dead_letters)
    assert [headers(letter)["error_class"] for letter in letters] == [b"unknown_row"] * 3
    alone = msgspec.msgpack.decode(letters[0].value or b"", type=Pack)
    assert (alone.first, alone.rows) == (-1, [rows[1]])


def test_an_interest_names_the_topic_that_it_is_as_of() -> None:
    driver = Driver(processor())
    first = Pack(0, 1, [row("ann", 0, STOCK[0])], bytes(range(16)), (NO_TOPIC, -1))
    driver.push(msgspec.msgpack.encode(first))
    anew = msgspec.structs.replace(row("ann", 0, STOCK[1]), event_id="another")
    driver.push(msgspec.msgpack.encode(Pack(0, 1, [anew], b"x" * 16, (first.topic, 1))))
    before, after = interests(driver.read(TOPICS.interests))
    assert (before.as_of, before.as_of_topic) == ({"0": 1}, "AAECAwQFBgcICQoLDA0ODw")
    assert (after.event_count, after.as_of) == (2, {"0": 1})
    assert after.as_of_topic == "eHh4eHh4eHh4eHh4eHh4eA"


def test_a_pack_of_a_build_that_wrote_no_topic_is_read() -> None:
    driver = Driver(processor())
    driver.push(msgspec.msgpack.encode([0, 1, [row("ann", 0, STOCK[0])]]))
    (made,) = interests(driver.read(TOPICS.interests))
    assert (made.as_of, made.as_of_topic) == ({"0": 1}, "")
