"""`penchant user latest` without a broker: what is looked for, how far back, and what is shown."""

import itertools
import json
from collections.abc import Iterable, Iterator
from math import inf

import msgspec
import pytest
from click.testing import CliRunner, Result

from streams import latest as search
from streams import published
from streams.commands.user import user
from streams.errors import TopicError
from streams.latest import latest
from streams.partitioning import partition_of
from streams.raw import RawRecord
from streams.reading import Stretch
from streams.records import Interest, InterestDescription, Item, Reason, Recommendation, RecommendedItem
from streams.settings import Settings

SETTINGS = Settings()
NAMES = SETTINGS.topics
PARTITIONS, FIRST = 3, 20
INTEREST = Interest("ann", 7, 1_000, "m", [1.0], [], {"jazz": 0.6}, {"text": 1.0}, 9, ["e"], {})
SLATE = Recommendation(
    "ann", 6, 2_000, "m",
    [
        RecommendedItem("song-4", 0.71, 1, "interest", [Reason("song-17", ["jazz"])]),
        RecommendedItem("song-5", 0.5, 2, "trending"),
    ],
    [],
)  # fmt: skip
DESCRIPTION = InterestDescription(
    "ann",
    5,
    1_000,
    3_000,
    "en",
    "template",
    "Ann likes\x1b[2J jazz.",
    [],
    [],
    ["jazz"],
    [],
    "m",
    [1.0],
    [],
    "0",
)
ITEMS = [Item("song-4", "Blue Train"), Item("song-17", "Giant Steps")]


class FakeLog:
    """Topics in memory; `passed` counts the records that were read of each."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, int], list[RawRecord]] = {}
        self.passed: dict[str, int] = {}
        self.until = inf

    def write(self, topic: str, key: str, value: object, partition: int | None = None) -> None:
        number = partition_of(key.encode(), PARTITIONS) if partition is None else partition
        log = self.records.setdefault((topic, number), [])
        raw = value if value is None or isinstance(value, bytes) else msgspec.json.encode(value)
        log.append(RawRecord(topic, number, len(log), 0, key.encode(), raw))

    def fill(self, topic: str, key: str, count: int) -> None:
        """Records of others, in the key's own partition."""
        number = partition_of(key.encode(), PARTITIONS)
        for other in range(count):
            self.write(topic, f"other-{other}", {}, number)

    def homes(self, _: Settings, topics: Iterable[str], key: bytes) -> list[Stretch]:
        return [self._stretch(topic, partition_of(key, PARTITIONS)) for topic in topics]

    def whole(self, _: Settings, topic: str, settled: bool) -> list[Stretch]:
        return [self._stretch(topic, number) for number in range(PARTITIONS)]

    def read(self, _: Settings, stretches: Iterable[Stretch], until: float = inf) -> Iterator[RawRecord]:
        self.until = until
        for each in stretches:
            for record in self.records.get((each.topic, each.partition), [])[each.first : each.end]:
                self.passed[each.topic] = self.passed.get(each.topic, 0) + 1
                yield record

    def _stretch(self, topic: str, number: int) -> Stretch:
        return Stretch(topic, number, 0, len(self.records.get((topic, number), [])))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> FakeLog:
    made = FakeLog()
    monkeypatch.setattr(search, "read", made.read)
    monkeypatch.setattr(search, "FIRST", FIRST)
    monkeypatch.setattr(published, "homes", made.homes)
    monkeypatch.setattr(published, "whole", made.whole)
    return made


def shown(*words: str) -> Result:
    return CliRunner().invoke(user, ["latest", *words], obj=SETTINGS)


def publish(log: FakeLog) -> None:
    for item in ITEMS:
        log.write(NAMES.items, item.item_id, item, partition=1)
    log.write(NAMES.interests, "ann", msgspec.structs.replace(INTEREST, version=1))
    log.write(NAMES.interests, "ann", INTEREST)
    log.write(NAMES.recommendations, "ann", SLATE)
    log.write(NAMES.interest_descriptions, "ann", DESCRIPTION)


def test_the_latest_of_each_is_shown_with_titles_and_reasons(log: FakeLog) -> None:
    publish(log)
    result = shown("ann")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "ann: version 7, 9 events up to 1970-01-01 00:00:01Z (m)",
        "topics: jazz 0.60",
        "attention: text 100%",
        "slate of version 6, 1970-01-01 00:00:02Z:",
        "    1   0.710  Blue Train (song-4)  [interest: Giant Steps (song-17), jazz]",
        "    2   0.500  song-5  [trending]",
        "description of version 5 (template, en), 1970-01-01 00:00:03Z:",
        "  Ann likes\N{REPLACEMENT CHARACTER}[2J jazz.",
    ]


