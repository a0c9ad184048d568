"""Jobs: made in the name of their owner, told honestly, cancelled at once, taken up again."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from zoneinfo import ZoneInfo

import openpyxl
import pytest

from callreel.db import audit, jobs, users
from callreel.db.call_filter import CallFilter
from callreel.db.clock_times import ClockTime
from callreel.db.database import Database
from callreel.db.jobs import JobState
from callreel.db.terms import Field, Term
from callreel.errors import (
    BadRequest,
    Forbidden,
    Gone,
    NotFound,
    NotReady,
    TooManyRequests,
)
from callreel.flows.call_export import CallExport
from callreel.flows.filters import filter_of, filter_parameters, filter_words
from callreel.flows.making import Made, Order
from callreel.flows.report_files import report_kinds
from callreel.model import Direction, Disposition, Role, Scope, UnixMillis
from callreel.web.pages.words import catalog
from tests.flows.jobbing import NOW, Office, Steps, write_calls

ROOT = Path(__file__).parents[2]


@pytest.fixture
def office(database: Database, tmp_path: Path) -> Office:
    """Two and a half pages of calls, on each kind of database."""
    write_calls(database, 2500)
    return Office(database, tmp_path / "jobs", **report_kinds(database))


def rows_of(text: str) -> list[dict[str, str]]:
    """Rows of CSV by their titles."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_an_export_holds_each_call_once_newest_first(office: Office) -> None:
    """Across pages, and across calls that began at the same moment."""
    ann = office.user()
    job_id = office.ask(ann)
    assert [(w.job_id, w.state) for w in office.work()] == [(job_id, JobState.DONE)]
    rows = rows_of(office.text(ann, job_id))
    assert [row["id"] for row in rows] == [f"cs1{n:08}" for n in reversed(range(2500))]
    job = office.jobs.one(ann, job_id)
    assert (job.done_count, job.total_count, job.told) == (2500, 2500, "2,500 rows.")


def test_an_export_is_the_list_that_was_filtered(office: Office) -> None:
    """All that the filter says holds in the file."""
    ann = office.user()
    wanted = CallFilter(ext="2007", direction=Direction.OUTBOUND)
    job_id = office.ask(ann, filter=filter_parameters(wanted))
    office.work()
    rows = rows_of(office.text(ann, job_id))
    assert [row["id"] for row in rows] == [
        f"cs1{n:08}" for n in reversed(range(2500)) if n % 50 == 7 and n % 3 == 0
    ]


def test_an_export_for_spreadsheets_has_no_formula(office: Office) -> None:
    """Numbers begin with a plus, and one caller sent a formula."""
    ann = office.user()
    job_id = office.ask(ann, format="csv-spreadsheet", zone="Europe/London")
    office.work()
    rows = rows_of(office.text(ann, job_id))
    assert {row["To"] for row in rows} == {"'=1+1", "02079460000"}
    assert all(row["From"].startswith("'+44") for row in rows)


def test_an_export_as_a_workbook_says_what_it_is(office: Office) -> None:
    """Scope, period and filters on the first sheet, all rows on the second."""
    ann = office.user(reach=Scope(site_ids=frozenset({"s1"})))
    job_id = office.ask(ann, format="xlsx", period="2026-05", filter={"ext": "2007"})
    office.work()
    path = office.jobs.file(ann, job_id, address=None).path
    book = openpyxl.load_workbook(path)
    assert list(book["About"].iter_rows(min_row=2, values_only=True)) == [
        ("Scope", "s1"),
        ("Period", "May 2026"),
        ("Filters", "extension: 2007"),
        ("Sorted", "newest first"),
        ("Time zone", "UTC"),
    ]
    assert book["Calls"].max_row == 51


def test_what_became_of_a_job_can_be_said_in_german(office: Office) -> None:
    """What was made, and why nothing was; a command says it in English."""
    ann = office.user(role=Role.ADMINISTRATOR)
    made = office.ask(ann)
    refused = office.ask(ann, "report-agents", site="Nowhere")
    while office.work():
        pass
    told = {each: office.jobs.one(ann, each).told or "" for each in (made, refused)}
    assert told == {made: "2,500 rows.", refused: "site: there is no 'Nowhere' here."}
    assert [catalog("de").translated(each) for each in told.values()] == [
        "2.500 Zeilen.",
        "site: 'Nowhere' gibt es hier nicht.",
    ]


def test_a_count_that_would_cost_as_much_as_the_work_is_not_promised(
    database: Database, tmp_path: Path
) -> None:
    """Rows that are done, and no total that is guessed."""
    write_calls(database, 300)
    seen: list[int | None] = []

    class Looked(CallExport):
        """Looks at the job while it is made."""

        def make(self, order: Order) -> Made:
            """Make it."""
            made = super().make(order)
            seen.append(office.jobs.own(ann)[0].total_count)
            return made

    office = Office(database, tmp_path / "jobs", looked=Looked(database))
    ann = office.user()
    office.ask(ann, "looked", filter={"party": "*00"})
    office.work()
    assert seen == [None]


