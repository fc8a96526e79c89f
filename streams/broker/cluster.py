"""A local cluster of one or several brokers, all on this machine."""

import base64
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from streams.broker.node import LocalBroker, Place
from streams.broker.ports import free_ports
from streams.broker.properties import ClusterOptions, Ports
from streams.errors import BrokerError


class Description(msgspec.Struct, frozen=True):
    """What `cluster.json` in the cluster's folder says."""

    cluster_id: str
    ports: tuple[Ports, ...]


class LocalCluster:
    """Brokers with combined KRaft controllers, their files under `folder`. A context manager.

    A folder that holds a cluster already is used again, with its data and, where none are named, its ports.
    """

    def __init__(self, folder: Path, options: ClusterOptions | None = None) -> None:
        self.folder = folder
        self.options = ClusterOptions() if options is None else options
        self.brokers: list[LocalBroker] = []

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` of every broker, with commas between."""
        if not self.brokers:
            raise BrokerError(f"no broker was started in {self.folder}")
        return ",".join(broker.bootstrap_servers for broker in self.brokers)

    @property
    def ports(self) -> tuple[Ports, ...]:
        """Each broker's ports."""
        return self.brokers[0].place.ports if self.brokers else ()

    @property
    def running(self) -> bool:
        """Whether any broker's process runs."""
        return any(broker.pid is not None for broker in self.brokers)

    def start(self) -> Self:
        """Start what does not run, and wait until all are ready. Raises BrokerError."""
        description = self._describe()
        if not self.brokers:
            self.brokers = self._brokers(description)
        launched: list[LocalBroker] = []
        try:
            for broker in self.brokers:
                if broker.launch():
                    launched.append(broker)
            for broker in self.brokers:
                broker.wait_ready()
        except BaseException:
            for broker in launched:
                broker.kill()
            raise
        return self

    def stop(self) -> bool:
        """End all cleanly, by force where they do not; true where no force was needed."""
        for broker in self.brokers:
            broker.terminate()
        clean = [broker.wait_ended() for broker in self.brokers]
        return all(clean)

    def kill(self) -> None:
        """SIGKILL to all."""
        for broker in self.brokers:
            broker.kill()

    def pause(self) -> None:
        """SIGSTOP to all."""
        for broker in self.brokers:
            broker.pause()

    def resume(self) -> None:
        """SIGCONT to all."""
        for broker in self.brokers:
            broker.resume()

    def restart_same_port(self) -> None:
        """Stop what runs, then start all on the same ports and data."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @classmethod
    def existing(cls, folder: Path) -> "LocalCluster | None":
        """The cluster whose files are in the folder, running or not; none where there is none."""
        cluster = cls(folder, ClusterOptions(leashed=False))
        description = read_description(folder)
        if description is None:
            return None
        cluster.brokers = cluster._brokers(description)
        return cluster

    def _brokers(self, description: Description) -> list[LocalBroker]:
        return [
            LocalBroker(
                self.folder / f"broker-{node}",
                Place(node, description.ports, description.cluster_id),
                self.options,
            )
            for node in range(1, len(description.ports) + 1)
        ]

    def _describe(self) -> Description:
        known = read_description(self.folder)
        count = len(self.options.ports) or self.options.brokers
        if known is not None and len(known.ports) != count:
            raise BrokerError(
                f"{self.folder} holds a cluster of {len(known.ports)} brokers, not {count}; "
                "start that many, or name another folder"
            )
        ports = self.options.ports or (known.ports if known is not None else _free_pairs(count))
        cluster_id = known.cluster_id if known is not None else new_cluster_id()
        description = Description(cluster_id, ports)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "cluster.json").write_bytes(msgspec.json.encode(description))
        except OSError as error:
            raise BrokerError(f"{self.folder}: cannot keep a cluster there ({error.strerror})") from error
        return description


def read_description(folder: Path) -> Description | None:
    """What the folder's `cluster.json` says; none where there is no such file."""
    path = folder / "cluster.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Description)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except msgspec.DecodeError as error:
        raise BrokerError(f"{path} is damaged ({error}); remove the folder to start afresh") from error


def new_cluster_id() -> str:
    """A random UUID as Kafka writes it: 22 characters of URL-safe base64, the first of them a letter.

    One that began with a dash would be read as an option by Kafka's tools.
    """
    first, *rest = uuid.uuid4().bytes
    return base64.urlsafe_b64encode(bytes([first & 0x7F, *rest])).decode().rstrip("=")


def _free_pairs(count: int) -> tuple[Ports, ...]:
    ports = free_ports(2 * count)
    return tuple(Ports(*pair) for pair in zip(ports[::2], ports[1::2], strict=True))
