"""Late media are tried again at growing pauses, in small batches, and given up in the end."""

from collections.abc import Sequence

from encoders.base import Modality
from encoders.errors import MediumError
from encoders.fetch.request import FetchRequest
from streams.encode.late_media import BATCH, RETRY_SECONDS, LateMedia
from streams.encode.media import MediaEncoder, Wanted
from tests.fake_media import FakeBank


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class TiredFetcher:
    """Too slow `failures` times, then it serves the URI's own bytes."""

    def __init__(self, failures: int, reason: str = "too_slow") -> None:
        self.failures = failures
        self.reason = reason
        self.calls: list[int] = []

    def fetch_many(
        self, references: Sequence[FetchRequest], budget_seconds: float, anew: bool = False
    ) -> list[bytes | MediumError]:
        self.calls.append(len(references))
        if len(self.calls) <= self.failures:
            return [MediumError(self.reason, "not yet") for _ in references]
        return [reference.uri.encode() for reference in references]


def setup(fetcher: TiredFetcher) -> tuple[LateMedia, Clock]:
    clock = Clock()
    return LateMedia(MediaEncoder(FakeBank(), fetcher, 1.0), 5.0, clock), clock


def wanted(name: str) -> Wanted:
    return Wanted(uri=name, modality=Modality.IMAGE)


def test_it_comes_at_a_later_try() -> None:
    fetcher = TiredFetcher(1)
    late, clock = setup(fetcher)
    late.request([wanted("a"), wanted("a")])
    late.try_due()
    assert fetcher.calls == []
    clock.now += RETRY_SECONDS[0]
    late.try_due()
    assert (fetcher.calls, late.take()) == ([1], {})
    clock.now += RETRY_SECONDS[1]
    late.try_due()
    assert set(late.take()) == {wanted("a")}
    assert late.take() == {}


def test_it_is_given_up_after_the_last_try() -> None:
    fetcher = TiredFetcher(100, "missing")
    late, clock = setup(fetcher)
    late.request([wanted("a")])
    for _ in range(20):
        clock.now += max(RETRY_SECONDS)
        late.try_due()
    assert fetcher.calls == [1] * len(RETRY_SECONDS)
    assert late.take() == {}


def test_what_turns_out_useless_is_not_given() -> None:
    late, clock = setup(TiredFetcher(0))
    late.request([wanted("broken"), wanted("fatal"), wanted("good")])
    clock.now += RETRY_SECONDS[0]
    late.try_due()
    assert set(late.take()) == {wanted("good")}


def test_it_goes_in_small_batches() -> None:
    fetcher = TiredFetcher(0)
    late, clock = setup(fetcher)
    late.request([wanted(str(number)) for number in range(BATCH + 3)])
    clock.now += RETRY_SECONDS[0]
    late.try_due()
    late.try_due()
    assert fetcher.calls == [BATCH, 3]


def test_the_thread_ends_when_told_while_it_waits() -> None:
    late, _ = setup(TiredFetcher(0))
    late.start()
    late.request([wanted("a")])
    late.stop()
    late.check()
    assert late.take() == {}
