"""`penchant watch`: the outputs, as they change."""

import contextlib
import sys
import time
from typing import Any

import click
from rich.console import Console
from rich.live import Live

from streams.live_table import LiveTable, interest_line, slate_line
from streams.outputs import OutputReader, SeenInterest, SeenSlate
from streams.settings import Settings

POLL_SECONDS = 0.1
FRAMES_PER_SECOND = 8


class Limit:
    """When to end: after so many outputs or so many seconds; None means never."""

    def __init__(self, count: int | None, seconds: float | None) -> None:
        self._left = count
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def take(self) -> None:
        if self._left is not None:
            self._left -= 1

    @property
    def reached(self) -> bool:
        out_of_time = self._deadline is not None and time.monotonic() >= self._deadline
        return out_of_time or (self._left is not None and self._left <= 0)


@click.command()
@click.option("--from-beginning", is_flag=True, help="Show what is there already, too.")
@click.option("--count", type=click.IntRange(min=1), help="End after so many interests and slates.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="End after so long.")
@click.option("--rows", type=click.IntRange(min=1), default=12, show_default=True, help="Users in the table.")
@click.option("--plain", is_flag=True, help="Lines in place of a table, as where output is no terminal.")
@click.pass_obj
def watch(settings: Settings, /, from_beginning: bool, rows: int, plain: bool, **limits: Any) -> None:
    """Watch users' interests and recommendations change, until Ctrl-C.

    Needs only the output topics: workers may run anywhere.
    """
    with OutputReader(settings, from_beginning) as reader, contextlib.suppress(KeyboardInterrupt):
        table = LiveTable(reader.titles, rows, "Ctrl-C ends")
        limit = Limit(**limits)
        if plain or not sys.stdout.isatty():
            try:
                _follow(reader, table, limit, None)
            finally:
                click.echo(str(table.summary(time.monotonic())))
        else:
            _show(reader, table, limit)


def _show(reader: OutputReader, table: LiveTable, limit: Limit) -> None:
    with Live(table.render(time.monotonic()), console=Console(), auto_refresh=False) as live:
        _follow(reader, table, limit, live)
        live.update(table.render(time.monotonic()), refresh=True)


def _follow(reader: OutputReader, table: LiveTable, limit: Limit, live: Live | None) -> None:
    drawn = 0.0
    while not limit.reached:
        for seen in reader.poll(POLL_SECONDS):
            if limit.reached:
                break
            if _take(seen, table):
                limit.take()
                if live is None:
                    _print(seen, reader)
        now = time.monotonic()
        if live is not None and now - drawn >= 1 / FRAMES_PER_SECOND:
            live.update(table.render(now), refresh=True)
            drawn = now


def _take(seen: SeenInterest | SeenSlate, table: LiveTable) -> bool:
    if isinstance(seen, SeenInterest):
        return table.see_interest(seen.interest, time.monotonic(), seen.freshness)
    return table.see_recommendation(seen.slate)


def _print(seen: SeenInterest | SeenSlate, reader: OutputReader) -> None:
    if isinstance(seen, SeenInterest):
        click.echo(interest_line(seen.interest, seen.freshness))
    else:
        click.echo(slate_line(seen.slate, reader.titles))
