"""Whether the brokers answer: asked beside the workers, so that readiness tells of an outage."""

import logging
import threading
import time
from collections.abc import Callable

from streams import kafka
from streams.settings import KafkaSettings

SILENCE_SECONDS = 15.0
"""Longer than a broker's restart takes its clients to notice, short for whoever looks at a dashboard."""
ASK_SECONDS = 5.0
PAUSE_SECONDS = 3.0
_TOPIC = "__consumer_offsets"

_log = logging.getLogger(__name__)


class BrokerContact:
    """Asks the cluster who is in it, now and then, in a thread of its own from `start` to `stop`."""

    def __init__(
        self,
        settings: KafkaSettings,
        ask: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._ask = ask
        self._clock = clock
        self._answered = clock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="broker-contact", daemon=True)

    def start(self) -> None:
        self._answered = self._clock()
        self._thread.start()

    def stop(self) -> None:
        """Does not wait for an answer that is still out."""
        self._stop.set()

    def problem(self) -> str | None:
        """What is wrong, once no broker has answered for SILENCE_SECONDS."""
        silent = self._clock() - self._answered
        if silent < SILENCE_SECONDS:
            return None
        return f"no broker at {self._settings.bootstrap_servers} has answered for {silent:.0f} s"

    def _run(self) -> None:
        ask = self._ask or _Question(self._settings)
        while not self._stop.is_set():
            try:
                ask()
            except (kafka.KafkaException, TimeoutError) as error:
                _log.debug("no broker answers: %s", error)
            else:
                self._answered = self._clock()
            self._stop.wait(PAUSE_SECONDS)


class _Question:
    """A small request that any broker can answer, about a topic that every cluster with groups has.

    Not `describe_cluster`: after a minute without a broker, on a busy machine, its answer was seen to abort
    the process within librdkafka 2.16 (`rd_kafka_admin_response_parse: Assertion rko_result failed`).
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._admin = kafka.admin_client(settings)

    def __call__(self) -> None:
        self._admin.list_topics(_TOPIC, timeout=ASK_SECONDS)
