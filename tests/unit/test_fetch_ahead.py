"""What the next batch wants is fetched meanwhile, in parts; nothing but time depends on it."""

import threading
from collections.abc import Iterator, Sequence

import pytest

from encoders.base import Medium, Modality
from encoders.errors import MediumError
from encoders.fetch.request import FetchRequest
from streams.encode import ahead as module
from streams.encode.ahead import PART, FetchAhead
from streams.encode.media import MediaEncoder, Wanted
from tests.fake_media import FakeBank

SECONDS = 60.0


class GatedFetcher:
    """Serves the URI's own bytes, and holds those up that `gates` has, until they are set."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gates: dict[str, threading.Event] = {}
        self.failing: set[str] = set()
        self.began = threading.Semaphore(0)

    def fetch_many(
        self, references: Sequence[FetchRequest], budget_seconds: float, anew: bool = False
    ) -> list[bytes | MediumError]:
        uris = [one.uri for one in references]
        self.asked += uris
        self.began.release()
        for uri in uris:
            if uri in self.gates:
                assert self.gates[uri].wait(SECONDS)
            if uri in self.failing:
                raise RuntimeError(uri)
        return [MediumError("missing", uri) if "gone" in uri else uri.encode() for uri in uris]


@pytest.fixture
def fetcher() -> GatedFetcher:
    return GatedFetcher()


@pytest.fixture
def ahead(fetcher: GatedFetcher) -> Iterator[FetchAhead]:
    made = FetchAhead(MediaEncoder(FakeBank(), fetcher, 1.0))
    yield made
    for gate in fetcher.gates.values():
        gate.set()
    made.close()


def pictures(*names: str) -> list[Wanted]:
    return [Wanted(uri=name, modality=Modality.IMAGE) for name in names]


def test_what_is_fetched_ahead_is_not_fetched_again(ahead: FetchAhead, fetcher: GatedFetcher) -> None:
    ahead.begin(pictures("a", "b", "gone", "a"), ())
    assert fetcher.began.acquire(timeout=SECONDS)
    found = ahead.find([*pictures("b", "gone"), Wanted(text="words"), *pictures("new")])
    assert [medium.content for medium in found.contents.values()] == [b"b", b"words", b"new"]
    assert [one.uri for one in found.late] == ["gone"]
    assert [one.uri for one in found.unfetched] == ["gone"]
    assert fetcher.asked == ["a", "b", "gone", "new"]


def test_without_a_window_everything_is_fetched_in_its_turn(ahead: FetchAhead, fetcher: GatedFetcher) -> None:
    ahead.begin([Wanted(text="a text needs no fetching")], ())
    for _ in range(2):
        assert list(ahead.find(pictures("a")).contents.values()) == [Medium(b"a", Modality.IMAGE, "a")]
    assert fetcher.asked == ["a", "a"]


def test_what_is_being_encoded_is_not_fetched_ahead(ahead: FetchAhead, fetcher: GatedFetcher) -> None:
    ahead.begin(pictures("a", "b"), set(pictures("a")))
    assert fetcher.began.acquire(timeout=SECONDS)
    ahead.find(pictures("b"))
    assert fetcher.asked == ["b"]


def test_parts_that_were_not_begun_are_fetched_beside_the_one_under_way(
    ahead: FetchAhead, fetcher: GatedFetcher
) -> None:
    names = [str(number) for number in range(2 * PART)]
    gate = fetcher.gates["0"] = threading.Event()
    ahead.begin(pictures(*names), ())
    assert fetcher.began.acquire(timeout=SECONDS)
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(len(ahead.find(pictures(*names)).contents)))
    thread.start()
    # The second part is asked for while the first one still hangs.
    assert fetcher.began.acquire(timeout=SECONDS)
    assert fetcher.asked == names
    assert not found
    gate.set()
    thread.join(SECONDS)
    assert found == [2 * PART]
    assert fetcher.asked == names


def test_no_part_is_begun_beyond_the_bytes_that_may_lie_there(fetcher: GatedFetcher) -> None:
    ahead = FetchAhead(MediaEncoder(FakeBank(), fetcher, 1.0), most_bytes=PART)
    names = [str(number) for number in range(3 * PART)]
    ahead.begin(pictures(*names), ())
    work = ahead._work
    assert work is not None
    # Single digits and doubles: the first part has enough.
    assert len(work.result(SECONDS).contents) == PART
    assert fetcher.asked == names[:PART]
    assert len(ahead.find(pictures(*names)).contents) == 3 * PART
    assert fetcher.asked == names
    ahead.close()


def test_where_fetching_ahead_fails_the_batch_fetches_itself(
    ahead: FetchAhead, fetcher: GatedFetcher
) -> None:
    fetcher.failing.add("a")
    ahead.begin(pictures("a", "b"), ())
    assert fetcher.began.acquire(timeout=SECONDS)
    assert ahead._work is not None
    assert isinstance(ahead._work.exception(SECONDS), RuntimeError)
    fetcher.failing.clear()
    assert len(ahead.find(pictures("a", "b")).contents) == 2


def test_a_window_that_hangs_is_left_behind(
    ahead: FetchAhead, fetcher: GatedFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIMIT_SECONDS", 0.01)
    fetcher.gates["a"] = threading.Event()
    ahead.begin(pictures("a"), ())
    assert fetcher.began.acquire(timeout=SECONDS)
    del fetcher.gates["a"]
    assert len(ahead.find(pictures("b")).contents) == 1
    assert len(ahead.find(pictures("a")).contents) == 1


def test_closed_it_begins_no_further_part(fetcher: GatedFetcher) -> None:
    ahead = FetchAhead(MediaEncoder(FakeBank(), fetcher, 1.0))
    gate = fetcher.gates["0"] = threading.Event()
    ahead.begin(pictures(*(str(number) for number in range(2 * PART))), ())
    assert fetcher.began.acquire(timeout=SECONDS)
    work = ahead._work
    ahead.close()
    gate.set()
    assert work is not None
    assert len(work.result(SECONDS).contents) == PART
