"""The configuration files of a local cluster's brokers."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

HOST = "127.0.0.1"


class Ports(msgspec.Struct, frozen=True):
    """One broker's ports: for clients, and for the quorum of controllers."""

    client: int
    controller: int


class ClusterOptions(msgspec.Struct, frozen=True):
    """How a local cluster is built. `properties` overrides any broker setting."""

    brokers: int = 1
    controllers: int = 0
    """How many of them, the first ones, are controllers, too; all where 0. With one, any other broker may
    be lost, and the cluster of two goes on."""
    ports: tuple[Ports, ...] = ()
    """One pair a broker; free ones where empty."""
    heap: str = "512m"
    properties: Mapping[str, str] = {}
    start_seconds: float = 90.0
    stop_seconds: float = 20.0
    leashed: bool = True
    """Whether the brokers die with the process that started them, however it ends."""


LOG4J = """\
status=error
appender.file.type=RollingFile
appender.file.name=file
appender.file.fileName=${sys:penchant.log}
appender.file.filePattern=${sys:penchant.log}.%i
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d{ISO8601} %-5p %c{1} %m%n
appender.file.policies.type=SizeBasedTriggeringPolicy
appender.file.policies.size=16MB
appender.file.strategy.type=DefaultRolloverStrategy
appender.file.strategy.max=2
rootLogger.level=info
rootLogger.appenderRef.file.ref=file
"""


def broker_properties(node: int, ports: tuple[Ports, ...], data: Path, options: ClusterOptions) -> str:
    """`server.properties` of the broker with the 1-based id `node`, of as many brokers as `ports` has."""
    own = ports[node - 1]
    count = len(ports)
    controllers = options.controllers or count
    listener = f"PLAINTEXT://{HOST}:{own.client}"
    replication = str(min(3, count))
    in_sync = "2" if count >= 3 else "1"
    values = {
        "process.roles": "broker,controller" if node <= controllers else "broker",
        "node.id": str(node),
        "controller.quorum.voters": ",".join(
            f"{voter}@{HOST}:{pair.controller}" for voter, pair in enumerate(ports[:controllers], 1)
        ),
        "listeners": f"{listener},CONTROLLER://{HOST}:{own.controller}" if node <= controllers else listener,
        "advertised.listeners": listener,
        "controller.listener.names": "CONTROLLER",
        "log.dirs": _escape(str(data)),
        "offsets.topic.replication.factor": replication,
        "transaction.state.log.replication.factor": replication,
        "share.coordinator.state.topic.replication.factor": replication,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.min.isr": in_sync,
        "min.insync.replicas": in_sync,
        "offsets.topic.num.partitions": "8",
        "transaction.state.log.num.partitions": "8",
        "share.coordinator.state.topic.num.partitions": "1",
        # A broker that was killed may come back only when its old session is over.
        "broker.session.timeout.ms": "4000",
        "broker.heartbeat.interval.ms": "500",
        "group.initial.rebalance.delay.ms": "0",
        "auto.create.topics.enable": "false",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
        **options.properties,
    }
    return "".join(f"{key}={value}\n" for key, value in values.items())


def _escape(value: str) -> str:
    """Java's property files read a backslash as the start of an escape."""
    return value.replace("\\", "\\\\")
