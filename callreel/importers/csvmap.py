"""Any call records in delimited text or JSON lines, read by a mapping file."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

from callreel.errors import BadInput
from callreel.flows.entry import DEFAULT_DATASOURCE, CallEntry, Result, SoundFile
from callreel.importers.fields import (
    clock_of,
    direction_by_length,
    disposition_of,
    read_direction,
    read_duration,
    read_instant,
    sound_beneath,
)
from callreel.importers.growing import may_grow
from callreel.importers.items import Items, Problem
from callreel.importers.mapping import DATE_PARTS, TEMPLATE_NAME, Column, ImportMapping
from callreel.model import Direction, Disposition, UnixMillis

_LINE_MAX_CHARS = 1 << 20
_ROW_MAX_LINES = 50
_NOT_COMPLETE = "the last line is not complete yet"

_TORN = re.compile("[\udc80-\udcff]")
_Cells = Mapping[Column, str]


def read_mapped(
    path: Path,
    mapping: ImportMapping,
    *,
    recordings: Path | None,
    datasource: str = DEFAULT_DATASOURCE,
    voicelocation: str | None = None,
    in_place: bool = False,
) -> Items:
    """Entries of one file of call records.

    Args:
        path: The file.
        mapping: What its columns mean.
        recordings: Folder of the recordings; None for none.
        datasource: Where neither a row nor the mapping says it.
        voicelocation: As ``datasource``; None for the site's default.
        in_place: Refer to recordings instead of copying them.

    Raises:
        BadInput: The file is missing, or its header lacks a column that the mapping names.

    Cost: one pass, one line held.
    """
    if recordings is not None and not recordings.is_dir():
        raise BadInput(f"the folder of recordings {recordings} is not there")
    told = replace(
        mapping,
        datasource=mapping.datasource or datasource,
        voicelocation=mapping.voicelocation or voicelocation,
    )
    for origin, cells in _cells(path, mapping):
        if isinstance(cells, Problem):
            yield cells
            continue
        try:
            yield _entry(origin, cells, told, recordings, in_place=in_place)
        except BadInput as error:
            yield Problem(origin, error.message)


def _cells(path: Path, mapping: ImportMapping) -> Iterator[tuple[str, _Cells | Problem]]:
    try:
        file = path.open(encoding=mapping.encoding, errors="surrogateescape", newline="")
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    with file:
        lines = _Lines(path.name, _decoded(file, path, mapping))
        for _ in range(mapping.skip_lines):
            next(lines, None)
        found = _json_cells(lines) if mapping.jsonl else _csv_cells(path, lines, mapping)
        for origin, cells in found:
            if not isinstance(cells, Problem) and _is_torn_text(cells):
                yield (
                    origin,
                    Problem(origin, f"it holds bytes that are not {mapping.encoding} text"),
                )
            else:
                yield origin, cells


def _is_torn_text(cells: _Cells) -> bool:
    """Whether a cell holds bytes that could not be decoded."""
    return any(not cell.isascii() and _TORN.search(cell) for cell in cells.values())


def _decoded(file: TextIO, path: Path, mapping: ImportMapping) -> Iterator[str]:
    """Lines, none much longer than a row may be."""
    try:
        while line := file.readline(_LINE_MAX_CHARS + 2):
            rest = line
            while len(rest) == _LINE_MAX_CHARS + 2 and not rest.endswith(("\n", "\r")):
                rest = file.readline(_LINE_MAX_CHARS + 2)
            yield line if rest is line else line + "\n"
    except UnicodeError as error:
        raise BadInput(
            f"{path.name} is not {mapping.encoding} text; set encoding in the mapping, "
            "for example cp1252"
        ) from error


class _Lines:
    """Lines with their origin, of which some may be given back."""

    def __init__(self, name: str, file: Iterator[str]) -> None:
        self._lines = ((f"{name}:{number}", line) for number, line in enumerate(file, 1))
        self._returned: deque[tuple[str, str]] = deque()

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return self

    def __next__(self) -> tuple[str, str]:
        return self._returned.popleft() if self._returned else next(self._lines)

    def give_back(self, lines: list[tuple[str, str]]) -> None:
        self._returned.extendleft(reversed(lines))


def _csv_cells(
    path: Path, lines: _Lines, mapping: ImportMapping
) -> Iterator[tuple[str, _Cells | Problem]]:
    names: list[Column] | None = None
    if mapping.header:
        _, first = next(lines, ("", ""))
        names = [name.strip() for name in _split(first, mapping) or []]
        _require_columns(path, names, mapping)
    width = len(names) if names is not None else 0
    for origin, line in lines:
        if not line.strip():
            continue
        if not line.endswith(("\n", "\r")) and may_grow(path):
            yield origin, Problem(origin, _NOT_COMPLETE, Result.WAITING)
            continue
        least = width or max(_numbers(mapping), default=1)
        cells = _split(line, mapping) or _joined(line, lines, mapping, least)
        if cells is None or len(cells) < least or (width and len(cells) != width):
            yield origin, _uneven(origin, line, cells, least)
            continue
        width = len(cells)
        columns: list[Column] = names if names is not None else list(range(1, width + 1))
        yield origin, dict(zip(columns, cells, strict=True))


def _numbers(mapping: ImportMapping) -> list[int]:
    named = (column for columns in mapping.columns.values() for column in columns)
    return [column for column in named if isinstance(column, int)]


def _require_columns(path: Path, names: list[Column], mapping: ImportMapping) -> None:
    wanted = {column for columns in mapping.columns.values() for column in columns}
    if mapping.recordings_path is not None:
        wanted |= set(TEMPLATE_NAME.findall(mapping.recordings_path)) - set(DATE_PARTS)
    missing = sorted(str(column) for column in wanted - set(names))
    if missing:
        has = ", ".join(str(name) for name in names)
        raise BadInput(f"{path.name} has no column {', '.join(missing)}; it has {has}")


def _split(line: str, mapping: ImportMapping) -> list[str] | None:
    if len(line) > _LINE_MAX_CHARS:
        return None
    reader = csv.reader(
        [line.rstrip("\r\n")], delimiter=mapping.delimiter, quotechar=mapping.quote, strict=True
    )
    try:
        return next(reader, [])
    except csv.Error:
        return None


def _joined(line: str, lines: _Lines, mapping: ImportMapping, width: int) -> list[str] | None:
    """A row whose quoted text has line ends in it; None where it is torn.

    Only what comes out with enough columns counts, and otherwise the lines are given
    back: a torn quote must not swallow the rows behind it.
    """
    taken: list[tuple[str, str]] = []
    for following in lines:
        taken.append(following)
        line += following[1]
        cells = _split(line, mapping)
        if cells is not None and len(cells) >= width:
            return cells
        if len(taken) == _ROW_MAX_LINES:
            break
    lines.give_back(taken)
    return None


def _uneven(origin: str, line: str, cells: list[str] | None, width: int) -> Problem:
    if not line.endswith(("\n", "\r")):
        return Problem(origin, _NOT_COMPLETE, Result.WAITING)
    if cells is None:
        return Problem(origin, "the quotes do not match, or the line is too long")
    return Problem(origin, f"{len(cells)} columns, {width} were expected")


def _json_cells(lines: Iterator[tuple[str, str]]) -> Iterator[tuple[str, _Cells | Problem]]:
    for origin, line in lines:
        if not line.strip():
            continue
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
            if not line.endswith("\n"):
                yield origin, Problem(origin, _NOT_COMPLETE, Result.WAITING)
            else:
                yield origin, Problem(origin, "it is not JSON")
            continue
        if not isinstance(document, dict):
            yield origin, Problem(origin, "it is not a JSON object")
            continue
        try:
            yield origin, {key: _text(value) for key, value in document.items()}
        except RecursionError:
            yield origin, Problem(origin, "it is nested too deeply")


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _entry(
    origin: str, cells: _Cells, mapping: ImportMapping, root: Path | None, *, in_place: bool
) -> CallEntry:
    told = {name: _told(cells, columns) for name, columns in mapping.columns.items()}

    def field(name: str) -> str:
        return told.get(name, "")

    started_at = read_instant(field("started_at"), mapping.timezone, mapping.time_formats)
    direction = _direction(field("direction"), field("from"), field("to"), mapping)
    duration_s = read_duration(field("duration_s")) or 0.0
    audio, missing = _audio(field("recording"), cells, started_at, mapping, root, in_place=in_place)
    key = field("id")
    return CallEntry(
        datasource=field("datasource") or mapping.datasource or DEFAULT_DATASOURCE,
        source_key=f"id:{key}" if key else f"row:{_row_hash(cells)}",
        origin=origin,
        started_at=started_at,
        answered_at=_answered_at(field("answered_at"), mapping),
        clock_s=clock_of(started_at),
        direction=direction,
        from_number=field("from"),
        to_number=field("to"),
        caller_name=field("caller_name"),
        duration_s=duration_s,
        voicelocation=field("voicelocation") or mapping.voicelocation,
        voicefilename=field("voicefilename") or None,
        extension=field("extension") or None,
        channel=field("channel") or None,
        disposition=_disposition(field("disposition"), direction, duration_s, mapping),
        linked_id=field("linked_id") or None,
        audio=audio,
        missing=missing,
    )


def _told(cells: _Cells, columns: Sequence[Column]) -> str:
    if len(columns) == 1:
        return cells.get(columns[0], "").strip()
    parts = (cells.get(column, "").strip() for column in columns)
    return " ".join(part for part in parts if part)


def _answered_at(text: str, mapping: ImportMapping) -> UnixMillis | None:
    return read_instant(text, mapping.timezone, mapping.time_formats) if text else None


def _row_hash(cells: _Cells) -> str:
    text = json.dumps(sorted((str(column), cell) for column, cell in cells.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def _direction(said: str, caller: str, called: str, mapping: ImportMapping) -> Direction:
    if said:
        return read_direction(said, mapping.directions)
    if not caller and not called:
        return Direction.UNKNOWN
    return direction_by_length(caller, called, mapping.internal_digits)


def _disposition(
    said: str, direction: Direction, duration_s: float, mapping: ImportMapping
) -> Disposition:
    if not said:
        return Disposition.UNKNOWN
    told = mapping.dispositions.get(said.lower())
    if told is not None:
        return told
    answered = said.upper() in {"ANSWERED", "ANSWER", "YES", "Y"} and duration_s > 0
    return disposition_of(direction, answered=answered, said=said)


def _audio(
    named: str,
    cells: _Cells,
    started_at: UnixMillis,
    mapping: ImportMapping,
    root: Path | None,
    *,
    in_place: bool,
) -> tuple[SoundFile | None, str | None]:
    if mapping.recordings_path is not None:
        named = _filled(mapping.recordings_path, cells, started_at, mapping)
    if not named or root is None:
        return None, None
    sound = sound_beneath(root, named.replace("\\", "/"), in_place=in_place)
    if sound is None:
        return None, f"it names a recording outside the folder, {named!r}: refused"
    return sound, None


def _filled(template: str, cells: _Cells, started_at: UnixMillis, mapping: ImportMapping) -> str:
    """The template's name of the file; empty where a column that it needs is empty."""
    start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=started_at)
    local = start.astimezone(mapping.timezone)
    values: dict[str, str] = {
        "year": f"{local:%Y}", "month": f"{local:%m}", "day": f"{local:%d}"
    }  # fmt: skip
    for name in TEMPLATE_NAME.findall(template):
        if name not in values:
            column: Column = int(name) if name.isdigit() and name not in cells else name
            values[name] = cells.get(column, "").strip()
        if not values[name]:
            return ""
    return TEMPLATE_NAME.sub(lambda found: values[found.group(1)], template)
