"""Reports by who called: agents, groups, longest calls, numbers outside."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from callreel.db import reports
from callreel.documents import charts
from callreel.documents.cells import Cell
from callreel.documents.shown import length
from callreel.documents.tables import Column
from callreel.flows.report_kinds.shape import (
    DIRECTIONS,
    NO_CALLS,
    TOTAL,
    Content,
    Link,
    Question,
    Row,
    calls_in_all,
    linked,
    seconds,
    talk_in_all,
)
from callreel.model import Direction, Disposition
from callreel.wording import to_translate, worded

_CHARTED = 20
_WITHHELD = to_translate("(withheld)")
_NOBODY = to_translate("(nobody known)")
_NUMBERS = (
    Column("calls", "Calls", "count"),
    Column("inbound", "In", "count"),
    Column("outbound", "Out", "count"),
    Column("internal", "Internal", "count"),
    Column("answered", "Answered", "count"),
    Column("talk", "Talk", "seconds"),
    Column("talk_mean", "Talk a call", "seconds"),
)
_AGENTS = (
    Column("agent", "Agent", "text"),
    Column("extension", "Extension", "text"),
    Column("group", "Group", "text"),
    Column("site", "Site", "text"),
    *_NUMBERS,
)
_GROUPS = (Column("group", "Group", "text"), Column("site", "Site", "text"), *_NUMBERS)


@dataclass(slots=True)
class _Sum:
    """Calls of one agent, group, or of all."""

    calls: int = 0
    inbound: int = 0
    outbound: int = 0
    internal: int = 0
    answered: int = 0
    talk_ms: int = 0

    def add(self, each: reports.UserTally) -> None:
        """Take more of them."""
        self.calls += each.calls
        self.talk_ms += each.talk_ms
        if each.direction is Direction.INBOUND:
            self.inbound += each.calls
        elif each.direction is Direction.OUTBOUND:
            self.outbound += each.calls
        elif each.direction is Direction.INTERNAL:
            self.internal += each.calls
        if each.disposition is Disposition.ANSWERED:
            self.answered += each.calls

    def cells(self) -> tuple[Cell, ...]:
        """As _NUMBERS has them; the mean is over answered calls."""
        mean = seconds(self.talk_ms) / self.answered if self.answered else None
        return (
            self.calls,
            self.inbound,
            self.outbound,
            self.internal,
            self.answered,
            seconds(self.talk_ms),
            None if mean is None else round(mean, 3),
        )


def _links(link: Link) -> Mapping[str, Link]:
    return {
        "calls": link,
        "inbound": linked(link, direction=Direction.INBOUND.value),
        "outbound": linked(link, direction=Direction.OUTBOUND.value),
        "internal": linked(link, direction=Direction.INTERNAL.value),
        "answered": linked(link, state=Disposition.ANSWERED.value),
        "talk": link,
    }


def agents(conn: Connection, asked: Question) -> Content:
    """Calls of each person of the directory, those with most talk first."""
    return _ranked(conn, asked, to_translate("Talk by agent"), _AGENTS, _agent)


def groups(conn: Connection, asked: Question) -> Content:
    """Calls of each group of the directory, those with most talk first."""
    return _ranked(conn, asked, to_translate("Talk by group"), _GROUPS, _group)


_Names = tuple[str, ...]


def _agent(each: reports.UserTally) -> tuple[_Names, dict[str, str | int]]:
    link: dict[str, str | int] = {"site": each.site_id}
    if each.user_id is None:
        # There is no filter for calls of nobody: the number stands without a link.
        return (_NOBODY, "", "", each.site), {}
    link["ext"] = each.extension
    return (each.name, each.extension, each.group, each.site), link


def _group(each: reports.UserTally) -> tuple[_Names, dict[str, str | int]]:
    if each.group_id is None:
        return (to_translate("(no group)"), each.site), {}
    return (each.group, each.site), {"grp": each.group_id}


def _ranked(
    conn: Connection,
    asked: Question,
    title: str,
    columns: tuple[Column, ...],
    name_of: Callable[[reports.UserTally], tuple[_Names, dict[str, str | int]]],
) -> Content:
    sums: dict[tuple[_Names, tuple[tuple[str, str | int], ...]], _Sum] = defaultdict(_Sum)
    total = _Sum()
    for each in reports.by_user(conn, asked.chosen):
        names, link = name_of(each)
        sums[names, tuple(sorted(link.items()))].add(each)
        total.add(each)
    order = sorted(sums.items(), key=lambda each: (-each[1].talk_ms, -each[1].calls, each[0]))
    rows = [
        Row((*names, *one.cells()), _links(linked(asked.base, **dict(link))) if link else {})
        for (names, link), one in order
    ]
    blank = [""] * (len(columns) - len(_NUMBERS) - 1)
    bars = [
        charts.Ranked(asked.say(names[0]), seconds(one.talk_ms), length(seconds(one.talk_ms)))
        for (names, _), one in order[:_CHARTED]
    ]
    return Content(
        columns,
        rows,
        Row((TOTAL, *blank, *total.cells()), _links(asked.base)),
        talk_in_all(total.calls, total.talk_ms),
        charts.ranked_bars(asked.say(title), bars, "out"),
    )


_LONGEST = (
    Column("started_at", "Started", "instant"),
    Column("talk", "Talk", "seconds"),
    Column("duration", "Whole call", "seconds"),
    Column("direction", "Direction", "text"),
    Column("from", "From", "text"),
    Column("to", "To", "text"),
    Column("agent", "Agent", "text"),
    Column("site", "Site", "text"),
)


def top_calls(conn: Connection, asked: Question) -> Content:
    """The calls with most talk."""
    found = reports.longest(conn, asked.chosen, asked.limit)
    rows = []
    for each in found:
        link: Link = {"call": each.id}
        cells = (
            each.started_at,
            seconds(each.talk_ms),
            seconds(each.length_ms),
            DIRECTIONS[each.direction],
            each.from_number,
            each.to_number,
            each.agent,
            each.site,
        )
        rows.append(Row(cells, {"started_at": link, "talk": link, "duration": link}))
    bars = [
        charts.Ranked(
            f"{each.from_number} \u2192 {each.to_number}",
            seconds(each.talk_ms),
            length(seconds(each.talk_ms)),
        )
        for each in found[:_CHARTED]
    ]
    told = length(seconds(found[0].talk_ms)) if found else None
    return Content(
        _LONGEST,
        rows,
        None,
        NO_CALLS if told is None else worded("The longest: %(time)s of talk", time=told),
        charts.ranked_bars(asked.say(to_translate("The longest calls")), bars),
    )


_OUTSIDE = (
    Column("number", "Number", "text"),
    Column("calls", "Calls", "count"),
    Column("inbound", "In", "count"),
    Column("outbound", "Out", "count"),
    Column("talk", "Talk", "seconds"),
    Column("last_at", "Last call", "instant"),
)


def top_numbers(conn: Connection, asked: Question) -> Content:
    """The numbers outside that called or were called most often."""
    found = reports.numbers(conn, asked.chosen, asked.limit)
    rows = []
    for each in found:
        name = each.number or _WITHHELD
        cells = (
            name,
            each.calls,
            each.inbound,
            each.outbound,
            seconds(each.talk_ms),
            each.last_at,
        )
        rows.append(Row(cells, _links_of_number(asked.base, each.number)))
    bars = [
        charts.Ranked(each.number or asked.say(_WITHHELD), each.calls, f"{each.calls:,}")
        for each in found[:_CHARTED]
    ]
    return Content(
        _OUTSIDE,
        rows,
        None,
        worded(
            "Most often: %(number)s, %(calls)s",
            number=found[0].number or _WITHHELD,
            calls=calls_in_all(found[0].calls),
        )
        if found
        else NO_CALLS,
        charts.ranked_bars(asked.say(to_translate("Numbers with most calls")), bars),
    )


def _links_of_number(base: Link, number: str) -> Mapping[str, Link]:
    # A star is a wildcard to the search, and nothing is no number.
    if not number or "*" in number:
        return {}
    link = linked(base, party=number)
    return {
        "inbound": linked(link, direction=Direction.INBOUND.value),
        "outbound": linked(link, direction=Direction.OUTBOUND.value),
    }
