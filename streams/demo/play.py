"""The play: viewers act at a steady pace, see their slates, and change their taste midway."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from streams import kafka
from streams.demo.judge import Judge
from streams.demo.observer import Observer
from streams.demo.viewers import Viewer
from streams.records import InterestDescription
from streams.settings import Settings

_QUIET_SECONDS = 2.0
_LIMIT_SECONDS = 30.0
_WORDS_SECONDS = 5.0


@dataclass(frozen=True)
class Script:
    """How the play goes. `rate` in events a second over all viewers."""

    viewers: int = 24
    events_each: int = 60
    rate: float = 30.0
    seed: int = 7

    @property
    def change_after(self) -> int:
        """Events of a viewer before its taste changes."""
        return self.events_each // 2


class Play:
    """Sends the viewers' events to `interactions` and hands their slates to the judge.

    Make it a second before it runs: a new producer asks for its id twice a second, and events wait for that.
    """

    def __init__(self, settings: Settings, observer: Observer, judge: Judge) -> None:
        self._topic = settings.topics.interactions
        self._producer = kafka.producer(settings.kafka)
        self._observer = observer
        self._judge = judge
        self._shown: dict[str, list[str]] = {}

    def run(self, viewers: list[Viewer], script: Script, each_tick: Callable[[int], None]) -> None:
        """All events of all viewers, in random order at the script's rate, then wait for the last slates."""
        order = [viewer for viewer in viewers for _ in range(script.events_each)]
        random.Random(script.seed).shuffle(order)
        start = time.monotonic()
        for number, viewer in enumerate(order):
            if viewer.count == script.change_after:
                viewer.change(time.time_ns() // 1_000_000)
            self._send(viewer)
            self._collect()
            each_tick(number + 1)
            self._producer.poll(0)
            time.sleep(max(0.0, start + (number + 1) / script.rate - time.monotonic()))
        self._producer.flush(_LIMIT_SECONDS)
        self._wait_for_last(viewers, lambda: each_tick(len(order)))
        self._wait_for_words(viewers)

    def _send(self, viewer: Viewer) -> None:
        event = viewer.act(self._shown.get(viewer.name, []), time.time_ns() // 1_000_000)
        self._judge.sent(viewer, event.action, event.item_id)
        self._producer.produce(self._topic, msgspec.json.encode(event), viewer.name)

    def _collect(self) -> int:
        slates = self._observer.take_slates()
        for slate in slates:
            items = [item.item_id for item in slate.items]
            self._shown[slate.user_id] = items
            numbers = [int(event.rpartition("-")[2]) for event in slate.caused_by]
            if numbers:
                self._judge.slate(slate.user_id, max(numbers), items)
        return len(slates)

    def _wait_for_last(self, viewers: list[Viewer], tick: Callable[[], None]) -> None:
        limit = time.monotonic() + _LIMIT_SECONDS
        quiet_since = time.monotonic()
        while time.monotonic() < limit and time.monotonic() - quiet_since < _QUIET_SECONDS:
            if self._collect():
                quiet_since = time.monotonic()
            if all((viewer.name, viewer.count) in self._judge.verdicts for viewer in viewers):
                return
            tick()
            time.sleep(0.05)

    def _wait_for_words(self, viewers: list[Viewer]) -> None:
        """Until every viewer was described since the change; some change too little to be."""
        limit = time.monotonic() + _WORDS_SECONDS
        while time.monotonic() < limit:
            with self._observer.sight.lock:
                latest = {user: told[-1] for user, told in self._observer.sight.descriptions.items()}
            if all(_since(viewer, latest.get(viewer.name)) for viewer in viewers):
                return
            time.sleep(0.05)


def _since(viewer: Viewer, latest: InterestDescription | None) -> bool:
    return latest is not None and latest.timestamp > (viewer.changed_ms or 0)
