"""`penchant demo`: the whole way on this machine, with sample media and simulated viewers."""

import signal
from pathlib import Path
from types import FrameType

import click
import msgspec
from rich.console import Console

from streams.demo.play import Script
from streams.demo.runner import DemoOptions, run_demo


@click.command()
@click.option("--viewers", default=24, show_default=True, help="Simulated viewers.")
@click.option("--events", default=60, show_default=True, help="Events of each viewer.")
@click.option("--rate", default=30.0, show_default=True, help="Events a second, all viewers together.")
@click.option("--seed", default=7, show_default=True, help="Of the viewers' tastes and choices.")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("data/demo"), show_default=True)
@click.option("--report", type=click.Path(path_type=Path), help="Write the report here too, as JSON.")
def demo(viewers: int, events: int, rate: float, seed: int, folder: Path, report: Path | None) -> None:
    """Run Kafka, the workers, sample media and simulated viewers, and judge the slates."""
    signal.signal(signal.SIGTERM, _leave)
    options = DemoOptions(folder.resolve(), Script(viewers, events, rate, seed))
    made = run_demo(options, Console())
    if report is not None:
        report.write_bytes(msgspec.json.format(msgspec.json.encode(made)))


def _leave(_: int, __: FrameType | None) -> None:
    """Ends by an exception, so that the broker and the workers are stopped on the way out."""
    raise SystemExit(143)
