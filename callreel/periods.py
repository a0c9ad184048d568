"""Periods that people type, such as ``7d`` or ``2026-11``, as instants. Pure: no clock of its own.

A day begins at midnight in a time zone, so that the day on which clocks go forward has 23 hours.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from callreel.errors import BadRequest
from callreel.model import UnixMillis
from callreel.wording import to_translate, worded

MONTHS = (
    to_translate("January"),
    to_translate("February"),
    to_translate("March"),
    to_translate("April"),
    to_translate("May"),
    to_translate("June"),
    to_translate("July"),
    to_translate("August"),
    to_translate("September"),
    to_translate("October"),
    to_translate("November"),
    to_translate("December"),
)
WEEKDAYS = (
    to_translate("Monday"),
    to_translate("Tuesday"),
    to_translate("Wednesday"),
    to_translate("Thursday"),
    to_translate("Friday"),
    to_translate("Saturday"),
    to_translate("Sunday"),
)

FORMS = to_translate(
    "today, yesterday, 7d (any number of days), this-week, last-week, this-month, last-month, "
    "this-year, last-year, a day 2026-11-23, a month 2026-11, a year 2026, "
    "or from..to such as 2026-11-01..2026-11-15 or 2026-11-23T09:00..2026-11-23T12:30"
)
"""What can be typed, in words."""

MAX_DAYS = 3660
"""What ``d`` may stand behind: ten years."""


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time, [since, until)."""

    since: UnixMillis
    until: UnixMillis
    words: str
    """For people, such as ``the last 7 days, 17 to 23 November 2026``."""


def parse_period(text: str, now: UnixMillis, zone: ZoneInfo) -> Period:
    """The period that somebody typed.

    Those that include today reach to its end, so that an address means the same all day long.
    ``A..B`` reaches from the beginning of A to the end of B, ``A..`` to the end of today.

    Args:
        text: One of FORMS; case and blanks around it do not count.
        now: What time it is.
        zone: Where days begin at midnight.

    Raises:
        BadRequest: It is none of FORMS, has no such date, or ends before it begins.
    """
    asked = text.strip()
    try:
        since, until, name = _read(asked.lower(), now, zone)
    except (ValueError, OverflowError):
        raise _unknown(asked) from None
    if until <= since:
        raise BadRequest(worded("period: %(asked)s ends before it begins.", asked=asked[:60]))
    told = words(since, until, zone)
    return Period(since, until, f"{name}, {told}" if name else told)


def start_of_day(day: date, zone: ZoneInfo) -> UnixMillis:
    """The instant at which a day begins.

    Where clocks go back over midnight it is the first of the two, where they go forward over it
    the moment at which they do.
    """
    return instant_of(datetime(day.year, day.month, day.day, tzinfo=zone))


