"""Plots as inline SVG, made by hand: a report must need nothing but itself."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import NamedTuple

WIDTH = 760
COLOURS = ("#1f6f8b", "#c8553d", "#5b8e4b", "#8a5a9e", "#b8860b", "#444444", "#2a9d8f", "#d1495b")
_LABEL, _BAR, _GAP = 190, 18, 8
_HEIGHT, _LEFT, _BOTTOM = 280, 56, 40


Point = tuple[float, float]


class Bar(NamedTuple):
    """A value with the bounds of its interval, where it has one."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None


def bars(rows: Sequence[Bar]) -> str:
    """Horizontal bars, in the order given; negative values go to the left of zero."""
    reach = [edge for row in rows for edge in (row.value, row.low, row.high) if edge is not None]
    first, last = min([0.0, *reach]), max([0.0, *reach])
    room = WIDTH - _LABEL - 90
    scale = room / ((last - first) or 1.0)

    def x(value: float) -> float:
        return _LABEL + (value - first) * scale

    height = len(rows) * (_BAR + _GAP) + _GAP
    parts = [_line((x(0), 0), (x(0), height), "#888")]
    for number, row in enumerate(rows):
        top = _GAP + number * (_BAR + _GAP)
        middle = top + _BAR / 2
        left, right = sorted((x(0), x(row.value)))
        parts.append(
            f'<rect x="{left:.1f}" y="{top}" width="{right - left:.1f}" height="{_BAR}" fill="{COLOURS[0]}"/>'
        )
        end = right
        if row.low is not None and row.high is not None:
            parts.append(_line((x(row.low), middle), (x(row.high), middle), "#111", 2))
            end = max(end, x(row.high))
        parts.append(_text(_LABEL - 8, middle + 4, row.label, "end"))
        parts.append(_text(end + 6, middle + 4, f"{row.value:.4f}"))
    return _svg(height, parts)


def lines(
    series: Mapping[str, Sequence[tuple[float, float]]], names: tuple[str, str], ticks: Sequence[str] = ()
) -> str:
    """Lines through points, with a legend; `names` of the axes; `ticks` name the x of 0, 1, 2 and so on."""
    points = [point for each in series.values() for point in each]
    if not points:
        return ""
    low_x, high_x = min(x for x, _ in points), max(x for x, _ in points)
    high_y = max(y for _, y in points) * 1.05 or 1.0
    wide, high = (WIDTH - _LEFT - 190) / ((high_x - low_x) or 1.0), (_HEIGHT - _BOTTOM - 10) / high_y

    def at(x: float, y: float) -> tuple[float, float]:
        return _LEFT + (x - low_x) * wide, _HEIGHT - _BOTTOM - y * high

    parts = _axes(at, (low_x, high_x, high_y), names, ticks)
    for number, (name, each) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in each))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in (at(*p) for p in each)
        ]
        place = 20 + number * 18
        parts.append(_line((WIDTH - 175, place - 4), (WIDTH - 155, place - 4), colour, 3))
        parts.append(_text(WIDTH - 150, place, name))
    return _svg(max(_HEIGHT, 30 + 18 * len(series)), parts)


def _axes(
    at: Callable[[float, float], tuple[float, float]],
    reach: tuple[float, float, float],
    names: tuple[str, str],
    ticks: Sequence[str],
) -> list[str]:
    low_x, high_x, high_y = reach
    left, bottom = at(low_x, 0)
    right, top = at(high_x, high_y)
    parts = [_line((left, bottom), (right, bottom), "#888"), _line((left, bottom), (left, top), "#888")]
    marks: list[tuple[float, str]] = list(enumerate(ticks)) or [
        (low_x + part * (high_x - low_x) / 4, "") for part in range(5)
    ]
    for x, label in marks:
        parts.append(_text(at(x, 0)[0], bottom + 16, label or f"{x:.2g}", "middle"))
    for part in range(5):
        value = high_y * part / 4
        parts.append(_text(left - 6, at(low_x, value)[1] + 4, f"{value:.3g}", "end"))
    parts.append(_text((left + right) / 2, bottom + 34, names[0], "middle"))
    parts.append(_text(left, 10, names[1]))
    return parts


def _svg(height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}" role="img" '
        f'font-family="sans-serif" font-size="12">{"".join(parts)}</svg>'
    )


def _line(start: Point, end: Point, colour: str, width: float = 1) -> str:
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" '
        f'stroke="{colour}" stroke-width="{width}"/>'
    )


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
