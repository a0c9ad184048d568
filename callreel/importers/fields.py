"""Single values of call records: instants, lengths, directions, names of recordings.

Every function refuses what it cannot read with BadInput; none guesses.
"""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from callreel.errors import BadInput, BadRequest
from callreel.flows.entry import SoundFile
from callreel.model import Direction, Disposition, UnixMillis
from callreel.zones import zone_named

_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{2}(?:[.,]\d+)?)")
_NUMBER = re.compile(r"[+*#]?[\d*# ().-]+")
_EARLIEST_YEAR, _LATEST_YEAR = 1970, 2200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ISO = "iso"
_UNIX, _UNIX_MS = "unix", "unix_ms"
MAX_DURATION_S = 7 * 24 * 3600.0

_DIRECTIONS = {
    "inbound": Direction.INBOUND,
    "incoming": Direction.INBOUND,
    "in": Direction.INBOUND,
    "i": Direction.INBOUND,
    "outbound": Direction.OUTBOUND,
    "outgoing": Direction.OUTBOUND,
    "out": Direction.OUTBOUND,
    "o": Direction.OUTBOUND,
    "internal": Direction.INTERNAL,
    "local": Direction.INTERNAL,
    "unknown": Direction.UNKNOWN,
    "": Direction.UNKNOWN,
}


def read_timezone(name: str) -> tzinfo:
    """A time zone by its IANA name, or ``UTC``.

    Raises:
        BadInput: There is no such zone.
    """
    if name.upper() == "UTC":
        return UTC
    try:
        return zone_named(name)
    except BadRequest as error:
        raise BadInput(
            f"there is no time zone {name!r}; write a name like Europe/London"
        ) from error


def to_millis(moment: datetime, zone: tzinfo) -> UnixMillis:
    """An instant; one without offset is read in ``zone`` (the earlier where the clock goes back).

    Raises:
        BadInput: The year is not one in which a call was recorded.
    """
    if not _EARLIEST_YEAR <= moment.year <= _LATEST_YEAR:
        raise BadInput(f"the year {moment.year} cannot be right")
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    return UnixMillis((aware - _EPOCH) // timedelta(milliseconds=1))


def read_instant(text: str, zone: tzinfo, formats: Sequence[str] = (_ISO,)) -> UnixMillis:
    """Read an instant in the first format that fits.

    Args:
        text: As it stands in the record.
        zone: For what has no offset of its own.
        formats: ``iso``, ``unix`` (seconds, may have a fraction), ``unix_ms``, or strptime formats.

    Raises:
        BadInput: None fits.
    """
    stripped = text.strip()
    for name in formats:
        moment = _parsed(stripped, name)
        if moment is not None:
            return to_millis(moment, zone)
    raise BadInput(f"{text!r} is not a time in {' or '.join(formats)}")


def clock_of(instant: UnixMillis | None) -> float:
    """How coarse the clock of a record is, in seconds: 1 where it is cut to whole ones."""
    return 1.0 if instant is not None and instant % 1000 == 0 else 0.0


def _parsed(text: str, name: str) -> datetime | None:
    try:
        if name in {_UNIX, _UNIX_MS}:
            seconds = float(text) / (1000 if name == _UNIX_MS else 1)
            return _EPOCH + timedelta(milliseconds=round(seconds * 1000))
        if name == _ISO:
            return datetime.fromisoformat(text)
        return datetime.strptime(text, name)  # noqa: DTZ007 - the caller gives it the zone
    except (ValueError, OverflowError):
        return None


def read_duration(text: str) -> float | None:
    """A length in seconds, from a number or ``h:mm:ss``; None where the field is empty.

    Raises:
        BadInput: It is neither, negative, or longer than a week.
    """
    stripped = text.strip()
    if not stripped:
        return None
    clock = _CLOCK.fullmatch(stripped)
    try:
        if clock is not None:
            hours, minutes, seconds = clock.groups()
            length = int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds.replace(",", "."))
        else:
            length = float(stripped)
    except ValueError as error:
        raise BadInput(f"{text!r} is not a length in seconds or h:mm:ss") from error
    if not math.isfinite(length) or not 0 <= length <= MAX_DURATION_S:
        raise BadInput(f"a call cannot last {text!r} seconds")
    return length


def read_direction(text: str, names: Mapping[str, Direction] | None = None) -> Direction:
    """A direction by name; ``names`` (lower case) come before our own.

    Raises:
        BadInput: Nobody knows the name.
    """
    folded = text.strip().lower()
    found = (names or {}).get(folded) or _DIRECTIONS.get(folded)
    if found is None:
        raise BadInput(f"{text!r} is not a direction; use inbound, outbound or internal")
    return found


def is_number(text: str) -> bool:
    """Whether a field looks like a telephone number or an extension."""
    return _NUMBER.fullmatch(text) is not None and any(sign.isdigit() for sign in text)


def direction_by_length(from_number: str, to_number: str, internal_digits: int) -> Direction:
    """Which way a call went, if numbers of at most ``internal_digits`` digits are extensions.

    A caller without a number (withheld) is outside.
    """
    caller = is_internal(from_number, internal_digits)
    called = is_internal(to_number, internal_digits)
    if caller and called:
        return Direction.INTERNAL
    if caller:
        return Direction.OUTBOUND
    return Direction.INBOUND


def is_internal(number: str, internal_digits: int) -> bool:
    """Whether a number is an extension by its length."""
    return number.isascii() and number.isdigit() and len(number) <= internal_digits


def disposition_of(direction: Direction, *, answered: bool, said: str) -> Disposition:
    """How a call ended; an inbound call that nobody answered was abandoned.

    Args:
        direction: Of the call.
        answered: Whether the record says that somebody answered.
        said: The exchange's own word, for busy and failed.
    """
    folded = said.upper()
    if answered:
        return Disposition.ANSWERED
    if "BUSY" in folded:
        return Disposition.BUSY
    if direction is Direction.INBOUND:
        return Disposition.ABANDONED
    if folded and not folded.startswith("NO"):
        return Disposition.FAILED
    return Disposition.UNKNOWN


def sound_beneath(root: Path, name: str, *, in_place: bool) -> SoundFile | None:
    """The sound that a record names, or None where the name leads out of ``root``.

    An absolute name is taken where it begins with ``root``. The name is only compared here; opening
    follows no link (``store/beneath.py``). Source: threats.md T47.
    """
    if "\0" in name:
        return None
    if posixpath.isabs(name):
        # Both, since an administrator may name the folder by a link that the records spell out.
        for spelled in {str(root.absolute()), str(root.resolve())}:
            prefix = spelled.rstrip("/") + "/"
            if name.startswith(prefix):
                return sound_beneath(root, name[len(prefix) :], in_place=in_place)
        return None
    if not name or any(part in {"", ".", ".."} for part in name.split("/")):
        return None
    return SoundFile(root=root, name=name, in_place=in_place)
