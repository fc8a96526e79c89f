"""Whether brokers answer, asked as a client would ask."""

import logging
import socket
from collections.abc import Callable

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.broker.properties import HOST
from streams.broker.running import wait_until

_quiet = logging.getLogger(__name__)
_quiet.setLevel(logging.CRITICAL)
_quiet.propagate = False


def accepts_connections(port: int) -> bool:
    """Whether something listens on the port."""
    try:
        with socket.create_connection((HOST, port), timeout=1.0):
            return True
    except OSError:
        return False


def answers(port: int, brokers: int, seconds: float = 2.0) -> bool:
    """Whether the broker on the port knows of so many live brokers."""
    if not accepts_connections(port):
        return False
    client = AdminClient(
        {
            "bootstrap.servers": f"{HOST}:{port}",
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 100,
            "log_level": 0,
        },
        logger=_quiet,
    )
    try:
        return len(client.list_topics(timeout=seconds).brokers) >= brokers
    except KafkaException:
        return False


def wait_ready(port: int, brokers: int, seconds: float, alive: Callable[[], bool]) -> bool:
    """Wait until the broker answers; false where it ended before, or the time is over."""
    wait_until(lambda: not alive() or answers(port, brokers), seconds)
    return alive() and answers(port, brokers)