def test_a_job_holds_what_its_owner_reaches_when_it_runs(office: Office) -> None:
    """Not what they reached when they asked."""
    write_calls(office.db, 10, site="s2")
    ann = office.user(reach=Scope(site_ids=frozenset({"s1", "s2"})))
    job_id = office.ask(ann)
    with office.db.write() as conn:
        users.set_reach(conn, ann.web_user_id, Scope(site_ids=frozenset({"s2"})))
    office.work()
    assert office.jobs.one(ann, job_id).done_count == 10


def test_a_user_who_was_disabled_meanwhile_gets_nothing(office: Office) -> None:
    """The right is read again when the job runs."""
    ann = office.user()
    office.ask(ann)
    with office.db.write() as conn:
        users.disable(conn, "ann", NOW)
    (worked,) = office.work()
    assert worked.state is JobState.FAILED
    assert "disabled" in worked.told
    assert office.folders() == []


def test_a_user_who_is_disabled_while_it_runs_gets_nothing(
    database: Database, tmp_path: Path
) -> None:
    """Also in the middle."""

    def steps() -> Iterator[object]:
        """Shut the owner out after the first row."""
        yield 1
        with database.write() as conn:
            users.disable(conn, "ann", NOW)
        yield 2

    office = Office(database, tmp_path / "jobs", steps=Steps(steps()))
    office.ask(office.user(), "steps")
    (worked,) = office.work()
    assert worked.state is JobState.FAILED
    assert office.folders() == []


def test_a_file_is_not_given_to_somebody_who_may_see_less_by_now(office: Office) -> None:
    """And the refusal is in the audit log; who reaches it again gets it."""
    ann = office.user()
    job_id = office.ask(ann)
    office.work()
    less = Scope(site_ids=frozenset({"s1"}))
    now = type(ann)(ann.web_user_id, ann.username, ann.role, less, "basic")
    with pytest.raises(Forbidden, match="ask for it again"):
        office.jobs.file(now, job_id, address="192.0.2.1")
    assert office.jobs.file(ann, job_id, address="192.0.2.1").size_bytes > 0
    with office.db.read() as conn:
        told = [(e.action, e.decision, e.address) for e in audit.entries(conn, object_id=job_id)]
    assert told == [
        ("job.submit", "allowed", None),
        ("job.download", "forbidden", "192.0.2.1"),
        ("job.download", "allowed", "192.0.2.1"),
    ]


def test_the_job_of_another_looks_like_none(office: Office) -> None:
    """Neither seen, nor cancelled, nor fetched."""
    ann, bob = office.user(), office.user("bob", Role.ADMINISTRATOR)
    job_id = office.ask(ann)
    for attempt in (
        lambda: office.jobs.one(bob, job_id),
        lambda: office.jobs.cancel(bob, job_id),
        lambda: office.jobs.file(bob, job_id, address=None),
    ):
        with pytest.raises(NotFound):
            attempt()
    assert office.jobs.own(bob) == ()


def test_somebody_who_sees_nothing_cannot_ask(office: Office) -> None:
    """Told at once, not when the job runs."""
    with pytest.raises(Forbidden):
        office.ask(office.user(reach=Scope()))


@pytest.mark.parametrize(
    ("kind", "parameters", "named"),
    [
        ("cals", {}, "kind"),
        ("calls", {"colour": "csv"}, "colour"),
        ("calls", {"format": "pdf"}, "format"),
        ("calls", {"format": ["csv"]}, "format"),
        ("calls", {"sort": "random"}, "sort"),
        ("calls", {"sort": ["oldest"]}, "sort"),
        ("calls", {"zone": "Mars/Base"}, "zone"),
        ("calls", {"zone": "localtime"}, "zone"),
        ("calls", {"zone": "../../etc/passwd"}, "zone"),
        ("calls", {"zone": ""}, "zone"),
        ("calls", {"period": "often"}, "period"),
        ("calls", {"period": 7}, "period"),
        ("calls", {"filter": "x"}, "filter"),
        ("calls", {"filter": {"colour": "red"}}, "colour"),
        ("calls", {"filter": {"rec": 1}}, "filter.rec"),
        ("calls", {"filter": {"since": True}}, "filter.since"),
        ("calls", {"filter": {"direction": "up"}}, "filter.direction"),
        ("calls", {"filter": {"at_least_s": "x"}}, "filter.at_least_s"),
        ("calls", {"filter": {"terms": "x"}}, "filter.terms"),
        ("calls", {"filter": {"terms": [{"field": "x", "text": "y"}]}}, "filter.terms"),
        ("calls", {"filter": {"party": "9" * 30_000}}, "parameters"),
    ],
)
def test_wrong_parameters_are_named(
    office: Office, kind: str, parameters: dict[str, object], named: str
) -> None:
    """Before anything is stored."""
    ann = office.user()
    with pytest.raises(BadRequest, match=named):
        office.ask(ann, kind, **parameters)
    assert office.jobs.own(ann) == ()


