"""What may be asked of reports, by whom, and what is refused."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callreel.db import directory, playbacks, users
from callreel.db.audit import AuditEntry, append
from callreel.db.database import Database
from callreel.db.schema import spans
from callreel.errors import BadRequest, NotFound
from callreel.flows.report_kinds import shape
from callreel.flows.report_kinds.lines import peaks
from callreel.flows.report_kinds.shape import percentile
from callreel.flows.reports import KINDS, Reports
from callreel.model import RecordingId, Role, Scope, Span, SpanSource, UnixMillis
from callreel.periods import local, parse_period, recurring
from tests.contracts.records import NOW as SIGNALLED
from tests.contracts.records import CallPlan, mask, send, write_call
from tests.flows.report_town import (
    LONDON,
    NOW,
    PERIOD,
    Town,
    build,
    plain_calls,
    played,
    principal,
)

HOUR = 3_600_000


@pytest.fixture
def reports(database: Database) -> Reports:
    """Reports over a database that a test fills."""
    return Reports(database, lambda: NOW)


@pytest.fixture
def town(database: Database) -> Town:
    """200 calls."""
    return build(database, plain_calls(3, 200))


def counted(reports: Reports, scope: Scope, **asked: str) -> int:
    """How many calls somebody has in a report."""
    report = reports.make(principal(reach=scope), "agents", {"period": PERIOD, **asked})
    return 0 if report.table.total is None else int(report.table.total[4] or 0)


@pytest.mark.parametrize("role", Role)
def test_each_role_has_its_reports(reports: Reports, role: Role) -> None:
    """Who listened is for those who answer for it, what waits for a person not for programs."""
    missing = {kind.slug for kind in KINDS} - {each.slug for each in reports.kinds(principal(role))}
    expected = {
        Role.ADMINISTRATOR: set(),
        Role.COMPLIANCE: set(),
        Role.AUDITOR: set(),
        Role.SUPERVISOR: {"playback-audit"},
        Role.INTEGRATOR: {"playback-audit", "masking-exceptions"},
    }
    assert missing == expected[role]
    for slug in missing:
        with pytest.raises(NotFound) as refused:
            reports.make(principal(role), slug, {})
        with pytest.raises(NotFound) as absent:
            reports.make(principal(role), "no-such", {})
        assert refused.value.message.replace(slug, "no-such") == absent.value.message


@pytest.mark.parametrize("kind", [kind.slug for kind in KINDS])
def test_a_report_of_nothing_says_so(reports: Reports, kind: str) -> None:
    """No rows, no total, no chart, and still what was asked."""
    report = reports.make(principal(Role.AUDITOR), kind, {"period": "yesterday"})
    assert report.is_empty
    assert (report.table.rows, report.table.total, report.chart) == ((), None, None)
    told = "yesterday, Tuesday 27 October 2026"
    if kind == "year-on-year":
        # Whole years, whatever day was named.
        told = "1 January 2025 to 31 December 2026"
    assert report.table.facts[0] == ("Period", told)
    assert report.headline


def test_somebody_counts_only_what_is_theirs(reports: Reports, town: Town) -> None:
    """By site and by group, alone and together; nothing for those who reach nothing."""
    both = town.groups[town.users["north", "201"]], town.groups[town.users["south", "201"]]
    sales, support = (frozenset({each}) for each in both)
    period = parse_period(PERIOD, NOW, LONDON)
    window: dict[str, str | int] = {"since": period.since, "until": period.until}
    north = len(town.matching({**window, "site": "north"}))
    of_sales = len(town.matching({**window, "grp": both[0]}))
    of_support = len(town.matching({**window, "grp": both[1]}))
    assert north > of_sales > 0
    assert counted(reports, Scope(site_ids=frozenset({"north"}))) == north
    assert counted(reports, Scope(group_ids=sales)) == of_sales
    assert counted(reports, Scope(group_ids=sales), site="north") == of_sales
    assert counted(reports, Scope(site_ids=frozenset({"north"}), group_ids=support)) == (
        north + of_support
    )
    assert counted(reports, Scope()) == 0


@pytest.mark.parametrize(
    "asked", [{"site": "south"}, {"group": "south/Support"}, {"agent": "Omar"}, {"agent": "305"}]
)
def test_what_is_not_yours_looks_as_what_is_not_there(
    reports: Reports, town: Town, asked: dict[str, str]
) -> None:
    """The two messages are one."""
    assert town.calls
    somebody = principal(reach=Scope(site_ids=frozenset({"north"})))
    ((name, value),) = asked.items()
    with pytest.raises(BadRequest) as theirs:
        reports.make(somebody, "agents", asked)
    with pytest.raises(BadRequest) as nowhere:
        reports.make(somebody, "agents", {name: "nowhere"})
    assert theirs.value.message.replace(value, "nowhere") == nowhere.value.message


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"sort": "calls"}, "'sort' is not a parameter of agents; known: period, from"),
        ({"limit": "5"}, "'limit' is not a parameter of agents"),
        ({"period": "soon"}, "period: 'soon' is not a period; use today"),
        ({"period": "400d"}, "period: 400d is more than the 366 days"),
        ({"period": "7d", "from": "2026"}, "period: goes without from and to"),
        ({"to": "2026"}, "to: goes with from"),
        ({"zone": "Nowhere/Town"}, "zone: 'Nowhere/Town' is not a time zone"),
        ({"zone": "../../etc/passwd"}, "zone: '../../etc/passwd' is not a time zone"),
        ({"zone": ""}, "zone: '' is not a time zone"),
        ({"zone": "localtime"}, "zone: 'localtime' is not a time zone"),
        ({"dir": "up"}, "dir: must be one of inbound"),
        ({"agent": "201"}, "agent: 2 are called '201': "),
        ({"group": "Support"}, "group: 2 are called 'Support': "),
        ({"site": "' OR 1=1 --"}, "site: there is no"),
    ],
)
def test_a_question_that_cannot_be_read_is_named(
    reports: Reports, town: Town, asked: dict[str, str], message: str
) -> None:
    """With what is wrong about it."""
    assert town.calls
    with pytest.raises(BadRequest, match=f"^{message}"):
        reports.make(principal(), "agents", asked)


@pytest.mark.parametrize("text", ["0", "-1", "1001", "ten", "", "9" * 400])
def test_a_limit_is_a_number_within_bounds(reports: Reports, text: str) -> None:
    """And it is told which."""
    with pytest.raises(BadRequest, match="limit: must be a number from 1 to 1000"):
        reports.make(principal(), "top-calls", {"limit": text})


def test_a_report_of_too_many_rows_is_refused(
    reports: Reports, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not cut off: half of a report would be taken for the whole."""
    assert town.calls
    monkeypatch.setattr(shape, "MAX_ROWS", 3)
    with pytest.raises(BadRequest, match="more than 3 rows; choose a shorter period"):
        reports.make(principal(), "agents", {"period": PERIOD})


