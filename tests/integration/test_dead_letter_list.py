"""Dead letters on a real Kafka, seen through `penchant dead-letters list` and `show`."""

import json

import pytest
from msgspec.structs import replace
from test_commands import penchant

from streams.broker import LocalCluster
from streams.raw import RawRecord
from streams.settings import Settings
from streams.topics import create_topics
from tests.integration.conftest import fresh_settings
from tests.letter_harness import good, headers_of, letters_of, place_of, put_letter, send


@pytest.fixture(scope="module")
def filled(kafka: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = fresh_settings(kafka.bootstrap_servers, tmp_path_factory.mktemp("filled"))
    create_topics(settings)
    names = settings.topics
    put_letter(settings, RawRecord(names.interactions, 1, 1, 1, b"u", b"{"), "not_json", time=1_000)
    put_letter(settings, RawRecord(names.interactions, 1, 2, 1, b"\xff", b"x"), "not_json", time=3_000)
    put_letter(settings, RawRecord(names.items, 0, 7, 1, b"i", b"{}"), "invalid_record", time=2_000)
    put_letter(
        settings,
        RawRecord(names.interactions_encoded, 0, 7, 1, None, b"p"),
        "not_a_pack",
        stage="interests",
        time=4_000,
    )
    send(settings, names.dead_letters, b"u", b"a foreign record")
    return settings


class TestList:
    def times(self, settings: Settings, *arguments: str) -> list[int]:
        result = penchant(settings, "dead-letters", "list", "--json", *arguments)
        assert result.exit_code == 0, result.output
        return [json.loads(line)["time"] for line in result.stdout.splitlines()]

    def test_newest_first(self, filled: Settings) -> None:
        assert self.times(filled) == [4_000, 3_000, 2_000, 1_000]
        assert self.times(filled, "--limit", "2") == [4_000, 3_000]
        assert "2 more; --limit 0" in penchant(filled, "dead-letters", "list", "--limit", "2").stderr
        assert self.times(filled, "--limit", "0") == [4_000, 3_000, 2_000, 1_000]

    def test_by_partition(self, filled: Settings) -> None:
        stored = [int(headers_of(m)["time"] or 0) for m in letters_of(filled)]
        found = self.times(filled, "--by-partition")
        assert sorted(found) == sorted(stored)
        for number in range(4):
            own = [int(headers_of(m)["time"] or 0) for m in letters_of(filled) if m.partition() == number]
            assert [time for time in found if time in own] == own
        assert len(self.times(filled, "--by-partition", "--limit", "1")) == 1

    def test_filters(self, filled: Settings) -> None:
        names = filled.topics
        assert self.times(filled, "--stage", "interests") == [4_000]
        assert self.times(filled, "--error-class", "not_json") == [3_000, 1_000]
        assert self.times(filled, "--error-class", "not_json", "--error-class", "invalid_record") == [
            3_000,
            2_000,
            1_000,
        ]
        assert self.times(filled, "--topic", names.items) == [2_000]
        assert self.times(filled, "--key", "u") == [1_000]
        assert self.times(filled, "--key", "0xff") == [3_000]
        assert self.times(filled, "--since", "2000", "--until", "1970-01-01T00:00:04Z") == [3_000, 2_000]
        assert self.times(filled, "--since", "1h") == []
        assert self.times(filled, "--error-class", "not_json", "--key", "i") == []

    def test_a_time_that_is_none(self, filled: Settings) -> None:
        result = penchant(filled, "dead-letters", "list", "--since", "soon")
        assert result.exit_code == 2
        assert "'soon'" in result.stderr

    def test_summary(self, filled: Settings) -> None:
        lines = penchant(filled, "dead-letters", "list", "--summary").stdout.splitlines()
        assert [line.split()[:2] for line in lines] == [
            ["2", "not_json"],
            ["1", "invalid_record"],
            ["1", "not_a_pack"],
        ]
        counted = penchant(filled, "dead-letters", "list", "--summary", "--json", "--key", "u").stdout
        assert json.loads(counted) == {
            "error_class": "not_json",
            "stage": "encode",
            "topic": filled.topics.interactions,
            "letters": 1,
            "redriven": 0,
            "first": 1_000,
            "last": 1_000,
        }

    def test_redriven_ones_are_left_out(self, settings: Settings) -> None:
        names = settings.topics
        put_letter(settings, RawRecord(names.interactions, 1, 3, 1, b"v", good("v")), "x", time=5_000)
        put_letter(settings, RawRecord(names.interactions, 1, 4, 1, b"v", good("v")), "y", time=6_000)
        assert penchant(settings, "dead-letters", "redrive", "--error-class", "x").exit_code == 0
        assert self.times(settings) == [6_000]
        assert self.times(settings, "--redriven") == [6_000, 5_000]
        assert "1 redriven" in penchant(settings, "dead-letters", "list", "--summary").stdout

    def test_show(self, filled: Settings) -> None:
        places = {headers_of(m)["time"]: place_of(m) for m in letters_of(filled)}
        shown = penchant(filled, "dead-letters", "show", places[b"1000"], places[b"2000"]).stdout
        assert "not_json: why it is not_json" in shown and "00000000  7b " in shown
        assert "invalid_record: why it is invalid_record" in shown and "\n{}" in shown
        raw = penchant(filled, "dead-letters", "show", places[b"3000"], "--raw")
        assert raw.stdout == "x"
        line = json.loads(penchant(filled, "dead-letters", "show", places[b"1000"], "--json").stdout)
        assert (line["letter"], line["value_base64"]) == (places[b"1000"], "ew==")

    def test_show_what_is_not_there(self, filled: Settings) -> None:
        result = penchant(filled, "dead-letters", "show", "3:99", "77:1")
        assert result.exit_code == 1
        assert "3:99: no dead letter" in result.stderr and "77:1: no dead letter" in result.stderr
        assert penchant(filled, "dead-letters", "show", "3-99").exit_code == 2

    def test_a_letter_of_an_internal_topic_stays(self, filled: Settings) -> None:
        result = penchant(filled, "dead-letters", "redrive", "--stage", "interests")
        assert result.exit_code == 1
        assert "foreign_topic" in result.stderr

    def test_no_topic(self, filled: Settings) -> None:
        absent = replace(filled, topics=replace(filled.topics, dead_letters="none"))
        for command in (["list"], ["show", "0:0"], ["redrive", "--all"]):
            result = penchant(absent, "dead-letters", *command)
            assert result.exit_code == 1
            assert "`penchant topics create`" in result.stderr