def test_nobody_can_queue_without_end(office: Office) -> None:
    """Five each; another's count for nothing."""
    ann, bob = office.user(), office.user("bob")
    for _ in range(5):
        office.ask(ann)
    with pytest.raises(TooManyRequests, match="cancel one"):
        office.ask(ann)
    office.ask(bob)
    office.jobs.cancel(ann, office.jobs.own(ann)[0].id)
    office.ask(ann)


def test_a_job_that_waits_is_not_ready_and_one_without_file_is_not_found(office: Office) -> None:
    """Each state says what it is."""
    ann = office.user()
    job_id = office.ask(ann)
    with pytest.raises(NotReady):
        office.jobs.file(ann, job_id, address=None)
    assert office.jobs.cancel(ann, job_id).state is JobState.CANCELLED
    with pytest.raises(NotFound, match="made no file"):
        office.jobs.file(ann, job_id, address=None)
    assert office.work() == []


def test_after_a_week_job_and_file_are_erased(office: Office) -> None:
    """And before that nothing is."""
    ann = office.user()
    job_id = office.ask(ann)
    office.work()
    assert office.folders() != []
    office.now = UnixMillis(NOW + jobs.KEPT_MS - 1)
    assert office.jobs.file(ann, job_id, address=None)
    office.now = UnixMillis(NOW + jobs.KEPT_MS)
    with pytest.raises(Gone, match="after a week"):
        office.jobs.file(ann, job_id, address=None)
    office.worker._erased_at = float("-inf")
    (office.folder / "not ours").mkdir()
    office.work()
    assert office.folders() == ["not ours"]
    with pytest.raises(NotFound):
        office.jobs.one(ann, job_id)


def test_files_are_their_servers_alone(office: Office) -> None:
    """Calls of everybody, on a disk that others may read."""
    before = os.umask(0)
    try:
        ann = office.user()
        ids = [office.ask(ann, format=form) for form in ("csv", "csv-spreadsheet", "xlsx")]
        office.work()
    finally:
        os.umask(before)
    for job_id in ids:
        path = office.jobs.file(ann, job_id, address=None).path
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert office.folder.stat().st_mode & 0o777 == 0o700


def test_parameters_come_back_as_they_were_understood(office: Office) -> None:
    """A page can show what a job is of."""
    ann = office.user()
    job = office.jobs.one(ann, office.ask(ann, filter={"ext": "2007", "party": None}))
    assert json.loads(json.dumps(job.parameters)) == {
        "filter": {"ext": "2007"},
        "format": "csv",
        "sort": "newest",
        "zone": "UTC",
    }


def test_any_filter_comes_back_from_its_parameters_as_it_was() -> None:
    """Whatever field there is: one that were forgotten would export calls that nobody asked for."""
    wanted = CallFilter(
        since=UnixMillis(1),
        until=UnixMillis(2),
        party="0161*",
        ext="2007",
        direction=Direction.INBOUND,
        datasource="s1",
        rec=True,
        mask=False,
        proposed=False,
        terms=(Term(Field.AGENT, "priya"), Term(Field.GRP, "sales", wanted=False)),
        site_id="s1",
        group_id="g1",
        disposition=Disposition.ABANDONED,
        at_least_s=1.5,
        at_most_s=60,
        noted=True,
        clock=ClockTime(ZoneInfo("Europe/London"), UnixMillis(1), UnixMillis(2), 540, 570, 0),
        during=UnixMillis(3),
        either=(
            (CallFilter(group_id="g1"), CallFilter(group_id="g2")),
            (CallFilter(ext="1"), CallFilter(terms=(Term(Field.AGENT, "x"),))),
        ),
    )
    assert all(getattr(wanted, each.name) not in {None, ()} for each in fields(CallFilter))
    assert filter_of(json.loads(json.dumps(filter_parameters(wanted)))) == wanted
    assert filter_parameters(CallFilter()) == {}
    told = filter_words(wanted)
    assert "number: 0161*; extension: 2007; direction: inbound" in told
    assert "with notes: yes" in told
    assert "; group: g1 or group: g2; extension: 1 or agent:x; " in told
    assert told.endswith("agent:priya; -grp:sales")
