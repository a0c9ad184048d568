"""A table of a report or a list, and the two files it can become.

Cells hold what callers and other systems sent, so every text is made or named a text (T37). One row
is in memory at a time.
"""

from __future__ import annotations

import csv
import html
import os
import re
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self, TextIO
from zoneinfo import ZoneInfo

from xlsxwriter import Workbook
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from callreel.documents.cells import (
    Cell,
    as_text,
    for_xml,
    is_number,
    local_time,
    without_lone_surrogates,
)

Kind = Literal["text", "instant", "seconds", "count", "share"]


@dataclass(frozen=True, slots=True)
class Column:
    """What one column holds."""

    key: str
    """Its name for programs."""
    title: str
    """Its name for people."""
    kind: Kind
    """``instant``: unix milliseconds; ``seconds``: a length; ``share``: 0 to 1."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with what they are about."""

    title: str
    facts: tuple[tuple[str, str], ...]
    """Scope, period and filters in words: what, and which."""
    columns: tuple[Column, ...]
    rows: Iterable[tuple[Cell, ...]]
    """A cell for each column; may be a stream, which is read once."""
    total: tuple[Cell, ...] | None
    """A cell for each column; None where nothing is summed up."""


MAX_ROWS = 1_048_576
"""Of one sheet; what is more goes to another. Source: ECMA-376, as Excel holds it."""
MAX_CELL_CHARS = 32_767
MAX_SHEET_NAME_CHARS = 31
_DAY_S = 86_400
_UNIX_DAY = 25_569
"""1970-01-01 as the workbook counts days."""
_FIRST_DAY = 61
"""1900-03-01; the days before are counted wrongly, each program in its own way."""
_NOT_IN_SHEET_NAME = re.compile(r"[\[\]:*?/\\\0-\x1f\x7f]")
_NUMBER_FORMATS: dict[Kind, str] = {
    "text": "@",
    "instant": "yyyy-mm-dd hh:mm:ss",
    "seconds": "[h]:mm:ss",
    "count": "#,##0",
    "share": "0.0%",
}
_WIDTHS: dict[Kind, int] = {"text": 20, "instant": 20, "seconds": 11, "count": 11, "share": 9}
_ABOUT = "About"


def write_csv(table: Table, file: TextIO, *, for_spreadsheets: bool, zone: ZoneInfo) -> None:
    """Write a table as CSV.

    For programs: RFC 4180, keys as the first line, values as they are, instants as ISO 8601 with
    offset, no total. For spreadsheets: a byte order mark, titles, local times, the total, and an
    apostrophe before whatever would be taken for a formula.

    Args:
        table: What to write.
        file: Opened for UTF-8 with ``newline=""``.
        for_spreadsheets: Whether people will open it in one.
        zone: Where instants are told.

    Raises:
        OSError: The file cannot be written.

    Cost: one row at a time.
    """
    out = csv.writer(file)
    if for_spreadsheets:
        file.write("\ufeff")
        out.writerow([as_text(_title_with_unit(column, zone)) for column in table.columns])
    else:
        out.writerow([column.key for column in table.columns])
    kinds = [column.kind for column in table.columns]
    for row in table.rows:
        out.writerow(_csv_row(kinds, row, for_spreadsheets, zone))
    if for_spreadsheets and table.total is not None:
        out.writerow(_csv_row(kinds, table.total, for_spreadsheets, zone))


def _title_with_unit(column: Column, zone: ZoneInfo) -> str:
    if column.kind == "instant":
        return f"{column.title} ({zone.key})"
    if column.kind == "seconds":
        return f"{column.title} (s)"
    return column.title


def _csv_row(
    kinds: list[Kind], row: tuple[Cell, ...], for_spreadsheets: bool, zone: ZoneInfo
) -> list[Cell]:
    cells: list[Cell] = []
    for kind, cell in zip(kinds, row, strict=True):
        if isinstance(cell, str):
            text = without_lone_surrogates(cell)
            cells.append(as_text(text) if for_spreadsheets else text)
        elif cell is None or not is_number(cell):
            cells.append(None)
        elif kind == "instant":
            cells.append(_csv_instant(int(cell), for_spreadsheets, zone))
        else:
            cells.append(cell)
    return cells


