"""Whether the brokers answer, as readiness tells it."""

import threading
from collections.abc import Callable

import pytest

from streams import contact, kafka
from streams.broker.ports import free_ports
from streams.contact import BrokerContact
from streams.settings import KafkaSettings

SECONDS = 20.0


class Cluster:
    """Answers or not, as a test wants; counts how often it was asked."""

    def __init__(self) -> None:
        self.away = False
        self.asked = threading.Semaphore(0)

    def __call__(self) -> None:
        self.asked.release()
        if self.away:
            raise kafka.KafkaException(kafka.KafkaError(kafka.KafkaError._TRANSPORT))

    def wait(self) -> None:
        """Until it was asked twice more: then the first answer has been noted."""
        for _ in range(2):
            assert self.asked.acquire(timeout=SECONDS)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact, "PAUSE_SECONDS", 0.01)


@pytest.mark.usefixtures("quick")
def test_silence_is_told_after_a_while_and_forgotten_with_the_next_answer() -> None:
    now = 100.0
    cluster = Cluster()
    watched = BrokerContact(KafkaSettings(bootstrap_servers="here:1"), cluster, lambda: now)
    watched.start()
    try:
        cluster.wait()
        cluster.away = True
        cluster.wait()
        now += contact.SILENCE_SECONDS - 1
        assert watched.problem() is None
        now += 2
        assert watched.problem() == f"no broker at here:1 has answered for {now - 100:.0f} s"
        cluster.away = False
        cluster.wait()
        assert watched.problem() is None
    finally:
        watched.stop()


def test_what_is_no_broker_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact, "ASK_SECONDS", 0.5)
    (port,) = free_ports(1)
    ask: Callable[[], None] = contact._Question(KafkaSettings(bootstrap_servers=f"127.0.0.1:{port}"))
    with pytest.raises((kafka.KafkaException, TimeoutError)):
        ask()
