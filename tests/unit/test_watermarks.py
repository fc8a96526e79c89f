"""Asking for a partition's ends with a client that has lost a leader."""

import pytest

from streams.kafka import KafkaError, KafkaException, TopicPartition, may_pass, watermarks


class FakeReader:
    """Knows no partition until it asks for the topic, as a client does after a broker's death."""

    def __init__(self) -> None:
        self.refreshed: list[str] = []

    def get_watermark_offsets(self, partition: TopicPartition, timeout: float) -> tuple[int, int] | None:
        if partition.topic == "slow":
            return None
        if partition.topic not in self.refreshed:
            raise KafkaException(KafkaError(KafkaError._UNKNOWN_PARTITION))
        return 3, 7

    def list_topics(self, topic: str, timeout: float) -> None:
        self.refreshed.append(topic)
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))


def test_a_lost_leader_is_found_again_at_the_next_try() -> None:
    reader = FakeReader()
    with pytest.raises(KafkaException) as caught:
        watermarks(reader, "t", 0, 1.0)  # type: ignore[arg-type]
    assert may_pass(caught.value.args[0])
    assert watermarks(reader, "t", 0, 1.0) == (3, 7)  # type: ignore[arg-type]


def test_no_answer_in_time_is_an_error_that_may_pass() -> None:
    with pytest.raises(KafkaException) as caught:
        watermarks(FakeReader(), "slow", 0, 1.0)  # type: ignore[arg-type]
    assert may_pass(caught.value.args[0])
