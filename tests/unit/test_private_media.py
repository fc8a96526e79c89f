"""What an event brings along is its user's own, wherever it lies, unless the settings say otherwise."""

import pytest

from streams.encode.drafts import plan_event
from streams.encode.item_view import ItemView
from streams.encode.parsing import parse_interaction
from streams.raw import RawRecord


@pytest.mark.parametrize(
    ("fields", "shared", "private"),
    [
        ('"text": "words", "action": "search"', True, True),
        ('"media": [{"text": "words"}]', True, True),
        ('"media": [{"uri": "data:,words"}]', True, True),
        ('"media": [{"uri": "https://media.test/a.png"}]', False, True),
        ('"media": [{"uri": "https://media.test/a.png"}]', True, False),
    ],
)
def test_what_an_event_brings_along_is_private(fields: str, shared: bool, private: bool) -> None:
    value = '{"user_id": "ann", "action": "view", "timestamp": 1, ' + fields + "}"
    record = RawRecord("interactions", 0, 0, 1, b"ann", value.encode())
    (wanted,) = plan_event(parse_interaction(record, {}), ItemView(), shared).media()
    assert wanted.private == private
