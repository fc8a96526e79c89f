"""A scenario's frame: workers at work under load, what is done to them, and the judgement."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from streams.settings import Settings
from tests.output_watch import Watch
from tests.soak.outcomes import Outcome, record
from tests.soak.stages import Process, Stage

PROGRESS_SECONDS = 90.0
SETTLE_SECONDS = 180.0


class Seat:
    """A worker's place: its kind, its disk, and the process that is there now."""

    def __init__(self, stage: Stage, kind: str, settings: Settings) -> None:
        self.kind = kind
        self.settings = settings
        self._stage = stage
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        assert self._process is not None, "nobody was started here"
        return self._process

    def start(self, fault: str = "", wrapped: Sequence[str] = ()) -> "Seat":
        """Start a worker on this disk."""
        assert self._process is None or not self._process.alive()
        self._process = self._stage.launch(self.kind, self.settings, fault, wrapped)
        return self


class Trial:
    """Workers of one deployment, each with a disk of its own, and a reader of all that they put out."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.seats: list[Seat] = []
        self.watch = Watch(stage.settings, stage.outputs, stage.look)

    def seat(self, kind: str) -> Seat:
        """A further place, with nobody there yet."""
        data = Path(self.stage.settings.app.data) / f"{kind}-{len(self.seats)}"
        app = replace(self.stage.settings.app, data=str(data))
        self.seats.append(Seat(self.stage, kind, replace(self.stage.settings, app=app)))
        return self.seats[-1]

    def start(self, fault: str = "") -> list[Seat]:
        """One more worker of each kind."""
        return [self.seat(kind).start(fault) for kind in self.stage.kinds]

    def each_kind(self) -> list[Seat]:
        """One worker of each kind, the first that lives."""
        living = [seat for seat in self.seats if seat.process.alive()]
        return [next(seat for seat in living if seat.kind == kind) for kind in self.stage.kinds]

    def progress(self, seconds: float = PROGRESS_SECONDS) -> None:
        """Wait until every source partition is served again: an output of each that is later than now."""
        self.watch.wait_progress(seconds)

    def end(self) -> None:
        """SIGTERM to all that live; each must drain and end with 0."""
        for seat in self.seats:
            if seat.process.alive():
                seat.process.stop()

    def kill(self) -> None:
        self.watch.stop()
        for seat in self.seats:
            seat.process.kill()

    def judge(self, silence: float) -> Outcome:
        """Wait for the outputs of all events, end the workers, and compare."""
        self.watch.wait_counted(self.stage.events(), SETTLE_SECONDS)
        self.end()
        outcome = self.stage.judge()
        outcome.differing += self.stage.differing_stores(seat.settings for seat in self.seats)
        self.watch.wait_counted(self.stage.events(), 10.0)
        outcome.backwards = len(self.watch.backwards)
        outcome.silence = silence
        return outcome


@contextmanager
def trial(stage: Stage, scenario: str, workers: int = 2) -> Iterator[Trial]:
    """So many workers of each kind at work under load; at the end all is compared and recorded."""
    made = Trial(stage)
    try:
        for _ in range(workers):
            made.start()
        for seat in made.seats:
            seat.process.wait_ready()
        with stage.sending():
            made.progress()
            began = time.monotonic()
            yield made
            made.progress()
            silence = made.watch.silence(began, time.monotonic())
        outcome = made.judge(silence)
        outcome.scenario = scenario
        record(outcome)
        assert not outcome.faults(), f"{scenario}, {stage.name}: {outcome}; {made.watch.backwards[:5]}"
    finally:
        made.kill()
