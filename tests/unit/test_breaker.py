"""When a failing language model is asked no more, and when again."""

from encoders.language.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def broken(clock: Clock) -> Breaker:
    breaker = Breaker(3, 60.0, clock)
    for _ in range(3):
        assert breaker.allow()
        breaker.tell(False)
    return breaker


def test_opens_after_failures_in_a_row() -> None:
    breaker = broken(Clock())
    assert breaker.is_open and not breaker.allow()


def test_a_success_between_counts_anew() -> None:
    breaker = Breaker(2, 60.0, Clock())
    for succeeded in (False, True, False, True, False):
        assert breaker.allow()
        breaker.tell(succeeded)
    assert not breaker.is_open


def test_one_call_is_tried_after_a_while() -> None:
    clock = Clock()
    breaker = broken(clock)
    clock.now = 59.9
    assert not breaker.allow()
    clock.now = 60.0
    assert breaker.allow()
    assert not breaker.allow(), "a second call while the first is on trial"


def test_a_trial_that_succeeds_closes() -> None:
    clock = Clock()
    breaker = broken(clock)
    clock.now = 60.0
    assert breaker.allow()
    breaker.tell(True)
    assert not breaker.is_open and breaker.allow() and breaker.allow()


def test_a_trial_that_fails_opens_for_as_long_again() -> None:
    clock = Clock()
    breaker = broken(clock)
    clock.now = 60.0
    assert breaker.allow()
    breaker.tell(False)
    clock.now = 119.9
    assert not breaker.allow()
    clock.now = 120.0
    assert breaker.allow()
