"""What ends an interests worker, apart from its engine."""

import pytest

from streams.errors import EngineError, PenchantError, TopicError
from streams.interests.worker import InterestsWorker
from streams.settings import Settings


@pytest.mark.parametrize("error", [EngineError("the thread died"), TopicError("items.encoded: missing")])
def test_a_catalogue_that_cannot_be_read_any_more_ends_the_worker_in_order(
    monkeypatch: pytest.MonkeyPatch, error: PenchantError
) -> None:
    """The host is told to stop, and so drains; an error in its face would not let it."""
    worker = InterestsWorker(Settings())
    assert worker._models.lives()

    def fail() -> None:
        raise error

    monkeypatch.setattr(worker._models.current.tail, "check", fail)
    assert not worker._models.lives()
