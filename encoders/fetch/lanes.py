"""Runs fetches in threads, no more than a few at a time for any one host."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Generic, TypeVar

ResultT = TypeVar("ResultT")


class Lanes(Generic[ResultT]):
    """A thread pool with one lane per host, so that a slow host keeps most threads free for the others."""

    def __init__(self, threads: int, per_host: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="fetch")
        self._per_host = per_host
        self._lock = Lock()
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, deque[tuple[Callable[[], ResultT], Future[ResultT]]]] = defaultdict(deque)

    def submit(self, host: str, fetch: Callable[[], ResultT]) -> "Future[ResultT]":
        """The future of a fetch, started as soon as its lane and a thread are free."""
        future: Future[ResultT] = Future()
        with self._lock:
            if self._running[host] >= self._per_host:
                self._waiting[host].append((fetch, future))
                return future
            self._running[host] += 1
        self._threads.submit(self._drive, host, fetch, future)
        return future

    def close(self) -> None:
        """Starts nothing more; what runs ends by its own time limit."""
        with self._lock:
            waiting = [future for lane in self._waiting.values() for _, future in lane]
            self._waiting.clear()
        for future in waiting:
            future.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _drive(self, host: str, fetch: Callable[[], ResultT], future: "Future[ResultT]") -> None:
        following: tuple[Callable[[], ResultT], Future[ResultT]] | None = (fetch, future)
        while following is not None:
            _run(*following)
            following = self._following(host)

    def _following(self, host: str) -> tuple[Callable[[], ResultT], "Future[ResultT]"] | None:
        with self._lock:
            lane = self._waiting.get(host)
            if lane:
                return lane.popleft()
            self._waiting.pop(host, None)
            self._running[host] -= 1
            if not self._running[host]:
                del self._running[host]
            return None


def _run(fetch: Callable[[], ResultT], future: "Future[ResultT]") -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(fetch())
    except BaseException as error:
        future.set_exception(error)
