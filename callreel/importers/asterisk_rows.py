"""Rows of Asterisk's call detail records: Master.csv, FreePBX's export, SQLite.

Reads; decides nothing about calls. Source: Asterisk ``cdr_csv.c`` (16 columns, then unique id, user
field, and the three new columns, each only where configured) and FreePBX's ``cdr`` table.
"""

from __future__ import annotations

import csv
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path

from callreel.errors import BadInput
from callreel.flows.entry import Result
from callreel.importers.growing import may_grow
from callreel.importers.items import Problem

_BASE = (
    "accountcode", "src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp",
    "lastdata", "start", "answer", "end", "duration", "billsec", "disposition", "amaflags",
)  # fmt: skip
_LATER = ("peeraccount", "linkedid", "sequence")
_UNIQUE_ID = re.compile(r"(?:.*-)?\d{6,}\.\d+")
_OTHER_NAMES = {"calldate": "start", "recording": "recordingfile", "recfile": "recordingfile"}
_LINE_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class CdrRow:
    """One row, as text; what the form does not have is empty."""

    origin: str
    """File and line."""
    src: str = ""
    dst: str = ""
    dcontext: str = ""
    clid: str = ""
    channel: str = ""
    dstchannel: str = ""
    start: str = ""
    answer: str = ""
    duration: str = ""
    billsec: str = ""
    disposition: str = ""
    uniqueid: str = ""
    userfield: str = ""
    linkedid: str = ""
    sequence: str = ""
    """Tells apart the records of one call that was forked."""
    recordingfile: str = ""
    cnum: str = ""
    """The caller's number, where FreePBX knows it better than ``src``."""


Rows = Iterator[CdrRow | Problem]
_KNOWN = {field.name for field in fields(CdrRow)} - {"origin"}


def read_rows(path: Path, table: str = "cdr") -> Rows:
    """Rows of one file; SQLite, a header, or Master.csv are told apart by the first bytes.

    Args:
        path: The file.
        table: Name of the table, in SQLite.

    Raises:
        BadInput: The file is missing, cannot be read, or has no such table or columns.
    """
    if path.exists() and not path.is_file():
        raise BadInput(f"cannot read {path}: it is read more than once; write it to a file first")
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    if start.startswith(b"SQLite format 3\0"):
        return _sqlite_rows(path, table)
    header = _header(start)
    if header is not None:
        missing = {"start", "dst", "src"} - set(header)
        if missing:
            raise BadInput(f"{path.name} has a header without the columns {sorted(missing)}")
        return _csv_rows(path, header)
    return _csv_rows(path, None)


def _header(start: bytes) -> list[str] | None:
    first = start.decode("utf-8-sig", "replace").partition("\n")[0].rstrip("\r")
    names = [_column(name) for name in next(csv.reader([first]), [])]
    return names if {"dst", "channel"} <= set(names) or {"src", "dst"} <= set(names) else None


def _column(name: str) -> str:
    folded = name.strip().lower()
    return _OTHER_NAMES.get(folded, folded)


def _csv_rows(path: Path, header: Sequence[str] | None) -> Rows:
    """One line, one row: a torn quote must not swallow the lines behind it."""
    columns = 0
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_LINE_MAX_BYTES):
            number += 1
            origin = f"{path.name}:{number}"
            ended = line.endswith(b"\n")
            if not ended and len(line) == _LINE_MAX_BYTES:
                while line and not line.endswith(b"\n"):
                    line = file.readline(_LINE_MAX_BYTES)
                yield Problem(origin, "the line is longer than 64 KiB")
                continue
            text = _decoded(line).rstrip("\r\n")
            if not text.strip() or (header is not None and number == 1):
                continue
            cells = _cells(text)
            problem = _cells_problem(cells, header)
            # The last line of a file that is being written may end anywhere, also where it still
            # looks like a row: a shorter form of it, or one whose last number is longer.
            shorter = columns not in {0, len(cells or [])} or text.endswith(",")
            if not ended and (problem is not None or shorter or may_grow(path)):
                yield Problem(origin, "the last line is not complete yet", Result.WAITING)
            elif problem is not None or cells is None:
                yield Problem(origin, problem or "the quotes do not match")
            else:
                columns = len(cells)
                yield _row(origin, dict(zip(header or _columns(cells), cells, strict=True)))


def _decoded(line: bytes) -> str:
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _cells(text: str) -> list[str] | None:
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error:
        return None


def _cells_problem(cells: list[str] | None, header: Sequence[str] | None) -> str | None:
    if cells is None:
        return "the quotes do not match"
    if header is not None:
        if len(cells) != len(header):
            return f"{len(cells)} columns, the header has {len(header)}"
        return None
    if not len(_BASE) <= len(cells) <= len(_BASE) + 5:
        return f"{len(cells)} columns, a row of Master.csv has 16 to 21"
    return None


def _columns(cells: Sequence[str]) -> list[str]:
    """Names of the columns of a row of Master.csv, from how many there are.

    With 17 or 20 the one in question is the unique id if it looks like one, else the user field.
    """
    extra = len(cells) - len(_BASE)
    later = list(_LATER) if extra >= 3 else []
    optional = extra - len(later)
    if optional == 0:
        names: list[str] = []
    elif optional == 1:
        is_unique_id = _UNIQUE_ID.fullmatch(cells[len(_BASE)]) is not None
        names = ["uniqueid" if is_unique_id else "userfield"]
    else:
        names = ["uniqueid", "userfield"]
    return [*_BASE, *names, *later]


def _row(origin: str, values: dict[str, str]) -> CdrRow:
    return CdrRow(origin, **{name: text for name, text in values.items() if name in _KNOWN})


def _sqlite_rows(path: Path, table: str) -> Rows:
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error as error:
        raise BadInput(f"cannot read {path.name}: {error}") from error
    with closing(connection):
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        quoted = '"' + table.replace('"', '""') + '"'
        try:
            cursor = connection.execute(f"SELECT * FROM {quoted}")  # noqa: S608 - quoted above
            names = [_column(entry[0]) for entry in cursor.description]
            missing = {"start", "dst", "src"} - set(names)
            if missing:
                raise BadInput(f"{path.name}: table {table} lacks the columns {sorted(missing)}")
            for number, values in enumerate(cursor, 1):
                texts = ["" if value is None else str(value) for value in values]
                yield _row(f"{path.name}:{number}", dict(zip(names, texts, strict=True)))
        except sqlite3.Error as error:
            raise BadInput(f"cannot read {path.name}: {error}") from error
