"""The command that makes reports: the same numbers in every form."""

from __future__ import annotations

import csv
import io
import stat
from datetime import date, datetime, time, timedelta
from pathlib import Path

import openpyxl
import pytest
from click.testing import CliRunner, Result

from callreel.cli.main import main
from callreel.db.database import open_database
from callreel.documents.cells import Cell
from callreel.documents.shown import shown
from callreel.flows.report_kinds.shape import Report
from callreel.flows.reports import KINDS, Reports
from callreel.model import Role, UnixMillis
from callreel.periods import local
from tests.documents.pdf_text import pdf_pages
from tests.flows.report_town import LONDON, NOW, PERIOD, build, plain_calls, played, principal

DAY_0 = date(1899, 12, 30)
"""Where a workbook begins to count."""
BETWEEN = ("--since", "2026-10-22", "--to", "2026-10-27")


def run(*arguments: str) -> Result:
    """One command."""
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with 150 calls and one listening."""
    data = tmp_path / "data"
    assert run("init", "--data", str(data)).exit_code == 0
    database = open_database(f"sqlite:///{data / 'callreel.db'}")
    calls = plain_calls(5, 150)
    build(database, calls)
    at = NOW - 2 * 86_400_000
    recorded = next(call for call in calls if call.recorded)
    played(database, f"r{recorded.id}", (at, "sound.start", "=w", "::1"))
    played(database, f"r{recorded.id}", (at + 1, "sound.end", "=w", "::1"))
    database.close()
    return data


def made(data: Path, kind: str) -> Report:
    """The report as a page would have it."""
    database = open_database(f"sqlite:///{data / 'callreel.db'}")
    try:
        reports = Reports(database, lambda: NOW)
        return reports.make(principal(Role.ADMINISTRATOR), kind, {"period": PERIOD})
    finally:
        database.close()


@pytest.mark.parametrize("kind", [kind.slug for kind in KINDS])
def test_the_numbers_of_a_report_are_the_same_in_every_form(
    data: Path, tmp_path: Path, kind: str
) -> None:
    """In a page, as text, CSV, XLSX and on paper; cell by cell, the total as well."""
    report = made(data, kind)
    columns = report.table.columns
    assert report.table.rows
    for form in ("csv", "xlsx", "pdf"):
        file = tmp_path / f"report.{form}"
        done = run("report", kind, *BETWEEN, "-f", form, "-o", str(file), "--data", str(data))
        assert done.exit_code == 0, done.output
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert report.headline in done.output
    with (tmp_path / "report.csv").open(encoding="utf-8", newline="") as file:
        keys, *rows = csv.reader(file)
    assert keys == [column.key for column in columns]
    read = [
        tuple(csv_cell(column.kind, cell) for column, cell in zip(columns, row, strict=True))
        for row in rows
    ]
    assert read == [*report.table.rows]

    total = [] if report.table.total is None else [report.table.total]
    book = openpyxl.load_workbook(tmp_path / "report.xlsx")
    _head, *lines = book.worksheets[1].iter_rows(values_only=True)
    for line, row in zip(lines, [*report.table.rows, *total], strict=True):
        for column, cell, value in zip(columns, row, line, strict=True):
            assert as_number(value) == pytest.approx(expected(column.kind, cell), abs=1e-3), column

    text = "".join(pdf_pages((tmp_path / "report.pdf").read_bytes()))
    plain = run("report", kind, *BETWEEN, "--data", str(data)).output
    for row in [*report.table.rows, *total]:
        words = [shown(column.kind, cell, LONDON)
                 for column, cell in zip(columns, row, strict=True)]  # fmt: skip
        told = "".join("".join(words).split())
        assert told in text
        text = text.partition(told)[2]
        assert " ".join(" ".join(words).split()) in " ".join(plain.split())


def csv_cell(kind: str, text: str) -> Cell:
    """A cell of CSV for programs, as a report has it."""
    if kind == "text":
        return text
    if not text:
        return None
    if kind == "instant":
        return round(datetime.fromisoformat(text).timestamp() * 1000)
    return int(text) if kind == "count" else float(text)


def expected(kind: str, cell: Cell) -> object:
    """A cell as ``as_number`` reads it from a workbook; nothing for 0 and for nothing."""
    if kind == "instant" and cell is not None:
        return as_number(local(UnixMillis(int(cell)), LONDON).replace(tzinfo=None))
    return cell or None


def as_number(value: object) -> object:
    """A cell of a workbook as a number of seconds, where it is a time or a length."""
    if isinstance(value, time):
        value = datetime.combine(DAY_0, value)
    if isinstance(value, datetime):
        value = value - datetime.combine(DAY_0, time())
    return value.total_seconds() or None if isinstance(value, timedelta) else value or None


def test_a_report_is_text_to_read(data: Path) -> None:
    """With what it is about, and nothing that moves a cursor."""
    done = run("report", "top-numbers", *BETWEEN, "--dir", "inbound", "--data", str(data))
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert lines[:5] == [
        "Top numbers",
        "Period: 22 to 27 October 2026",
        "Scope: everything",
        "Filters: direction inbound",
        "Time zone: Europe/London",
    ]
    assert "\x1b" not in done.output


def test_a_spreadsheet_is_given_texts_that_stay_texts(data: Path) -> None:
    """A caller's number that would be a formula."""
    done = run("report", "top-numbers", *BETWEEN, "-f", "spreadsheet", "--data", str(data))
    rows = list(csv.reader(io.StringIO(done.output.removeprefix("\ufeff"))))
    assert rows[0][0] == "Number"
    numbers = [row[0] for row in rows[1:]]
    assert any(number.startswith("'=1+1") for number in numbers)
    assert not any(number.startswith(("=", "+", "@", "-")) for number in numbers)


def test_what_cannot_be_read_is_told(data: Path) -> None:
    """With the exit code of a bad question."""
    done = run("report", "agents", "--period", "soon", "--data", str(data))
    assert done.exit_code == 2
    assert done.stderr.startswith("callreel: period: 'soon' is not a period; use today")
    done = run("report", "agents", "-f", "pdf", "--data", str(data))
    assert done.exit_code == 2
    assert "--out: pdf needs a file to write to" in done.stderr


def test_a_report_that_fails_leaves_the_older_one(data: Path, tmp_path: Path) -> None:
    """What is half written never takes its place."""
    file = tmp_path / "report.pdf"
    file.write_text("older")
    wanted = ("report", "top-calls", "--limit", "x", "-f", "pdf", "-o", str(file))
    assert run(*wanted, "--data", str(data)).exit_code == 2
    assert file.read_text() == "older"
    assert {each.name for each in tmp_path.iterdir()} == {"data", "report.pdf"}


def test_a_folder_that_is_not_there_is_named(data: Path, tmp_path: Path) -> None:
    """Nothing is made where nobody asked for it."""
    file = tmp_path / "no" / "report.csv"
    done = run("report", "agents", "-f", "csv", "-o", str(file), "--data", str(data))
    assert done.exit_code == 1
    assert "No such file or directory" in done.stderr
