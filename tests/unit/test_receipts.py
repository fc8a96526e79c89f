"""What a receipt says to a person is what was done."""

import pytest

from streams.receipts import receipt_text
from streams.records import UserReceipt


def told(command: str, **fields: object) -> str:
    return receipt_text(UserReceipt("c-1", command, "visitor", 1, **fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"found": True}, "done"),
        ({"found": False}, "done: nothing was held"),
        (
            {"found": True, "into": "ann"},
            "done; ann, whose part visitor had become, is forgotten with it",
        ),
        (
            {"found": False, "into": "ann", "refused": "merged_later"},
            "not done: by a later merge, visitor is part of ann; forget ann to forget all",
        ),
    ],
)
def test_of_a_forget(fields: dict[str, object], words: str) -> None:
    assert told("forget", **fields) == words


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"found": True}, "done: visitor is part of ann now"),
        (
            {"found": False},
            "done: visitor is part of ann now; nothing was held, and what comes from now on is ann's",
        ),
        (
            {"found": True, "lapsed": ["v-1", "v-2"]},
            "done: visitor is part of ann now; it has too many old ids, and what comes under v-1, v-2 is not "
            "its own any more",
        ),
        ({"found": False, "refused": "merged_later"}, "not done: a later merge of visitor holds"),
        (
            {"found": False, "refused": "forgotten_later"},
            "not done: visitor was forgotten, as of a later time",
        ),
        (
            {"found": False, "refused": "into_forgotten_later"},
            "not done: ann was forgotten, as of a later time, and with it what visitor did before",
        ),
    ],
)
def test_of_a_merge(fields: dict[str, object], words: str) -> None:
    assert told("merge", into="ann", **fields) == words
