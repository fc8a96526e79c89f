"""The local broker through its life, its commands, and the fixtures of these tests."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams import contact
from streams.broker import ClusterOptions, LocalCluster
from streams.broker.readiness import accepts_connections, answers
from streams.broker.running import PidFile, wait_until
from streams.contact import BrokerContact
from streams.kafka import producer
from streams.settings import KafkaSettings, Settings
from streams.topics import create_topics
from tests.integration.conftest import fresh_settings, produce_json, read_all

ROOT = Path(__file__).resolve().parents[2]
WAIT_SECONDS = 60.0


def test_records_come_back_in_order(settings: Settings) -> None:
    topic = settings.topics.interactions
    produce_json(settings, topic, [(f"u{number % 7}", {"n": number}) for number in range(500)])
    messages = read_all(settings, topic)
    assert len(messages) == 500
    for partition in range(4):
        offsets = [message.offset() for message in messages if message.partition() == partition]
        assert offsets == list(range(len(offsets)))


def test_aborted_records_are_hidden_from_read_committed(settings: Settings) -> None:
    client = producer(settings.kafka, f"{settings.app.name}-tx")
    client.init_transactions(WAIT_SECONDS)
    for value, keep in ((b"1", False), (b"2", True)):
        client.begin_transaction()
        client.produce(settings.topics.interests, key=b"u", value=value, partition=0)
        if keep:
            client.commit_transaction(WAIT_SECONDS)
        else:
            client.flush(WAIT_SECONDS)
            client.abort_transaction(WAIT_SECONDS)
    topic = settings.topics.interests
    assert [message.value() for message in read_all(settings, topic)] == [b"2"]
    assert [message.value() for message in read_all(settings, topic, "read_uncommitted")] == [b"1", b"2"]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A broker that these tests may kill."""
    with LocalCluster(tmp_path_factory.mktemp("own")) as cluster:
        yield cluster


def test_start_leaves_a_running_broker_alone(own: LocalCluster) -> None:
    before = own.brokers[0].pid
    assert before is not None
    own.start()
    assert own.brokers[0].pid == before
    again = LocalCluster(own.folder, ClusterOptions(leashed=False)).start()
    assert again.brokers[0].pid == before
    assert again.bootstrap_servers == own.bootstrap_servers


def test_a_killed_broker_comes_back_with_its_port_and_records(own: LocalCluster, tmp_path: Path) -> None:
    settings = fresh_settings(own.bootstrap_servers, tmp_path)
    create_topics(settings)
    produce_json(settings, settings.topics.items, [("i", {"item_id": "i"})])
    [broker] = own.brokers
    before = broker.pid
    own.kill()
    assert broker.pid is None
    assert not accepts_connections(broker.place.port)
    own.restart_same_port()
    assert broker.pid not in (None, before)
    assert own.bootstrap_servers == settings.kafka.bootstrap_servers
    assert len(read_all(settings, settings.topics.items)) == 1


def test_a_paused_broker_answers_nothing_until_it_is_resumed(own: LocalCluster) -> None:
    [broker] = own.brokers
    port = broker.place.port
    own.pause()
    try:
        assert broker.pid is not None
        assert not answers(port, 1, seconds=0.5)
    finally:
        own.resume()
    assert wait_until(lambda: answers(port, 1), WAIT_SECONDS)


def test_readiness_hears_of_a_broker_that_hangs_and_of_its_return(
    own: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("SILENCE_SECONDS", 2.0), ("ASK_SECONDS", 1.0), ("PAUSE_SECONDS", 0.1)):
        monkeypatch.setattr(contact, name, seconds)
    watched = BrokerContact(KafkaSettings(bootstrap_servers=own.bootstrap_servers))
    watched.start()
    try:
        own.pause()
        try:
            assert wait_until(lambda: watched.problem() is not None, WAIT_SECONDS)
        finally:
            own.resume()
        assert wait_until(lambda: watched.problem() is None, WAIT_SECONDS)
    finally:
        watched.stop()


def test_a_paused_broker_can_be_stopped_cleanly(own: LocalCluster) -> None:
    own.pause()
    assert own.stop()
    assert not own.running
    own.start()
    assert own.running


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_three_brokers_do_without_one(tmp_path: Path) -> None:
    with LocalCluster(tmp_path / "three", ClusterOptions(brokers=3, heap="256m")) as cluster:
        settings = fresh_settings(cluster.bootstrap_servers, tmp_path, replication=3)
        create_topics(settings)
        cluster.brokers[2].kill()
        produce_json(settings, settings.topics.items, [(f"i{number}", {}) for number in range(20)])
        assert len(read_all(settings, settings.topics.items)) == 20
        cluster.brokers[2].start()
        cluster.brokers[0].kill()
        produce_json(settings, settings.topics.items, [(f"i{number}", {}) for number in range(20)])
        assert len(read_all(settings, settings.topics.items)) == 40


def test_the_broker_dies_with_a_runner_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from streams.broker import LocalCluster; "
        "cluster = LocalCluster(Path(sys.argv[1])).start(); print(cluster.brokers[0].pid, flush=True); "
        "sys.stdin.read()"
    )
    runner = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert runner.stdout is not None
    pid = int(runner.stdout.readline())
    broker = PidFile(tmp_path / "broker-1" / "pid", "kafka.Kafka")
    assert broker.read() == pid
    runner.kill()
    runner.wait(WAIT_SECONDS)
    assert wait_until(lambda: broker.read() is None, WAIT_SECONDS)


def penchant(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "streams.cli", "broker", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=WAIT_SECONDS,
        check=False,
    )


def test_the_commands_start_show_and_stop_a_broker_that_outlives_them(tmp_path: Path) -> None:
    assert "no broker was started" in penchant(tmp_path, "status").stderr
    assert penchant(tmp_path, "stop").stdout == "no broker is running\n"
    try:
        started = penchant(tmp_path, "start", "--port", "0", "--heap", "256m")
        assert started.returncode == 0, started.stderr
        shown = penchant(tmp_path, "status")
        assert shown.returncode == 0
        assert ": ready, process " in shown.stdout
        refused = penchant(tmp_path, "start", "--brokers", "2")
        assert refused.returncode == 1
        assert "`penchant broker stop` first" in refused.stderr
    finally:
        stopped = penchant(tmp_path, "stop")
    assert stopped.stdout == "stopped\n"
    shown = penchant(tmp_path, "status")
    assert shown.returncode == 1
    assert ": stopped, log " in shown.stdout


def test_a_stale_pid_file_stops_nobody(tmp_path: Path) -> None:
    bystander = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    )
    try:
        with LocalCluster(tmp_path) as cluster:
            pid_file = cluster.brokers[0].folder / "pid"
        assert not pid_file.exists()
        pid_file.write_text(f"{bystander.pid}\n")
        found = LocalCluster.existing(tmp_path)
        assert found is not None
        assert not found.running
        found.stop()
        assert bystander.poll() is None
    finally:
        bystander.send_signal(signal.SIGKILL)
        bystander.wait(WAIT_SECONDS)
