"""One broker of a local cluster: a Java process with its folder."""

import signal
import subprocess
import time
from pathlib import Path

import msgspec

from streams.broker.jars import ensure_jars
from streams.broker.java import Leash, java_command, run_java, spawn, telling_line
from streams.broker.ports import is_free
from streams.broker.properties import HOST, LOG4J, ClusterOptions, Ports, broker_properties
from streams.broker.readiness import wait_ready
from streams.broker.running import PidFile, process_state, send_signal, wait_until
from streams.errors import BrokerError

KILL_SECONDS = 10.0
_PAUSE_SECONDS = 5.0
JVM_OPTIONS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "--sun-misc-unsafe-memory-access=allow")
"""The quick compiler alone: measured, a broker then starts in 2.4 s instead of 3.0 s, and for its first
400,000 transactional records takes half the CPU time that it takes with the optimising one."""


class Place(msgspec.Struct, frozen=True):
    """A broker's place in its cluster: its 1-based id and everyone's ports."""

    node: int
    ports: tuple[Ports, ...]
    cluster_id: str

    @property
    def port(self) -> int:
        """Where clients connect."""
        return self.ports[self.node - 1].client


class LocalBroker:
    """One broker. It outlives neither `stop` nor, where leashed, the process that started it."""

    def __init__(self, folder: Path, place: Place, options: ClusterOptions) -> None:
        self.place = place
        self.folder = folder.resolve()
        self.log = self.folder / "server.log"
        self._output = self.folder / "output.log"
        self._options = options
        self._properties = self.folder / "server.properties"
        self._pid_file = PidFile(self.folder / "pid", str(self._properties))
        self._log_start = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._leash: Leash | None = None

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` of this broker alone."""
        return f"{HOST}:{self.place.port}"

    @property
    def pid(self) -> int | None:
        """The process id where it runs (a paused process runs)."""
        if self._child is not None:
            return self._child.pid if self._child.poll() is None else None
        return self._pid_file.read()

    def launch(self) -> bool:
        """Start the process and return at once; false where it runs already. Raises BrokerError."""
        if self.pid is not None:
            return False
        self._check_ports()
        jars = ensure_jars()
        try:
            self._prepare(jars)
        except OSError as error:
            raise BrokerError(
                f"{self.folder}: cannot keep the broker's files there ({error.strerror})"
            ) from error
        options = [
            f"-Xmx{self._options.heap}",
            f"-Dlog4j2.configurationFile={(self.folder / 'log4j2.properties').as_uri()}",
            f"-Dpenchant.log={self.log}",
            *JVM_OPTIONS,
        ]
        command = java_command(["kafka.Kafka", str(self._properties)], jars, options)
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        self._child = spawn(command, self._output)
        self._pid_file.write(self._child.pid)
        if self._options.leashed:
            self._leash = Leash(self._child.pid)
        return True

    def wait_ready(self) -> None:
        """Wait until it answers and sees the whole cluster. Raises BrokerError, with what its log says."""
        started = time.monotonic()
        seconds = self._options.start_seconds
        if not wait_ready(self.place.port, len(self.place.ports), seconds, lambda: self.pid is not None):
            state = "is not ready" if self.pid is not None else "ended"
            waited = time.monotonic() - started
            raise BrokerError(
                f"the broker on port {self.place.port} {state} after {waited:.0f} s: "
                f"{self._last_words()}; its logs are in {self.folder}"
            )

    def start(self) -> None:
        """Launch and wait until it is ready."""
        self.launch()
        self.wait_ready()

    def stop(self) -> bool:
        """Clean end: SIGTERM, a bounded wait, then SIGKILL. True where SIGTERM was enough."""
        self.terminate()
        return self.wait_ended()

    def terminate(self) -> None:
        """Ask it to end, and return at once."""
        self.resume()
        self._signal(signal.SIGTERM)

    def wait_ended(self) -> bool:
        """Wait for the end that was asked for, then force it. True where no force was needed."""
        clean = wait_until(lambda: self.pid is None, self._options.stop_seconds)
        self.kill()
        return clean

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._signal(signal.SIGKILL)
        if not wait_until(lambda: self.pid is None, KILL_SECONDS):
            raise BrokerError(f"process {self.pid} does not end; end it by hand")
        if self._leash is not None:
            self._leash.release()
        self._leash = None
        self._child = None
        self._pid_file.remove()

    def pause(self) -> None:
        """SIGSTOP: it keeps its connections and answers nothing. Waits until the system has stopped it."""
        pid = self.pid
        if pid is not None:
            send_signal(pid, signal.SIGSTOP)
            wait_until(lambda: process_state(pid) in ("T", ""), _PAUSE_SECONDS)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def restart_same_port(self) -> None:
        """Stop where it runs, then start on the same ports and data."""
        self.stop()
        self.start()

    def _signal(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is not None:
            send_signal(pid, number)

    def _check_ports(self) -> None:
        own = self.place.ports[self.place.node - 1]
        for port in (own.client, own.controller):
            if not is_free(port):
                raise BrokerError(f"port {port} is taken by another program; end it, or name another --port")

    def _prepare(self, jars: list[Path]) -> None:
        data = self.folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        text = broker_properties(self.place.node, self.place.ports, data, self._options)
        self._properties.write_text(text, encoding="latin-1", errors="backslashreplace")
        (self.folder / "log4j2.properties").write_text(LOG4J, encoding="ascii")
        if not (data / "meta.properties").exists():
            arguments = ["format", "--ignore-formatted", "-t", self.place.cluster_id]
            tool = ["kafka.tools.StorageTool", *arguments, "-c", str(self._properties)]
            run_java(java_command(tool, jars, JVM_OPTIONS), self.folder)

    def _last_words(self) -> str:
        """What the log of this run says went wrong; where it says nothing, what Java itself wrote."""
        errors = [
            line for line in _lines(self.log, self._log_start) if " ERROR " in line or " FATAL " in line
        ]
        return errors[-1].strip() if errors else telling_line(_lines(self._output, 0))


def _lines(path: Path, start: int) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
