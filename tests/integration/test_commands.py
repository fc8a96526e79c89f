"""The commands against a real Kafka."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from state.items import EncodedItem
from streams.broker import LocalCluster
from streams.cli import cli
from streams.kafka import TopicPartition, consumer, producer
from streams.settings import Settings
from tests.encode_harness import until
from tests.integration.conftest import fresh_settings, produce_json, read_all, wait_for

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60
BROKEN = {b"i%d" % number for number in range(5)}
"""Items whose picture the stand-in for an encode worker finds broken."""
READY_POLLS = 1_800
"""Models load in seconds, but in minutes where others keep the machine busy."""


def environment(settings: Settings) -> dict[str, str]:
    """Every setting as its variable."""
    tables = msgspec.to_builtins(settings)
    return {
        f"PENCHANT_{section.upper()}__{key.upper()}": value if isinstance(value, str) else json.dumps(value)
        for section, table in tables.items()
        for key, value in table.items()
    }


def penchant(settings: Settings, *arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner(env=environment(settings)).invoke(cli, arguments, input=stdin)


def event(user: str, number: int = 0, **fields: object) -> dict[str, object]:
    return {"user_id": user, "action": "like", "timestamp": number, "item_id": "a", **fields}


class TestItems:
    def test_load_sends_good_lines_and_tells_of_the_others(self, settings: Settings, tmp_path: Path) -> None:
        path = tmp_path / "items.jsonl"
        path.write_text('{"item_id":"a","title":"A"}\nnot json\n{"item_id":"b"}\n')
        result = penchant(settings, "items", "load", str(path))
        assert result.exit_code == 1
        assert f"{path}:2: not JSON" in result.stderr
        assert f"2 items sent to {settings.topics.items}, 1 bad" in result.stdout
        records = read_all(settings, settings.topics.items)
        assert {message.key(): json.loads(message.value() or b"") for message in records} == {
            b"a": {"item_id": "a", "title": "A"},
            b"b": {"item_id": "b"},
        }

    def test_strict_stops_at_the_first_bad_line(self, settings: Settings, tmp_path: Path) -> None:
        path = tmp_path / "items.jsonl"
        path.write_text('{"item_id":"a"}\nnot json\n{"item_id":"b"}\n')
        assert penchant(settings, "items", "load", "--strict", str(path)).exit_code == 1
        assert [message.key() for message in read_all(settings, settings.topics.items)] == [b"a"]

    def test_check_sends_nothing(self, settings: Settings, tmp_path: Path) -> None:
        path = tmp_path / "items.csv"
        path.write_text("item_id\na\n")
        result = penchant(settings, "items", "load", "--check", str(path))
        assert (result.exit_code, result.stdout) == (0, "1 good items, 0 bad; nothing sent\n")
        assert read_all(settings, settings.topics.items) == []

    def test_a_folder_outside_the_roots_is_warned_of(self, settings: Settings, tmp_path: Path) -> None:
        media = tmp_path / "media" / "cats"
        media.mkdir(parents=True)
        (media / "tabby.png").write_bytes(b"x")
        result = penchant(settings, "items", "load", str(media.parent))
        assert result.exit_code == 0
        assert "fetch.file_roots" in result.stderr
        inside = replace(settings, fetch=replace(settings.fetch, file_roots=(str(tmp_path),)))
        assert "fetch.file_roots" not in penchant(inside, "items", "load", str(media.parent)).stderr

    def test_a_record_that_is_too_large_is_told(self, settings: Settings, tmp_path: Path) -> None:
        path = tmp_path / "items.jsonl"
        path.write_text(json.dumps({"item_id": "a", "description": "x" * 2_000_000}) + '\n{"item_id":"b"}\n')
        result = penchant(settings, "items", "load", str(path))
        assert result.exit_code == 1
        assert f"{path}:1: not sent" in result.stderr
        assert [message.key() for message in read_all(settings, settings.topics.items)] == [b"b"]

    def test_wait_until_all_are_encoded(self, settings: Settings, tmp_path: Path, echo: None) -> None:
        path = tmp_path / "items.jsonl"
        path.write_text("".join(f'{{"item_id":"i{number}"}}\n' for number in range(20)))
        result = penchant(settings, "items", "load", "--wait", "--wait-seconds", "30", str(path))
        assert result.exit_code == 0, result.output
        assert result.stdout.endswith("20 items encoded\n")
        assert f"no encode worker is there (the group {settings.app.name}-encode is empty)" in result.stderr
        assert "masked: image broken: i0, i1, i2 and 2 more\n" in result.stderr

    def test_waiting_has_an_end(self, settings: Settings, tmp_path: Path) -> None:
        path = tmp_path / "items.jsonl"
        path.write_text('{"item_id":"a"}\n')
        result = penchant(settings, "items", "load", "--wait", "--wait-seconds", "0.5", str(path))
        assert result.exit_code == 1
        warning, failure = result.stderr.splitlines()
        assert "`penchant encode` starts one" in warning
        assert "1 of 1 items did not appear" in failure

    def test_withdraw_writes_nulls(self, settings: Settings) -> None:
        produce_json(settings, settings.topics.items, [(name, {"item_id": name}) for name in "abc"])
        result = penchant(settings, "items", "withdraw", "a", "b")
        assert (result.exit_code, result.stdout) == (0, "2 items withdrawn\n")
        records = read_all(settings, settings.topics.items)
        last = {message.key(): message.value() for message in records}
        assert {key for key, value in last.items() if value is None} == {b"a", b"b"}
        again = penchant(settings, "items", "withdraw", "a", "c", "z")
        assert (again.exit_code, again.stdout) == (0, "3 items withdrawn, 2 of them unknown\n")
        for name in ("a", "z"):
            assert f"{name}: no such item in {settings.topics.items}\n" in again.stderr


@pytest.fixture
def echo(settings: Settings) -> Iterator[None]:
    """Encodes items as an encode worker would, but for their vectors."""
    stop = threading.Event()
    reader = consumer(settings.kafka, "echo")
    reader.assign([TopicPartition(settings.topics.items, p, 0) for p in range(settings.topics.partitions)])

    def follow() -> None:
        writer = producer(settings.kafka)
        while not stop.is_set():
            for message in reader.consume(100, 0.1):
                key = message.key() or b""
                masked = {1: "broken"} if key in BROKEN else {}
                place = (message.partition() or 0, message.offset() or 0)
                item = EncodedItem(key.decode(), *place, masked=masked)
                writer.produce(settings.topics.items_encoded, msgspec.msgpack.encode(item), key)
            writer.flush(SECONDS)

    thread = threading.Thread(target=follow)
    thread.start()
    yield
    stop.set()
    thread.join(SECONDS)
    reader.close()


class TestSend:
    def test_events_are_keyed_by_user_and_sent_as_they_are(self, settings: Settings) -> None:
        lines = [json.dumps(event(f"u{number % 3}", number, extra=True)) for number in range(30)]
        result = penchant(settings, "send", stdin="\n".join(lines))
        assert (result.exit_code, result.stdout) == (0, "30 events sent, 0 malformed, 0 not delivered\n")
        records = read_all(settings, settings.topics.interactions)
        assert sorted((message.value() or b"").decode() for message in records) == sorted(lines)
        for message in records:
            assert (message.key() or b"").decode() == json.loads(message.value() or b"")["user_id"]
        partitions = {(message.key(), message.partition()) for message in records}
        assert len(partitions) == 3

    def test_malformed_lines_are_told_and_left_out(self, settings: Settings, tmp_path: Path) -> None:
        path = tmp_path / "events.jsonl"
        bad = ["{", "3", json.dumps(event("u", action="stare")), json.dumps(event("u", timestamp="soon"))]
        path.write_text("\n".join([json.dumps(event("u")), *bad, "", json.dumps(event("v"))]))
        result = penchant(settings, "send", str(path))
        assert result.exit_code == 1
        for number, reason in enumerate(["not_json", "invalid_record", "unknown_action", "bad_timestamp"], 2):
            assert f"{path}:{number}: {reason}" in result.stderr
        assert result.stdout == "2 events sent, 4 malformed, 0 not delivered\n"
        assert len(read_all(settings, settings.topics.interactions)) == 2

    def test_raw_sends_malformed_lines_too(self, settings: Settings) -> None:
        result = penchant(settings, "send", "--raw", stdin=b'\xff\n{"user_id":"u","action":"?"}\n')
        assert result.exit_code == 0
        assert result.stdout == "2 lines sent, 2 of them malformed, 0 not delivered\n"
        records = read_all(settings, settings.topics.interactions)
        found = {(message.key(), message.value()) for message in records}
        assert found == {(None, b"\xff"), (b"u", b'{"user_id":"u","action":"?"}')}

    def test_foreign_actions_of_the_settings_are_good(self, settings: Settings) -> None:
        mapped = replace(settings, actions={"thumb": "like"})
        assert penchant(mapped, "send", stdin=json.dumps(event("u", action="thumb"))).exit_code == 0

    def test_a_rate_is_held_and_everything_is_sent(self, settings: Settings) -> None:
        lines = "\n".join(json.dumps(event("u", number)) for number in range(5))
        assert penchant(settings, "send", "--rate", "100", stdin=lines).exit_code == 0
        assert len(read_all(settings, settings.topics.interactions)) == 5

    def test_a_file_that_is_not_there(self, settings: Settings) -> None:
        result = penchant(settings, "send", "none.jsonl")
        assert result.exit_code == 2
        assert "none.jsonl" in result.stderr

    def test_a_topic_that_is_not_there(self, kafka: LocalCluster, tmp_path: Path) -> None:
        absent = fresh_settings(kafka.bootstrap_servers, tmp_path)
        result = penchant(absent, "send", stdin="")
        assert result.exit_code == 1
        assert "`penchant topics create`" in result.stderr


def interest(user: str, version: int) -> dict[str, object]:
    return {
        "user_id": user,
        "version": version,
        "timestamp": 1,
        "model": "m",
        "vector": [1.0],
        "heads": [],
        "topics": {"cats": 0.9},
        "modalities": {"image": 1.0},
        "event_count": version,
        "caused_by": ["e"],
        "as_of": {},
    }


def slate(user: str, version: int) -> dict[str, object]:
    places = [{"item_id": "a", "score": 1.0, "rank": 1, "source": "interest"}]
    return {
        "user_id": user,
        "version": version,
        "timestamp": 1,
        "model": "m",
        "items": places,
        "caused_by": [],
    }


def read_terminal(number: int) -> bytes:
    """What a terminal shows next; nothing once its last process has ended."""
    try:
        return os.read(number, 65_536)
    except OSError:
        return b""


class TestLatest:
    def test_what_is_published_of_one_user(self, settings: Settings) -> None:
        names, others = settings.topics, [f"user-{number}" for number in range(6)]
        produce_json(settings, names.items, [("a", {"item_id": "a", "title": "Tabby"})])
        for topic, record in ((names.interests, interest), (names.recommendations, slate)):
            produce_json(settings, topic, [("u", record("u", 1)), ("gone", record("gone", 1))])
            produce_json(settings, topic, [(other, record(other, 1)) for other in others])
            produce_json(settings, topic, [("u", record("u", 2)), ("gone", None)])
        client = producer(settings.kafka, names.interests)
        client.init_transactions(SECONDS)
        client.begin_transaction()
        client.produce(names.interests, json.dumps(interest("u", 3)).encode(), b"u")
        client.flush(SECONDS)
        client.abort_transaction(SECONDS)
        result = penchant(settings, "user", "latest", "u")
        assert result.exit_code == 0, result.output
        assert "u: version 2, 2 events up to" in result.stdout
        assert "topics: cats 0.90" in result.stdout
        assert "slate of version 2, " in result.stdout
        assert "1.000  Tabby (a)  [interest]" in result.stdout
        assert (
            json.loads(penchant(settings, "user", "latest", "u", "--json").stdout)["interest"]["version"] == 2
        )
        for other in others[:2]:
            assert f"{other}: version 1" in penchant(settings, "user", "latest", other).stdout
        assert penchant(settings, "user", "latest", "gone").exit_code == 1


class TestWatch:
    def test_lines_of_what_is_there(self, settings: Settings) -> None:
        produce_json(settings, settings.topics.items, [("a", {"item_id": "a", "title": "Tabby"})])
        produce_json(settings, settings.topics.interests, [("u", interest("u", 1)), ("u", b"not json")])
        produce_json(settings, settings.topics.recommendations, [("u", slate("u", 1)), ("v", None)])
        result = penchant(settings, "watch", "--from-beginning", "--count", "2", "--seconds", str(SECONDS))
        assert result.exit_code == 0, result.output
        *lines, summary = result.stdout.splitlines()
        assert sorted(lines) == ["u v1 1 events topics cats 0.90 [image 100%]", "u v1 recommended Tabby"]
        assert summary.startswith("1 users, 1 events")

    def test_freshness_comes_from_the_header(self, settings: Settings) -> None:
        client = producer(settings.kafka)
        client.produce(
            settings.topics.interests,
            json.dumps(interest("u", 1)).encode(),
            b"u",
            timestamp=10_500,
            headers=[("event_time", b"10000")],
        )
        client.flush(SECONDS)
        result = penchant(settings, "watch", "--from-beginning", "--count", "1", "--seconds", str(SECONDS))
        assert "after 0.500 s" in result.stdout
        assert "since the event p50 0.500 s" in result.stdout

    def test_from_now_on(self, settings: Settings) -> None:
        produce_json(settings, settings.topics.interests, [("old", interest("old", 1))])
        arguments = [sys.executable, "-m", "streams.cli", "watch", "--count", "1", "--seconds", str(SECONDS)]
        with subprocess.Popen(
            arguments, cwd=ROOT, env={**os.environ, **environment(settings)}, stdout=subprocess.PIPE
        ) as process:
            numbers = iter(range(1, 1_000))
            while process.poll() is None:
                produce_json(settings, settings.topics.interests, [("new", interest("new", next(numbers)))])
            assert process.stdout is not None
            lines = process.stdout.read().decode().splitlines()
        assert process.returncode == 0
        assert [line.split()[0] for line in lines] == ["new", "1"]

    def test_interrupt_ends_it_cleanly(self, settings: Settings) -> None:
        produce_json(settings, settings.topics.interests, [("u", interest("u", 1))])
        arguments = [sys.executable, "-u", "-m", "streams.cli", "watch", "--from-beginning"]
        with subprocess.Popen(
            arguments,
            cwd=ROOT,
            env={**os.environ, **environment(settings)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline().startswith(b"u v1")
            process.send_signal(signal.SIGINT)
            assert process.wait(SECONDS) == 0
            assert process.stdout.read().startswith(b"1 users")
            assert process.stderr.read() == b""

    def test_a_table_on_a_terminal(self, settings: Settings) -> None:
        produce_json(settings, settings.topics.items, [("a", {"item_id": "a", "title": "Tabby"})])
        produce_json(settings, settings.topics.recommendations, [("u", slate("u", 1))])
        ours, theirs = pty.openpty()
        size = {"COLUMNS": "160", "LINES": "40", "TERM": "xterm"}
        limits = ["--from-beginning", "--count", "1", "--seconds", str(SECONDS)]
        with subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "watch", *limits],
            cwd=ROOT,
            env={**os.environ, **environment(settings), **size},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        ) as process:
            os.close(theirs)
            shown = b"".join(iter(lambda: read_terminal(ours), b"")).decode()
            assert process.wait(SECONDS) == 0
        os.close(ours)
        assert "recommended" in shown
        assert "Tabby" in shown
        assert "time since the event" in shown

    def test_a_reader_that_leaves_early_is_no_error(self, settings: Settings) -> None:
        # More than a pipe holds: it must still have something to write when nobody reads any more.
        produce_json(
            settings, settings.topics.interests, [(f"u{n}", interest(f"u{n}", 1)) for n in range(3_000)]
        )
        with subprocess.Popen(
            [
                sys.executable,
                "-u",
                "-m",
                "streams.cli",
                "watch",
                "--from-beginning",
                "--seconds",
                str(SECONDS),
            ],
            cwd=ROOT,
            env={**os.environ, **environment(settings)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            assert b"Traceback" not in process.stderr.read()
            assert process.wait(SECONDS) == 1

    def test_a_broker_that_does_not_answer_is_one_line(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("streams.reach.CALL_SECONDS", 0.2)
        away = replace(settings, kafka=replace(settings.kafka, bootstrap_servers="127.0.0.1:1"))
        result = penchant(away, "watch")
        assert result.exit_code == 1
        assert result.stderr.startswith("penchant: no broker answers at 127.0.0.1:1")
        assert result.stderr.count("\n") == 1


class TestDoctor:
    def test_all_is_well(self, settings: Settings) -> None:
        result = penchant(settings, "doctor", "--skip", "models")
        assert result.exit_code == 0, result.output
        lines = result.stdout.splitlines()
        assert all(line.startswith("OK ") for line in lines), lines
        assert {line.split()[1] for line in lines} == {
            "settings:",
            "broker:",
            "topics:",
            "clock:",
            "disk:",
            "device:",
        }

    def test_it_leaves_no_topic_behind(self, settings: Settings) -> None:
        penchant(settings, "doctor", "--skip", "models", "--skip", "device")
        client = producer(settings.kafka)

        def gone() -> bool:
            """A broker hears of a deletion some time after the controller has acknowledged it."""
            return not any("clock" in name for name in client.list_topics(timeout=SECONDS).topics)

        until("the topic is gone", gone)

    def test_missing_topics_fail_with_their_mend(self, kafka: LocalCluster, tmp_path: Path) -> None:
        absent = fresh_settings(kafka.bootstrap_servers, tmp_path)
        result = penchant(absent, "doctor", "--skip", "models", "--skip", "device")
        assert result.exit_code == 1
        assert f"FAIL topics: {absent.topics.items}: missing; `penchant topics create`" in result.stdout

    def test_no_broker(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("streams.doctor.cluster.CALL_SECONDS", 0.2)
        away = replace(settings, kafka=replace(settings.kafka, bootstrap_servers="127.0.0.1:1"))
        result = penchant(away, "doctor", "--skip", "models", "--skip", "device")
        assert result.exit_code == 1
        assert "FAIL broker: none answers at 127.0.0.1:1" in result.stdout
        assert "WARN clock: not checked" in result.stdout


def test_a_broker_that_runs_already_stays_as_it_is(kafka: LocalCluster) -> None:
    told = penchant(Settings(), "broker", "start", "--folder", str(kafka.folder))
    assert told.stdout.startswith(f"Kafka was running already on {kafka.bootstrap_servers}, ")


class Process:
    """A worker command in a process of its own, with a health server."""

    def __init__(self, settings: Settings, command: str) -> None:
        served = replace(settings, metrics=replace(settings.metrics, port=0))
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "streams.cli", command],
            cwd=ROOT,
            env={**os.environ, **environment(served), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().removeprefix("health server: ").strip()

    def wait_ready(self) -> None:
        pause = threading.Event()
        for _ in range(READY_POLLS):
            try:
                if httpx.get(f"{self.address}/readyz", timeout=10).status_code == 200:
                    return
            except httpx.TransportError:
                _, errors = self.process.communicate(timeout=SECONDS)
                raise AssertionError(f"ended with {self.process.returncode}: {errors}") from None
            pause.wait(0.1)
        raise AssertionError("not ready in time")

    def end(self, number: signal.Signals) -> tuple[int, str]:
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, errors


@pytest.mark.timeout(300)
@pytest.mark.parametrize("command", ["encode", "interests", "run"])
def test_a_worker_gets_ready_and_drains(settings: Settings, command: str) -> None:
    worker = Process(settings, command)
    try:
        worker.wait_ready()
        assert httpx.get(f"{worker.address}/healthz", timeout=10).status_code == 200
        assert "penchant_ready" in httpx.get(f"{worker.address}/metrics", timeout=10).text
        code, errors = worker.end(signal.SIGTERM)
    finally:
        worker.process.kill()
    assert code == 0, errors
    assert "Traceback" not in errors


def test_a_worker_without_its_topics_ends_with_a_clear_line(kafka: LocalCluster, tmp_path: Path) -> None:
    worker = Process(fresh_settings(kafka.bootstrap_servers, tmp_path), "encode")
    _, errors = worker.process.communicate(timeout=SECONDS)
    assert worker.process.returncode == 1
    assert "worker encode failed" in errors
    assert "`penchant topics create`" in errors
    assert "Traceback" not in errors


@pytest.mark.timeout(300)
def test_events_sent_on_the_command_line_come_out_as_interests(settings: Settings, tmp_path: Path) -> None:
    items = tmp_path / "items.jsonl"
    items.write_text(
        "".join(
            json.dumps({"item_id": f"{kind}-{number}", "title": f"A {kind}", "tags": [kind]}) + "\n"
            for kind in ("cat", "car")
            for number in range(3)
        )
    )
    worker = Process(settings, "run")
    try:
        worker.wait_ready()
        loaded = penchant(settings, "items", "load", "--wait", "--wait-seconds", str(SECONDS), str(items))
        assert loaded.exit_code == 0, loaded.output
        assert penchant(settings, "send", stdin=json.dumps(event("u", item_id="cat-0"))).exit_code == 0
        wait_for(settings, settings.topics.recommendations, 1, SECONDS)
        watched = penchant(settings, "watch", "--from-beginning", "--count", "2", "--seconds", str(SECONDS))
        code, errors = worker.end(signal.SIGINT)
    finally:
        worker.process.kill()
    assert "u v1 1 events topics cat" in watched.stdout
    assert "u v1 recommended A " in watched.stdout
    assert code == 0, errors
