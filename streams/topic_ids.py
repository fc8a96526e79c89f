"""The ids that Kafka gives to topics: one that is deleted and made anew has another."""

import base64

from state.events import NO_TOPIC

__all__ = ["NO_TOPIC", "id_bytes", "id_text"]


def id_text(topic: bytes) -> str:
    """An id as Kafka's tools show it; empty for NO_TOPIC."""
    return "" if topic == NO_TOPIC else base64.urlsafe_b64encode(topic).decode().rstrip("=")


def id_bytes(text: str) -> bytes:
    """The 16 bytes of an id; NO_TOPIC for the empty text. Raises ValueError for what is no id."""
    if not text:
        return NO_TOPIC
    found = base64.urlsafe_b64decode(f"{text}==")
    if len(found) != len(NO_TOPIC):
        raise ValueError(f"{text}: no id of a topic")
    return found
