"""The cluster: it answers, the topics are as they must be, and its clock is like ours."""

import time
import uuid
from collections.abc import Iterator

from streams import kafka
from streams.doctor.finding import Finding, fail, ok, warn
from streams.errors import TopicError
from streams.settings import Settings

CALL_SECONDS = 10.0
LARGE_SKEW_SECONDS = 5.0
WORST_SKEW_SECONDS = 300.0
"""Events that lie further ahead of the broker's clock are clamped."""


def check_cluster(settings: Settings) -> Iterator[Finding]:
    """Broker, topics and clock; the latter two only where the broker answers."""
    admin = kafka.admin_client(settings.kafka)
    where = settings.kafka.bootstrap_servers
    try:
        brokers = len(admin.list_topics(timeout=CALL_SECONDS).brokers)
    except kafka.KafkaException as error:
        yield fail(
            "broker",
            f"none answers at {where}: {error.args[0].str()}",
            "check kafka.bootstrap_servers and kafka.client, or start one with `penchant broker start`",
        )
        for subject in ("topics", "clock"):
            yield warn(subject, "not checked, for want of a broker", "mend that first")
        return
    yield ok("broker", f"{brokers} answer at {where}" if brokers > 1 else f"one answers at {where}")
    if settings.topics.replication == 1 and brokers >= 3:
        yield warn(
            "broker", f"topics.replication is 1 on {brokers} brokers", "3 survives the loss of a broker"
        )
    yield from _topics(settings)
    yield _clock(settings, admin)


def _topics(settings: Settings) -> Iterator[Finding]:
    from streams.topics import check_topics

    try:
        problems = check_topics(settings)
    except TopicError as error:
        yield fail("topics", str(error), "check the rights of this client")
        return
    for problem in problems:
        seen, _, mend = problem.partition("; ")
        yield fail("topics", seen, mend)
    if not problems:
        yield ok("topics", "all are there, with the right partitions and clean-up")


def _clock(settings: Settings, admin: kafka.AdminClient) -> Finding:
    """The broker stamps a record of a topic made for this alone; in no other way does Kafka tell its time."""
    topic = f"penchant-{settings.app.name}-clock-{uuid.uuid4().hex[:8]}"
    try:
        options = {"message.timestamp.type": "LogAppendTime"}
        admin.create_topics([kafka.NewTopic(topic, 1, 1, config=options)])[topic].result(CALL_SECONDS)
    except (kafka.KafkaException, TimeoutError) as error:
        return warn("clock", f"not compared, as no topic can be created: {error}", "compare clocks by hand")
    try:
        skew = _skew(settings, topic)
    finally:
        admin.delete_topics([topic])[topic].exception(CALL_SECONDS)
    if skew is None:
        return warn("clock", "not compared, as the broker took no record in time", "try again")
    seen = f"{abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} the broker's"
    mend = "keep both machines' time by NTP"
    if abs(skew) >= WORST_SKEW_SECONDS:
        return fail("clock", seen, mend)
    if abs(skew) >= LARGE_SKEW_SECONDS:
        return warn("clock", seen, mend)
    return ok("clock", "agrees with the broker's" if abs(skew) < 1 else seen)


def _skew(settings: Settings, topic: str) -> float | None:
    """Seconds by which our clock is ahead; 0 where the broker's time lies between sending and its answer."""
    stamps: list[float] = []

    def told(error: kafka.KafkaError | None, message: kafka.Message) -> None:
        if error is None:
            stamps.append(message.timestamp()[1] / 1000)

    producer = kafka.producer(settings.kafka, overrides={"delivery.timeout.ms": int(CALL_SECONDS * 1000)})
    sent = time.time()
    producer.produce(topic, value=b"", on_delivery=told)
    producer.flush(CALL_SECONDS)
    answered = time.time()
    if not stamps:
        return None
    return max(0.0, sent - stamps[0]) or min(0.0, answered - stamps[0])
