"""A filter of calls as JSON values, which a job keeps, and as words, which a person reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace

from callreel.db.call_filter import CallFilter
from callreel.db.clock_times import ClockTime
from callreel.db.terms import Field, Term
from callreel.errors import BadRequest
from callreel.model import Direction, Disposition, UnixMillis
from callreel.periods import WEEKDAYS
from callreel.wording import to_translate, worded
from callreel.zones import zone_named

_Read = Callable[[object], object]


def filter_parameters(wanted: CallFilter) -> dict[str, object]:
    """A filter as JSON values, without what it leaves open."""
    told = asdict(replace(wanted, either=()))
    values = {name: value for name, value in told.items() if value is not None and value != ()}
    if wanted.terms:
        values["terms"] = [asdict(term) for term in wanted.terms]
    if wanted.clock is not None:
        values["clock"] = {**asdict(wanted.clock), "zone": wanted.clock.zone.key}
    if wanted.either:
        values["either"] = [[filter_parameters(each) for each in one] for one in wanted.either]
    return values


def filter_of(told: object) -> CallFilter:
    """The filter that JSON values stand for.

    Raises:
        BadRequest: A name is not known, or a value of the wrong kind; the message names it.
    """
    if not isinstance(told, Mapping):
        raise BadRequest(to_translate("filter: not a set of names and values."))
    values: dict[str, object] = {}
    for name, value in told.items():
        read = _FIELDS.get(str(name))
        if read is None:
            known = ", ".join(field.name for field in fields(CallFilter))
            raise BadRequest(
                worded(
                    "filter: there is no %(name)s; known: %(known)s.",
                    name=repr(str(name)[:40]),
                    known=known,
                )
            )
        if value is None:
            continue
        try:
            values[str(name)] = read(value)
        except (ValueError, TypeError, KeyError):
            raise BadRequest(
                worded(
                    "filter.%(name)s: %(value)s is of the wrong kind.",
                    name=name,
                    value=repr(str(value)[:60]),
                )
            ) from None
    return CallFilter(**values)  # type: ignore[arg-type]  # read one by one above


def filter_words(wanted: CallFilter) -> str:
    """What a filter asks for beside its times; empty where nothing."""
    told = [
        f"{_WORDS.get(name, name)}: {_said(value)}"
        for name, value in filter_parameters(wanted).items()
        if name not in {"since", "until", "terms", "clock", "either"}
    ]
    told += [" or ".join(filter_words(each) for each in choices) for choices in wanted.either]
    if wanted.clock is not None:
        told.append(f"time of day: {_clock_words(wanted.clock)}")
    told += [
        ("" if term.wanted else "-")
        + ("" if term.field is Field.ANY else f"{term.field.value}:")
        + term.text
        for term in wanted.terms
    ]
    return "; ".join(told)


def _clock_words(clock: ClockTime) -> str:
    day = "" if clock.weekday is None else f"{WEEKDAYS[clock.weekday]} "
    begin, end = (f"{each // 60:02}:{each % 60:02}" for each in (clock.begin, clock.end))
    return f"{day}{begin}-{end}"


def _said(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _exactly(kind: type) -> _Read:
    def read(value: object) -> object:
        # A truth value is a number to Python, and none to us.
        if type(value) is not kind:
            raise TypeError
        return value

    return read


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)


def _terms(value: object) -> tuple[Term, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError
    return tuple(_term(each) for each in value)


def _term(value: object) -> Term:
    if not isinstance(value, Mapping) or not value.keys() <= {"field", "text", "wanted"}:
        raise TypeError
    text, wanted = value["text"], value.get("wanted", True)
    if not isinstance(text, str) or not isinstance(wanted, bool):
        raise TypeError
    return Term(Field(value["field"]), text, wanted)


def _either(value: object) -> tuple[tuple[CallFilter, ...], ...]:
    if not isinstance(value, list | tuple):
        raise TypeError
    return tuple(_choices(each) for each in value)


def _choices(value: object) -> tuple[CallFilter, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError
    found = tuple(filter_of(each) for each in value)
    # One set within another would be read without an end, and means nothing more.
    if not found or any(each.either for each in found):
        raise ValueError
    return found


def _clock(value: object) -> ClockTime:
    if not isinstance(value, Mapping) or value.keys() != _CLOCK:
        raise TypeError
    begin, end, weekday = value["begin"], value["end"], value["weekday"]
    if not all(type(value[name]) is int for name in ("since", "until", "begin", "end")):
        raise TypeError
    if not (0 <= begin < end <= 1440 and weekday in {None, *range(7)}):
        raise ValueError
    zone = zone_named(value["zone"])
    return ClockTime(
        zone, UnixMillis(value["since"]), UnixMillis(value["until"]), begin, end, weekday
    )


_CLOCK = {"zone", "since", "until", "begin", "end", "weekday"}
_text, _whole, _truth = _exactly(str), _exactly(int), _exactly(bool)
_FIELDS: dict[str, _Read] = {
    "since": _whole,
    "until": _whole,
    "party": _text,
    "ext": _text,
    "direction": lambda value: Direction(str(value)),
    "datasource": _text,
    "rec": _truth,
    "mask": _truth,
    "proposed": _truth,
    "terms": _terms,
    "site_id": _text,
    "group_id": _text,
    "disposition": lambda value: Disposition(str(value)),
    "at_least_s": _number,
    "at_most_s": _number,
    "noted": _truth,
    "clock": _clock,
    "during": _whole,
    "either": _either,
}
"""By field of ``CallFilter``; a test holds the two together."""
_WORDS = {
    "party": "number",
    "ext": "extension",
    "rec": "recorded",
    "mask": "masked",
    "proposed": "with proposed masks",
    "site_id": "site",
    "group_id": "group",
    "disposition": "ended",
    "at_least_s": "seconds at least",
    "at_most_s": "seconds at most",
    "noted": "with notes",
    "during": "in progress at",
}
