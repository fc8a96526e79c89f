"""What the engine's transactions cost against idempotent producers alone.

    python tests/bench/bench_transactions.py [--work small|full] [--runs 3] [--events 100000]
        [--vary rows,linger,pause] [--rate 5000] [--fresh 6] [--json FILE]

The engine and the work are the same; without transactions its producers are idempotent and flushed where
they would commit, which neither fences nor hides what was half done. Varied are the rows of a micro-batch,
the producers' linger, and the least time between two batches. Throughput and CPU are of a backlog,
freshness is at the same rate for all, of a `read_committed` reader.
"""

import argparse
import itertools
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[2]))

from streams.settings import InterestsSettings
from tests.bench.bench_engines import Turn, bench_broker
from tests.bench.engines.cells import Bench, Options, Result
from tests.bench.engines.job import Job, WorkName
from tests.bench.engines.processes import WorkerFailed
from tests.bench.engines.report import save, show

ENGINE = "penchant"
ROWS = (64, 256, 512, 1_024, 2_048)
LINGERS = (0, 2)
INTERVALS = (0.005, 0.02)
USUAL_ROWS = InterestsSettings().batch_rows


@dataclass(frozen=True, slots=True)
class Variant:
    transactions: bool
    rows: int = USUAL_ROWS
    linger_ms: int = -1
    interval_seconds: float = 0.0

    def __str__(self) -> str:
        kind = "transactions" if self.transactions else "idempotent"
        linger = "as usual" if self.linger_ms < 0 else self.linger_ms
        return f"{kind}, {self.rows} rows, linger {linger}, pause {self.interval_seconds * 1000:.0f}"

    def of(self, job: Job) -> Job:
        interests = replace(job.settings.interests, batch_rows=self.rows)
        return replace(
            job,
            settings=replace(job.settings, interests=interests),
            linger_ms=self.linger_ms,
            interval_seconds=self.interval_seconds,
            transactions=self.transactions,
        )


def variants(varied: list[str]) -> Iterator[Variant]:
    """One thing varied at a time, each with transactions and without."""
    both = (True, False)
    if "rows" in varied:
        for rows, kind in itertools.product(ROWS, both):
            yield Variant(kind, rows)
    if "linger" in varied:
        for linger, kind in itertools.product(LINGERS, both):
            yield Variant(kind, linger_ms=linger)
    if "pause" in varied:
        for interval, kind in itertools.product(INTERVALS, both):
            yield Variant(kind, interval_seconds=interval)


def measure(bench: Bench, work: WorkName, variant: Variant) -> Result:
    result = bench.speed(ENGINE, variant.of(bench.job(ENGINE, work, "each")))
    result.variant = str(variant)
    return result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", choices=("small", "full"), default="small")
    parser.add_argument("--vary", default="rows,linger,pause")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--rate", type=float, default=5_000, help="events a second for freshness")
    parser.add_argument("--fresh", type=float, default=6.0, help="seconds of even pace")
    parser.add_argument("--json", type=Path, help="add the results to this file")
    parser.add_argument("--lock", type=Path, help="hold this file's lock while measuring")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    console, results = Console(width=200), []
    turn = Turn(arguments.lock)
    turn.take()
    with bench_broker(Options(arguments.events, arguments.fresh, 0, rate=arguments.rate)) as bench:
        measure(bench, arguments.work, Variant(True))
        for _ in range(arguments.runs):
            for variant in variants(arguments.vary.split(",")):
                try:
                    turn.take()
                    result = measure(bench, arguments.work, variant)
                except (WorkerFailed, AssertionError) as error:
                    console.print(f"{variant}: failed: {error}")
                    continue
                results.append(result)
                console.print(
                    f"{variant}: {result.rate:,.0f} events/s, CPU {result.cpu:.1f} us an event, "
                    f"p50 {result.p50:.1f} p99 {result.p99:.1f} ms"
                )
                if arguments.json:
                    save([result], arguments.json)
    show(results, console)


if __name__ == "__main__":
    main()
