"""Channel events (CEL) of Asterisk: CSV as cel_custom writes it, its JSON lines, SQLite.

Source: Asterisk ``cel.conf.sample`` (event types; a time is seconds and microseconds unless
``dateformat`` says otherwise), ``cel_custom.conf.sample`` (columns) and
``cel_sqlite3_custom.conf.sample``.
"""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path

from callreel.errors import BadInput
from callreel.flows.entry import Result
from callreel.importers.event_lines import Line, open_events, read_lines
from callreel.importers.heard import (
    EventOptions,
    Heard,
    HeardItems,
    asterisk_leg,
    event_time,
)
from callreel.importers.items import Problem
from callreel.importers.tail import Tail

_LEGACY = (
    "eventtype", "literal", "eventtime", "cidname", "cidnum", "cidani", "cidrdnis", "ciddnid",
    "dialled", "context", "channame", "appname", "appdata", "amaflags", "acctcode", "uniqueid",
    "linkedid", "peer", "userfield", "userdeftype", "extra",
)  # fmt: skip
_ADVANCED = (
    "eventtype", "eventenum", "literal", "eventtime", "userdeftype", "cidname", "cidnum", "dialled",
    "context", "channame", "appname", "appdata", "amaflags", "acctcode", "uniqueid", "userfield",
    "cidani", "cidrdnis", "ciddnid", "peer", "linkedid", "peeracct", "extra", "tenantid",
)  # fmt: skip
COLUMNS = {len(names): names for names in (_LEGACY, _ADVANCED[:-1], _ADVANCED)}
"""Of the two sample configurations, by how many there are; older ones have no tenant."""
NEEDED = ("eventtype", "eventtime", "uniqueid")
_SQLITE = "SQLite format 3\0"
_Rows = Iterator[tuple[str, Mapping[str, str] | Problem]]
_OTHER_NAMES = {
    "usereventname": "userdeftype",
    "eventname": "eventtype",
    "eventextra": "extra",
    "channel": "channame",
}


def read_cel(path: Path, options: EventOptions) -> HeardItems:
    """Events of one file; SQLite, JSON lines, a header or none are told apart by its beginning.

    Args:
        path: The file.
        options: What it does not say.

    Raises:
        BadInput: It cannot be read, or has no such table or columns.
    """
    with open_events(path) as file:
        is_database = file.read(len(_SQLITE)) == _SQLITE.encode()
    for origin, row in _sqlite(path, options) if is_database else cel_rows(path, options):
        yield row if isinstance(row, Problem) else cel_event(origin, row, options)


def cel_rows(
    path: Path | Tail, options: EventOptions
) -> Iterator[tuple[str, Mapping[str, str] | Problem]]:
    """Where each event of lines stands, and its fields by their names in lower case.

    Raises:
        BadInput: It cannot be read, or is a database.
    """
    lines = read_lines(path)
    first = next((line for line in lines if line.text is None or line.text.strip()), None)
    if first is None:
        return
    text = first.text or ""
    if text.startswith(_SQLITE):
        raise BadInput(f"{path}: is a database, and not lines")
    rows = _json_lines if text.lstrip()[:1] == "{" else _csv
    yield from rows(path.name, chain([first], lines), options)


def cel_event(origin: str, row: Mapping[str, str], options: EventOptions) -> Heard | Problem | None:
    """What one event says; None where it is of another kind.

    Args:
        origin: File and line.
        row: Its fields, by their names in lower case; some may be missing.
        options: What it does not say.
    """
    kind = row.get("eventtype", "").strip()
    mute = options.says(row.get("userdeftype", ""), kind)
    is_key = mute is None and kind.upper() == "DTMF" and options.keys is not None
    if mute is None and not is_key:
        return None
    try:
        at = event_time(row.get("eventtime", ""), options.timezone)
        leg = asterisk_leg(
            row.get("uniqueid", "").strip(),
            row.get("linkedid", "").strip(),
            row.get("channame", ""),
            at,
            options.internal_digits,
        )
    except BadInput as error:
        return Problem(origin, error.message)
    return Heard(origin, at, leg, mute, _digit(row.get("extra", "")) if is_key else "")


