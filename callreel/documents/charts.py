"""Five charts, each a string of SVG that is the same in a page and on paper.

Every shape has a literal fill for whatever reads no style sheet, and a class, which a page's style
sheet may give another colour: a rule of CSS beats the attribute. Texts are escaped. The table
beneath a chart says all that it says.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from callreel.documents.cells import for_xml

COLOURS = {
    "in": "#177245",
    "out": "#1b62b5",
    "internal": "#626a74",
    "other": "#9a7b4f",
    "abandoned": "#b3261e",
    "masked": "#8a5a00",
    "accent": "#3b3fb6",
    "dim": "#59616b",
    "rule": "#dcdcd6",
    "ink": "#17191c",
    "paper": "#ffffff",
}
"""By kind; the class of a shape is ``c-`` and its kind."""

WIDTH, HEIGHT = 960, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 30, 26
_MOST_LABELS = 16
_CHAR_PX = 6.4
"""A letter of the small text, at the most."""


@dataclass(frozen=True, slots=True)
class Series:
    """One row of numbers in one colour."""

    name: str
    kind: str
    """A key of COLOURS."""
    values: Sequence[float]
    """0 or more."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """One bar of a ranking."""

    label: str
    value: float
    """0 or more."""
    told: str
    """The value in words."""


def stacked_bars(title: str, labels: Sequence[str], series: Sequence[Series]) -> str:
    """Bars of several parts, the first at the bottom.

    Args:
        title: What it shows; read out as its name.
        labels: One for each bar.
        series: Each with a value for each bar.
    """
    sums = [sum(each.values[place] for each in series) for place in range(len(labels))]
    axis = _Axis(max(sums, default=0.0), len(labels))
    parts = [axis.rules(), _legend(series)]
    for place, label in enumerate(labels):
        top = 0.0
        for each in series:
            value = each.values[place]
            if value > 0:
                told = f"{label}: {each.name} {_number(value)}"
                parts.append(axis.bar(place, top, top + value, each.kind, told))
                top += value
    parts.append(axis.labels(labels))
    return _svg(title, parts)


def lines(title: str, labels: Sequence[str], series: Sequence[Series]) -> str:
    """One line for each series over the same labels; the last is drawn on top.

    Args: as ``stacked_bars``.
    """
    most = max((value for each in series for value in each.values), default=0.0)
    axis = _Axis(most, len(labels))
    parts = [axis.rules(), _legend(series)]
    for each in series:
        points = [(axis.middle(place), axis.y(value)) for place, value in enumerate(each.values)]
        drawn = " ".join(f"{_px(x)},{_px(y)}" for x, y in points)
        parts.append(
            f'<polyline points="{drawn}" fill="none" stroke="{COLOURS[each.kind]}" '
            f'stroke-width="2" class="s-{each.kind}"/>'
        )
        for (x, y), label, value in zip(points, labels, each.values, strict=True):
            told = f"{label}: {each.name} {_number(value)}"
            parts.append(
                f'<circle cx="{_px(x)}" cy="{_px(y)}" r="2.5" {_fill(each.kind)}>'
                f"<title>{_text(told)}</title></circle>"
            )
    parts.append(axis.labels(labels))
    return _svg(title, parts)


def histogram(
    title: str, labels: Sequence[str], counts: Series, target: tuple[str, float] | None = None
) -> str:
    """Bars side by side without a gap, and a line where the target is.

    Args:
        title: What it shows.
        labels: One for each bar.
        counts: How high each bar is.
        target: The name of the line, and how many bars are left of it; None for no line.
    """
    axis = _Axis(max(counts.values, default=0.0), len(labels), gap=0.06)
    parts = [axis.rules(), _legend([counts])]
    for place, (label, value) in enumerate(zip(labels, counts.values, strict=True)):
        if value > 0:
            told = f"{label}: {_number(value)}"
            parts.append(axis.bar(place, 0.0, value, counts.kind, told))
    if target is not None:
        named, bars = target
        x = axis.left(min(max(bars, 0.0), float(len(labels))))
        parts.append(
            f'<rect x="{_px(x - 1)}" y="{_TOP - 8}" width="2" '
            f'height="{HEIGHT - _BOTTOM - _TOP + 8}" {_fill("accent")}>'
            f"<title>{_text(named)}</title></rect>"
        )
        parts.append(_label(x + 5, _TOP, named, "accent"))
    parts.append(axis.labels(labels))
    return _svg(title, parts)


def ranked_bars(title: str, items: Sequence[Ranked], kind: str = "accent") -> str:
    """Bars that lie, one below the other, each with its name before and its value behind it."""
    height = 26.0
    name_px, told_px = 230.0, 90.0
    most = max((item.value for item in items), default=0.0) or 1.0
    parts = []
    for place, item in enumerate(items):
        y = 8 + place * height
        length = max(1.0, item.value / most * (WIDTH - name_px - told_px))
        name = _shortened(item.label, 28)
        parts += [
            _label(name_px - 8, y + 14, name, "ink", "end"),
            (
                f'<rect x="{_px(name_px)}" y="{_px(y + 2)}" width="{_px(length)}" height="16" '
                f"{_fill(kind)}><title>{_text(f'{item.label}: {item.told}')}</title></rect>"
            ),
            _label(name_px + length + 6, y + 14, item.told, "dim"),
        ]
    return _svg(title, parts, round(16 + max(1, len(items)) * height))


def grid(
    title: str, rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[int]]
) -> str:
    """A cell for each row and column, the darker the more, with its number in it."""
    left, top, cell_px = 48.0, 24.0, 26.0
    width = (WIDTH - left) / max(1, len(columns))
    most = max((value for row in values for value in row), default=0)
    parts = []
    for place, column in enumerate(columns):
        parts.append(_label(left + (place + 0.5) * width, 16, column, "dim", "middle"))
    for down, (name, row) in enumerate(zip(rows, values, strict=True)):
        y = top + down * cell_px
        parts.append(_label(left - 8, y + 17, name, "ink", "end"))
        for across, (column, value) in enumerate(zip(columns, row, strict=True)):
            share = value / most if most else 0.0
            x = left + across * width
            told = f"{name} {column}: {value}"
            parts.append(
                f'<rect x="{_px(x)}" y="{_px(y)}" width="{_px(width - 2)}" '
                f'height="{_px(cell_px - 2)}" rx="2" fill="{COLOURS["accent"]}" '
                f'fill-opacity="{0.04 + 0.96 * share:.2f}" class="c-accent">'
                f"<title>{_text(told)}</title></rect>"
            )
            if value:
                ink = "paper" if share > 0.45 else "ink"
                parts.append(_label(x + width / 2 - 1, y + 16, str(value), ink, "middle"))
    return _svg(title, parts, round(top + max(1, len(rows)) * cell_px + 6))


class _Axis:
    """Where values and places are on the sheet."""

    def __init__(self, most: float, places: int, gap: float = 0.25) -> None:
        self._step = _nice_step(most)
        self._top = max(self._step, math.ceil(most / self._step) * self._step)
        self._places = max(1, places)
        self._gap = gap
        self._width = (WIDTH - _LEFT - _RIGHT) / self._places

    def y(self, value: float) -> float:
        """How far down a value is."""
        return HEIGHT - _BOTTOM - value / self._top * (HEIGHT - _BOTTOM - _TOP)

    def left(self, place: float) -> float:
        """Where the room of a place begins."""
        return _LEFT + place * self._width

    def middle(self, place: int) -> float:
        """The middle of a place."""
        return self.left(place + 0.5)

    def bar(self, place: int, low: float, high: float, kind: str, told: str) -> str:
        """A bar between two values."""
        y, gap = self.y(high), self._width * self._gap
        return (
            f'<rect x="{_px(self.left(place) + gap / 2)}" y="{_px(y)}" '
            f'width="{_px(self._width - gap)}" height="{_px(self.y(low) - y)}" {_fill(kind)}>'
            f"<title>{_text(told)}</title></rect>"
        )

    def rules(self) -> str:
        """A line across for each step, with its value."""
        found = []
        for number in range(round(self._top / self._step) + 1):
            value = number * self._step
            y = self.y(value)
            found.append(
                f'<rect x="{_LEFT}" y="{_px(y)}" width="{WIDTH - _LEFT - _RIGHT}" height="1" '
                f"{_fill('rule')}/>"
            )
            found.append(_label(_LEFT - 8, y + 4, _number(value), "dim", "end"))
        return "".join(found)

    def labels(self, labels: Sequence[str]) -> str:
        """As many labels as there is room for."""
        longest = max((len(label) for label in labels), default=0)
        room = int((WIDTH - _LEFT - _RIGHT) / (longest * _CHAR_PX + 8)) or 1
        every = math.ceil(len(labels) / min(room, _MOST_LABELS)) or 1
        return "".join(
            _label(self.middle(place), HEIGHT - 8, label, "dim", "middle")
            for place, label in enumerate(labels)
            if place % every == 0
        )


def _nice_step(most: float) -> float:
    """The distance of rules: 1, 2 or 5 of some power of ten, so that there are three to six."""
    if most <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(most / 4))
    step = next(each * power for each in (1, 2, 5, 10) if most / (each * power) <= 5)
    return max(1.0, step)


def _legend(series: Sequence[Series]) -> str:
    x, found = float(_LEFT), []
    for each in series:
        found.append(f'<rect x="{_px(x)}" y="6" width="10" height="10" {_fill(each.kind)}/>')
        found.append(_label(x + 15, 15, each.name, "ink"))
        x += 34 + len(each.name) * _CHAR_PX
    return "".join(found)


def _svg(title: str, parts: Sequence[str], height: int = HEIGHT) -> str:
    named = _text(title)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{named}" class="chart" font-family="Inter, sans-serif" font-size="12">'
        f"<title>{named}</title>{''.join(parts)}</svg>"
    )


def _label(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return (
        f'<text x="{_px(x)}" y="{_px(y)}" text-anchor="{anchor}" {_fill(kind)}>{_text(text)}</text>'
    )


def _fill(kind: str) -> str:
    return f'fill="{COLOURS[kind]}" class="c-{kind}"'


def _text(text: str) -> str:
    return html.escape(for_xml(text), quote=True)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "\u2026"


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"
