"""The address of Call View is its state: from query string to filter, and back in one clean form.

What is not known is named, never ignored. Source: ui.md section 4.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

from callreel.db.call_filter import CallFilter
from callreel.db.clock_times import ClockTime
from callreel.db.search import Order
from callreel.db.terms import Field, Term
from callreel.errors import BadRequest
from callreel.model import Direction, Disposition, UnixMillis
from callreel.periods import Period, parse_period
from callreel.web.pages.words import Words
from callreel.web.query import require_short
from callreel.wording import to_translate, worded
from callreel.zones import zone_named

NAMES = (
    "q", "since", "from", "to", "dir", "state", "site", "grp", "agent", "ext", "min", "max",
    "rec", "mask", "note", "party", "proposed", "time", "weekday", "during", "zone", "sort", "cols",
    "before",
)  # fmt: skip
"""In the order of a clean address."""
COLUMNS = ("started", "direction", "party", "agent", "group", "rang", "talk", "shape", "flags")
"""Those of the list that are shown where nobody chose."""
MORE_COLUMNS = ("length", "site", "to", "outcome", "id")
DIRECTIONS = {
    "in": Direction.INBOUND,
    "out": Direction.OUTBOUND,
    "internal": Direction.INTERNAL,
    "unknown": Direction.UNKNOWN,
}
STATES = ("answered", "abandoned", "busy", "failed", "unknown")
_STATES = {name: Disposition(name) for name in STATES}

T = TypeVar("T")

_LENGTH = re.compile(r"(?:(\d{1,3}):)?(\d{1,5})(s|m|h)?")
_HOURS = re.compile(r"(\d\d):([0-5]\d)-(\d\d):([0-5]\d)")
_UNITS = {"s": 1, "m": 60, "h": 3600}
_DIGITS = re.compile(r"[+*]?[0-9*]+")


@dataclass(frozen=True, slots=True)
class View:
    """What of the calls somebody looks at."""

    values: Mapping[str, str]
    """By name, as given, without blanks; the first of those that are repeated."""
    filter: CallFilter
    order: Order
    columns: tuple[str, ...]
    cursor: str | None
    now: UnixMillis
    """When it was asked for."""
    period: Period | None = None
    period_text: str | None = None
    """As ``parse_period`` reads it."""
    terms: tuple[tuple[str, Term], ...] = field(default=())
    """What was typed, and what it means."""
    others: tuple[tuple[str, str], ...] = field(default=())
    """Names and values beyond the first of those that are repeated."""

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every name and value, in the order of a clean address."""
        given = (*self.values.items(), *self.others)
        return tuple(sorted(given, key=lambda pair: NAMES.index(pair[0])))

    def beside(self, offered: Collection[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        """Filters that no field of the form shows: the form would lose them.

        Args:
            offered: Sites and groups that can be chosen, by name of the filter and id.
        """
        hidden = {"party", "proposed", "time", "weekday", "during", "zone"}
        chosen = {"grp", "site"}
        return self.others + tuple(
            (name, value)
            for name, value in self.values.items()
            if name in hidden
            or (name in {"dir", "state"} and value == "unknown")
            or (name in chosen and (name, value) not in offered)
        )

    def query(self, **changes: str | None) -> str:
        """The query string of this view with changes; None leaves a name out.

        Another filter begins at its first page.
        """
        left_out = {*changes} if "before" in changes else {*changes, "before"}
        kept = [pair for pair in self.pairs if pair[0] not in left_out]
        kept += [(name, value) for name, value in changes.items() if value]
        return urlencode(sorted(kept, key=lambda pair: NAMES.index(pair[0])))

    def during(self, start: int, end: int, words: Words) -> str:
        """The query string of this view within [start, end), both on whole minutes."""
        times = {"from": words.minute(start), "to": words.minute(end)}
        return self.query(since=None, **times)

    @property
    def is_live(self) -> bool:
        """Whether calls that come in now belong on top of it."""
        is_past = self.period is not None and self.period.until <= self.now
        on_top = self.order is Order.NEWEST and self.cursor is None
        return on_top and not is_past and self.filter.during is None

    def without(self, name: str, value: str) -> str:
        """The query string without one filter."""
        kept = [pair for pair in self.pairs if pair != (name, value) and pair[0] != "before"]
        return urlencode(kept)


def read_view(query: str, now: UnixMillis, words: Words) -> View:
    """The view of an address.

    Args:
        query: The query string.
        now: What time it is.
        words: Of the visitor; days begin in their time zone.

    Raises:
        BadRequest: A name is not known or doubled, or a value cannot be read; it is named.
    """
    require_short(query.encode("utf-8", "surrogatepass"))
    values, others = _values(query)
    zone = _zone(values, words)
    if any(name in values for name in ("from", "time", "weekday")):
        # Days and hours begin where they were asked for, whoever opens the address.
        values["zone"] = zone.key
    elif zone == words.zone:
        # It came along with a period that is another now.
        values.pop("zone", None)
    wanted, period = _period(values, now, zone)
    terms = tuple(_terms(values.get("q", "")))
    wanted = replace(
        wanted,
        terms=tuple(term for _, term in terms),
        at_least_s=_seconds(values, "min"),
        at_most_s=_seconds(values, "max"),
        rec=_one(values, "rec", _YES_OR_NO),
        mask=_one(values, "mask", _YES_OR_NO),
        noted=_one(values, "note", _YES_OR_NO),
        proposed=_one(values, "proposed", _YES_OR_NO),
        clock=_clock(values, period, zone),
        during=_instant(values),
    )
    order = _one(values, "sort", {each.value: each for each in Order}) or Order.NEWEST
    return View(
        values,
        _with_others(wanted, values, others),
        order,
        _columns(values, order),
        values.get("before"),
        now,
        period,
        _period_text(values),
        terms,
        others,
    )


_MOST_CLOCK_MS = 3_660 * 86_400_000
"""What a clock showed is told by each change of its zone."""
_YES_OR_NO = {"yes": True, "no": False}


def _with_others(
    wanted: CallFilter, values: Mapping[str, str], others: tuple[tuple[str, str], ...]
) -> CallFilter:
    """A filter, and of each name that may be repeated one of its values."""
    for name, narrowed in _REPEATED.items():
        if name not in values:
            continue
        texts = [values[name], *(text for other, text in others if other == name)]
        if len(texts) == 1:
            wanted = narrowed(wanted, texts[0])
        else:
            choices = tuple(narrowed(CallFilter(), text) for text in texts)
            wanted = replace(wanted, either=(*wanted.either, choices))
    return wanted


_REPEATED: dict[str, Callable[[CallFilter, str], CallFilter]] = {
    "dir": lambda wanted, text: replace(wanted, direction=_known("dir", text, DIRECTIONS)),
    "state": lambda wanted, text: replace(wanted, disposition=_known("state", text, _STATES)),
    "site": lambda wanted, text: replace(wanted, site_id=text),
    "grp": lambda wanted, text: replace(wanted, group_id=text),
    "ext": lambda wanted, text: replace(wanted, ext=text),
    "party": lambda wanted, text: replace(wanted, party=text),
    "agent": lambda wanted, text: replace(wanted, terms=(*wanted.terms, Term(Field.AGENT, text))),
}
"""May be given more than once, and then one of them holds: a filter with one more of them."""


def _values(query: str) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=60)
    except ValueError:
        raise BadRequest(to_translate("The address cannot be read.")) from None
    values: dict[str, str] = {}
    others: dict[tuple[str, str], None] = {}
    for name, given in pairs:
        text = given.strip()
        if name == "col":
            # Boxes that were ticked, each by itself: the form without a script.
            values["cols"] = f"{values['cols']},{text}" if "cols" in values else text
            continue
        if name not in NAMES:
            raise BadRequest(
                worded(
                    "%(name)s is not a filter here; known are %(known)s.",
                    name=repr(name[:40]),
                    known=", ".join(NAMES),
                )
            )
        if not given.isprintable():
            raise BadRequest(worded("%(name)s: holds a control character.", name=name))
        if not text or values.get(name) == text:
            continue
        if name not in values:
            values[name] = text
        elif name in _REPEATED:
            others[name, text] = None
        else:
            raise BadRequest(worded("%(name)s: given more than once.", name=name))
    return values, tuple(others)


def _period(
    values: Mapping[str, str], now: UnixMillis, zone: ZoneInfo
) -> tuple[CallFilter, Period | None]:
    text = _period_text(values)
    if text is None:
        return CallFilter(), None
    period = parse_period(text, now, zone)
    return CallFilter(since=period.since, until=period.until), period


def _period_text(values: Mapping[str, str]) -> str | None:
    since, start, end = (values.get(name) for name in ("since", "from", "to"))
    if since is not None and (start or end):
        raise BadRequest(to_translate("since: give either since, or from and to."))
    if start is None and end is not None:
        raise BadRequest(to_translate("to: give from as well."))
    return since if since is not None else f"{start}..{end or ''}" if start else None


def _one(values: Mapping[str, str], name: str, known: Mapping[str, T]) -> T | None:
    text = values.get(name)
    return None if text is None else _known(name, text, known)


def _known(name: str, text: str, known: Mapping[str, T]) -> T:
    if text not in known:
        raise BadRequest(
            worded("%(name)s: must be one of %(known)s.", name=name, known=", ".join(known))
        )
    return known[text]


def _zone(values: Mapping[str, str], words: Words) -> ZoneInfo:
    return zone_named(values["zone"]) if "zone" in values else words.zone


def _clock(values: Mapping[str, str], period: Period | None, zone: ZoneInfo) -> ClockTime | None:
    """What a clock showed; hours of a day, a weekday, or both."""
    if "time" not in values and "weekday" not in values:
        return None
    if period is None:
        raise BadRequest(
            to_translate("time, weekday: give a period as well, with since, or from and to.")
        )
    if period.until - period.since > _MOST_CLOCK_MS:
        raise BadRequest(
            to_translate("time, weekday: the period must not be longer than ten years.")
        )
    hours = _HOURS.fullmatch(values.get("time", "00:00-24:00"))
    weekday = values.get("weekday")
    if hours is None or (weekday is not None and weekday not in {*"0123456"}):
        raise BadRequest(
            to_translate("time, weekday: not hours such as 09:00-09:30, or a day from 0 to 6.")
        )
    begin, end = (int(hours[first]) * 60 + int(hours[second]) for first, second in ((1, 2), (3, 4)))
    if not begin < end <= 1440:
        raise BadRequest(to_translate("time: must end after it begins, at 24:00 at the latest."))
    day = None if weekday is None else int(weekday)
    return ClockTime(zone, period.since, period.until, begin, end, day)


def _instant(values: Mapping[str, str]) -> UnixMillis | None:
    text = values.get("during")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise BadRequest(
            to_translate("during: not an instant in milliseconds, as reports give it.")
        )
    return UnixMillis(int(text))


def _seconds(values: Mapping[str, str], name: str) -> float | None:
    text = values.get(name)
    if text is None:
        return None
    found = _LENGTH.fullmatch(text)
    if found is None or (found[1] and found[3]):
        raise BadRequest(worded("%(name)s: not a length such as 90, 1:30, 5m or 1h.", name=name))
    return int(found[1] or 0) * 60.0 + int(found[2]) * _UNITS[found[3] or "s"]


def _columns(values: Mapping[str, str], order: Order) -> tuple[str, ...]:
    """The columns that are shown; what a list is sorted by is always among them."""
    chosen = values["cols"].split(",") if "cols" in values else [*COLUMNS]
    known = (*COLUMNS, *MORE_COLUMNS)
    if order in {Order.LONGEST, Order.SHORTEST} and "length" not in chosen:
        chosen.append("length")
    for name in chosen:
        if name not in known:
            raise BadRequest(
                worded(
                    "cols: %(name)s is not a column; known are %(known)s.",
                    name=repr(name[:40]),
                    known=", ".join(known),
                )
            )
    return tuple(name for name in known if name in chosen)


def _terms(text: str) -> list[tuple[str, Term]]:
    """What was typed, split at blanks; quotes hold words together, ``-`` leaves out."""
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", ""
    lexer.quotes = '"'
    try:
        pieces = list(lexer)
    except ValueError:
        raise BadRequest(to_translate('q: a " is not closed.')) from None
    found: list[tuple[str, Term]] = []
    for piece in _numbers_together(pieces):
        wanted = not (piece.startswith("-") and len(piece) > 1)
        word = piece if wanted else piece[1:]
        name, colon, rest = word.partition(":")
        if not colon:
            found.append((piece, Term(Field.ANY, word, wanted)))
            continue
        if name.lower() not in _FIELDS:
            raise BadRequest(
                worded(
                    "q: %(name)s cannot be searched in; known are %(known)s.",
                    name=repr(name[:40]),
                    known=", ".join(_FIELDS),
                )
            )
        if not rest.strip("*"):
            raise BadRequest(worded("q: %(name)s: what is looked for is missing.", name=name))
        found.append((piece, Term(Field(name.lower()), rest, wanted)))
    return found


_FIELDS = tuple(each.value for each in Field if each is not Field.ANY)


def _numbers_together(pieces: list[str]) -> list[str]:
    """``0161 496 0192`` is one number, however it was typed."""
    found: list[str] = []
    for piece in pieces:
        if (
            found
            and _DIGITS.fullmatch(piece)
            and _DIGITS.fullmatch(found[-1])
            and not found[-1].endswith("*")
            and not piece.startswith(("*", "+"))
        ):
            found[-1] += piece
        else:
            found.append(piece)
    return found
