"""The product's own worker processes, for tests that maltreat them."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from streams.broker.java import Leash
from streams.broker.ports import free_ports
from streams.broker.running import process_state
from streams.demo.stage import environment
from streams.engine.faults import VARIABLE
from streams.settings import Settings
from tests.engine_feed import ROOT


class ProductProcess:
    """A `penchant` worker command; `wrapped` goes before it on its command line."""

    def __init__(
        self, command: str, settings: Settings, fault: str = "", wrapped: Sequence[str] = ()
    ) -> None:
        folder = Path(settings.app.data)
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{command}-{time.monotonic_ns()}.log"
        self.port = free_ports(1)[0]
        variables = {**environment(settings), "PENCHANT_METRICS__PORT": str(self.port), VARIABLE: fault}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*wrapped, sys.executable, "-m", "streams.cli", command],
                cwd=ROOT,
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._leash = Leash(self.process.pid)

    def wait_ready(self, seconds: float = 240.0) -> None:
        give_up = time.monotonic() + seconds
        while True:
            assert self.alive(), f"it ended with {self.process.poll()}: {self.said()[-2_000:]}"
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=1).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            assert time.monotonic() < give_up, f"not ready after {seconds:.0f} s: {self.said()[-2_000:]}"
            time.sleep(0.1)

    def wait_killed(self, seconds: float = 120.0) -> None:
        ended = self.wait_ended(seconds)
        assert ended == -signal.SIGKILL, f"it ended with {ended}: {self.said()[-2_000:]}"

    def wait_ended(self, seconds: float = 120.0) -> int:
        try:
            return self.process.wait(seconds)
        finally:
            self._leash.release()

    def wait_stopped(self, seconds: float = 120.0) -> None:
        """Until it is stopped by SIGSTOP."""
        give_up = time.monotonic() + seconds
        while process_state(self.process.pid) not in ("T", "t"):
            assert time.monotonic() < give_up, "it was never stopped"
            time.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self, seconds: float = 60.0) -> None:
        """SIGTERM; it must drain and end with 0."""
        self.process.terminate()
        code = self.wait_ended(seconds)
        assert code == 0, (
            f"{shlex.join(map(str, self.process.args))} ended with {code}: {self.said()[-2_000:]}"
        )

    def kill(self) -> None:
        if self.alive():
            self.process.kill()
            self.wait_ended(30)

    def said(self) -> str:
        return self.log.read_text(errors="replace")
