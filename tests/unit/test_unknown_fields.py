"""Fields that nothing reads are no fault, and are told: by name, with counts, and what may be meant."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from state.errors import LearningError
from state.learning import reading
from state.learning.reading import read_dataset
from state.unknown_fields import MOST_NAMES, NAMED, UnknownFields
from streams.cli import cli
from streams.commands import send
from streams.commands.given_items import given_items
from streams.delivery import Tally
from streams.given_data import given_dataset
from streams.item_sources import open_source
from streams.records import Interaction, Item

EVENT = {"user_id": "ann", "item_id": "a", "action": "like", "timestamp": 1}


def lines(path: Path, records: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("\n".join(map(json.dumps, records)))
    return path


def told_by(*words: str) -> str:
    result = CliRunner().invoke(cli, words, prog_name="penchant")
    assert result.exit_code == 0, result.output
    return result.stderr


class FakeProducer:
    """Takes everything; there is no broker."""

    def __init__(self, *_: object) -> None:
        self.sent: list[bytes] = []

    def send(self, where: str, key: bytes | None, value: bytes) -> None:
        self.sent.append(value)

    def finish(self) -> Tally:
        return Tally(len(self.sent), len(self.sent))


class TestItems:
    def test_a_mistyped_field_is_told_and_the_items_are_good(self, tmp_path: Path) -> None:
        items = [{"item_id": "a", "titel": "A"}, {"item_id": "b", "titel": "B", "price": 2}]
        told = told_by("items", "load", "--check", str(lines(tmp_path / "items.jsonl", items)))
        assert "fields that nothing reads: 'titel' in 2 records (title?), 'price' in 1 record;" in told
        assert "attributes" in told

    def test_so_is_one_of_its_media(self, tmp_path: Path) -> None:
        media = [{"text": "t", "modalty": "text"}, {"text": "u", "modalty": "text"}]
        path = lines(tmp_path / "items.jsonl", [{"item_id": "a", "media": media}])
        assert "'media.modalty' in 1 record (media.modality?)" in told_by(
            "items", "load", "--check", str(path)
        )

    def test_nothing_is_told_of_what_is_known_or_bad(self, tmp_path: Path) -> None:
        good = {"item_id": "a", "attributes": {"titel": "x"}, "media": [{"text": "t"}]}
        path = lines(tmp_path / "items.jsonl", [good, {"titel": "it has no id"}])
        result = CliRunner().invoke(cli, ["items", "load", "--check", str(path)])
        assert "1 good items, 1 bad" in result.output
        assert "nothing reads" not in result.stderr

    def test_columns_of_tables_are_attributes(self, tmp_path: Path) -> None:
        (tmp_path / "items.csv").write_text("item_id,titel\na,A\n")
        assert "nothing reads" not in told_by("items", "load", "--check", str(tmp_path / "items.csv"))

    def test_training_on_a_catalogue_tells_it_too(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        items = lines(tmp_path / "items.jsonl", [{"item_id": "a", "title": "bread", "tagz": ["x"]}] * 3)
        assert len(given_items(items)) == 3
        assert "'tagz' in 3 records (tags?)" in capsys.readouterr().err

    def test_a_name_that_is_no_text_is_passed_over(self, tmp_path: Path) -> None:
        (tmp_path / "items.jsonl").write_bytes(b'{"item_id":"a","\xff":1}\n{"item_id":"b","titel":1}')
        assert "'titel' in 1 record" in told_by("items", "load", "--check", str(tmp_path / "items.jsonl"))


class TestEvents:
    def test_events_that_are_sent(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(send, "CheckedProducer", FakeProducer)
        told = told_by("send", str(lines(tmp_path / "events.jsonl", [{**EVENT, "wached_fraction": 1}])))
        assert "'wached_fraction' in 1 record (watched_fraction?)" in told
        assert "context" in told
        assert "nothing reads" not in told_by("send", str(lines(tmp_path / "events.jsonl", [EVENT])))

    def test_events_and_items_that_are_learnt_from(self, tmp_path: Path) -> None:
        items = [{"item_id": "a", "tags": ["x"], "titel": "A"}, {"item_id": "b", "available": False}]
        lines(tmp_path / "items.jsonl", items)
        events = [{**EVENT, "dwell": 2, "context": {}}, {**EVENT, "item_id": "b", "action": "dislike"}] * 20
        told = told_by("features", "--from", str(lines(tmp_path / "events.jsonl", events)))
        assert "events.jsonl: 'dwell' in 20 records; items.jsonl: 'titel' in 1 record (title?)" in told

    def test_columns_of_parquet(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        import pyarrow
        from pyarrow.parquet import write_table

        row = {**EVENT, "rating": 3.0, "text": "x", "Value": 1.0}
        write_table(pyarrow.table({name: [value] * 3 for name, value in row.items()}), tmp_path / "e.parquet")
        assert len(given_dataset(tmp_path / "e.parquet").interactions) == 3
        assert caplog.messages == ["fields that nothing reads: e.parquet: 'Value' in 3 records (value?)"]

    def test_columns_of_a_recbole_folder(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\tratings:float"
        (tmp_path / "films.inter").write_text(f"{header}\nann\ta\t5\t1\t5\n")
        assert len(given_dataset(tmp_path).interactions) == 1
        assert caplog.messages == ["fields that nothing reads: films.inter: 'ratings' in 1 record (rating?)"]

    def test_nothing_is_told_of_files_without(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        given_dataset(lines(tmp_path / "events.jsonl", [EVENT]))
        assert caplog.messages == []

    def test_where_no_event_is_left_it_says_what_was_there(self, tmp_path: Path) -> None:
        event = {"user_id": "ann", "itemId": "a", "action": "like", "timestamp": 1}
        with pytest.raises(LearningError, match=r"no event is left .* 'itemId' in 1 record \(item_id\?\)"):
            read_dataset(lines(tmp_path / "events.jsonl", [event]))

    def test_what_the_topics_take_is_known(self) -> None:
        assert set(reading.EVENT_FIELDS) == set(Interaction.__struct_fields__)
        assert set(reading.ITEM_FIELDS) == set(Item.__struct_fields__)


class TestCounting:
    def test_the_commonest_are_named_and_the_others_counted(self) -> None:
        unknown = UnknownFields(("item_id",))
        for count in range(1, NAMED + 3):
            unknown.count([f"x{count}"], count)
        assert unknown.told().startswith(f"'x{NAMED + 2}' in {NAMED + 2} records, ")
        assert unknown.told().endswith("and 2 others")
        assert "'x2'" not in unknown.told()

    def test_names_without_end_take_no_memory_and_no_screen(self) -> None:
        unknown = UnknownFields(("item_id",))
        for number in range(2 * MOST_NAMES):
            unknown.look_at(json.dumps({f"{'n' * 1_000}{number}": 1, "\x1b[2J": 1}).encode())
        assert len(unknown.told()) < 1_000
        assert "and many others" in unknown.told()
        assert "\x1b" not in unknown.told()

    def test_a_source_counts_as_it_is_read(self, tmp_path: Path) -> None:
        source = open_source(lines(tmp_path / "items.jsonl", [{"item_id": "a", "x": 1}] * 2))
        assert source.unknown.told() == ""
        assert len(list(source)) == 2
        assert source.unknown.told() == "'x' in 2 records"