def test_a_report_that_takes_too_long_is_ended(database: Database) -> None:
    """It says what to do."""
    build(database, plain_calls(4, 3000))
    reports = Reports(database, lambda: NOW, limit_s=0.001)
    with pytest.raises(BadRequest, match=r"longer than 0\.001 s; choose a shorter period"):
        reports.make(principal(), "call-analysis", {"period": "2026"})


def test_a_year_with_a_leap_day_fits_into_a_year(reports: Reports) -> None:
    """So does a year in which clocks went back."""
    for year in ("2024", "2026"):
        assert reports.make(principal(), "agents", {"period": year}).is_empty


def test_times_are_those_of_the_sites_where_they_agree(reports: Reports, town: Town) -> None:
    """Else UTC, unless one is asked for."""
    assert town.calls
    assert reports.make(principal(), "agents", {}).zone.key == "Europe/London"
    asked = {"zone": "Asia/Kolkata"}
    assert reports.make(principal(), "agents", asked).zone.key == "Asia/Kolkata"


def test_times_of_sites_that_differ_are_utc(reports: Reports, database: Database) -> None:
    """A site that is chosen decides."""
    with database.write() as conn:
        for name, zone in (("a", "Europe/Paris"), ("b", "Asia/Tokyo")):
            site = directory.ensure_site(conn, name)
            values = {field: getattr(site, field) for field in site.__slots__}
            directory.set_site(conn, directory.Site(**{**values, "timezone": zone}))
    assert reports.make(principal(), "agents", {}).zone.key == "UTC"
    assert reports.make(principal(), "agents", {"site": "b"}).zone.key == "Asia/Tokyo"


