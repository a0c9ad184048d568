"""When schedules run, also on the days when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callreel.errors import BadRequest
from callreel.flows.timetable import When, checked_when, in_words, latest_until, next_after
from callreel.model import UnixMillis
from callreel.periods import local

DAY_MS = 86_400_000


def ms(text: str) -> UnixMillis:
    """An instant in UTC."""
    return UnixMillis(round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000))


def runs(when: When, after: str, count: int) -> list[str]:
    """The runs behind an instant, in UTC."""
    at, found = ms(after), []
    for _ in range(count):
        at = next_after(when, at)
        found.append(datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    return found


def test_a_daily_run_keeps_its_local_time_when_clocks_change() -> None:
    """London: 07:00 is 07:00 UTC in winter and 06:00 UTC in summer."""
    when = When("daily", None, 420, "Europe/London")
    assert runs(when, "2026-03-27T12:00", 3) == [
        "2026-03-28T07:00:00",
        "2026-03-29T06:00:00",
        "2026-03-30T06:00:00",
    ]


def test_a_time_that_does_not_exist_runs_at_the_next_that_does() -> None:
    """London has no 01:30 on 29 March 2026: it runs at 02:00, which is 01:00 UTC, and only then."""
    when = When("daily", None, 90, "Europe/London")
    assert runs(when, "2026-03-28T00:00", 3) == [
        "2026-03-28T01:30:00",
        "2026-03-29T01:00:00",
        "2026-03-30T00:30:00",
    ]


def test_a_time_that_comes_twice_runs_once_at_the_first() -> None:
    """London has 01:30 twice on 25 October 2026."""
    when = When("daily", None, 90, "Europe/London")
    assert runs(when, "2026-10-24T12:00", 2) == ["2026-10-25T00:30:00", "2026-10-26T01:30:00"]


def test_a_midnight_that_does_not_exist_runs_when_the_day_begins() -> None:
    """Cairo goes from 00:00 to 01:00 on 24 April 2026."""
    when = When("daily", None, 0, "Africa/Cairo")
    assert runs(when, "2026-04-22T12:00", 3) == [
        "2026-04-22T22:00:00",
        "2026-04-23T22:00:00",
        "2026-04-24T21:00:00",
    ]


def test_a_change_of_half_an_hour_is_found_to_the_second() -> None:
    """Lord Howe goes from 02:00 to 02:30 on 4 October 2026."""
    when = When("daily", None, 135, "Australia/Lord_Howe")
    assert runs(when, "2026-10-02T18:00", 2) == ["2026-10-03T15:30:00", "2026-10-04T15:15:00"]


def test_weekly_and_monthly_runs_are_on_their_days() -> None:
    """The last day of a shorter month stands for one that it has not."""
    assert runs(When("weekly", 0, 420, "UTC"), "2026-11-23T07:00", 2) == [
        "2026-11-30T07:00:00",
        "2026-12-07T07:00:00",
    ]
    assert runs(When("monthly", 31, 0, "UTC"), "2027-12-31T00:00", 4) == [
        "2028-01-31T00:00:00",
        "2028-02-29T00:00:00",
        "2028-03-31T00:00:00",
        "2028-04-30T00:00:00",
    ]


def test_what_was_missed_is_made_up_for_the_last_moment() -> None:
    """Three days without a server: one run, for the newest of the three."""
    when = When("daily", None, 420, "UTC")
    first = ms("2026-11-20T07:00")
    assert latest_until(when, first, ms("2026-11-23T06:59")) == ms("2026-11-22T07:00")
    assert latest_until(when, first, ms("2026-11-23T07:00")) == ms("2026-11-23T07:00")
    assert latest_until(when, first, first) == first


ZONES = ("Europe/London", "America/Havana", "Africa/Cairo", "Australia/Lord_Howe", "Asia/Kolkata")


@given(
    st.integers(0, 1439),
    st.sampled_from(ZONES),
    st.integers(ms("2024-01-01"), ms("2030-01-01")),
)
def test_there_is_one_run_for_each_day(minute: int, zone: str, start: int) -> None:
    """Never two on one date, never a date without, never more than a few hours off a day apart."""
    when, at = (
        When("daily", None, minute, zone),
        next_after(When("daily", None, minute, zone), UnixMillis(start)),
    )
    for _ in range(10):
        following = next_after(when, at)
        assert abs(following - at - DAY_MS) <= 2 * 3_600_000
        first, second = (local(each, ZoneInfo(zone)).date() for each in (at, following))
        assert (second - first).days == 1
        assert next_after(when, UnixMillis(following - 1)) == following
        at = following


@pytest.mark.parametrize(
    ("every", "day", "minute", "zone", "named"),
    [
        ("hourly", None, 0, "UTC", "every"),
        ("daily", 1, 0, "UTC", "day"),
        ("weekly", None, 0, "UTC", "day"),
        ("weekly", 7, 0, "UTC", "day"),
        ("monthly", 0, 0, "UTC", "day"),
        ("monthly", 32, 0, "UTC", "day"),
        ("daily", None, 1440, "UTC", "at"),
        ("daily", None, -1, "UTC", "at"),
        ("daily", None, 0, "Mars/Base", "zone"),
        ("daily", None, 0, "Factory", "zone"),
        ("daily", None, 0, "", "zone"),
        ("daily", None, 0, "../UTC", "zone"),
    ],
)
def test_a_timetable_that_cannot_be_kept_is_refused(
    every: str, day: int | None, minute: int, zone: str, named: str
) -> None:
    """By name."""
    with pytest.raises(BadRequest, match=f"^{named}"):
        checked_when(every, day, minute, zone)


def test_a_timetable_is_told_in_words() -> None:
    """With its zone, since that is what people get wrong."""
    zone = "Europe/London"
    assert in_words(checked_when("daily", None, 425, zone)) == "every day at 07:05 (Europe/London)"
    assert in_words(checked_when("weekly", 4, 0, zone)) == "every Friday at 00:00 (Europe/London)"
    assert in_words(checked_when("monthly", 1, 0, zone)).startswith("on day 1 of every month")
