"""Reading a changelog whole, for the commands that move or copy states."""

from dataclasses import replace

import pytest

from state.store import MemoryStore
from streams.engine.whole import load_whole
from streams.errors import ChangelogCut, OwnershipLost
from streams.testing import MemoryJournal, MemoryLog


def filled() -> tuple[MemoryLog, MemoryJournal]:
    log = MemoryLog()
    owner = MemoryJournal(log, 0)
    owner.fence(lambda: False)
    for number in range(250):
        owner.produce([], {b"k%d" % (number % 9): b"%d" % number, b"gone": b"x"})
        owner.commit()
    owner.produce([], {b"gone": None})
    owner.commit()
    return log, owner


def test_all_of_it_is_loaded_and_its_owner_is_fenced() -> None:
    log, owner = filled()
    store, journal = MemoryStore(), MemoryJournal(log, 0)
    load_whole(journal, store, "states-0")
    expected = {b"k%d" % (number % 9): b"%d" % number for number in range(250)}
    assert dict(store.scan(b"")) == expected
    with pytest.raises(OwnershipLost):
        owner.produce([], {b"k": b"late"})
    journal.produce([], {b"k": b"ours"})
    assert journal.commit() > 0


def test_what_was_cut_is_not_taken_for_the_whole() -> None:
    log, _ = filled()
    log.facts = replace(log.facts, changelog_start=3)
    store = MemoryStore()
    with pytest.raises(ChangelogCut, match=r"states-0: .* cut up to offset 3"):
        load_whole(MemoryJournal(log, 0), store, "states-0")
    assert list(store.scan(b"")) == []
