"""The parameters of the API: one table that both reads them and documents them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from callreel.db.call_filter import CallFilter
from callreel.db.unsettled import SignalState
from callreel.errors import BadRequest
from callreel.flows.peaks import Stretch
from callreel.model import Direction, UnixMillis

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
MAX_POINTS = 4000


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a query."""

    name: str
    read: Callable[[str, str], object]
    """From name and text to the value; raises BadRequest."""
    schema: Mapping[str, object]
    """As OpenAPI writes it."""
    meaning: str


def instant(name: str, text: str) -> UnixMillis:
    """An instant of a parameter or member; without an offset it is UTC.

    Raises:
        BadRequest: It is not a time; the message names it.
    """
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return UnixMillis(round(moment.timestamp() * 1000))
    except (ValueError, OverflowError):
        raise BadRequest(f"{name}: not a time such as 2026-11-23T09:30:00+00:00.") from None


def _text(name: str, text: str) -> str:
    if not text or "\0" in text:
        raise BadRequest(f"{name}: must not be empty.")
    return text


def _yes_or_no(name: str, text: str) -> bool:
    values = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    try:
        return values[text.lower()]
    except KeyError:
        raise BadRequest(f"{name}: must be yes or no.") from None


def _direction(name: str, text: str) -> Direction:
    try:
        return Direction(text.lower())
    except ValueError:
        raise BadRequest(f"{name}: must be one of {', '.join(Direction)}.") from None


def _states(name: str, text: str) -> frozenset[SignalState]:
    try:
        return frozenset(SignalState(each) for each in text.lower().split(","))
    except ValueError:
        raise BadRequest(f"{name}: must be some of {', '.join(SignalState)}.") from None


def _limit(name: str, text: str) -> int:
    return _number(name, text, MAX_LIMIT)


def _points(name: str, text: str) -> int:
    return _number(name, text, MAX_POINTS)


def _number(name: str, text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= most):
        raise BadRequest(f"{name}: must be a number from 1 to {most}.")
    return int(text)


# Written out, as everybody writes a time: what a float may be besides is more than a number.
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,20})?")


def _seconds(name: str, text: str) -> float:
    if not _SECONDS.fullmatch(text):
        raise BadRequest(f"{name}: must be a number of seconds such as 12.5.")
    return float(text)


_INSTANT = {"type": "string", "format": "date-time"}
_TEXT = {"type": "string", "minLength": 1}
_YES_NO = {"type": "string", "enum": ["yes", "no", "true", "false", "1", "0"]}
_TIME = {"type": "number", "minimum": 0}
_LIMIT = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}

LIMIT = Parameter("limit", _limit, _LIMIT, "How many items at the most.")
CALLS = (
    Parameter("since", instant, _INSTANT, "Started then or later; another name for from."),
    Parameter("from", instant, _INSTANT, "Started then or later; without an offset it is UTC."),
    Parameter("to", instant, _INSTANT, "Started before then."),
    Parameter(
        "party", _text, _TEXT, "A number on either side: whole, its beginning 0161*, its end *0192."
    ),
    Parameter("ext", _text, _TEXT, "The extension, whole."),
    Parameter("dir", _direction, {"type": "string", "enum": list(Direction)}, "Direction."),
    Parameter("datasource", _text, _TEXT, "The feed it came from."),
    Parameter("rec", _yes_or_no, _YES_NO, "Whether it has a recording."),
    Parameter("mask", _yes_or_no, _YES_NO, "Whether something in it is masked."),
    Parameter(
        "proposed",
        _yes_or_no,
        _YES_NO,
        "Whether something in it is proposed to be masked and waits for a person.",
    ),
    LIMIT,
    Parameter("cursor", _text, _TEXT, "next of the page before."),
)
ONGOING = tuple(each for each in CALLS if each.name in {"party", "ext", "dir", "datasource"})
SIGNALS = (
    Parameter(
        "state",
        _states,
        {"type": "string", "enum": list(SignalState)},
        "Only these, joined by commas; unpaired,orphan is what a person should look at.",
    ),
    Parameter("settled", _yes_or_no, _YES_NO, "Only those that a person settled, or the others."),
    LIMIT,
    Parameter("cursor", _text, _TEXT, "next of the page before."),
)
PEAKS = (
    Parameter("from_s", _seconds, _TIME, "Begin there, in seconds; without it at the start."),
    Parameter("to_s", _seconds, _TIME, "End there; without it at the end."),
    Parameter(
        "points",
        _points,
        {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_POINTS,
            "default": Stretch().points,
        },
        "How many points at the most; there are fewer where the stretch is short.",
    ),
)
CHANGES = (
    Parameter("since", _text, _TEXT, "next of an earlier answer; without it from the beginning."),
    LIMIT,
)


def read(values: Mapping[str, str], table: tuple[Parameter, ...]) -> dict[str, object]:
    """The values of a query by name.

    Raises:
        BadRequest: One cannot be read; the message names it.
    """
    known = {parameter.name: parameter for parameter in table}
    return {name: known[name].read(name, text) for name, text in values.items()}


def call_filter(values: Mapping[str, object]) -> CallFilter:
    """The filter that the values of CALLS stand for.

    Raises:
        BadRequest: ``since`` and ``from`` are both given.
    """
    if "since" in values and "from" in values:
        raise BadRequest("since: goes without from; they mean the same.")
    names = {
        "since": "since",
        "from": "since",
        "to": "until",
        "party": "party",
        "ext": "ext",
        "dir": "direction",
        "datasource": "datasource",
        "rec": "rec",
        "mask": "mask",
        "proposed": "proposed",
    }
    chosen = {names[name]: value for name, value in values.items() if name in names}
    return CallFilter(**chosen)  # type: ignore[arg-type]  # the table gives each field its type


def stretch(values: Mapping[str, object]) -> Stretch:
    """The stretch that the values of PEAKS stand for.

    Raises:
        BadRequest: It ends before it begins.
    """
    wanted = Stretch(**values)  # type: ignore[arg-type]  # the table gives each field its type
    if wanted.to_s <= wanted.from_s:
        raise BadRequest("to_s: must be more than from_s.")
    return wanted


def page(values: Mapping[str, object], place: str) -> tuple[int, str | None]:
    """The limit, and the place to go on from: the value called ``place``."""
    limit, start = values.get(LIMIT.name, DEFAULT_LIMIT), values.get(place)
    assert isinstance(limit, int)  # noqa: S101  # what _limit and _text give
    assert start is None or isinstance(start, str)  # noqa: S101  # as above
    return limit, start
