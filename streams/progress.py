"""Progress of something long: a bar on a terminal, a plain line now and then where there is none."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

LINE_SECONDS = 5.0


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Gives a function to be told how far of `total` the work has come. Writes to standard error."""
    if sys.stderr.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(label, total=total)
            yield lambda done: bar.update(task, completed=done)
    else:
        yield _lines(label, total)


@contextmanager
def stages() -> Iterator[Callable[[str, int, int], None]]:
    """Gives a function to be told what is done now, how far it is and of how much: one bar for each."""
    label, bars, tell = "", ExitStack(), _lines("", 1)

    def told(what: str, done: int, total: int) -> None:
        nonlocal label, tell
        if what != label:
            bars.close()
            label, tell = what, bars.enter_context(progress(what, max(total, 1)))
            if not sys.stderr.isatty():
                click.echo(what, err=True)
        tell(done)

    with bars:
        yield told


def _lines(label: str, total: int) -> Callable[[int], None]:
    told = time.monotonic()

    def tell(done: int) -> None:
        nonlocal told
        if time.monotonic() - told >= LINE_SECONDS:
            told = time.monotonic()
            click.echo(f"{label}: {done / max(total, 1):.0%}", err=True)

    return tell