def _csv_instant(at: int, for_spreadsheets: bool, zone: ZoneInfo) -> Cell:
    local = local_time(at, zone)
    if local is None:
        return at
    if for_spreadsheets:
        return local.replace(tzinfo=None).isoformat(" ", "seconds")
    return local.isoformat(timespec="milliseconds")


def write_xlsx(
    table: Table, path: Path, *, zone: ZoneInfo, heed: Callable[[], None] | None = None
) -> None:
    """Write a table as a workbook: a sheet "About" with its facts, then its rows.

    Instants are dates in ``zone``, lengths are durations, shares are percentages; the first line
    stays in sight. More rows than a sheet holds go on in another. Where it fails, what was begun is
    left at ``path``.

    Args:
        table: What to write.
        path: Made so that only its owner can read it. Its folder holds the parts meanwhile.
        zone: Where instants are told.
        heed: Called now and then while rows are packed; what it raises ends the writing.

    Raises:
        OSError: The file cannot be written.

    Cost: memory of a row; the folder needs the size of the rows as XML meanwhile.
    """
    with (
        tempfile.TemporaryDirectory(dir=path.parent, prefix="parts-") as parts,
        os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600), "w+b") as file,
        _Book(_Heeding(file, heed), Path(parts)) as book,
    ):
        about = book.sheet(_ABOUT)
        about.lines([("", table.title), *table.facts, ("Time zone", zone.key)])
        book.table(table, zone)


class _Heeding:
    """A file that asks before each write whether it shall go on.

    Once a write failed it takes and forgets all others: the library's archive still wants to finish
    itself when it is thrown away.
    """

    def __init__(self, file: IO[bytes], heed: Callable[[], None] | None) -> None:
        self._file = file
        self._heed = heed
        self.failed = False

    def write(self, data: bytes) -> int:
        """Write, unless told to stop."""
        if self.failed:
            return len(data)
        try:
            if self._heed is not None:
                self._heed()
            return self._file.write(data)
        except BaseException:
            self.failed = True
            raise

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        return 0 if self.failed else self._file.seek(place, whence)

    def tell(self) -> int:
        """The place."""
        return 0 if self.failed else self._file.tell()

    def flush(self) -> None:
        """Hand on what is held back."""
        if not self.failed:
            self._file.flush()


@dataclass(frozen=True, slots=True)
class _Looks:
    """The formats of one workbook."""

    head: Format
    plain: dict[Kind, Format]
    total: dict[Kind, Format]


