"""Calls as text: a table to read, CSV and JSON for programs.

One call is held at a time, but for the table, which is short.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TextIO

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from callreel.client import CallItem
from callreel.web.shapes import as_csv

WIDE = 2000
"""More columns than any row has: an id that was cut off could not be used."""

Form = Callable[[Iterator[CallItem], TextIO], None]


def print_calls(form: Form, calls: Iterator[CallItem], limit: int | None) -> None:
    """Write calls to standard output, ``limit`` of them at the most, and say if there are more."""
    form(islice(calls, limit), sys.stdout)
    if limit is not None and next(calls, None) is not None:
        click.echo(f"callreel: these are the newest {limit}; --limit shows more.", err=True)


def _csv(calls: Iterator[CallItem], out: TextIO) -> None:
    """The API's own CSV, so that both can be read by one program."""
    out.write(as_csv([]))
    for call in calls:
        _head, _line_end, row = as_csv([call]).partition("\r\n")
        out.write(row)


def _json(calls: Iterator[CallItem], out: TextIO) -> None:
    """One array, an item a line."""
    before = "["
    for call in calls:
        out.write(f"{before}\n{json.dumps(call)}")
        before = ","
    out.write("\n]\n" if before == "," else "[]\n")


def _table(calls: Iterator[CallItem], out: TextIO) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("call", "started", "seconds", "direction", "from", "to", "ext", "recording"):
        table.add_column(title, justify="right" if title == "seconds" else "left", no_wrap=True)
    for call in calls:
        cells = (
            call["id"],
            call["started_at"][:19].replace("T", " "),
            f"{call['duration_s']:.1f}",
            call["direction"],
            call["from"],
            call["to"],
            call["extension"] or "",
            _recording(call),
        )
        table.add_row(*(Text(printable(cell)) for cell in cells))
    Console(file=out, width=WIDE).print(table)


def _recording(call: CallItem) -> str:
    if call["recording_id"] is None:
        return "none"
    masks = len(call["masked_spans"])
    return f"yes, {masks} masked" if masks else "yes"


def printable(text: str) -> str:
    """What a caller sent as a number must not move the cursor of whoever reads it."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


FORMS: dict[str, Form] = {"csv": _csv, "json": _json, "table": _table}
"""By name."""
