"""Counts of calls, kept as calls are written, are what counting them gives."""

from __future__ import annotations

import random
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, text

from callreel.db import calls, directory, migrate, summary
from callreel.db.call_filter import CallFilter
from callreel.db.calls import NewCall
from callreel.db.database import Database, open_database
from callreel.db.tally_tables import QUARTER_MS
from callreel.model import CallId, Direction, Disposition, Scope, UnixMillis
from callreel.periods import offsets
from callreel.web.pages.drawing import bars
from tests.contracts.records import ALL, NOW

DAY_MS = 86_400_000
DAY = UnixMillis(NOW // DAY_MS * DAY_MS)


def drawn(draw: random.Random, number: int) -> NewCall:
    """A call of these two days, of one of three sites."""
    site = draw.choice(["s1", "s2", "s3"])
    started_at = UnixMillis(DAY + draw.randrange(2 * 86_400_000))
    return NewCall(
        id=CallId(f"c{number}"),
        site_id=site,
        datasource=site,
        voicelocation=None,
        voicefilename=None,
        recording_id=None,
        started_at=started_at,
        duration_s=draw.choice([0.0, 0.0005, 12.3456, draw.uniform(0, 900)]),
        direction=draw.choice(list(Direction)),
        from_number="01632960001",
        to_number="07700900002",
        extension=None,
        channel=None,
        disposition=draw.choice(list(Disposition)),
        linked_id=None,
        answered_at=draw.choice(
            [None, UnixMillis(started_at + draw.randrange(60_000)), UnixMillis(started_at - 5)]
        ),
    )


def days_of(zone: str) -> summary.Grain:
    """Days on a clock, a year before and after."""
    year = 366 * DAY_MS
    ahead = offsets(UnixMillis(DAY - year), UnixMillis(DAY + year), ZoneInfo(zone))
    return summary.Grain(DAY_MS, tuple(ahead))


GRAINS = (
    summary.Grain(QUARTER_MS),
    summary.Grain(4 * QUARTER_MS),
    *map(days_of, ("Europe/London", "Asia/Kathmandu", "America/St_Johns")),
)


@pytest.mark.parametrize("zone", ["Europe/London", "Asia/Kathmandu", "Pacific/Apia"])
def test_days_hold_what_their_hours_hold(database: Database, zone: str) -> None:
    """Counted by the day of a clock, or by the quarter and put into days afterwards."""
    draw = random.Random(zone)  # noqa: S311  # a test, no secret
    with database.write() as conn:
        for site in ("s1", "s2", "s3"):
            directory.ensure_datasource(conn, site)
        for number in range(150):
            moment = UnixMillis(DAY + draw.randrange(-180, 180) * DAY_MS + draw.randrange(DAY_MS))
            calls.put_call(conn, replace(drawn(draw, number), started_at=moment), NOW)
    first, last = UnixMillis(DAY - 200 * DAY_MS), UnixMillis(DAY + 200 * DAY_MS)
    with database.read() as conn:
        fine = summary.summarise(conn, ALL, CallFilter(), summary.Grain(QUARTER_MS))
        coarse = summary.summarise(conn, ALL, CallFilter(), days_of(zone))
    assert len(coarse.buckets) < len(fine.buckets)
    told = [bars(each.buckets, first, last, ZoneInfo(zone)) for each in (fine, coarse)]
    assert told[0] == told[1]
    assert sum(bar.calls for bar in told[1].bars) == 150


def counted_both_ways(
    conn: Connection, scope: Scope, wanted: CallFilter, grain: summary.Grain
) -> tuple[summary.Summary, summary.Summary]:
    """By the tallies, and by the calls themselves: a filter that says nothing more goes there."""
    by_calls = replace(wanted, at_least_s=0.0)
    return (
        summary.summarise(conn, scope, wanted, grain),
        summary.summarise(conn, scope, by_calls, grain),
    )


@pytest.mark.parametrize("seed", range(3))
def test_tallies_say_what_calls_say(database: Database, seed: int) -> None:
    """Whatever is written, changed and taken away; to the millisecond of talk."""
    draw = random.Random(seed)  # noqa: S311  # a test, no secret
    scopes = [ALL, Scope(site_ids=frozenset({"s1", "s3"})), Scope()]
    with database.write() as conn:
        for site in ("s1", "s2", "s3"):
            directory.ensure_datasource(conn, site)
    for _ in range(8):
        with database.write() as conn:
            for _ in range(25):
                if draw.random() < 0.2:
                    calls.forget_call(conn, CallId(f"c{draw.randrange(60)}"))
                else:
                    calls.put_call(conn, drawn(draw, draw.randrange(60)), NOW)
        with database.read() as conn:
            for scope in scopes:
                for wanted in (
                    CallFilter(),
                    CallFilter(since=DAY, until=UnixMillis(DAY + 86_400_000)),
                    CallFilter(direction=Direction.INBOUND, site_id="s1"),
                    CallFilter(disposition=Disposition.ABANDONED),
                ):
                    for grain in GRAINS:
                        tallied, by_hand = counted_both_ways(conn, scope, wanted, grain)
                        assert tallied == by_hand, (wanted, grain)
    assert tallied.calls == 0
    with database.read() as conn:
        assert summary.summarise(conn, ALL, CallFilter(), summary.Grain(QUARTER_MS)).calls > 0


@pytest.mark.parametrize(
    "wanted",
    [
        CallFilter(since=UnixMillis(DAY + 1)),
        CallFilter(until=UnixMillis(DAY + QUARTER_MS - 1)),
        CallFilter(either=((CallFilter(site_id="s1"), CallFilter(site_id="s2")),)),
        CallFilter(party="01632960001"),
        CallFilter(rec=False),
    ],
)
def test_what_tallies_do_not_know_is_counted(database: Database, wanted: CallFilter) -> None:
    """An edge within a quarter of an hour, a number, a recording: the calls themselves are read."""
    draw = random.Random(5)  # noqa: S311  # as above
    with database.write() as conn:
        for site in ("s1", "s2", "s3"):
            directory.ensure_datasource(conn, site)
        for number in range(40):
            calls.put_call(conn, drawn(draw, number), NOW)
        conn.execute(text("UPDATE call_tallies SET calls = calls + 100"))
    with database.read() as conn:
        tallied, by_hand = counted_both_ways(conn, ALL, wanted, GRAINS[0])
        assert tallied == by_hand
        assert summary.summarise(conn, ALL, CallFilter(), summary.Grain(QUARTER_MS)).calls > 100


def test_a_group_is_counted_by_its_own_calls(database: Database) -> None:
    """Tallies know no people: somebody who sees a group is told of its calls, all and no other."""
    draw = random.Random(6)  # noqa: S311  # as above
    with database.write() as conn:
        for site in ("s1", "s2", "s3"):
            directory.ensure_datasource(conn, site)
        sales = directory.ensure_group(conn, "s1", "Sales")
        directory.set_user(conn, "s1", "2104", name="Priya Nair", group_id=sales)
        for number in range(60):
            made = drawn(draw, number)
            calls.put_call(conn, replace(made, extension="2104" if number % 2 else "2105"), NOW)
    with database.read() as conn:
        for scope in (
            Scope(group_ids=frozenset({sales})),
            Scope(group_ids=frozenset({sales}), site_ids=frozenset({"s2"})),
        ):
            tallied, by_hand = counted_both_ways(conn, scope, CallFilter(), GRAINS[0])
            assert tallied == by_hand
            assert 0 < tallied.calls < 60
        found = summary.summarise(conn, ALL, CallFilter(group_id=sales), summary.Grain(QUARTER_MS))
        assert 0 < found.calls < 30


def test_calls_of_before_are_counted_when_the_schema_is_brought_up(database_url: str) -> None:
    """And as they change afterwards."""
    opened = open_database(database_url)
    with opened.write() as conn:
        migrate.upgrade(conn, "0010")
    draw = random.Random(7)  # noqa: S311  # as above
    with opened.write() as conn:
        for site in ("s1", "s2", "s3"):
            directory.ensure_datasource(conn, site)
        for number in range(40):
            calls.put_call(conn, drawn(draw, number), NOW)
    opened.migrate()
    with opened.write() as conn:
        calls.forget_call(conn, CallId("c7"))
        calls.put_call(conn, drawn(draw, 8), NOW)
    with opened.read() as conn:
        tallied, by_hand = counted_both_ways(conn, ALL, CallFilter(), GRAINS[0])
    assert tallied == by_hand
    assert tallied.calls == 39
    opened.close()
