"""The process of `penchant encode` with topics.repartition, with fake encoders, to be killed by a test.

Called with the settings as JSON. Prints `ready` once both of its workers read.
"""

import sys
import threading
from functools import partial

import msgspec

from streams.commands.encode import repartition_worker
from streams.encode.worker import EncodeWorker
from streams.processes import Worker, leave, run_workers
from streams.settings import Settings
from tests.encode_child import make_media


class Told:
    """A worker that is announced once all of them are ready."""

    def __init__(self, worker: Worker, all_of_them: "list[Worker]") -> None:
        self._worker = worker
        self._all = all_of_them
        all_of_them.append(worker)

    def ready(self) -> bool:
        return self._worker.ready()

    def run(self, stop: threading.Event) -> None:
        self._worker.run(stop)


def announce(made: list[Worker]) -> None:
    while len(made) < 2 or not all(worker.ready() for worker in made):
        threading.Event().wait(0.02)
    print("ready", flush=True)


def main() -> None:
    settings = msgspec.json.decode(sys.argv[1], type=Settings)
    made: list[Worker] = []

    def encode(settings: Settings) -> Worker:
        return Told(EncodeWorker(settings, make_media), made)

    def repartition(settings: Settings) -> Worker:
        return Told(repartition_worker(settings), made)

    threading.Thread(target=partial(announce, made), daemon=True).start()
    leave(run_workers({"repartition": repartition, "encode": encode}, settings))


if __name__ == "__main__":
    main()
