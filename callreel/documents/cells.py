"""What a cell may hold: texts that stay texts, times of a place, numbers that are numbers.

Cells hold what callers and other systems sent. A spreadsheet takes a text that begins with ``=`` or
the like for a formula and runs it. Source: threats.md T37.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

Cell = str | int | float | None

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What begins a formula or a command, the full-width forms that are folded into it, and the
# characters behind which a spreadsheet looks for one.
_FORMULA = "[=+\\-@|\uff1d\uff0b\uff0d\ufe63\uff20\uff5c\u2212\ufe66\ufe62\ufe6b]"
_UNSEEN = "[\\s\\0-\\x1f\\x7f-\\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]"
_ALIVE_AT_START = re.compile(f"[\t\r\n\\0]|{_UNSEEN}*{_FORMULA}")
# Where a semicolon or a tab separates lists, a spreadsheet cuts our cells there and looks again.
# The whole run is taken, whatever follows, so that a long one is read once.
_ALIVE_WITHIN = re.compile(f"([;\t\r\n](?:[;\"']|{_UNSEEN})*)({_FORMULA}?)")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_UNKNOWN = "\ufffd"
# XML 1.0 has no place for these. Tab, line feed and carriage return it has.
_NOT_IN_XML = re.compile("[\\0-\\x08\\x0b\\x0c\\x0e-\\x1f\ufffe\uffff]")


def as_text(text: str) -> str:
    """A text that no spreadsheet takes for a formula; as it is where none would."""
    if _ALIVE_AT_START.match(text):
        text = "'" + text
    return _ALIVE_WITHIN.sub(lambda run: f"{run[1]}'{run[2]}" if run[2] else run[0], text)


def without_lone_surrogates(text: str) -> str:
    """A text that UTF-8 can hold."""
    return _LONE_SURROGATE.sub(_UNKNOWN, text)


def local_time(at: int, zone: ZoneInfo) -> datetime | None:
    """An instant in a zone; None where no calendar reaches it."""
    try:
        return (_EPOCH + timedelta(milliseconds=at)).astimezone(zone)
    except OverflowError:
        return None


def is_number(cell: Cell) -> bool:
    """Whether a cell is a number that files can hold."""
    return isinstance(cell, int | float) and math.isfinite(cell)


def for_xml(text: str) -> str:
    """A text that XML can hold."""
    return _NOT_IN_XML.sub(_UNKNOWN, without_lone_surrogates(text))