def sat_down(database: Database, recording_id: str, at: int) -> None:
    """A sitting at the player, as the flow writes it: its row, and one in the audit log."""
    with database.write() as conn:
        user_id = users.add_user(conn, "ann", Role.INTEGRATOR, "h", Scope(), NOW)
        sitting = playbacks.Playback(
            id="p0123456789abcdef",
            name="p0",
            seat="s",
            recording_id=RecordingId(recording_id),
            call_id=None,
            web_user_id=user_id,
            label="Court",
            mask_revision=1,
            address="192.0.2.9",
            started_at=UnixMillis(at),
            heard_at=UnixMillis(at),
        )
        playbacks.begin(conn, sitting)
        told = [(1.0, 3.0), (60.0, 61.0)]
        later = UnixMillis(at + 20_000)
        playbacks.add(conn, sitting.id, later, heard=told, sent=[(0.0, 70.0)], speed=1.5)
        detail = {"door": "player", "sitting": "p0", "format": "wav", "channel": "both"}
        append(
            conn,
            AuditEntry(
                UnixMillis(at), user_id, "sound.start", recording_id, "allowed", detail, None
            ),
        )


def test_playbacks_are_told_by_the_player_and_the_audit_log(
    reports: Reports, town: Town, database: Database
) -> None:
    """Who, what, when, from where; ends belong to their beginnings; the newest first."""
    north, south = (
        next(call for call in town.calls if call.recorded and call.site == site)
        for site in ("north", "south")
    )
    at = NOW - HOUR
    played(
        database,
        f"r{north.id}",
        (at, "sound.start", "w7", "192.0.2.7"),
        (at + 1000, "sound.start", "w7", "192.0.2.7"),
        (at + 5000, "sound.end", "w7", "192.0.2.7"),
        (at + 2000, "sound.start", "w8", "192.0.2.8"),
        (at + 2500, "token.issue", "w8", "192.0.2.8"),
    )
    played(database, f"r{south.id}", (at + 3000, "sound.start", "w7", "192.0.2.7"))
    played(database, "r-of-nobody", (at + 3000, "sound.start", "w7", "192.0.2.7"))
    sat_down(database, f"r{north.id}", at + 4000)
    report = reports.make(principal(Role.AUDITOR), "playback-audit", {"period": "today"})
    assert report.table.rows[0][:4] == (at + 4000, "Court (by ann)", "192.0.2.9", north.id)
    assert report.table.rows[0][8:] == (
        "player", "0:01 to 0:03, 1:00 to 1:01", "0:00 to 1:10", 20.0, None,
    )  # fmt: skip

    assert [(row[0], row[1], row[2], row[3], row[8], row[11], row[12])
            for row in report.table.rows[1:]] == [
        (at + 3000, "w7", "192.0.2.7", south.id, "token: mp3 both", None, None),
        (at + 2000, "w8", "192.0.2.8", north.id, "token: mp3 both", None, None),
        (at + 1000, "w7", "192.0.2.7", north.id, "token: mp3 both", None, None),
        (at, "w7", "192.0.2.7", north.id, "token: mp3 both", 5.0, 4321),
    ]  # fmt: skip
    assert report.headline == "Recordings were played 5 times by 3 users"
    assert report.links[1]["call"] == {"call": south.id}
    reach = Scope(site_ids=frozenset({"south"}))
    mine = reports.make(principal(Role.AUDITOR, reach), "playback-audit", {"period": "today"})
    assert [row[3] for row in mine.table.rows] == [south.id]


