"""The closing report of the demo: what was seen, and how it is judged. Goals are named, met or not."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from streams.demo.judge import RECOVERY_EVENTS, WINDOW, Judge, Shares
from streams.demo.words import InWords, show_words

GOAL_OVER_RANDOM = 3.0
GOAL_RECOVERY = 0.8


@dataclass(frozen=True)
class Course:
    """When the viewers changed, and when they ended, in events of each viewer."""

    change: int
    last: int


class Report(msgspec.Struct, frozen=True):
    """The figures of one run."""

    viewers: int
    items: int
    modalities: dict[str, int]
    events: int
    slates: int
    freshness_ms: dict[str, float]
    before: Shares
    just_after: Shares
    recovered: Shares
    at_the_end: Shares
    recovery: list[tuple[int, float]]
    descriptions: list[InWords] = []

    @property
    def over_random(self) -> float:
        return self.before.penchant / max(self.before.random, 1e-9)

    @property
    def recovery_ratio(self) -> float:
        return self.recovered.penchant / max(self.before.penchant, 1e-9)


def make_report(
    judge: Judge, course: Course, freshness: Sequence[float], modalities: dict[str, int], viewers: int
) -> Report:
    """Figures from what the judge collected. `freshness` in seconds."""
    change, last = course.change, course.last
    spread = np.percentile(freshness, (50, 95, 99)) * 1000 if len(freshness) else np.zeros(3)
    return Report(
        viewers=viewers,
        items=len(judge.shelf.items),
        modalities=modalities,
        events=len(judge.snapshots),
        slates=len(judge.verdicts),
        freshness_ms={
            name: round(float(value), 1) for name, value in zip(("p50", "p95", "p99"), spread, strict=True)
        },
        before=judge.shares(change - WINDOW + 1, change),
        just_after=judge.shares(change + 1, change + 3),
        recovered=judge.shares(change + RECOVERY_EVENTS - 4, change + RECOVERY_EVENTS),
        at_the_end=judge.shares(last - WINDOW + 1, last),
        recovery=judge.recovery(change, last),
    )


def show_report(report: Report, console: Console) -> None:
    """Print the report for a person."""
    console.rule("Report")
    console.print(
        f"{report.viewers} viewers were [bold]simulated[/bold]: programs with two hidden tastes each, one of "
        "which changed midway. The media, the models, Kafka and RocksDB are real."
    )
    console.print(
        f"{report.items} items ({', '.join(f'{n} with {m}' for m, n in report.modalities.items())}); "
        f"{report.events} events in, {report.slates} slates judged (events that come together share one)."
    )
    fresh = report.freshness_ms
    console.print(
        f"Freshness, event time to the interest at a consumer: p50 {fresh['p50']:.0f} ms, "
        f"p95 {fresh['p95']:.0f} ms, p99 {fresh['p99']:.0f} ms"
    )
    console.print(_shares_table(report))
    for line in _goals(report):
        console.print(line)
    show_words(report.descriptions, console)
    console.print(
        "Tastes are the catalogue's categories. Neither events nor the text that is encoded name them: "
        "titles, pictures, sounds and clips speak alone."
    )


def _shares_table(report: Report) -> Table:
    table = Table(title="Share of recommended items that match the hidden tastes")
    for name in ("slates of the events", "Penchant", "random", "most popular", "slates judged"):
        table.add_column(name, justify="left" if name.startswith("slates of") else "right")
    rows = {
        f"last {WINDOW} before the change": report.before,
        "1 to 3 after the change": report.just_after,
        f"{RECOVERY_EVENTS - 4} to {RECOVERY_EVENTS} after the change": report.recovered,
        f"last {WINDOW}": report.at_the_end,
    }
    for name, shares in rows.items():
        table.add_row(
            name,
            *(f"{share:.0%}" for share in (shares.penchant, shares.random, shares.popular)),
            str(shares.slates),
        )
    return table


def _goals(report: Report) -> list[str]:
    over, recovered = report.over_random, report.recovery_ratio
    return [
        f"Before the change {over:.1f} times random (goal {GOAL_OVER_RANDOM:.0f}): "
        f"{_verdict(over >= GOAL_OVER_RANDOM)}",
        f"{RECOVERY_EVENTS} events after the change {recovered:.0%} of the share before "
        f"(goal {GOAL_RECOVERY:.0%}): {_verdict(recovered >= GOAL_RECOVERY)}",
    ]


def _verdict(met: bool) -> str:
    return "[green]met[/green]" if met else "[red]missed[/red]"
