"""Where the encode worker begins to read, whatever became of the group's offsets and of the topic."""

import pytest

from state.events import NO_TOPIC
from streams.encode.placing import NOTHING, Committed, Log, Start, start_of
from streams.errors import SourceRecreated, SourceTrimmed

OLD, NEW = b"o" * 16, b"n" * 16
LOG = Log("interactions-0", NEW, 10, 50)
NONE = Committed(-1)


def test_the_first_start_is_at_the_start_of_the_log() -> None:
    assert start_of(NONE, NOTHING, LOG, False) == Start(10, follows=NOTHING)


@pytest.mark.parametrize("topic", [NEW, NO_TOPIC])
def test_what_was_committed_holds(topic: bytes) -> None:
    assert start_of(Committed(30, topic), NOTHING, LOG, False) == Start(30)
    assert start_of(Committed(10, topic), NOTHING, LOG, False) == Start(10)
    assert start_of(Committed(50, topic), NOTHING, LOG, False) == Start(50)


def test_a_commit_tells_nothing_of_another_topic() -> None:
    assert Committed(3, NEW).tells(NEW)
    assert Committed(3).tells(NEW)
    assert not Committed(3, OLD).tells(NEW)
    assert not NONE.tells(NEW)


@pytest.mark.parametrize("topic", [NEW, NO_TOPIC])
def test_where_the_commit_is_gone_the_packs_hold(topic: bytes) -> None:
    assert start_of(NONE, (topic, 30), LOG, False) == Start(30)


@pytest.mark.parametrize(
    ("committed", "covered"), [(Committed(4, NEW), NOTHING), (Committed(4), NOTHING), (NONE, (NEW, 4))]
)
def test_what_was_cut_unread_is_told_and_passed_over_on_demand(
    committed: Committed, covered: tuple[bytes, int]
) -> None:
    with pytest.raises(SourceTrimmed, match=r"offsets 4 to 9 were cut.*encode\.skip_trimmed"):
        start_of(committed, covered, LOG, False)
    start = start_of(committed, covered, LOG, True)
    assert start == Start(4, lost=6)
    assert start.offset == 10


@pytest.mark.parametrize("offset", [5, 30, 70])
def test_a_topic_made_anew_is_read_from_its_start(offset: int) -> None:
    known = Start(10, follows=(OLD, offset), recreated=True)
    assert start_of(Committed(offset, OLD), (OLD, offset), LOG, False) == known
    assert start_of(Committed(offset, OLD), NOTHING, LOG, False) == known
    assert start_of(NONE, (OLD, offset), LOG, False) == known


def test_without_ids_a_place_beyond_the_end_tells_of_a_topic_made_anew() -> None:
    assert start_of(NONE, (NO_TOPIC, 51), LOG, False) == Start(10, follows=(NO_TOPIC, 51), recreated=True)
    with pytest.raises(SourceRecreated, match="Delete the group's offsets"):
        start_of(Committed(51), NOTHING, LOG, False)


def test_records_that_the_brokers_lost_are_told() -> None:
    with pytest.raises(SourceRecreated, match="the brokers lost records"):
        start_of(Committed(51, NEW), NOTHING, LOG, True)
