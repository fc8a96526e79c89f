"""A process that reads a topic as the workers do: its client talks much, and each start asks for metadata.

Arguments: the settings as JSON, and a topic. Ends with 0 once a record came.
"""

import sys
import time

import msgspec

from streams import kafka
from streams.encode import starts
from streams.encode.source import RawSource
from streams.settings import Settings


def watermarks(client: kafka.Consumer, topic: str, partition: int, seconds: float) -> tuple[int, int]:
    """As after a broker was killed: the client knows no partition until it asks for the topic."""
    client.list_topics(topic, timeout=seconds)
    return kafka.watermarks(client, topic, partition, seconds)


def main() -> int:
    settings = msgspec.json.decode(sys.argv[1], type=Settings)
    starts.watermarks = watermarks
    source = RawSource(settings, f"{settings.app.name}-reads", [sys.argv[2]])
    source.open()
    give_up = time.monotonic() + 60
    try:
        while time.monotonic() < give_up:
            if source.read(10, wait=True):
                return 0
    finally:
        source.close()
    return 1


if __name__ == "__main__":
    sys.exit(main())
