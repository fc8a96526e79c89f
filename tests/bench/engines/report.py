"""Tables of what the cells came to: medians over the runs, with the spread beside them."""

import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from tests.bench.engines.cells import Result

Key = tuple[str, str, str, str]
Column = tuple[str, Callable[[Result], float], str]

_SPEED: tuple[Column, ...] = (
    ("events/s", lambda each: each.rate, ",.0f"),
    ("CPU us/event", lambda each: each.cpu, ".1f"),
    ("broker CPU us/event", lambda each: each.broker_cpu, ".1f"),
    ("broker bytes/event", lambda each: each.broker_bytes, ",.0f"),
    ("others' cores", lambda each: each.others, ".1f"),
    ("resident MB", lambda each: each.resident_mb, ",.0f"),
    ("at events/s", lambda each: each.fresh_rate, ",.0f"),
    ("p50 ms", lambda each: each.p50, ",.1f"),
    ("p95 ms", lambda each: each.p95, ",.1f"),
    ("p99 ms", lambda each: each.p99, ",.1f"),
)
_RECOVERY: tuple[Column, ...] = (
    ("users", lambda each: each.recovery_users, ",.0f"),
    ("warm restart s", lambda each: each.warm_seconds, ".1f"),
    ("wiped restart s", lambda each: each.wiped_seconds, ".1f"),
    ("store bytes/user", lambda each: each.store_bytes, ",.0f"),
    ("changelog bytes/user", lambda each: each.changelog_bytes, ",.0f"),
)


def show(results: Sequence[Result], console: Console) -> None:
    """One table for the speed of each work, one for its recoveries."""
    for work in dict.fromkeys(each.work for each in results):
        own = [each for each in results if each.work == work]
        for title, some, columns in _tables(work, own):
            _table(title, some, columns, console)


def save(results: Sequence[Result], path: Path) -> None:
    """Add the results to those in the file."""
    known = load(path) if path.exists() else []
    path.write_bytes(msgspec.json.format(msgspec.json.encode([*known, *results]), indent=1))


def load(path: Path) -> list[Result]:
    return msgspec.json.decode(path.read_bytes(), type=list[Result])


def markdown(results: Sequence[Result]) -> str:
    """The same tables for a document."""
    parts = []
    for work in dict.fromkeys(each.work for each in results):
        own = [each for each in results if each.work == work]
        for title, some, columns in _tables(work, own):
            head = ["engine", "outputs", "runs", *(name for name, _, _ in columns)]
            lines = [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *_rows(some, columns)]]
            parts.append(f"### {title}\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def _tables(work: str, own: Sequence[Result]) -> list[tuple[str, list[Result], Sequence[Column]]]:
    """Those that have anything in them."""
    speed = [each for each in own if each.rate]
    recovery = [each for each in own if each.recovery_users]
    found = [(f"{work} work", speed, _SPEED), (f"{work} work, recovery", recovery, _RECOVERY)]
    return [each for each in found if each[1]]


def _rows(results: Sequence[Result], columns: Sequence[Column]) -> list[list[str]]:
    groups: dict[Key, list[Result]] = defaultdict(list)
    for each in results:
        groups[each.engine, each.work, each.outputs, each.variant].append(each)
    return [
        [
            f"{engine} {variant}".strip(),
            outputs,
            str(len(own)),
            *(_cell([value(each) for each in own], form) for _, value, form in columns),
        ]
        for (engine, _, outputs, variant), own in groups.items()
    ]


def _table(title: str, results: Sequence[Result], columns: Sequence[Column], console: Console) -> None:
    table = Table(title=title, title_justify="left")
    for name in ("engine", "outputs", "runs"):
        table.add_column(name, no_wrap=True)
    for name, _, _ in columns:
        table.add_column(name, justify="right")
    for row in _rows(results, columns):
        table.add_row(*row)
    console.print(table)


def _cell(values: Sequence[float], form: str) -> str:
    """Median, and least to most where they differ."""
    middle = format(statistics.median(values), form)
    least, most = format(min(values), form), format(max(values), form)
    return middle if least == most else f"{middle} ({least}-{most})"
