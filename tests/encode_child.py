"""An encode worker with fake encoders as a process of its own, to be killed by a test.

Called with the settings as JSON. Prints `ready` once it reads.
"""

import signal
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import msgspec

from streams.encode.media import MediaEncoder
from streams.encode.worker import EncodeWorker
from streams.settings import Settings
from tests.fake_media import fake_media


def make_media(settings: Settings, folder: Path, stack: ExitStack) -> MediaEncoder:
    return fake_media()


def announce(worker: EncodeWorker, stop: threading.Event) -> None:
    while not worker.ready() and not stop.wait(0.02):
        pass
    print("ready", flush=True)


def main() -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    worker = EncodeWorker(msgspec.json.decode(sys.argv[1], type=Settings), make_media)
    threading.Thread(target=announce, args=(worker, stop), daemon=True).start()
    worker.run(stop)


if __name__ == "__main__":
    main()
