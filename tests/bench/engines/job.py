"""What a worker of any engine is told, and how it tells how far it is."""

import os
import sys
import threading
from pathlib import Path
from typing import Literal

import msgspec

from streams.settings import Settings

Outputs = Literal["each", "user", "none"]
WorkName = Literal["small", "full"]


class Job(msgspec.Struct):
    """One worker's life. `outputs`: one for each event, one for each user of a batch, or none.

    `outputs` is for the small work; the full one gives what the product gives.
    """

    settings: Settings
    work: WorkName
    outputs: Outputs
    engine: str
    linger_ms: int = -1
    """Of the producers of Penchant's engine; -1 leaves them as they are."""
    interval_seconds: float = 0.0
    transactions: bool = True

    @property
    def name(self) -> str:
        return self.settings.app.name

    @property
    def data(self) -> Path:
        return Path(self.settings.app.data)


def read_job() -> Job:
    """The job that the command line names."""
    return msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Job)


class Ticker:
    """Prints `TICK n` whenever the count of applied events has grown, fifty times a second at most."""

    def __init__(self) -> None:
        self.count = 0
        threading.Thread(target=self._tell, daemon=True).start()

    def _tell(self) -> None:
        told = 0
        pause = threading.Event()
        while True:
            pause.wait(0.02)
            if self.count != told:
                told = self.count
                # Not by print, which Faust takes for its log.
                os.write(1, b"TICK %d\n" % told)
