"""Whether a source that was made anew under its reader is noticed."""

from collections.abc import Callable

import pytest

from streams.engine import source_check
from streams.engine.source_check import SourceCheck
from streams.errors import ChangelogCut, SourceRecreated
from streams.topic_ids import Identity
from streams.topics import SilentCluster, UnknownTopic

OLD_ID, NEW_ID = Identity(b"o" * 16, 4), Identity(b"n" * 16, 4)
OLD, NEW = {"source": OLD_ID, "states": OLD_ID}, {"source": NEW_ID, "states": OLD_ID}


def check(*answers: dict[str, Identity] | Exception) -> Callable[[], None]:
    left = list(answers)

    def ask() -> dict[str, Identity]:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return SourceCheck(ask, "states")


def test_the_same_topic_is_no_news() -> None:
    source = check(OLD, OLD, OLD)
    for _ in range(3):
        source()


def test_a_topic_made_anew_is_refused() -> None:
    source = check(SilentCluster("silent"), OLD, SilentCluster("silent"), NEW)
    for _ in range(3):
        source()
    with pytest.raises(SourceRecreated, match="made anew"):
        source()


def test_a_changelog_made_anew_is_refused() -> None:
    source = check(OLD, {"source": OLD_ID, "states": NEW_ID})
    source()
    with pytest.raises(ChangelogCut, match=r"states: .* made anew while states were written"):
        source()


def test_a_topic_that_is_gone_for_good_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    source = check(
        OLD,
        UnknownTopic("source: missing"),
        OLD,
        UnknownTopic("source: missing"),
        UnknownTopic("source: missing"),
    )
    for _ in range(4):
        # A broker may not have heard of a topic yet, or for a moment.
        source()
    monkeypatch.setattr(source_check, "GONE_SECONDS", -1.0)
    with pytest.raises(SourceRecreated, match="deleted"):
        source()


def test_a_topic_that_never_was_is_for_the_opening_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_check, "GONE_SECONDS", -1.0)
    source = check(UnknownTopic("source: missing"), UnknownTopic("source: missing"), OLD)
    for _ in range(3):
        source()
