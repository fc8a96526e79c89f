"""Dead letters on a real Kafka, through the real encode worker: seen, mended, redriven, applied once."""

import json
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace
from test_commands import penchant
from test_whole_way import latest

from state.items import EncodedItem
from streams.broker.ports import free_ports
from streams.demo.stage import workers
from streams.errors import OwnershipLost, TopicError
from streams.kafka import producer
from streams.letters import LetterLog, LetterPlace, Mark, Selection
from streams.raw import RawRecord
from streams.records import Interest
from streams.redrive import Redrive, RedriveOrder, RedriveProducer, Sent
from streams.settings import Settings
from tests.encode_harness import SECONDS, decode, rows_of, running, until
from tests.integration.conftest import produce_json, read_all
from tests.letter_harness import (
    good,
    headers_of,
    letters_of,
    one_letter,
    place_of,
    put_letter,
    redriven,
    send,
)

pytestmark = pytest.mark.timeout(240)


def interest(settings: Settings, user: str) -> Interest | None:
    found = latest(settings, settings.topics.interests, Interest).get(user)
    return found if isinstance(found, Interest) else None


def test_a_mended_letter_applies_once_however_often_it_is_redriven(
    settings: Settings, tmp_path: Path
) -> None:
    """Once by its mark, and with --again once by its id, which the place of the original gave."""
    names = settings.topics
    bad = json.loads(good("u", action="stare"))
    mended = tmp_path / "mended.json"
    mended.write_bytes(good("u"))
    (port,) = free_ports(1)
    with workers(settings, tmp_path, {"interests": port}), running(settings):
        produce_json(settings, names.interactions, [("u", bad)])
        letter = one_letter(settings)
        place = place_of(letter)
        shown = penchant(settings, "dead-letters", "list").stdout
        assert f"{place}  " in shown and "unknown_action" in shown and "key=u" in shown

        refused = penchant(settings, "dead-letters", "redrive", place)
        assert refused.exit_code == 1
        assert f"{place}: unknown_action: " in refused.stderr
        assert refused.stdout == "0 letters redriven, 1 refused\n"

        told = penchant(settings, "dead-letters", "redrive", place, "--edit", str(mended))
        assert (told.exit_code, told.stdout) == (0, "1 letters redriven\n"), told.output
        until("the row", lambda: len(rows_of(settings)) == 1)
        for _ in range(2):
            told = penchant(settings, "dead-letters", "redrive", place, "--edit", "-", stdin=good("u"))
            assert told.stdout == "0 letters redriven, 1 redriven before (--again sends them)\n"
            assert told.exit_code == 0
        assert penchant(settings, "dead-letters", "list").stdout == ""

        again = penchant(settings, "dead-letters", "redrive", place, "--edit", str(mended), "--again")
        assert again.stdout == "1 letters redriven\n"
        produce_json(settings, names.interactions, [("u", json.loads(good("u", event_id="last")))])
        until("all rows", lambda: len(rows_of(settings)) == 3)
        until("the interest", lambda: (interest(settings, "u") or Interest).event_count == 2)
    original = headers_of(letter)
    raw = f"{names.interactions}-{original['partition'].decode()}-{original['offset'].decode()}"
    made = f"{raw}@{original['topic_id'].decode()}"
    assert [row.event_id for row in rows_of(settings)] == [made, made, "last"]
    found = interest(settings, "u")
    assert found is not None
    assert (found.version, found.event_count, found.caused_by) == (2, 2, ["last"])
    for message in redriven(settings):
        assert str(message.partition()).encode() == original["partition"]
        assert message.key() == b"u"
        assert headers_of(message) == {"redriven": place.encode(), "first-sent": original["record_time"]}


