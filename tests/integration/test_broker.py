"""The local broker and the fixtures on a real Kafka."""

from conftest import produce_json, read_all

from streams.settings import Settings
from streams.topics import check_topics, create_topics


def test_records_come_back_in_order(settings: Settings) -> None:
    topic = settings.topics.interactions
    produce_json(settings, topic, [(f"u{number % 7}", {"n": number}) for number in range(500)])
    messages = read_all(settings, topic)
    assert len(messages) == 500
    for partition in range(4):
        offsets = [message.offset() for message in messages if message.partition() == partition]
        assert offsets == list(range(len(offsets)))


def test_topics_are_made_once_and_pass_the_check(settings: Settings) -> None:
    assert check_topics(settings) == []
    assert create_topics(settings) == []
