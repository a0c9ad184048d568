"""The report of lines in use: the most calls at once, by hour or by day."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from callreel.db import reports
from callreel.documents import charts
from callreel.documents.tables import Column
from callreel.flows.report_kinds.shape import HOUR_MS, Content, Question, Row, linked
from callreel.model import UnixMillis
from callreel.periods import local, start_of_day
from callreel.wording import counted, to_translate, worded


@dataclass(frozen=True, slots=True)
class Peak:
    """The most lines in use within a stretch of time."""

    lines: int
    at: UnixMillis
    """When it was reached first."""


def peaks(calls: Iterable[tuple[int, int]], edges: Sequence[UnixMillis]) -> list[Peak]:
    """The most calls at once within each stretch between two edges.

    Args:
        calls: When each began and ended, [began, ended), in order of their beginnings.
        edges: Instants in order; one more than there are stretches.

    Cost: memory of the calls that are in progress at once.
    """
    found: list[Peak] = []
    ends: list[int] = []
    starts = edges[:-1]

    def reach(at: int) -> None:
        """End what ended until then."""
        while ends and ends[0] <= at:
            heapq.heappop(ends)

    def open_until(at: float) -> None:
        """Begin the stretches that begin until then, with the calls that reach into them."""
        while len(found) < len(starts) and starts[len(found)] <= at:
            reach(starts[len(found)])
            found.append(Peak(len(ends), starts[len(found)]))

    for began, ended in calls:
        if began >= edges[-1]:
            break
        open_until(began)
        reach(began)
        heapq.heappush(ends, ended)
        if found and len(ends) > found[-1].lines:
            found[-1] = Peak(len(ends), UnixMillis(began))
    open_until(float("inf"))
    return found


_LINES = (
    Column("from", "From", "instant"),
    Column("lines", "Most lines in use", "count"),
    Column("at", "First at", "instant"),
)
_MOST_HOURS = 200


def busy_lines(conn: Connection, asked: Question) -> Content:
    """The most calls to and from outside at once: by hour, or by day of a long period."""
    edges = _edges(asked)
    found = peaks(reports.lines_in_use(conn, asked.chosen), edges)
    open_ended = {name: each for name, each in asked.base.items() if name not in {"since", "until"}}
    if "dir" not in open_ended:
        open_ended["outside"] = "yes"
    rows = [
        Row((begin, peak.lines, peak.at), {"lines": linked(open_ended, during=peak.at)})
        for begin, peak in zip(edges, found, strict=False)
    ]
    top = max(found, key=lambda each: each.lines, default=Peak(0, asked.period.since))
    if not top.lines:
        return Content(_LINES, [], None, to_translate("No lines in use"), None)
    at = local(top.at, asked.zone)
    by_day = len(edges) > 1 and edges[1] - edges[0] > 2 * HOUR_MS
    labels = [f"{local(edge, asked.zone):{'%d %b' if by_day else '%d %b %H:%M'}}" for edge in edges]
    return Content(
        _LINES,
        rows,
        Row((None, top.lines, top.at), {"lines": linked(open_ended, during=top.at)}),
        worded(
            "At most %(lines)s in use, %(at)s",
            lines=counted(top.lines, "%(num)s line", "%(num)s lines"),
            at=f"{at:%Y-%m-%d %H:%M:%S}",
        ),
        charts.lines(
            asked.say(to_translate("Most lines in use at once")),
            labels[:-1],
            [
                charts.Series(
                    asked.say(to_translate("Lines")), "accent", [peak.lines for peak in found]
                )
            ],
        ),
    )


def _edges(asked: Question) -> list[UnixMillis]:
    """Hours of the period, or its local days where those were too many."""
    since, until = asked.period.since, asked.period.until
    edges: list[UnixMillis] = [since]
    if until - since <= _MOST_HOURS * HOUR_MS:
        first = since - since % HOUR_MS + HOUR_MS
        edges += [UnixMillis(at) for at in range(first, until, HOUR_MS)]
    else:
        day = local(since, asked.zone).date() + timedelta(days=1)
        while (at := start_of_day(day, asked.zone)) < until:
            edges.append(at)
            day += timedelta(days=1)
    return [*edges, until]
