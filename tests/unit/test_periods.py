"""Periods that people type, also on the days when clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callreel.errors import BadRequest
from callreel.model import UnixMillis
from callreel.periods import Period, instant_of, local, parse_period, start_of_day, words

LONDON = ZoneInfo("Europe/London")
HOUR = 3_600_000


def ms(text: str) -> UnixMillis:
    """An instant in UTC."""
    return UnixMillis(round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000))


NOW = ms("2026-11-23T17:39:32.123")


@pytest.mark.parametrize(
    ("text", "since", "until", "told"),
    [
        ("today", "2026-11-23", "2026-11-24", "today, Monday 23 November 2026"),
        (" Today ", "2026-11-23", "2026-11-24", "today, Monday 23 November 2026"),
        ("yesterday", "2026-11-22", "2026-11-23", "yesterday, Sunday 22 November 2026"),
        ("1d", "2026-11-23", "2026-11-24", "the last day, Monday 23 November 2026"),
        ("7d", "2026-11-17", "2026-11-24", "the last 7 days, 17 to 23 November 2026"),
        ("this-week", "2026-11-23", "2026-11-30", "this week, 23 to 29 November 2026"),
        ("last-week", "2026-11-16", "2026-11-23", "last week, 16 to 22 November 2026"),
        ("this-month", "2026-11-01", "2026-12-01", "this month, November 2026"),
        ("2026-12", "2026-12-01", "2027-01-01", "December 2026"),
        ("this-year", "2026-01-01", "2027-01-01", "this year, 2026"),
        ("last-year", "2025-01-01", "2026-01-01", "last year, 2025"),
        ("2025", "2025-01-01", "2026-01-01", "2025"),
        ("2024-02", "2024-02-01", "2024-03-01", "February 2024"),
        ("2024-02-29", "2024-02-29", "2024-03-01", "Thursday 29 February 2024"),
        ("2026-11-01..2026-11-15", "2026-11-01", "2026-11-16", "1 to 15 November 2026"),
        ("2026-11-20..", "2026-11-20", "2026-11-24", "20 to 23 November 2026"),
        ("2026-01..2026-02", "2026-01-01", "2026-03-01", "1 January to 28 February 2026"),
        ("2025-12-28 .. 2026-01-03", "2025-12-28", "2026-01-04",
         "28 December 2025 to 3 January 2026"),
        ("2026-11-23t09:00..2026-11-23T12:30", "2026-11-23T09:00", "2026-11-23T12:30",
         "23 November 2026 09:00 to 23 November 2026 12:30"),
    ],
)  # fmt: skip
def test_what_people_type_is_a_stretch_with_words(
    text: str, since: str, until: str, told: str
) -> None:
    """In winter London's days are those of UTC."""
    assert parse_period(text, NOW, LONDON) == Period(ms(since), ms(until), told)


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("2026-03-29", 23),
        ("2026-10-25", 25),
        ("2026-03", 31 * 24 - 1),
        ("2026-10", 31 * 24 + 1),
        ("2026", 365 * 24),
        ("2026-03-28..2026-03-30", 71),
    ],
)
def test_days_on_which_clocks_change_have_23_and_25_hours(text: str, hours: int) -> None:
    """London goes forward on 29 March 2026 and back on 25 October."""
    period = parse_period(text, NOW, LONDON)
    assert period.until - period.since == hours * HOUR


def test_yesterday_is_a_day_of_25_hours_when_clocks_went_back() -> None:
    """A day is not 24 hours less."""
    period = parse_period("yesterday", ms("2026-10-26T00:10"), LONDON)
    assert (period.since, period.until) == (ms("2026-10-24T23:00"), ms("2026-10-26T00:00"))


def test_a_day_that_has_no_midnight_begins_when_clocks_go_forward() -> None:
    """Cairo goes from 00:00 to 01:00 on 24 April 2026: no two days overlap, none is missing."""
    cairo = ZoneInfo("Africa/Cairo")
    before = parse_period("2026-04-23", NOW, cairo)
    after = parse_period("2026-04-24", NOW, cairo)
    assert before.until == after.since == ms("2026-04-23T22:00")
    assert after.until - after.since == 23 * HOUR
    assert after.words == "Friday 24 April 2026"


def test_a_midnight_that_comes_twice_begins_its_day_with_the_first() -> None:
    """Havana goes from 01:00 to 00:00 on 1 November 2026."""
    period = parse_period("2026-11-01", NOW, ZoneInfo("America/Havana"))
    assert period.since == ms("2026-11-01T04:00")
    assert period.until - period.since == 25 * HOUR


def test_which_day_is_today_depends_on_the_zone() -> None:
    """At 17:39 UTC it is tomorrow already in Auckland."""
    assert parse_period("today", NOW, ZoneInfo("Pacific/Auckland")).words == (
        "today, Tuesday 24 November 2026"
    )


def test_last_month_of_january_is_december() -> None:
    """Across the year."""
    assert parse_period("last-month", ms("2026-01-31T12:00"), LONDON).words == (
        "last month, December 2025"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        "..2026",
        "tomorrow",
        "0d",
        "-7d",
        "7",
        "7 d",
        "99999d",
        "٧d",  # noqa: RUF001  # a digit of another script is none here
        "2026-13",
        "2026-02-29",
        "2026-1-1",
        "0001",
        "1970",
        "9999",
        "0000-00-00",
        "2026-11-23T09:00",
        "2026-11-23T24:00..",
        "2026-11..2026-10",
        "2026-11-23T09:00..2026-11-23T09:00",
        "2026..2027..2028",
        "today; DROP TABLE calls",
        "\0",
        "x" * 10_000,
    ],
)
def test_anything_else_is_refused_by_name(text: str) -> None:
    """The message names the period, and stays short."""
    with pytest.raises(BadRequest, match=r"^period: ") as refused:
        parse_period(text, NOW, LONDON)
    assert len(refused.value.message) < 500


def test_a_refusal_names_what_is_accepted() -> None:
    """So that nobody has to look it up."""
    with pytest.raises(BadRequest, match=r"'soon' is not a period; use today, .*7d.*2026-11"):
        parse_period("soon", NOW, LONDON)


@given(
    at=st.integers(ms("1971-02-01"), ms("2090-01-01")),
    zone=st.sampled_from(["Europe/London", "America/St_Johns", "Australia/Lord_Howe", "UTC"]),
)
def test_an_instant_lies_in_its_own_day(at: int, zone: str) -> None:
    """And days follow each other without a gap."""
    place = ZoneInfo(zone)
    moment = local(UnixMillis(at), place)
    period = parse_period(moment.date().isoformat(), NOW, place)
    assert period.since <= at < period.until
    assert start_of_day(local(period.until, place).date(), place) == period.until
    assert instant_of(moment) == at


def test_a_stretch_that_is_no_whole_days_says_its_times() -> None:
    """In the zone that was asked for."""
    assert words(ms("2026-07-01T08:00"), ms("2026-07-02T00:00"), LONDON) == (
        "1 July 2026 09:00 to 2 July 2026 01:00"
    )
    assert start_of_day(date(2026, 7, 1), LONDON) == ms("2026-06-30T23:00")