def _digit(extra: str) -> str:
    """The key in the extra field of a DTMF event; empty where it is not to be found."""
    try:
        said = json.loads(extra)
    except (ValueError, RecursionError):
        return ""
    key = said.get("digit") if isinstance(said, dict) else None
    return key.upper() if isinstance(key, str) else ""


def _names(cells: Sequence[str]) -> list[str]:
    folded = [cell.strip().lower().replace("_", "") for cell in cells]
    return [_OTHER_NAMES.get(name, name) for name in folded]


def _csv(name: str, lines: Iterable[Line], options: EventOptions) -> _Rows:
    """One line, one event: a torn quote must not swallow the lines behind it."""
    columns: Sequence[str] | None = _names(options.columns) or None
    delimiter = ","
    for line in lines:
        origin = f"{name}:{line.number}"
        if line.number == 1 and line.text:
            delimiter = "\t" if line.text.count("\t") > line.text.count(",") else ","
            names = _names(_cells(line.text, delimiter) or [])
            if set(NEEDED) <= set(names):
                columns = names
                continue
        if line.text == "":
            continue
        try:
            yield origin, _row(line, delimiter, columns)
        except BadInput as error:
            yield origin, _problem(origin, error.message, ended=line.ended)


def _row(line: Line, delimiter: str, columns: Sequence[str] | None) -> Mapping[str, str]:
    """The fields of a line.

    Raises:
        BadInput: It is none, or not complete.
    """
    if line.text is None:
        raise BadInput("the line is longer than 64 KiB")
    cells = _cells(line.text, delimiter)
    if cells is None:
        raise BadInput("the quotes do not match")
    names = columns or COLUMNS.get(len(cells))
    if names is None:
        raise BadInput(f"{len(cells)} columns; say with --columns what they are")
    if len(names) != len(cells):
        raise BadInput(f"{len(cells)} columns instead of {len(names)}")
    # A line that is being written may end anywhere, also within a number.
    if not line.ended and not line.text.endswith('"'):
        raise BadInput("it is not complete")
    return dict(zip(names, cells, strict=True))


def _cells(text: str, delimiter: str) -> list[str] | None:
    try:
        return next(csv.reader([text], strict=True, delimiter=delimiter), [])
    except csv.Error:
        return None


def _problem(origin: str, reason: str, *, ended: bool) -> Problem:
    if ended:
        return Problem(origin, reason)
    return Problem(origin, "the last line is not complete yet", Result.WAITING)


def _json_lines(name: str, lines: Iterable[Line], _options: EventOptions) -> _Rows:
    for line in lines:
        origin = f"{name}:{line.number}"
        if line.text is not None and not line.text.strip():
            continue
        row = None if line.text is None else _json_row(line.text)
        if row is None:
            yield origin, _problem(origin, "the line is not a JSON object", ended=line.ended)
        else:
            yield origin, row


def _json_row(text: str) -> Mapping[str, str] | None:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    values = [
        value if isinstance(value, str) else "" if value is None else json.dumps(value)
        for value in said.values()
    ]
    return dict(zip(_names([str(name) for name in said]), values, strict=True))


def _sqlite(path: Path, options: EventOptions) -> _Rows:
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error as error:
        raise BadInput(f"cannot read {path.name}: {error}") from error
    with closing(connection):
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        quoted = '"' + options.table.replace('"', '""') + '"'
        try:
            cursor = connection.execute(f"SELECT * FROM {quoted}")  # noqa: S608 - quoted above
            names = _names([entry[0] for entry in cursor.description])
            missing = sorted(set(NEEDED) - set(names))
            if missing:
                raise BadInput(f"{path.name}: table {options.table} lacks the columns {missing}")
            for number, values in enumerate(cursor, 1):
                texts = ["" if value is None else str(value) for value in values]
                yield f"{path.name}:{number}", dict(zip(names, texts, strict=True))
        except sqlite3.Error as error:
            raise BadInput(f"cannot read {path.name}: {error}") from error
