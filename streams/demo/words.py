"""What viewers were described as before and after their change, beside what they secretly like.

`python -m streams.demo.words REPORT` prints those of a report of `penchant demo --report` as Markdown.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from streams.demo.viewers import LANGUAGES, Viewer
from streams.records import InterestDescription

SHOWN = 10
"""Viewers on the page."""


class InWords(msgspec.Struct, frozen=True):
    """One viewer. Descriptions are null where none was written on that side of the change."""

    viewer: str
    language: str
    tastes: list[str]
    """The one that stays, the one that goes, and the one that comes."""
    before: str | None
    after: str | None


def in_words(viewers: Sequence[Viewer], told: Mapping[str, Sequence[InterestDescription]]) -> list[InWords]:
    """The latest description of each viewer from before the change, and the latest one from after it."""
    found = []
    for viewer in viewers:
        change = viewer.changed_ms
        before = [each for each in told.get(viewer.name, ()) if change is None or each.timestamp < change]
        after = [
            each for each in told.get(viewer.name, ()) if change is not None and each.timestamp >= change
        ]
        gone = before[-1].summary if before else None
        found.append(
            InWords(
                viewer.name,
                viewer.language,
                [viewer.tastes[0], viewer.former, viewer.later],
                gone,
                after[-1].summary if after else None,
            )
        )
    return found


def show_words(descriptions: Sequence[InWords], console: Console) -> None:
    """One viewer of each language."""
    for language in LANGUAGES:
        one = next((each for each in descriptions if each.language == language and each.after), None)
        if one is None:
            continue
        stays, goes, comes = one.tastes
        console.print(
            f"[bold]{one.viewer}[/bold] likes {stays}, and {goes} at first, then {comes}; in words:"
        )
        console.print(f"  before: {one.before or 'nothing yet'}", markup=False, highlight=False)
        console.print(f"  after:  {one.after}", markup=False, highlight=False)


def page(descriptions: Sequence[InWords]) -> str:
    """The first viewers as Markdown."""
    lines = []
    for each in descriptions[:SHOWN]:
        stays, goes, comes = each.tastes
        lines += [
            f"## {each.viewer}: {stays}, and {goes} at first, then {comes}",
            "",
            f"Before the change: {each.before or '(none)'}",
            "",
            f"After it: {each.after or '(none)'}",
            "",
        ]
    return "\n".join(lines)


def _main(report: Path) -> None:
    class _Report(msgspec.Struct):
        descriptions: list[InWords]

    sys.stdout.write(page(msgspec.json.decode(report.read_bytes(), type=_Report).descriptions))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
