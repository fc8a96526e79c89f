"""What threads ask of another one is answered, also where that one has ended."""

import pytest

from streams.engine.mailbox import Mailbox


def test_what_is_asked_waits_for_who_serves_and_is_done_in_order() -> None:
    box, done = Mailbox(), list[int]()
    answers = [box.ask(lambda number=number: done.append(number) or number) for number in range(3)]
    assert not any(answer.done() for answer in answers) and done == []
    box.serve()
    assert done == [answer.result(0) for answer in answers] == [0, 1, 2]


def test_a_failure_reaches_both_threads_and_what_follows_stays() -> None:
    box = Mailbox()
    failed, after = box.ask(lambda: 1 // 0), box.ask(lambda: "after")
    with pytest.raises(ZeroDivisionError):
        box.serve()
    with pytest.raises(ZeroDivisionError):
        failed.result(0)
    assert not after.done()
    box.serve()
    assert after.result(0) == "after"


def test_nobody_waits_for_a_thread_that_has_ended() -> None:
    box = Mailbox()
    before = box.ask(lambda: "before")
    box.close()
    assert box.ask(lambda: "behind").result(0) == "behind"
    assert before.result(0) == "before"