class _Book:
    """A workbook that is being written; packed when left without an error."""

    def __init__(self, file: _Heeding, parts: Path) -> None:
        self._file = file
        self._book = Workbook(
            file,
            {
                "constant_memory": True,
                "tmpdir": str(parts),
                "strings_to_formulas": False,
                "strings_to_urls": False,
                "strings_to_numbers": False,
            },
        )
        make = self._book.add_format
        self._looks = _Looks(
            head=make({"bold": True, "bottom": 1, "num_format": "@"}),
            plain={kind: make({"num_format": each}) for kind, each in _NUMBER_FORMATS.items()},
            total={
                kind: make({"num_format": each, "bold": True, "top": 1})
                for kind, each in _NUMBER_FORMATS.items()
            },
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._book.close()
        except FileCreateError as failed:
            cause = failed.args[0]
            raise cause from None
        finally:
            self._file.failed = True
            # Where it fails, the library leaves its files open.
            for sheet in self._book.worksheets():
                sheet.row_data_fh.close()

    def sheet(self, name: str) -> _Sheet:
        """A new sheet behind the others."""
        return _Sheet(self._book.add_worksheet(name), self._looks)

    def table(self, table: Table, zone: ZoneInfo) -> None:
        """The rows, on as many sheets as they need."""
        name = _sheet_name(table.title)
        number = 1
        sheet = self._table_sheet(name, table.columns)
        kinds = [column.kind for column in table.columns]
        for row in table.rows:
            # The last line is kept for the total.
            if sheet.next_row == MAX_ROWS - 1:
                number += 1
                end = f" {number}"
                sheet = self._table_sheet(
                    name[: MAX_SHEET_NAME_CHARS - len(end)] + end, table.columns
                )
            sheet.row(kinds, row, self._looks.plain, zone)
        if table.total is not None:
            sheet.row(kinds, table.total, self._looks.total, zone)

    def _table_sheet(self, name: str, columns: Iterable[Column]) -> _Sheet:
        sheet = self.sheet(name)
        sheet.head(columns)
        return sheet


class _Sheet:
    """One sheet, written from the top."""

    def __init__(self, sheet: Worksheet, looks: _Looks) -> None:
        self._sheet = sheet
        self._looks = looks
        self.next_row = 0

    def lines(self, facts: Iterable[tuple[str, str]]) -> None:
        """What, and which, a line each."""
        self._sheet.set_column(0, 0, 24)
        self._sheet.set_column(1, 1, 80)
        for what, which in facts:
            self._text(0, what, self._looks.head if not what else self._looks.plain["text"])
            self._text(1, which, self._looks.head if not what else self._looks.plain["text"])
            self.next_row += 1

    def head(self, columns: Iterable[Column]) -> None:
        """The titles, which stay in sight."""
        self._sheet.freeze_panes(1, 0)
        for place, column in enumerate(columns):
            self._sheet.set_column(place, place, max(_WIDTHS[column.kind], len(column.title) + 2))
            self._text(place, column.title, self._looks.head)
        self.next_row = 1

    def row(
        self, kinds: list[Kind], row: tuple[Cell, ...], looks: dict[Kind, Format], zone: ZoneInfo
    ) -> None:
        """One row."""
        for place, (kind, cell) in enumerate(zip(kinds, row, strict=True)):
            if isinstance(cell, str):
                self._text(place, cell, looks["text"])
            elif cell is None or not is_number(cell):
                # Drawn, so that the line above a total has no gaps.
                self._sheet.write_blank(self.next_row, place, None, looks[kind])
            elif kind == "instant":
                self._instant(place, int(cell), looks, zone)
            else:
                value = cell / _DAY_S if kind == "seconds" else cell
                self._sheet.write_number(self.next_row, place, value, looks[kind])
        self.next_row += 1

    def _instant(self, place: int, at: int, looks: dict[Kind, Format], zone: ZoneInfo) -> None:
        local = local_time(at, zone)
        offset = None if local is None else local.utcoffset()
        if local is None or offset is None:
            self._text(place, str(at), looks["text"])
            return
        day = (at / 1000 + offset.total_seconds()) / _DAY_S + _UNIX_DAY
        if day < _FIRST_DAY:
            self._text(place, local.isoformat(timespec="seconds"), looks["text"])
        else:
            self._sheet.write_number(self.next_row, place, day, looks["instant"])

    def _text(self, place: int, text: str, look: Format) -> None:
        text = for_xml(text.replace("\r\n", "\n").replace("\r", "\n"))[:MAX_CELL_CHARS]
        if text.startswith("<r>") and text.endswith("</r>"):
            # The library hands on such a text as XML of its own, with whatever is in it; so it
            # gets XML that says this text, short enough not to be cut by it.
            said = html.escape(text[:4000], quote=False)
            text = f'<r><t xml:space="preserve">{said}</t></r>'
        self._sheet.write_string(self.next_row, place, text, look)


def _sheet_name(title: str) -> str:
    name = _NOT_IN_SHEET_NAME.sub(" ", for_xml(title))[:MAX_SHEET_NAME_CHARS].strip(" '")
    taken = {"", _ABOUT.casefold(), "history"}
    return "Table" if name.casefold() in taken else name
