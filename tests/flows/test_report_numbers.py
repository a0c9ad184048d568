"""Every number of a report, counted again in plain Python, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction

import pytest
from sqlalchemy import select

from callreel.db.call_filter import conditions
from callreel.db.database import Database
from callreel.db.schema import call_records
from callreel.documents.cells import Cell
from callreel.flows.report_kinds.links import filter_of
from callreel.flows.report_kinds.shape import Link, Report
from callreel.flows.reports import KINDS, Reports
from callreel.model import Direction, Role
from tests.contracts.records import NOW as RECORDS_NOW
from tests.contracts.records import CallPlan, write_call
from tests.flows.report_town import (
    LONDON,
    NOW,
    PERIOD,
    PlainCall,
    Town,
    build,
    plain_calls,
    principal,
)

ADMINISTRATOR = principal(Role.ADMINISTRATOR)
# What is compared with the calls behind the number itself: how many there are.
COUNTED = {
    "inbound", "outbound", "internal", "other", "answered", "abandoned", "calls", "recorded",
    "masked", "total", "calls_2025", "calls_2026", "lines", "started_at",
} | {f"h{hour:02}" for hour in range(24)}  # fmt: skip


@pytest.fixture(params=[1, 2])
def town(database: Database, request: pytest.FixtureRequest) -> Town:
    """600 calls over eight days, 180 of them in the night on which clocks went back."""
    return build(database, plain_calls(request.param, 600))


def made(database: Database, kind: str, **asked: str) -> Report:
    """A report for somebody who sees everything."""
    wanted = {"period": PERIOD, **asked}
    return Reports(database, lambda: NOW).make(ADMINISTRATOR, kind, wanted)


def rows_of(report: Report) -> list[dict[str, Cell]]:
    """The rows by key of the column."""
    keys = [column.key for column in report.table.columns]
    return [dict(zip(keys, row, strict=True)) for row in report.table.rows]


def total_of(report: Report) -> dict[str, Cell]:
    """The total by key of the column."""
    assert report.table.total is not None
    keys = [column.key for column in report.table.columns]
    return dict(zip(keys, report.table.total, strict=True))


def inside(town: Town, **link: str | int) -> list[PlainCall]:
    """The calls of the period that fit."""
    since, until = (
        round(datetime(2026, 10, day, hour, tzinfo=UTC).timestamp() * 1000)
        for day, hour in ((21, 23), (28, 0))
    )
    return town.matching({"since": since, "until": until, **link})


def found_by(database: Database, link: Link) -> set[str]:
    """The ids of the calls that the search finds by a link."""
    query = select(call_records.c.id).where(*conditions(filter_of(link)))
    with database.read() as conn:
        return set(conn.execute(query).scalars())


def nearest(waits: list[int], part: str) -> int | None:
    """The wait within which a part of the callers had waited."""
    if not waits:
        return None
    rank = -(-len(waits) * Fraction(part) // 1)
    return sorted(waits)[int(rank) - 1]


def waits_of(calls: list[PlainCall], end: str | None = None) -> list[int]:
    """How long callers from outside waited, in whole seconds."""
    return [
        call.wait_ms // 1000
        for call in calls
        if call.direction == "inbound" and call.wait_ms is not None and end in {None, call.end}
    ]


@pytest.mark.parametrize("kind", [kind.slug for kind in KINDS])
@pytest.mark.parametrize("asked", [{}, {"site": "north"}, {"group": "north/Sales"}])
def test_a_number_is_that_of_the_calls_behind_it(
    database: Database, town: Town, kind: str, asked: Mapping[str, str]
) -> None:
    """Each count equals the calls that its own filter finds, in rows and in the total.

    The search finds the same ones.
    """
    report = made(database, kind, **asked)
    seen = 0
    lines = [*zip(rows_of(report), report.links, strict=True)]
    if report.table.total is not None:
        lines.append((total_of(report), report.total_links))
    for row, links in lines:
        for key, link in links.items():
            if key in COUNTED:
                behind = town.matching(link)
                # Each in Python, and every fifth by the search as well, which takes longer.
                if seen % 5 == 0:
                    assert found_by(database, link) == {call.id for call in behind}, link
                if key == "started_at":
                    assert [call.at for call in behind] == [row[key]]
                elif key == "lines":
                    assert row[key] == sum(call.direction != "internal" for call in behind)
                else:
                    assert row[key] == len(behind), (row, key, link)
                seen += 1
    assert seen or kind in {"masking-exceptions", "playback-audit"}


def test_the_half_hours_hold_every_call_once(database: Database, town: Town) -> None:
    """The hour that came twice is one row; waits and talk are those of its calls."""
    report = made(database, "call-analysis")
    assert [row["time"] for row in rows_of(report)] == [
        f"{hour:02}:{half}" for hour in range(24) for half in ("00", "30")
    ]
    everything = inside(town)
    in_row: list[PlainCall] = []
    for row, links in zip(rows_of(report), report.links, strict=True):
        behind = town.matching(links["talk"])
        in_row += behind
        check_waits(row, behind)
    assert Counter(in_row) == Counter(everything)
    assert any(
        datetime.fromtimestamp(call.at / 1000, LONDON).fold and row_of_twice(call) == "01:00"
        for call in everything
    )
    total = total_of(report)
    check_waits(total, everything)
    assert sum(int(total[key] or 0) for key in ("inbound", "outbound", "internal", "other")) == len(
        everything
    )


def row_of_twice(call: PlainCall) -> str:
    """The half hour that a clock showed."""
    shown = datetime.fromtimestamp(call.at / 1000, LONDON)
    return f"{shown:%H}:{'00' if shown.minute < 30 else '30'}"


def check_waits(row: Mapping[str, Cell], behind: list[PlainCall]) -> None:
    """Median, nine of ten, and talk."""
    waits = waits_of(behind)
    assert row["wait_median"] == nearest(waits, "1/2")
    assert row["wait_p90"] == nearest(waits, "9/10")
    assert row["talk"] == sum(call.talk_ms for call in behind) / 1000


def test_abandoned_calls_are_told_with_how_long_they_waited(database: Database, town: Town) -> None:
    """Share, median, longest, and how many had waited for the target and longer."""
    report = made(database, "abandoned", target="30")
    for row, links in [
        *zip(rows_of(report), report.links, strict=True),
        (total_of(report), report.total_links),
    ]:
        waits = waits_of(town.matching(links["abandoned"]))
        inbound = len(town.matching(links["inbound"]))
        assert row["share"] == (len(waits) / inbound if inbound else None)
        assert row["over_target"] == sum(wait >= 30 for wait in waits)
        assert row["wait_median"] == nearest(waits, "1/2")
        assert row["wait_longest"] == max(waits, default=None)


def test_busy_hours_name_the_busiest(database: Database, town: Town) -> None:
    """Of a week with an hour more."""
    counts = Counter(
        (f"{datetime.fromtimestamp(call.at / 1000, LONDON):%A %H}:00") for call in inside(town)
    )
    headline = made(database, "busy-hours").headline
    told = headline.removeprefix("Busiest: ").partition(",")[0]
    assert counts[told] == max(counts.values())
    assert headline.endswith(f"{counts[told]} calls")


@pytest.mark.parametrize("period", [PERIOD, "2026-10-01..2026-10-31"])
def test_lines_in_use_are_the_most_at_any_moment(
    database: Database, town: Town, period: str
) -> None:
    """By hour and by day: at no beginning of a call are there more; days have 23 to 25 hours."""
    report = made(database, "busy-channels", period=period)
    outside = [call for call in town.calls if call.direction != "internal"]
    rows = rows_of(report)
    begins = [int(row["from"] or 0) for row in rows]
    assert begins[0] == report.period.since
    for row, begin, until in zip(rows, begins, [*begins[1:], report.period.until], strict=True):
        moments = [begin, *(call.at for call in outside if begin <= call.at < until)]
        most = max(
            sum(call.at <= at < call.at + call.length_ms for call in outside) for at in moments
        )
        assert row["lines"] == most
    assert total_of(report)["lines"] == max(int(row["lines"] or 0) for row in rows)


@pytest.mark.parametrize("kind", ["agents", "groups"])
def test_people_have_all_calls_and_their_talk(database: Database, town: Town, kind: str) -> None:
    """Those of nobody known included; the mean is over answered calls."""
    report = made(database, kind)
    everything = inside(town)
    rows = rows_of(report)
    assert sum(int(row["calls"] or 0) for row in rows) == len(everything)
    assert total_of(report)["talk"] == sum(call.talk_ms for call in everything) / 1000
    talks = [row["talk"] for row in rows]
    assert talks == sorted(talks, key=lambda talk: -float(talk or 0))
    linked = [(row, links) for row, links in zip(rows, report.links, strict=True) if links]
    assert len(linked) >= 3
    for row, links in linked:
        behind = town.matching(links["calls"])
        talk_s = sum(call.talk_ms for call in behind) / 1000
        answered = sum(call.end == "answered" for call in behind)
        assert row["talk"] == talk_s
        assert row["talk_mean"] == (round(talk_s / answered, 3) if answered else None)


def test_the_longest_calls_come_first(database: Database, town: Town) -> None:
    """As many as were asked for."""
    rows = rows_of(made(database, "top-calls", limit="25"))
    talks = sorted((call.talk_ms / 1000 for call in inside(town)), reverse=True)
    assert [row["talk"] for row in rows] == talks[:25]


def test_numbers_outside_are_counted_with_their_talk(database: Database, town: Town) -> None:
    """Incoming by who called, outgoing by who was called."""
    calls: Counter[str] = Counter()
    talk: Counter[str] = Counter()
    for call in inside(town):
        side = {"inbound": call.from_number, "outbound": call.to_number}.get(call.direction)
        if side is not None:
            name = side or "(withheld)"
            calls[name] += 1
            talk[name] += call.talk_ms
    rows = rows_of(made(database, "top-numbers"))
    assert {row["number"]: row["calls"] for row in rows} == calls
    assert {row["number"]: float(row["talk"] or 0) * 1000 for row in rows} == pytest.approx(talk)


def test_years_hold_the_calls_of_their_months(database: Database, town: Town) -> None:
    """All of them lie in October 2026."""
    rows = rows_of(made(database, "year-on-year", period="2026"))
    assert [row["calls_2026"] for row in rows] == [0] * 9 + [len(town.calls)] + [0] * 2
    assert {row["calls_2025"] for row in rows} == {0}


def test_years_say_the_period_that_they_count(database: Database, town: Town) -> None:
    """Not the week that was asked for: the numbers and their links are about two years."""
    assert town.calls
    report = made(database, "year-on-year", period="7d")
    assert report.period.words == "1 January 2025 to 31 December 2026"
    assert report.table.facts[0] == ("Period", report.period.words)
    every = [link for row in (*report.links, report.total_links) for link in row.values()]
    assert min(link["since"] for link in every) == report.period.since
    assert max(link["until"] for link in every) == report.period.until


def test_masked_sound_is_counted_once_for_both_channels(database: Database, town: Town) -> None:
    """A stretch that is masked for one party and for the other as well is one."""
    report = made(database, "masking")
    for row, links in [
        *zip(rows_of(report), report.links, strict=True),
        (total_of(report), report.total_links),
    ]:
        masked = town.matching(links["masked"])
        assert row["masked_s"] == pytest.approx(sum(call.masked_s for call in masked))
        recorded = len(town.matching(links["recorded"]))
        assert row["share"] == (len(masked) / recorded if recorded else None)
    assert [row["week"] for row in rows_of(report)] == ["2026-10-19", "2026-10-26"]


def test_a_direction_narrows_every_number(database: Database, town: Town) -> None:
    """In the links as well."""
    report = made(database, "call-analysis", dir="outbound", agent="202")
    total = total_of(report)
    assert total["outbound"] == len(inside(town, dir="outbound", site="north", ext="202"))
    assert (total["inbound"], total["internal"], total["wait_median"]) == (0, 0, None)
    link = report.total_links["talk"]
    assert (link["dir"], link["site"], link["ext"]) == ("outbound", "north", "202")


def test_lines_and_the_calls_behind_them_leave_out_internal_calls(database: Database) -> None:
    """They take no line to the outside, so the link must not find them either."""
    at = datetime(2026, 10, 26, 10, tzinfo=UTC).timestamp()
    with database.write() as conn:
        for number, direction in enumerate(Direction):
            write_call(
                conn,
                CallPlan(
                    direction.value,
                    at_s=at - RECORDS_NOW / 1000 + number,
                    duration_s=600.0,
                    direction=direction,
                ),
            )
    report = made(database, "busy-channels")
    assert report.table.total is not None
    lines = report.table.total[1]
    assert lines == 3
    assert found_by(database, report.total_links["lines"]) == {"inbound", "outbound", "unknown"}
