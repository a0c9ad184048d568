"""A mapping file: which column of somebody's call records is which field of ours.

Every fault names its key and how to mend it; nothing is guessed. User documentation with an
example: docs/imports.md.
"""

from __future__ import annotations

import codecs
import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TypeVar

from callreel.errors import BadInput
from callreel.importers.fields import read_direction, read_timezone
from callreel.model import Direction, Disposition

FIELDS = (
    "id", "started_at", "answered_at", "duration_s", "direction", "from", "to",
    "caller_name", "extension",
    "channel", "disposition", "linked_id", "datasource", "voicelocation", "voicefilename",
    "recording",
)  # fmt: skip
"""Keys of ``[columns]``."""

Column = str | int
"""A name of the header (or key of the JSON object), or a number counted from 1."""

TEMPLATE_NAME = re.compile(r"\{([^{}]*)\}")
"""What stands for a column or a part of the date in ``recordings.path``."""
DATE_PARTS = ("year", "month", "day")
"""What a template may name besides columns; taken from the start of the call."""

_TIME_NAMES = ("iso", "unix", "unix_ms")


_SHAPES: dict[str, tuple[type, str]] = {
    "format": (str, '"csv" or "jsonl"'),
    "encoding": (str, 'a text like "utf-8" or "cp1252"'),
    "delimiter": (str, 'one character like ";"'),
    "quote": (str, "one character, usually '\"'"),
    "header": (bool, "true or false"),
    "skip_lines": (int, "a number of lines, 0 or more"),
    "timezone": (str, 'a name like "Europe/London" or "UTC"'),
    "datasource": (str, "a text in quotes"),
    "voicelocation": (str, "a text in quotes"),
    "internal_digits": (int, "a number of digits"),
    "columns": (dict, "a table [columns]"),
    "time": (dict, "a table [time]"),
    "direction": (dict, "a table [direction]"),
    "disposition": (dict, "a table [disposition]"),
    "recordings": (dict, "a table [recordings]"),
}


@dataclass(frozen=True, slots=True)
class ImportMapping:
    """A checked mapping file."""

    jsonl: bool
    """One JSON object per line instead of delimited text."""
    encoding: str
    delimiter: str
    quote: str
    header: bool
    """Whether the first line names the columns; without it columns are numbers."""
    skip_lines: int
    """Lines above the header, or above the first row."""
    timezone: tzinfo
    datasource: str | None
    voicelocation: str | None
    internal_digits: int
    columns: Mapping[str, tuple[Column, ...]]
    """Field to columns; several are joined with a space (a date and a time)."""
    time_formats: tuple[str, ...]
    directions: Mapping[str, Direction]
    dispositions: Mapping[str, Disposition]
    recordings_root: Path | None
    recordings_path: str | None
    """Template of a file's name, with ``{column}``, ``{year}``, ``{month}``, ``{day}``."""


