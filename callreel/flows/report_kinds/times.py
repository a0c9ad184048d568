"""Reports by the clock: call analysis, abandoned calls, busy hours, year on year."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

from sqlalchemy import Connection

from callreel.db import reports
from callreel.documents import charts
from callreel.documents.tables import Column
from callreel.flows.report_kinds.shape import (
    DAY_MS,
    HOUR_MS,
    NO_CALLS,
    TOTAL,
    Content,
    Link,
    Question,
    Row,
    calls_in_all,
    linked,
    percentile,
    seconds,
    share,
    summed,
    talk_in_all,
)
from callreel.model import Direction, Disposition, UnixMillis
from callreel.periods import MONTHS, WEEKDAYS, Period, local, start_of_day, words
from callreel.wording import counted, to_translate, worded

_IN, _OUT, _INTERNAL = Direction.INBOUND, Direction.OUTBOUND, Direction.INTERNAL
_ANALYSIS = (
    Column("time", "Half hour", "text"),
    Column("inbound", "In", "count"),
    Column("outbound", "Out", "count"),
    Column("internal", "Internal", "count"),
    Column("other", "Other", "count"),
    Column("answered", "In, answered", "count"),
    Column("abandoned", "In, abandoned", "count"),
    Column("wait_median", "Wait, median", "seconds"),
    Column("wait_p90", "Wait, 9 of 10", "seconds"),
    Column("talk", "Talk", "seconds"),
)


class _Counts:
    """Calls of one slot by direction and end, and their talk."""

    def __init__(self) -> None:
        self.calls: Counter[tuple[Direction, Disposition]] = Counter()
        self.talk_ms = 0

    def add(self, each: reports.Tally) -> None:
        """Take more of them."""
        self.calls[each.direction, each.disposition] += each.calls
        self.talk_ms += each.talk_ms

    def of(self, direction: Direction) -> int:
        """How many went this way."""
        return sum(count for (way, _), count in self.calls.items() if way is direction)

    def stacked(self) -> tuple[int, ...]:
        """The parts of a bar: in, out, internal, other, and above them abandoned."""
        lost = self.calls[_IN, Disposition.ABANDONED]
        others = (self.of(_OUT), self.of(_INTERNAL), self.of(Direction.UNKNOWN))
        return (self.of(_IN) - lost, *others, lost)

    @property
    def all(self) -> int:
        """How many there are."""
        return self.calls.total()


def analysis(conn: Connection, asked: Question) -> Content:
    """Calls by half hour of the day, with how long callers waited."""
    slots = reports.Slots(asked.zone, HOUR_MS // 2, DAY_MS)
    tallies = reports.tally(conn, asked.chosen, slots)
    waits = reports.waits(conn, asked.chosen, slots)
    counts: dict[int, _Counts] = defaultdict(_Counts)
    total = _Counts()
    for each in tallies:
        counts[each.slot].add(each)
        total.add(each)
    rows = []
    # The hours between the first and the last call: a quiet one among them is told, nights are not.
    told = range(min(counts), max(counts) + 1) if counts else range(0)
    for slot in told:
        begin = _clock(slot * 30)
        link = linked(asked.base, time=f"{begin}-{_clock(slot * 30 + 30)}", zone=asked.zone.key)
        rows.append(_analysed(begin, counts[slot], waits.get(slot, Counter()), link))
    labels = [str(row.cells[0]) for row in rows]
    names = (
        (to_translate("In"), "in"),
        (to_translate("Out"), "out"),
        (to_translate("Internal"), "internal"),
        (to_translate("Other"), "other"),
        (to_translate("Abandoned"), "abandoned"),
    )
    bars = [counts[slot].stacked() for slot in told]
    stack = [
        charts.Series(asked.say(name), kind, [bar[place] for bar in bars])
        for place, (name, kind) in enumerate(names)
    ]
    return Content(
        _ANALYSIS,
        rows,
        _analysed(TOTAL, total, summed(waits.values()), asked.base),
        talk_in_all(total.all, total.talk_ms),
        charts.stacked_bars(
            asked.say(to_translate("Calls by half hour of the day")), labels, stack
        ),
    )


def _analysed(name: str, counts: _Counts, waits: Counter[int], link: Link) -> Row:
    answered = counts.calls[_IN, Disposition.ANSWERED]
    abandoned = counts.calls[_IN, Disposition.ABANDONED]
    return Row(
        (
            name,
            counts.of(_IN),
            counts.of(_OUT),
            counts.of(_INTERNAL),
            counts.of(Direction.UNKNOWN),
            answered,
            abandoned,
            percentile(waits, 0.5),
            percentile(waits, 0.9),
            seconds(counts.talk_ms),
        ),
        {
            "inbound": linked(link, direction=_IN.value),
            "outbound": linked(link, direction=_OUT.value),
            "internal": linked(link, direction=_INTERNAL.value),
            "other": linked(link, direction=Direction.UNKNOWN.value),
            "answered": linked(link, direction=_IN.value, state=Disposition.ANSWERED.value),
            "abandoned": linked(link, direction=_IN.value, state=Disposition.ABANDONED.value),
            "talk": link,
        },
    )


_ABANDONED = (
    Column("time", "Hour", "text"),
    Column("inbound", "In", "count"),
    Column("abandoned", "Abandoned", "count"),
    Column("share", "Share", "share"),
    Column("over_target", "After the target", "count"),
    Column("wait_median", "Waited, median", "seconds"),
    Column("wait_longest", "Waited, longest", "seconds"),
)
_WAIT_BAR_S, _WAIT_BARS = 5, 24


def abandoned(conn: Connection, asked: Question) -> Content:
    """Callers who hung up before anybody answered: when, and after how long."""
    slots = reports.Slots(asked.zone, HOUR_MS, DAY_MS)
    inbound: Counter[int] = Counter()
    lost: Counter[int] = Counter()
    for each in reports.tally(conn, asked.chosen, slots):
        if each.direction is _IN:
            inbound[each.slot] += each.calls
            if each.disposition is Disposition.ABANDONED:
                lost[each.slot] += each.calls
    waits = reports.waits(conn, asked.chosen, slots, Disposition.ABANDONED)
    rows = []
    for slot in range(min(inbound), max(inbound) + 1) if inbound else ():
        begin = _clock(slot * 60)
        link = linked(asked.base, time=f"{begin}-{_clock(slot * 60 + 60)}", zone=asked.zone.key)
        found = waits.get(slot, Counter())
        rows.append(_lost(begin, inbound[slot], lost[slot], found, (link, asked.target_s)))
    every = summed(waits.values())
    bars = [0] * (_WAIT_BARS + 1)
    for wait, count in every.items():
        bars[min(wait // _WAIT_BAR_S, _WAIT_BARS)] += count
    labels = [f"{place * _WAIT_BAR_S} s" for place in range(_WAIT_BARS)]
    labels.append(f"{_WAIT_BARS * _WAIT_BAR_S} s+")
    part = share(lost.total(), inbound.total())
    told = counted(lost.total(), "%(num)s call abandoned", "%(num)s calls abandoned")
    return Content(
        _ABANDONED,
        rows,
        _lost(TOTAL, inbound.total(), lost.total(), every, (asked.base, asked.target_s)),
        told
        if part is None
        else worded(
            "%(told)s, %(share)s of those that came in", told=told, share=f"{part * 100:.1f}%"
        ),
        charts.histogram(
            asked.say(to_translate("How long callers waited before they hung up")),
            labels,
            charts.Series(asked.say(to_translate("Abandoned")), "abandoned", bars),
            (asked.say(to_translate("Target")), asked.target_s / _WAIT_BAR_S),
        ),
    )


def _lost(name: str, inbound: int, lost: int, waits: Counter[int], more: tuple[Link, int]) -> Row:
    link, target_s = more
    inward = linked(link, direction=_IN.value)
    late = sum(count for wait, count in waits.items() if wait >= target_s)
    return Row(
        (
            name,
            inbound,
            lost,
            share(lost, inbound),
            late,
            percentile(waits, 0.5),
            max(waits) if waits else None,
        ),
        {"inbound": inward, "abandoned": linked(inward, state=Disposition.ABANDONED.value)},
    )


def busy_hours(conn: Connection, asked: Question) -> Content:
    """Calls by weekday and hour."""
    slots = reports.Slots(asked.zone, HOUR_MS, 7 * DAY_MS)
    found: Counter[tuple[int, int]] = Counter()
    for each in reports.tally(conn, asked.chosen, slots):
        # Clocks were started on a Thursday.
        found[(each.slot // 24 + 3) % 7, each.slot % 24] += each.calls
    hours = range(24)
    columns = (
        Column("weekday", "Weekday", "text"),
        *(Column(f"h{hour:02}", f"{hour:02}", "count") for hour in hours),
        Column("total", TOTAL, "count"),
    )
    rows = []
    for day, name in enumerate(WEEKDAYS if found else ()):
        link = linked(asked.base, weekday=day, zone=asked.zone.key)
        rows.append(_hours(name, [found[day, hour] for hour in hours], link))
    total = [sum(found[day, hour] for day in range(7)) for hour in hours]
    headline = NO_CALLS
    if found:
        (day, hour), most = min(found.items(), key=lambda each: (-each[1], each[0]))
        headline = worded(
            "Busiest: %(day)s %(time)s, %(calls)s",
            day=WEEKDAYS[day],
            time=f"{hour:02}:00",
            calls=calls_in_all(most),
        )
    grid = [[found[day, hour] for hour in hours] for day in range(7)]
    names = [asked.say(name)[:3] for name in WEEKDAYS]
    return Content(
        columns,
        rows,
        _hours(TOTAL, total, linked(asked.base, zone=asked.zone.key)),
        headline,
        charts.grid(
            asked.say(to_translate("Calls by weekday and hour")),
            names,
            [f"{hour:02}" for hour in hours],
            grid,
        ),
    )


def _hours(name: str, counts: Sequence[int], link: Link) -> Row:
    links = {
        f"h{hour:02}": linked(link, time=f"{_clock(hour * 60)}-{_clock(hour * 60 + 60)}")
        for hour in range(24)
    }
    return Row((name, *counts, sum(counts)), {**links, "total": link})


def year_on_year(conn: Connection, asked: Question) -> Content:
    """Calls by month of the year that the period ends in, and of the year before."""
    year = local(UnixMillis(asked.period.until - 1), asked.zone).year
    months = [date(year - 1 + number // 12, number % 12 + 1, 1) for number in range(25)]
    edges = [start_of_day(month, asked.zone) for month in months]
    chosen = replace(asked.chosen, since=edges[0], until=edges[-1])
    found: Counter[tuple[int, int]] = Counter()
    for each in reports.tally(conn, chosen, reports.Slots(asked.zone, DAY_MS)):
        day = date(1970, 1, 1) + timedelta(days=each.slot)
        found[day.year, day.month] += each.calls
    columns = (
        Column("month", "Month", "text"),
        # A file for programs has nothing else that says which years it counts.
        Column(_key(year - 1), str(year - 1), "count"),
        Column(_key(year), str(year), "count"),
        Column("change", "Change", "share"),
    )
    stretches = [linked(asked.base, since=since, until=until) for since, until in pairwise(edges)]
    rows = [
        _years(year, name, (found[year - 1, month], found[year, month]),
               (stretches[month - 1], stretches[month + 11]))
        for month, name in enumerate(MONTHS, 1)
    ]  # fmt: skip
    before, now = (sum(found[each, month] for month in range(1, 13)) for each in (year - 1, year))
    whole = (
        linked(asked.base, since=edges[0], until=edges[12]),
        linked(asked.base, since=edges[12], until=edges[24]),
    )
    series = [
        charts.Series(str(each), kind, [found[each, month] for month in range(1, 13)])
        for each, kind in ((year - 1, "dim"), (year, "accent"))
    ]
    return Content(
        columns,
        rows if found else [],
        _years(year, TOTAL, (before, now), whole),
        worded(
            "%(calls)s in %(year)s, %(before)s in %(last_year)s",
            calls=calls_in_all(now),
            year=str(year),
            before=before,
            last_year=str(year - 1),
        ),
        charts.lines(
            asked.say(to_translate("Calls by month")),
            [asked.say(name)[:3] for name in MONTHS],
            series,
        ),
        Period(edges[0], edges[-1], words(edges[0], edges[-1], asked.zone)),
    )


def _key(year: int) -> str:
    return f"calls_{year}"


def _years(year: int, name: str, calls: tuple[int, int], links: tuple[Link, Link]) -> Row:
    """A line about two years, ``year`` and the one before it."""
    change = share(calls[1] - calls[0], calls[0])
    return Row((name, *calls, change), {_key(year - 1): links[0], _key(year): links[1]})


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