def instant_of(moment: datetime) -> UnixMillis:
    """A moment with a zone as an instant; exact to the millisecond."""
    # A difference of moments in UTC: a timestamp would be a float.
    since_1970 = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return UnixMillis(since_1970 // timedelta(milliseconds=1))


def local(at: UnixMillis, zone: ZoneInfo) -> datetime:
    """What a clock in a zone shows at an instant."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)).astimezone(zone)


def words(since: UnixMillis, until: UnixMillis, zone: ZoneInfo) -> str:
    """A stretch [since, until) in words, as short as it can be said; with times where needed."""
    first, behind = local(since, zone), local(until, zone)
    if start_of_day(first.date(), zone) != since or start_of_day(behind.date(), zone) != until:
        return f"{_moment(first)} to {_moment(behind)}"
    return _days(first.date(), behind.date() - timedelta(days=1))


def offsets(since: UnixMillis, until: UnixMillis, zone: ZoneInfo) -> list[tuple[int, int]]:
    """How far the clocks of a zone are ahead of UTC over a stretch of time.

    Returns:
        (instant, milliseconds ahead) pairs: so far ahead before this instant and since the one
        before it; the last instant is ``until`` or later. A database can tell local times by them.
    """
    found: list[tuple[int, int]] = []
    # No zone changes its clocks twice within this.
    step = timedelta(days=1) // timedelta(milliseconds=1)
    low, ahead = int(since), _ahead(since, zone)
    while low < until:
        high = min(low + step, int(until))
        later = _ahead(high, zone)
        if later != ahead:
            before, behind = low, high
            while behind - before > 1:
                middle = (before + behind) // 2
                before, behind = (
                    (middle, behind) if _ahead(middle, zone) == ahead else (before, middle)
                )
            found.append((behind, ahead))
            ahead = later
        low = high
    return [*found, (int(until), ahead)]


def _ahead(at: int, zone: ZoneInfo) -> int:
    return (local(UnixMillis(at), zone).utcoffset() or timedelta()) // timedelta(milliseconds=1)


QUARTER_MS = 900_000


def recurring(
    period: Period, zone: ZoneInfo, begin: int, end: int, weekday: int | None = None
) -> list[tuple[UnixMillis, UnixMillis]]:
    """The stretches of a period in which a clock shows a time of day, as instants, in order.

    Args:
        period: Where to look.
        zone: Whose clock.
        begin: Minutes after midnight, a multiple of 15.
        end: Minutes after midnight, more than ``begin``; 1440 is the end of the day.
        weekday: Only on this day, 0 is Monday; None on every day.
    """
    found: list[tuple[UnixMillis, UnixMillis]] = []
    for start in range(period.since - period.since % QUARTER_MS, period.until, QUARTER_MS):
        shown = local(UnixMillis(start), zone)
        if not begin <= shown.hour * 60 + shown.minute < end:
            continue
        if weekday is not None and shown.weekday() != weekday:
            continue
        first = UnixMillis(max(start, period.since))
        last = UnixMillis(min(start + QUARTER_MS, period.until))
        if found and found[-1][1] == first:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found


def day_words(day: date) -> str:
    """A day in words, with its weekday."""
    return f"{WEEKDAYS[day.weekday()]} {day.day} {MONTHS[day.month - 1]} {day.year}"


_Stretch = tuple[UnixMillis, UnixMillis, str]
"""Since, until, and the name that is said first; no name where the dates say it all."""
_Read = Callable[[re.Match[str], date, ZoneInfo], _Stretch]


def _read(text: str, now: UnixMillis, zone: ZoneInfo) -> _Stretch:
    today = local(now, zone).date()
    if ".." in text:
        first, last = text.split("..", 1)
        since = _one(first.strip(), today, zone)[0]
        return since, _one(last.strip() or "today", today, zone)[1], ""
    since, until, name = _one(text, today, zone)
    if since == until:
        raise ValueError(text)
    return since, until, name


def _one(text: str, today: date, zone: ZoneInfo) -> _Stretch:
    for pattern, read in _FORMS:
        match = pattern.fullmatch(text)
        if match:
            return read(match, today, zone)
    raise ValueError(text)


def _span(first: date, behind: date, zone: ZoneInfo, name: str = "") -> _Stretch:
    return start_of_day(first, zone), start_of_day(behind, zone), name


def _named(match: re.Match[str], today: date, zone: ZoneInfo) -> _Stretch:
    name = match[0]
    monday = today - timedelta(days=today.weekday())
    month = today.replace(day=1)
    year = month.replace(month=1)
    first, behind = {
        "today": lambda: (today, today + _DAY),
        "yesterday": lambda: (today - _DAY, today),
        "this-week": lambda: (monday, monday + _WEEK),
        "last-week": lambda: (monday - _WEEK, monday),
        "this-month": lambda: (month, _next_month(month)),
        "last-month": lambda: ((month - _DAY).replace(day=1), month),
        "this-year": lambda: (year, _year(year.year + 1)),
        "last-year": lambda: (_year(year.year - 1), year),
    }[name]()
    return _span(first, behind, zone, name.replace("-", " "))


def _last_days(match: re.Match[str], today: date, zone: ZoneInfo) -> _Stretch:
    days = int(match[1])
    if not 1 <= days <= MAX_DAYS:
        raise BadRequest(
            worded("period: %(text)s is not 1d to %(most)sd.", text=match[0], most=str(MAX_DAYS))
        )
    name = "the last day" if days == 1 else f"the last {days} days"
    return _span(today - timedelta(days=days - 1), today + _DAY, zone, name)


def _given_year(match: re.Match[str], _today: date, zone: ZoneInfo) -> _Stretch:
    year = int(match[1])
    return _span(_year(year), _year(year + 1), zone)


def _given_month(match: re.Match[str], _today: date, zone: ZoneInfo) -> _Stretch:
    month = _in_reach(date(int(match[1]), int(match[2]), 1))
    return _span(month, _next_month(month), zone)


def _given_day(match: re.Match[str], _today: date, zone: ZoneInfo) -> _Stretch:
    day = _in_reach(date(int(match[1]), int(match[2]), int(match[3])))
    return _span(day, day + _DAY, zone)


def _given_moment(match: re.Match[str], _today: date, zone: ZoneInfo) -> _Stretch:
    year, month, day, hour, minute = (int(part) for part in match.groups()[:5])
    within = zone if match[6] is None else _ahead_of_utc(match[6])
    at = instant_of(datetime(_in_reach(date(year, month, day)).year, month, day, hour, minute,
                             tzinfo=within))  # fmt: skip
    return at, at, ""


def _ahead_of_utc(text: str) -> timezone:
    """``+01:00``: tells the first from the second where an hour comes twice."""
    if text == "z":
        return UTC
    ahead = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-ahead if text[0] == "-" else ahead)


_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)
_NAMES = "today|yesterday|this-week|last-week|this-month|last-month|this-year|last-year"
_YEAR, _TWO = "([0-9]{4})", "([0-9]{2})"
_FORMS: tuple[tuple[re.Pattern[str], _Read], ...] = (
    (re.compile(_NAMES), _named),
    (re.compile("([0-9]{1,6})d"), _last_days),
    (re.compile(_YEAR), _given_year),
    (re.compile(f"{_YEAR}-{_TWO}"), _given_month),
    (re.compile(f"{_YEAR}-{_TWO}-{_TWO}"), _given_day),
    (
        re.compile(f"{_YEAR}-{_TWO}-{_TWO}[t ]{_TWO}:{_TWO}(z|[+-][0-9]{{2}}:?[0-9]{{2}})?"),
        _given_moment,
    ),
)


def _year(year: int) -> date:
    return _in_reach(date(year, 1, 1))


def _in_reach(day: date) -> date:
    # Room on both sides for every zone, and for the day, month or year behind it.
    if not 1971 <= day.year <= 9990:
        raise ValueError(day.year)
    return day


def _next_month(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


def _days(first: date, last: date) -> str:
    if first == last:
        return day_words(first)
    whole_months = first.day == 1 and (last + _DAY).day == 1
    if whole_months and first.year == last.year:
        if (first.month, last.month) == (1, 12):
            return str(first.year)
        if first.month == last.month:
            return f"{MONTHS[first.month - 1]} {first.year}"
    begin = str(first.day)
    if (first.year, first.month) != (last.year, last.month):
        begin += f" {MONTHS[first.month - 1]}"
    if first.year != last.year:
        begin += f" {first.year}"
    return f"{begin} to {last.day} {MONTHS[last.month - 1]} {last.year}"


def _moment(at: datetime) -> str:
    return f"{at.day} {MONTHS[at.month - 1]} {at.year} {at:%H:%M}"


def _unknown(text: str) -> BadRequest:
    return BadRequest(
        worded(
            "period: %(text)s is not a period; use %(forms)s.",
            text=repr(text[:60]),
            forms=FORMS,
        )
    )