def test_an_id_of_its_own_stays_also_where_it_fails_again(settings: Settings) -> None:
    """The settings of this command know the word, those of the worker do not: the letter comes back."""
    names = settings.topics
    knowing = replace(settings, actions={"stare": "view"})
    trace = {"traceparent": b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01", "x": b"y"}
    with running(settings):
        send(settings, names.interactions, b"u", good("u", action="stare", event_id="e"), trace)
        first = one_letter(settings)
        assert penchant(knowing, "dead-letters", "redrive", "--all").stdout == "1 letters redriven\n"
        until("the second letter", lambda: len(letters_of(settings)) == 2)
        (second,) = [each for each in letters_of(settings) if place_of(each) != place_of(first)]
        assert headers_of(second)["original-redriven"] == place_of(first).encode()
        listed = penchant(settings, "dead-letters", "list", "--json").stdout.splitlines()
        assert [json.loads(line)["letter"] for line in listed] == [place_of(second)]
        mended = good("u", text="mended")
        told = penchant(settings, "dead-letters", "redrive", place_of(second), "--edit", "-", stdin=mended)
        assert told.exit_code == 0, told.output
        until("the row", lambda: len(rows_of(settings)) == 1)
    (row,) = rows_of(settings)
    assert (row.event_id, row.text) == ("e", "mended")
    assert row.traceparent == trace["traceparent"].decode()
    for message, place in zip(redriven(settings), (first, second), strict=True):
        told = {"redriven": place_of(place).encode(), "first-sent": headers_of(first)["record_time"]}
        assert headers_of(message) == {**trace, **told}


def test_many_are_mended_at_once(settings: Settings, tmp_path: Path) -> None:
    """`list --json` through any tool and back. What is no JSON is mended by hand."""
    names = settings.topics
    records = [(f"u{n}", json.loads(good(f"u{n}", action="stare", n=n))) for n in range(20)]
    with running(settings):
        produce_json(settings, names.interactions, [*records, ("u0", b"{broken")])
        until("the letters", lambda: len(letters_of(settings)) == 21)
        listed = penchant(
            settings, "dead-letters", "list", "--json", "--error-class", "unknown_action"
        ).stdout
        edits = [json.loads(line) for line in listed.splitlines()]
        for edit in edits:
            edit["value"]["action"] = "like"
        (broken,) = [place_of(letter) for letter in letters_of(settings) if letter.value() == b"{broken"]
        edits.append({"letter": broken, "value": json.loads(good("u0"))})
        lines = tmp_path / "edits.jsonl"
        lines.write_text("\n".join(map(json.dumps, edits)))

        dry = penchant(settings, "dead-letters", "redrive", "--edits", str(lines), "--dry-run")
        assert dry.exit_code == 0
        *each, summary = dry.stdout.splitlines()
        assert (len(each), summary) == (21, "21 letters would be redriven")
        assert f"{broken} to {names.interactions}-" in dry.stdout
        assert redriven(settings) == []

        told = penchant(settings, "dead-letters", "redrive", "--edits", "-", stdin=lines.read_bytes())
        assert (told.exit_code, told.stdout) == (0, "21 letters redriven\n"), told.output
        until("the rows", lambda: len(rows_of(settings)) == 21)
    assert len({row.event_id for row in rows_of(settings)}) == 21


def test_an_event_under_a_wrong_key(settings: Settings) -> None:
    names = settings.topics
    with running(settings):
        send(settings, names.interactions, None, good("u", event_id="e"))
        place = place_of(one_letter(settings))
        refused = penchant(settings, "dead-letters", "redrive", place)
        assert refused.exit_code == 1 and "--rekey" in refused.stderr
        assert penchant(settings, "dead-letters", "redrive", place, "--rekey").exit_code == 0
        produce_json(settings, names.interactions, [("u", json.loads(good("u", event_id="f")))])
        until("the rows", lambda: len(rows_of(settings)) == 2)
    ours, theirs = (m for m in read_all(settings, names.interactions) if m.key() == b"u")
    assert ours.partition() == theirs.partition()
    assert {row.event_id for row in rows_of(settings)} == {"e", "f"}


class TestItems:
    def test_a_mended_item_is_encoded(self, settings: Settings) -> None:
        names = settings.topics
        with running(settings) as worker:
            produce_json(settings, names.items, [("i", b'{"item_id":"i","title":7}')])
            place = place_of(one_letter(settings))
            mended = b'{"item_id":"i","title":"A cat"}'
            told = penchant(settings, "dead-letters", "redrive", place, "--edit", "-", stdin=mended)
            assert told.stdout == "1 letters redriven\n", told.output
            until("the item", lambda: worker.knows("i"))
            told = penchant(
                settings, "dead-letters", "redrive", place, "--again", "--edit", "-", stdin=mended
            )
            assert told.stdout == "1 letters redriven\n", told.output
        assert [message.value() for message in redriven(settings, names.items)] == [mended, mended]

    def test_an_item_that_was_withdrawn_since_does_not_come_back(self, settings: Settings) -> None:
        names = settings.topics
        with running(settings) as worker:
            produce_json(settings, names.items, [("i", b'{"item_id":"i","title":7}'), ("i", None)])
            place = place_of(one_letter(settings))
            mended = b'{"item_id":"i","title":"A cat"}'
            told = penchant(settings, "dead-letters", "redrive", place, "--edit", "-", stdin=mended)
            assert (told.exit_code, told.stdout) == (0, "0 letters redriven, 1 superseded\n"), told.output
            assert f"{place}: superseded: the item was written or withdrawn later" in told.stderr
            produce_json(settings, names.items, [("j", {"item_id": "j", "title": "A dog"})])
            until("a later item", lambda: worker.knows("j"))
            assert not worker.knows("i")
        items = [decode(message, EncodedItem) for message in read_all(settings, names.items_encoded)]
        assert [item.withdrawn for item in items if item is not None and item.item_id == "i"] == [True]

    def test_an_item_that_was_written_since_stays_as_it_is(self, settings: Settings) -> None:
        names = settings.topics
        new = {"item_id": "i", "title": "new"}
        with running(settings):
            produce_json(settings, names.items, [("i", b'{"item_id":"i","title":7}'), ("i", new)])
            place = place_of(one_letter(settings))
            mended = b'{"item_id":"i","title":"old"}'
            told = penchant(settings, "dead-letters", "redrive", place, "--edit", "-", stdin=mended)
            assert told.stdout == "0 letters redriven, 1 superseded\n", told.output

    def test_an_item_of_a_topic_made_anew_is_judged_by_what_is_in_the_new_one(
        self, settings: Settings
    ) -> None:
        topic = settings.topics.items
        new = {"item_id": "i", "title": "new"}
        produce_json(settings, topic, [("i", new)])
        place = read_all(settings, topic)[0].partition() or 0
        for key in (b"i", b"j"):
            letter = RawRecord(topic, place, 0, 1, key, b'{"item_id":"%s"}' % key, topic_id=b"o" * 16)
            put_letter(settings, letter, "internal_error")
        told = penchant(settings, "dead-letters", "redrive", "--all")
        assert told.stdout == "1 letters redriven, 1 superseded\n", told.output
        assert [message.key() for message in redriven(settings, topic)] == [b"j"]

    def test_a_record_that_compaction_took_was_followed_by_a_withdrawal(self, settings: Settings) -> None:
        record = RawRecord(settings.topics.items, 0, 0, 1, b"i", b'{"item_id":"i"}')
        put_letter(settings, record, "internal_error")
        told = penchant(settings, "dead-letters", "redrive", "--all")
        assert told.stdout == "0 letters redriven, 1 superseded\n"

    def test_a_withdrawal_of_what_can_be_no_item(self, settings: Settings) -> None:
        with running(settings):
            send(settings, settings.topics.items, b"\xff", None)
            place = place_of(one_letter(settings))
        shown = penchant(settings, "dead-letters", "show", place)
        assert "value       null" in shown.stdout and "key         0xff" in shown.stdout
        raw = penchant(settings, "dead-letters", "show", place, "--raw")
        assert raw.stdout == "" and "the value is null" in raw.stderr
        refused = penchant(settings, "dead-letters", "redrive", place)
        assert refused.exit_code == 1
        assert "the key is not UTF-8" in refused.stderr


def test_a_letter_that_holds_only_the_beginning_is_redriven_whole(settings: Settings) -> None:
    """A record that filled its topic alone: the letter is cut, the record lies where it was."""
    names = settings.topics
    text = "x" * 1_047_400
    large = replace(settings, kafka=replace(settings.kafka, client={"message.max.bytes": 1_048_588}))
    knowing = replace(settings, actions={"stare": "view"})
    with running(settings):
        send(large, names.interactions, b"u", good("u", action="stare", text=text))
        letter = one_letter(settings)
        assert headers_of(letter)["truncated"] is not None
        assert "the beginning of" in penchant(settings, "dead-letters", "show", place_of(letter)).stdout
    told = penchant(knowing, "dead-letters", "redrive", "--all")
    assert (told.exit_code, told.stdout) == (0, "1 letters redriven\n"), told.output
    (message,) = redriven(settings)
    assert json.loads(message.value() or b"")["text"] == text


def test_a_letter_that_is_not_there(settings: Settings) -> None:
    result = penchant(settings, "dead-letters", "redrive", "0:1")
    assert (result.exit_code, result.stdout) == (1, "0 letters redriven, 1 refused\n")
    assert "0:1: no dead letter is there" in result.stderr


class TestOnce:
    """However redrives crash and overtake each other."""

    @pytest.fixture
    def letter(self, settings: Settings) -> LetterPlace:
        put_letter(settings, RawRecord(settings.topics.interactions, 1, 1, 1, b"u", good("u")), "x")
        (message,) = letters_of(settings)
        return LetterPlace.parse(place_of(message))

    def test_one_that_died_in_the_middle_leaves_nothing(
        self, settings: Settings, letter: LetterPlace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(RedriveProducer, "_commit", lambda self: self._producer.flush(SECONDS))
            dying = Redrive(settings, RedriveOrder(Selection()))
            assert [type(result) for result in dying.run(lambda _: None, lambda _: None)] == [Sent]
        assert redriven(settings) == []
        assert penchant(settings, "dead-letters", "redrive", "--all").stdout == "1 letters redriven\n"
        assert len(redriven(settings)) == 1
        assert len(read_all(settings, settings.topics.dead_letters)) == 2

    def test_one_that_was_overtaken_sends_nothing(self, settings: Settings, letter: LetterPlace) -> None:
        slow = Redrive(settings, RedriveOrder(Selection()))
        assert penchant(settings, "dead-letters", "redrive", "--all").stdout == "1 letters redriven\n"
        with pytest.raises(OwnershipLost, match="another redrive"):
            list(slow.run(lambda _: None, lambda _: None))
        assert len(redriven(settings)) == 1

    def test_marks_behind_an_open_transaction_are_waited_for(
        self, settings: Settings, letter: LetterPlace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        topic = settings.topics.dead_letters
        worker = producer(settings.kafka, f"{settings.app.name}-some-worker")
        worker.init_transactions(SECONDS)
        worker.begin_transaction()
        worker.produce(topic, b"in flight", b"k", partition=letter.partition)
        worker.flush(SECONDS)
        client = producer(settings.kafka)
        mark = Mark(letter, "e", 5)
        client.produce(topic, None, b"u", partition=letter.partition, headers=mark.headers())
        assert client.flush(SECONDS) == 0

        assert LetterLog(settings, Selection()).marks(lambda _: None) == {}
        with monkeypatch.context() as patch:
            patch.setattr("streams.reading.STALL_SECONDS", 1.0)
            with pytest.raises(TopicError, match="transaction"):
                LetterLog(settings, Selection(), settled=True).marks(lambda _: None)

        seen: list[dict[LetterPlace, Mark]] = []
        log = LetterLog(settings, Selection(), settled=True)
        reading = threading.Thread(target=lambda: seen.append(log.marks(lambda _: None)))
        reading.start()
        worker.abort_transaction(SECONDS)
        reading.join(SECONDS)
        assert seen == [{letter: mark}]