def test_what_waits_for_a_person_is_listed(database: Database) -> None:
    """A signal without its partner, one without a call, a proposal; not what is in order."""
    with database.write() as conn:
        for number in range(3):
            plan = CallPlan(f"c{number}", recording=f"r{number}", at_s=number * 600)
            write_call(conn, plan)
        proposal = {"id": "p1", "recording_id": "r2", "start_s": 1.0, "end_s": 2.0}
        conn.execute(
            spans.insert().values(
                source=SpanSource.DETECTOR.value, state="proposed", created_at=0, **proposal
            )
        )
    mask(database, "r0", Span(1, 2))
    send(database, "on", 610)
    send(database, "on", 10)
    send(database, "off", 20)
    send(database, "on", 5000)
    reports = Reports(database, lambda: SIGNALLED)
    asked = {"from": "2026-09-01", "to": "2026-09-30"}
    report = reports.make(principal(), "masking-exceptions", asked)
    assert [row[1] for row in report.table.rows] == [
        "mute on that belongs to no call",
        "proposed mask",
        "mute on without its partner",
    ]
    assert report.headline == (
        "1 signal without partner, 1 without call, 1 call with proposed masks"
    )
    elsewhere = principal(reach=Scope(site_ids=frozenset({"other"})))
    assert reports.make(elsewhere, "masking-exceptions", asked).is_empty


@given(
    waits=st.lists(st.integers(0, 50), max_size=60),
    part=st.integers(1, 100).map(lambda each: each / 100),
)
def test_a_percentile_is_the_nearest_rank(waits: list[int], part: float) -> None:
    """At least that part waited so long or shorter, and no shorter wait does."""
    found = percentile(Counter(waits), part)
    if not waits:
        assert found is None
        return
    needed = Fraction(round(part * 100), 100) * len(waits)
    assert found in waits
    assert sum(wait <= found for wait in waits) >= needed
    assert sum(wait < found for wait in waits) < needed


@pytest.mark.parametrize("seed", range(50))
def test_the_most_at_once_is_found_in_one_pass(seed: int) -> None:
    """As by looking at every instant; also of calls that meet, last no time or reach in."""
    draw = random.Random(seed)  # noqa: S311  # a test, no secret
    starts = sorted(draw.randrange(-10, 60) for _ in range(draw.randrange(30)))
    calls = [(start, start + draw.randrange(1, 15)) for start in starts]
    edges = [UnixMillis(each) for each in sorted({0, 50, *draw.choices(range(1, 50), k=5)})]
    found = peaks(iter(calls), edges)
    assert len(found) == len(edges) - 1
    for begin, end, peak in zip(edges, edges[1:], found, strict=False):
        at_once = {at: sum(start <= at < ended for start, ended in calls)
                   for at in range(begin, end)}  # fmt: skip
        assert peak.lines == max(at_once.values())
        assert at_once[peak.at] == peak.lines


def test_a_time_of_day_comes_back_as_instants() -> None:
    """What a link means by a time: on the day on which clocks go back an hour lasts two."""
    period = parse_period("2026-10-24..2026-10-26", NOW, LONDON)
    found = recurring(period, LONDON, 60, 120)
    assert [end - begin for begin, end in found] == [HOUR, 2 * HOUR, HOUR]
    assert {local(begin, LONDON).hour for begin, _ in found} == {1}
    assert recurring(period, LONDON, 60, 120, weekday=6) == [found[1]]