def load_mapping(path: Path) -> ImportMapping:
    """Read and check a mapping file.

    Raises:
        BadInput: It cannot be read, or a key is wrong; the message names the key and the mending.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadInput(f"cannot read the mapping {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"the mapping {path} is not UTF-8 text; save it as UTF-8") from error
    except RecursionError as error:
        raise BadInput(f"the mapping {path} is nested too deeply") from error
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"the mapping {path} is not TOML: {error}") from error
    try:
        return _checked(document, path.parent)
    except BadInput as error:
        raise BadInput(f"the mapping {path}: {error.message}") from error


def _checked(document: Mapping[str, object], folder: Path) -> ImportMapping:
    for key, value in document.items():
        _require_known(key, _SHAPES, "")
        shape, wanted = _SHAPES[key]
        if type(value) is not shape:
            raise BadInput(f"{key} must be {wanted}")
    jsonl = _one_of(document, "format", ("csv", "jsonl"), "csv") == "jsonl"
    header = bool(document.get("header", True))
    columns = _columns(_table(document, "columns"), named=jsonl or header)
    recordings = _table(document, "recordings")
    for key in recordings:
        _require_known(key, ("root", "path"), "recordings.")
    template = _text(recordings, "path", "recordings.")
    if template is not None and "recording" in columns:
        raise BadInput("recordings.path and columns.recording both name the file; keep one")
    root = _text(recordings, "root", "recordings.")
    if root is not None and "\0" in root:
        raise BadInput("recordings.root holds a character that no folder's name has")
    return ImportMapping(
        jsonl=jsonl,
        encoding=_encoding(str(document.get("encoding", "utf-8-sig"))),
        delimiter=_character(document, "delimiter", ","),
        quote=_character(document, "quote", '"'),
        header=header,
        skip_lines=_count(document, "skip_lines", 0),
        timezone=_zone(document),
        datasource=_text(document, "datasource", ""),
        voicelocation=_text(document, "voicelocation", ""),
        internal_digits=_count(document, "internal_digits", 6),
        columns=columns,
        time_formats=_time_formats(_table(document, "time")),
        directions=_names(_table(document, "direction"), "direction", _direction),
        dispositions=_names(_table(document, "disposition"), "disposition", _disposition),
        recordings_root=None if root is None else folder / root,
        recordings_path=_template(template),
    )


def _require_known(key: str, known: Iterable[str], where: str) -> None:
    names = list(known)
    if key in names:
        return
    close = difflib.get_close_matches(key, names, 1)
    advice = f"; did you mean {close[0]}?" if close else f"; known are {', '.join(names)}"
    raise BadInput(f"there is no key {where}{key}{advice}")


def _table(document: Mapping[str, object], key: str) -> dict[str, object]:
    table = document.get(key, {})
    return dict(table) if isinstance(table, dict) else {}


def _text(table: Mapping[str, object], key: str, where: str) -> str | None:
    value = table.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise BadInput(f"{where}{key} must be a text in quotes, not empty")
    return value


def _one_of(table: Mapping[str, object], key: str, known: Sequence[str], default: str) -> str:
    value = str(table.get(key, default))
    if value not in known:
        raise BadInput(f"{key} = {value!r} is not known; write {' or '.join(known)}")
    return value


def _character(table: Mapping[str, object], key: str, default: str) -> str:
    value = str(table.get(key, default))
    if len(value) != 1 or value in "\r\n":
        raise BadInput(f"{key} must be one character, like {default!r}")
    return value


def _count(table: Mapping[str, object], key: str, default: int) -> int:
    value = table.get(key, default)
    if not isinstance(value, int) or value < 0:
        raise BadInput(f"{key} must be 0 or more")
    return value


def _encoding(name: str) -> str:
    try:
        found = codecs.lookup(name).name
        # Python has codecs that are no encodings of text, and one that refuses everything.
        "a".encode(found)
    except (LookupError, ValueError) as error:
        raise BadInput(f"encoding = {name!r} is not known; try utf-8 or cp1252") from error
    # A byte order mark is no part of the first column's name.
    return "utf-8-sig" if found == "utf-8" else found


def _zone(document: Mapping[str, object]) -> tzinfo:
    name = _text(document, "timezone", "")
    if name is None:
        raise BadInput('timezone is missing; say which one the times are in, like "UTC"')
    try:
        return read_timezone(name)
    except BadInput as error:
        raise BadInput(f"timezone: {error.message}") from error


def _columns(table: Mapping[str, object], *, named: bool) -> dict[str, tuple[Column, ...]]:
    columns: dict[str, tuple[Column, ...]] = {}
    for field, value in table.items():
        _require_known(field, FIELDS, "columns.")
        several: list[object] = value if isinstance(value, list) else [value]
        if not several or not all(_is_column(column, named=named) for column in several):
            wanted = "a name of a column" if named else "a number of a column, from 1"
            raise BadInput(f"columns.{field} must be {wanted}, or a list of them")
        columns[field] = tuple(column for column in several if isinstance(column, str | int))
    if "started_at" not in columns:
        raise BadInput("columns.started_at is missing; name the column of the call's start")
    return columns


def _is_column(column: object, *, named: bool) -> bool:
    if isinstance(column, bool):
        return False
    return isinstance(column, str) if named else isinstance(column, int) and column >= 1


def _time_formats(table: Mapping[str, object]) -> tuple[str, ...]:
    for key in table:
        _require_known(key, ("formats",), "time.")
    formats = table.get("formats", ["iso"])
    if not isinstance(formats, list) or not formats:
        raise BadInput('time.formats must be a list like ["%d/%m/%Y %H:%M:%S", "iso"]')
    for name in formats:
        if not isinstance(name, str) or (name not in _TIME_NAMES and not _is_strptime(name)):
            raise BadInput(
                f"time.formats holds {name!r}; write iso, unix, unix_ms or a format with "
                "a day, a month and a year like %d/%m/%Y %H:%M"
            )
    return tuple(formats)


def _is_strptime(name: str) -> bool:
    # Without day or year strptime fills in 1900 or the first, which would be a guess.
    try:
        probe = datetime(2026, 11, 23, 14, 5, 6, tzinfo=UTC)
        read = datetime.strptime(probe.strftime(name), name)  # noqa: DTZ007 - only the date counts
    except (ValueError, re.error):
        return False
    return (read.year, read.month, read.day) == (2026, 11, 23)


_Meaning = TypeVar("_Meaning")


def _names(
    table: Mapping[str, object], key: str, read: Callable[[str], _Meaning]
) -> dict[str, _Meaning]:
    found: dict[str, _Meaning] = {}
    for name, value in table.items():
        try:
            found[name.strip().lower()] = read(str(value))
        except BadInput as error:
            raise BadInput(f"{key}.{name}: {error.message}") from error
    return found


def _direction(text: str) -> Direction:
    return read_direction(text)


def _disposition(text: str) -> Disposition:
    try:
        return Disposition(text)
    except ValueError as error:
        known = ", ".join(Disposition)
        raise BadInput(f"{text!r} is not one of {known}") from error


def _template(text: str | None) -> str | None:
    if text is not None and (
        "{" in TEMPLATE_NAME.sub("", text) or "}" in TEMPLATE_NAME.sub("", text)
    ):
        raise BadInput("recordings.path has a brace without its partner")
    return text