def test_json_has_the_records_as_they_are_published(log: FakeLog) -> None:
    publish(log)
    told = json.loads(shown("ann", "--json").stdout)
    assert told["user_id"] == "ann"
    assert msgspec.convert(told["interest"], Interest) == INTEREST
    assert msgspec.convert(told["recommendation"], Recommendation) == SLATE
    assert msgspec.convert(told["description"], InterestDescription) == DESCRIPTION
    assert told["titles"] == {"song-4": "Blue Train", "song-17": "Giant Steps"}


def test_who_was_forgotten_has_nothing(log: FakeLog) -> None:
    publish(log)
    for topic in (NAMES.interests, NAMES.recommendations, NAMES.interest_descriptions):
        log.write(topic, "ann", None)
    result = shown("ann")
    assert result.exit_code == 1
    assert "ann: nothing is published" in result.stderr
    assert result.stdout == ""
    assert json.loads(shown("nobody", "--json").stdout)["interest"] is None


def test_an_interest_may_stand_without_a_slate(log: FakeLog) -> None:
    log.write(NAMES.interests, "ann", INTEREST)
    assert shown("ann").stdout.splitlines()[-1] == "no slate"


def test_items_that_are_withdrawn_or_no_items_go_by_their_ids(log: FakeLog) -> None:
    publish(log)
    log.write(NAMES.items, "song-4", None, partition=1)
    log.write(NAMES.items, "song-17", b"not json", partition=1)
    assert "0.710  song-4  [interest: song-17, jazz]" in shown("ann").stdout


def test_what_is_no_record_of_ours_is_named_by_its_place(log: FakeLog) -> None:
    log.write(NAMES.interests, "ann", b"not json")
    result = shown("ann")
    assert isinstance(result.exception, TopicError)
    assert f"{NAMES.interests}-{partition_of(b'ann', PARTITIONS)}@0: no interest of ours" in str(
        result.exception
    )


def test_of_a_long_topic_only_the_end_is_read_where_that_is_enough(log: FakeLog) -> None:
    log.fill(NAMES.interests, "ann", 5 * FIRST)
    log.write(NAMES.interests, "ann", INTEREST)
    assert shown("ann").exit_code == 0
    assert log.passed[NAMES.interests] <= FIRST


def test_what_lies_at_the_very_beginning_is_found(log: FakeLog) -> None:
    log.write(NAMES.interests, "ann", INTEREST)
    log.fill(NAMES.interests, "ann", 10 * FIRST)
    assert shown("ann").exit_code == 0
    assert log.passed[NAMES.interests] == 10 * FIRST + 1, "nothing is read twice"


def test_of_two_the_later_one_holds_wherever_looks_begin(log: FakeLog) -> None:
    for before in (FIRST - 1, FIRST, FIRST + 1):
        topic = f"topic-{before}"
        log.write(topic, "ann", b"1")
        log.write(topic, "ann", b"2")
        log.fill(topic, "ann", before)
        (record,) = latest(SETTINGS, log.homes(SETTINGS, [topic], b"ann"), {topic: {b"ann"}}).values()
        assert record.value == b"2"


def test_a_look_that_is_cut_off_tells_nothing_old(log: FakeLog, monkeypatch: pytest.MonkeyPatch) -> None:
    log.write("items", "a", b"1")
    log.write("items", "a", b"2")
    ticks = itertools.count()
    monkeypatch.setattr("streams.latest.time.monotonic", lambda: next(ticks))
    assert latest(SETTINGS, log.homes(SETTINGS, ["items"], b"a"), {"items": {b"a"}}, seconds=2) == {}


def test_looking_has_an_end(log: FakeLog) -> None:
    log.write("items", "a", b"1")
    log.fill("items", "a", 10 * FIRST)
    assert latest(SETTINGS, log.homes(SETTINGS, ["items"], b"a"), {"items": {b"a"}}, seconds=0.0) == {}


def test_reading_ends_with_the_time_that_is_given(log: FakeLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.latest.time.monotonic", lambda: 100.0)
    log.write("items", "a", b"1")
    latest(SETTINGS, log.homes(SETTINGS, ["items"], b"a"), {"items": {b"a"}}, seconds=5)
    assert log.until == 105.0


def test_what_was_found_is_shown_where_titles_cannot_be_had(
    log: FakeLog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(*_: object, **__: object) -> list[Stretch]:
        raise TopicError("items: missing")

    publish(log)
    monkeypatch.setattr(published, "whole", missing)
    result = shown("ann", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["recommendation"]["items"][0]["item_id"] == "song-4"
    assert "no titles: items: missing" in caplog.text
