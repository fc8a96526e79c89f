"""Penchant's engine beside its peers, on one local broker and the same events.

    python tests/bench/bench_engines.py [--engines penchant,faust,quix,kafka-streams,loop]
        [--works small,full] [--outputs each|user|none] [--runs 3] [--events 100000] [--full-events 20000]
        [--fresh 8] [--recovery 5000] [--json FILE]

Per engine and work: events per second on a backlog, CPU of the worker and of the broker for each event,
bytes on the broker's disks for each event, resident memory, freshness at half of the engine's own
throughput, and what a restart with and without the local store takes. The engines take turns; shown are
medians, and least to most.
"""

import argparse
import fcntl
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[2]))

from streams.broker import LocalCluster
from streams.broker.properties import ClusterOptions
from tests.bench.engines.cells import Bench, Options, Result
from tests.bench.engines.job import Outputs, WorkName
from tests.bench.engines.line_up import DEFAULT, ENGINES
from tests.bench.engines.peers import PeerMissing
from tests.bench.engines.processes import WorkerFailed
from tests.bench.engines.report import load, markdown, save, show

_TURN_SECONDS = 240.0

BROKER = ClusterOptions(
    heap="1g",
    # What is compacted away could not be counted.
    properties={"log.cleaner.enable": "false", "file.delete.delay.ms": "1000"},
)


@contextmanager
def bench_broker(options: Options) -> Iterator[Bench]:
    folder = Path(tempfile.mkdtemp(prefix="penchant-bench-"))
    try:
        with LocalCluster(folder / "broker", BROKER) as cluster:
            yield Bench(cluster, folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Turn:
    """Holds a lock file, on a machine where others measure, too; lets them in after a while."""

    def __init__(self, lock: Path | None) -> None:
        self._file = None if lock is None else lock.open("a")
        self._since: float | None = None

    def take(self) -> None:
        """Before each cell: be the one who measures."""
        if self._file is None or (self._since is not None and time.monotonic() - self._since < _TURN_SECONDS):
            return
        self.end()
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._since = time.monotonic()

    def end(self) -> None:
        if self._file is not None and self._since is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)
            self._since = None
            # Whoever waits gets it now.
            time.sleep(0.5)


class Comparison:
    """Runs the cells in turn and keeps what they came to."""

    def __init__(self, bench: Bench, console: Console, turn: Turn, file: Path | None) -> None:
        self.results: list[Result] = []
        self._bench = bench
        self._console = console
        self._turn = turn
        self._file = file
        self._left_out: set[str] = set()

    def run(self, engines: Sequence[str], works: Sequence[WorkName], outputs: Outputs, runs: int) -> None:
        for work in works:
            for number in range(runs):
                for engine in engines:
                    if work in ENGINES[engine].forms and engine not in self._left_out:
                        self._cell(engine, work, outputs, number == 0)

    def warm_broker(self) -> None:
        """A broker compiles while it runs: the first cell would pay for it."""
        self._turn.take()
        self._bench.speed("penchant", self._bench.job("penchant", "small", "each"))

    def _cell(self, engine: str, work: WorkName, outputs: Outputs, first: bool) -> None:
        try:
            result = self._speed(engine, work, outputs, first)
            if first and self._bench.options.recovery_users:
                self._recovery(engine, result)
        except PeerMissing as error:
            self._left_out.add(engine)
            self._console.print(f"{ENGINES[engine].title} is left out: {error}")
        except (WorkerFailed, AssertionError) as error:
            self._console.print(f"{engine}, {work} work: failed: {error}")

    def _speed(self, engine: str, work: WorkName, outputs: Outputs, first: bool) -> Result:
        self._turn.take()
        job = self._bench.job(engine, work, outputs)
        result = self._bench.speed(engine, job, check=first and work == "small")
        self._keep(result)
        self._console.print(
            f"{engine}, {work} work: {result.rate:,.0f} events/s, CPU {result.cpu:.1f} us an event, "
            f"p50 {result.p50:.1f} p99 {result.p99:.1f} ms at {result.fresh_rate:,.0f}/s"
        )
        return result

    def _recovery(self, engine: str, of: Result) -> None:
        self._turn.take()
        result = Result(engine, of.work, of.outputs)
        self._bench.recovery(engine, self._bench.job(engine, of.work, of.outputs), result)
        self._keep(result)

    def _keep(self, result: Result) -> None:
        self.results.append(result)
        if self._file is not None:
            save([result], self._file)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--engines", default=",".join(DEFAULT), help=", ".join(ENGINES))
    parser.add_argument("--works", default="small,full")
    parser.add_argument("--outputs", choices=("each", "user", "none"), default="each")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--events", type=int, default=100_000, help="of the small work")
    parser.add_argument("--full-events", type=int, default=20_000)
    parser.add_argument("--fresh", type=float, default=8.0, help="seconds of even pace; 0 leaves it out")
    parser.add_argument("--rate", type=float, default=0.0, help="of that pace; 0: half of each throughput")
    parser.add_argument("--recovery", type=int, default=5_000, help="users to restore; 0 leaves it out")
    parser.add_argument("--cold", action="store_true", help="do not warm the broker first")
    parser.add_argument("--json", type=Path, help="add the results to this file")
    parser.add_argument("--lock", type=Path, help="hold this file's lock while measuring")
    parser.add_argument("--show", type=Path, help="only print what this file has, as Markdown")
    arguments = parser.parse_args()
    if arguments.show:
        print(markdown(load(arguments.show)))
        return
    console, engines = Console(width=200), arguments.engines.split(",")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    results: list[Result] = []
    turn = Turn(arguments.lock)
    for work in arguments.works.split(","):
        events = arguments.events if work == "small" else arguments.full_events
        fresh = 0.0 if arguments.outputs == "none" else arguments.fresh
        turn.take()
        with bench_broker(Options(events, fresh, arguments.recovery, rate=arguments.rate)) as bench:
            comparison = Comparison(bench, console, turn, arguments.json)
            if not arguments.cold:
                comparison.warm_broker()
            try:
                comparison.run(engines, [work], arguments.outputs, arguments.runs)
            finally:
                turn.end()
                results += comparison.results
    show(results, console)


if __name__ == "__main__":
    main()
