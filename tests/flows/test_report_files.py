"""Reports as jobs: the same numbers as elsewhere, in the name of who asked."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import openpyxl
import pytest

from callreel.db import users
from callreel.db.database import Database
from callreel.db.jobs import JobState
from callreel.errors import BadRequest, Forbidden
from callreel.flows.report_files import FORMATS, report_kinds
from callreel.flows.reports import KINDS, Reports
from callreel.model import Role
from tests.documents.pdf_text import pdf_pages
from tests.flows.jobbing import Office
from tests.flows.report_town import NOW, PERIOD, build, plain_calls


@pytest.fixture
def office(database: Database, tmp_path: Path) -> Office:
    """A town of 200 calls."""
    build(database, plain_calls(3, 200))
    office = Office(database, tmp_path / "jobs", **report_kinds(database))
    office.now = NOW
    return office


@pytest.mark.parametrize("kind", [each.slug for each in KINDS])
def test_a_report_as_a_job_has_the_rows_of_the_report(office: Office, kind: str) -> None:
    """Each kind, by somebody who may have them all."""
    ann = office.user(role=Role.ADMINISTRATOR)
    job_id = office.ask(ann, f"report-{kind}", format="csv", period=PERIOD)
    (worked,) = office.work()
    assert worked.state is JobState.DONE, worked.told
    report = Reports(office.db, lambda: NOW).make(ann, kind, {"period": PERIOD})
    rows = list(csv.reader(io.StringIO(office.text(ann, job_id), newline="")))
    assert rows[0] == [column.key for column in report.table.columns]
    assert len(rows) - 1 == len(report.links) == office.jobs.one(ann, job_id).done_count


@pytest.mark.parametrize("form", FORMATS)
def test_a_report_comes_in_every_form(office: Office, form: str) -> None:
    """With a name that says what it is."""
    ann = office.user()
    job_id = office.ask(ann, "report-agents", format=form, period=PERIOD)
    (worked,) = office.work()
    assert worked.state is JobState.DONE, worked.told
    found = office.jobs.file(ann, job_id, address=None)
    assert found.name.startswith("agents-")
    assert found.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("form", FORMATS)
def test_year_on_year_says_in_each_file_which_years_it_counts(office: Office, form: str) -> None:
    """Whatever period was asked for, it counts the whole of two years."""
    ann = office.user()
    job_id = office.ask(ann, "report-year-on-year", format=form, period="7d", zone="Europe/London")
    (worked,) = office.work()
    assert worked.state is JobState.DONE, worked.told
    path = office.jobs.file(ann, job_id, address=None).path
    if form == "xlsx":
        about = openpyxl.load_workbook(path)["About"].iter_rows(values_only=True)
        assert ("Period", YEARS) in list(about)
    elif form == "pdf":
        (page,) = pdf_pages(path.read_bytes())
        assert YEARS.replace(" ", "") in page
        assert "7days" not in page
    else:
        titles = path.read_text("utf-8-sig").splitlines()[0]
        assert titles == TITLES[form]


YEARS = "1 January 2025 to 31 December 2026"
TITLES = {
    "csv": "month,calls_2025,calls_2026,change",
    "csv-spreadsheet": "Month,2025,2026,Change",
}


def test_who_listened_is_not_for_everybody(office: Office) -> None:
    """Neither asked for, nor fetched after the role has changed."""
    with pytest.raises(Forbidden):
        office.ask(office.user("sue"), "report-playback-audit")
    ann = office.user(role=Role.AUDITOR)
    job_id = office.ask(ann, "report-playback-audit", format="csv", period=PERIOD)
    assert [each.state for each in office.work()] == [JobState.DONE]
    less = type(ann)(ann.web_user_id, ann.username, Role.SUPERVISOR, ann.reach, "basic")
    with pytest.raises(Forbidden):
        office.jobs.file(less, job_id, address=None)
    assert office.jobs.file(ann, job_id, address=None)


@pytest.mark.parametrize(
    ("given", "named"),
    [({"colour": "red"}, "colour"), ({"format": "doc"}, "format"), ({"limit": 5}, "limit")],
)
def test_wrong_parameters_are_named(office: Office, given: dict[str, object], named: str) -> None:
    """Before anything is stored; of a place that is not there when it is made."""
    ann = office.user()
    with pytest.raises(BadRequest, match=named):
        office.ask(ann, "report-top-calls", **given)
    office.ask(ann, "report-top-calls", site="nowhere")
    (worked,) = office.work()
    assert (worked.state, "nowhere" in worked.told) == (JobState.FAILED, True)
    with office.db.read() as conn:
        assert users.by_name(conn, "ann") is not None
