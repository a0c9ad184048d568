"""Where counting takes too long it is said about how many there are, and that is about right."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, insert

from callreel.db import directory, estimate, summary
from callreel.db.call_filter import CallFilter
from callreel.db.database import Database
from callreel.db.schema import call_records
from callreel.db.tally_tables import QUARTER_MS
from callreel.db.terms import Field, Term
from callreel.model import Direction, Disposition, Scope, UnixMillis
from callreel.periods import offsets
from tests.contracts.records import ALL, NOW

DAY_MS = 86_400_000
DAYS = 20
FIRST = UnixMillis(NOW // DAY_MS * DAY_MS)
LAST = UnixMillis(FIRST + DAYS * DAY_MS)
CALLS = 6000
DAILY = summary.Grain(DAY_MS, tuple(offsets(FIRST, LAST, ZoneInfo("Europe/London"))))


@pytest.fixture
def conn(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """Calls of three weeks, most in office hours, on whole seconds; a quarter is read."""
    draw = random.Random(5)  # noqa: S311  # a test, no secret
    with database.write() as conn:
        for site in ("s1", "s2"):
            directory.ensure_datasource(conn, site)
        conn.execute(insert(call_records), [drawn(draw, number) for number in range(CALLS)])
    monkeypatch.setattr(estimate, "SAMPLE_CALLS", CALLS // 4)
    with database.read() as conn:
        yield conn


def drawn(draw: random.Random, number: int) -> dict[str, object]:
    """A row of a call."""
    hour = round(min(23.9, max(0.0, draw.gauss(13, 3))), 3)
    second = draw.choice([0, draw.randrange(3600)])
    return {
        "id": f"c{number}",
        "site_id": "s1" if draw.random() < 0.7 else "s2",
        "datasource": "s1",
        "started_at": FIRST + draw.randrange(DAYS) * DAY_MS + int(hour) * 3_600_000 + second * 1000,
        "duration_s": draw.uniform(0, 900),
        "direction": draw.choice(list(Direction)[:3]).value,
        "from_number": f"01632960{draw.randrange(1000):03}",
        "to_number": "07700900002",
        "extension": None,
        "disposition": (
            Disposition.ABANDONED if draw.random() < 0.1 else Disposition.ANSWERED
        ).value,
        "created_at": 0,
        "caller_name": draw.choice(["", "Ann Ash"]),
    }


WANTED = [
    CallFilter(),
    CallFilter(at_least_s=300.0),
    CallFilter(terms=(Term(Field.ANY, "ash"),)),
    CallFilter(terms=(Term(Field.ANY, "ash", wanted=False),), direction=Direction.INBOUND),
    CallFilter(since=UnixMillis(FIRST + 3 * DAY_MS + 77), until=UnixMillis(FIRST + 15 * DAY_MS)),
]


@pytest.mark.parametrize("wanted", WANTED)
@pytest.mark.parametrize("scope", [ALL, Scope(site_ids=frozenset({"s2"}))])
def test_an_estimate_is_about_what_is_counted(
    conn: Connection, scope: Scope, wanted: CallFilter
) -> None:
    """The total, the talk, each day, and each kind of call."""
    counted = summary.summarise(conn, scope, wanted, DAILY)
    about = estimate.estimate(conn, scope, wanted, DAILY)
    assert counted.sampled == 0
    assert 0 < about.sampled < CALLS / 2
    # Of a few hundred only one digit is said.
    assert about.calls == pytest.approx(counted.calls, rel=0.2 if counted.calls > 500 else 0.33)
    assert about.talk_s == pytest.approx(counted.talk_s, rel=0.25)
    assert sum(each.calls for each in about.buckets) == pytest.approx(counted.calls, rel=0.2)
    assert {each.starts_at // DAY_MS for each in about.buckets} <= {
        each.starts_at // DAY_MS for each in counted.buckets
    }
    for kind in Direction:
        of_kind = [
            sum(each.calls for each in found.buckets if each.direction is kind)
            for found in (about, counted)
        ]
        assert of_kind[0] == pytest.approx(of_kind[1], rel=0.3, abs=60)


def test_what_is_not_within_the_scope_is_not_estimated_either(conn: Connection) -> None:
    """Nobody learns from the bars how much others telephone."""
    assert estimate.estimate(conn, Scope(), CallFilter(), DAILY).calls == 0
    assert estimate.estimate(conn, Scope(), CallFilter(), DAILY).buckets == ()


def test_a_total_has_no_more_digits_than_are_known(conn: Connection) -> None:
    """Two where many were found, one where few were."""
    many = estimate.estimate(conn, ALL, CallFilter(), DAILY)
    assert many.calls % 100 == 0
    few = estimate.estimate(conn, ALL, CallFilter(at_least_s=850.0), DAILY)
    assert 100 < few.calls < 1000
    assert few.calls % 100 == 0


def test_few_calls_are_counted(conn: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all of a period are no more than a sample would be."""
    day = CallFilter(since=FIRST, until=UnixMillis(FIRST + DAY_MS), at_least_s=60.0)
    assert estimate.estimate(conn, ALL, day, DAILY) == summary.summarise(conn, ALL, day, DAILY)
    monkeypatch.setattr(estimate, "SAMPLE_CALLS", 10)
    assert estimate.estimate(conn, ALL, day, DAILY).sampled > 0


def test_the_period_of_an_estimate_holds_every_call(conn: Connection) -> None:
    """To the quarter of an hour; that of a period without calls is none."""
    for wanted in WANTED:
        found, exact = estimate.extent(conn, ALL, wanted), summary.extent(conn, ALL, wanted)
        assert found is not None
        assert exact is not None
        assert exact[0] - QUARTER_MS < found[0] <= exact[0] or wanted.terms or wanted.at_least_s
        assert found[1] >= exact[1]
    before = replace(WANTED[0], until=UnixMillis(FIRST - DAY_MS))
    assert estimate.extent(conn, ALL, before) is None
    assert estimate.extent(conn, Scope(), WANTED[0]) is None
    assert estimate.estimate(conn, ALL, before, DAILY).calls == 0
