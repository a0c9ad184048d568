"""Cells as people read them: on paper, on a screen, in a page."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from callreel.documents.cells import Cell, is_number, local_time
from callreel.documents.tables import Kind


def shown(kind: Kind, cell: Cell, zone: ZoneInfo) -> str:
    """A cell in words; empty where it holds nothing.

    Counts have commas, lengths are hours, minutes and seconds, shares are percentages with one
    digit, instants are local times.
    """
    if isinstance(cell, str):
        return cell
    if cell is None or not is_number(cell):
        return ""
    if kind == "instant":
        local = local_time(int(cell), zone)
        return str(int(cell)) if local is None else f"{local:%Y-%m-%d %H:%M:%S}"
    if kind == "seconds":
        return length(cell)
    if kind == "share":
        return f"{cell * 100:.1f}%"
    return f"{cell:,}" if isinstance(cell, int) else f"{cell:,.1f}"


def length(seconds: float) -> str:
    """A length as hours, minutes and seconds; without hours where there are none."""
    # Half a second counts as one, as a spreadsheet shows it.
    whole = int(seconds + 0.5)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
