"""The command that makes a report: as text to read, or as a file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TextIO

import click
from rich.console import Console
from rich.table import Table as TextTable
from rich.text import Text

from callreel.bootstrap import open_base, system_clock
from callreel.cli.listing import WIDE, printable
from callreel.cli.options import data_option, plain_errors, settings_of
from callreel.documents.cells import Cell
from callreel.documents.pdf import write_pdf
from callreel.documents.shown import shown
from callreel.documents.tables import write_csv, write_xlsx
from callreel.flows.report_kinds.shape import Report
from callreel.flows.reports import KINDS, Reports
from callreel.model import Principal, Role, Scope, WebUserId

COMMAND = Principal(
    WebUserId("command"), "command", Role.ADMINISTRATOR, Scope(everything=True), "command"
)
"""Whoever has the command line and the data folder sees everything."""

_LIMIT_S = 3600.0
"""Nobody else waits for it, and Ctrl-C ends it."""
_PLAIN = ("text", "csv", "spreadsheet")


@click.command("report")
@click.argument("kind", type=click.Choice([kind.slug for kind in KINDS]), metavar="KIND")
@data_option
@click.option("--period", help="today, 7d, this-month, 2026-11, 2026-11-01..2026-11-15 and so on.")
@click.option("--since", "--from", "begin", help="Its beginning, instead of --period.")
@click.option("--to", help="Its last day; without it today.")
@click.option("--zone", help="Time zone that it is told in; else that of the sites.")
@click.option("--site", help="Only this site: id or name.")
@click.option("--group", help="Only this group: SITE/GROUP.")
@click.option("--agent", help="Only this person: extension or name.")
@click.option("--dir", "direction", help="inbound, outbound, internal or unknown.")
@click.option("--limit", help="How many rows of a ranking.")
@click.option("--target", help="Within how many seconds calls should be answered.")
@click.option(
    "-f", "--format", "form", type=click.Choice([*_PLAIN, "xlsx", "pdf"]), default="text",
    show_default=True, help="csv is for programs, spreadsheet is CSV that is safe to open in one.",
)  # fmt: skip
@click.option(
    "-o", "--out", "path", type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; text and csv go to standard output without it.",
)  # fmt: skip
@plain_errors
def report_command(
    kind: str,
    data_dir: Path,
    form: str,
    path: Path | None,
    **asked: str | None,
) -> None:
    """Make a report about all calls.

    KIND is call-analysis, abandoned, busy-hours, busy-channels, agents, groups, top-calls,
    top-numbers, year-on-year, masking, masking-exceptions or playback-audit.
    """
    if path is None and form not in _PLAIN:
        raise click.UsageError(f"--out: {form} needs a file to write to.")
    names = {"begin": "from", "direction": "dir"}
    wanted = {names.get(name, name): text for name, text in asked.items() if text is not None}
    base = open_base(settings_of(data_dir))
    try:
        report = Reports(base.db, system_clock, limit_s=_LIMIT_S).make(COMMAND, kind, wanted)
    finally:
        base.close()
    if path is None:
        _write_plain(report, form, sys.stdout)
        return
    # Beside it first: what fails half way must not take the place of an older report.
    beside = path.with_name(f".{path.name}.new")
    try:
        _write(report, form, beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    click.echo(f"{path}: {report.title}, {report.period.words}; {report.headline}")


def _write(report: Report, form: str, path: Path) -> None:
    if form == "xlsx":
        write_xlsx(report.table, path, zone=report.zone)
        return
    # It tells who talked to whom.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    if form == "pdf":
        with os.fdopen(descriptor, "wb") as file:
            write_pdf(
                report.table,
                file,
                zone=report.zone,
                headline=report.headline,
                chart=report.chart,
            )
        return
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as text:
        _write_plain(report, form, text)


def _write_plain(report: Report, form: str, out: TextIO) -> None:
    if form == "text":
        _write_text(report, out)
    else:
        write_csv(report.table, out, for_spreadsheets=form == "spreadsheet", zone=report.zone)


def _write_text(report: Report, out: TextIO) -> None:
    table = report.table
    out.write(f"{table.title}\n")
    out.writelines(
        f"{what}: {printable(which)}\n"
        for what, which in (*table.facts, ("Time zone", report.zone.key))
    )
    out.write(f"{printable(report.headline)}\n\n")
    if report.is_empty:
        out.write("There is nothing to show for this period and these filters.\n")
        return
    drawn = TextTable(box=None, pad_edge=False)
    for column in table.columns:
        justify = "left" if column.kind in {"text", "instant"} else "right"
        drawn.add_column(column.title, justify=justify, no_wrap=True)  # type: ignore[arg-type]  # one of its words
    rows: list[tuple[Cell, ...]] = [*table.rows]
    if table.total is not None:
        rows.append(table.total)
    for row in rows:
        cells = [
            shown(column.kind, cell, report.zone)
            for column, cell in zip(table.columns, row, strict=True)
        ]
        drawn.add_row(*(Text(printable(cell)) for cell in cells))
    Console(file=out, width=WIDE).print(drawn)
