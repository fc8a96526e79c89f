"""What an event carries itself is its user's own; what it points at may be anybody's."""

import pytest

from streams.encode.drafts import plan_event
from streams.encode.item_view import ItemView
from streams.encode.parsing import parse_interaction
from streams.raw import RawRecord


@pytest.mark.parametrize(
    ("fields", "private"),
    [
        ('"text": "words", "action": "search"', True),
        ('"media": [{"text": "words"}]', True),
        ('"media": [{"uri": "data:,words"}]', True),
        ('"media": [{"uri": "https://media.test/a.png"}]', False),
    ],
)
def test_what_an_event_carries_itself_is_private(fields: str, private: bool) -> None:
    value = '{"user_id": "ann", "action": "view", "timestamp": 1, ' + fields + "}"
    record = RawRecord("interactions", 0, 0, 1, b"ann", value.encode())
    (wanted,) = plan_event(parse_interaction(record, {}), ItemView()).media()
    assert wanted.private == private
