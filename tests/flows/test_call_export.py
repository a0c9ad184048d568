"""The file of a filtered list: the same calls, in the same order, with what the rows tell."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import openpyxl
import pytest

from callreel.db.call_filter import CallFilter
from callreel.db.database import Database
from callreel.db.search import Order
from callreel.flows import call_export
from callreel.flows.browse import Browse
from callreel.flows.call_export import COLUMNS
from callreel.flows.filters import filter_parameters
from callreel.model import Role, UnixMillis
from callreel.web.pages.files import export_of
from callreel.web.pages.filters import read_view
from callreel.web.pages.words import Words, catalog
from tests.flows.jobbing import Office
from tests.flows.report_town import NOW, PEOPLE, PlainCall, Town, build, plain_calls

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "schedules.md"
SORTED: dict[Order, tuple[Callable[[PlainCall], int], bool]] = {
    Order.NEWEST: (lambda call: call.at, True),
    Order.OLDEST: (lambda call: call.at, False),
    Order.LONGEST: (lambda call: call.length_ms, True),
    Order.SHORTEST: (lambda call: call.length_ms, False),
}


@pytest.fixture
def town(database: Database) -> Town:
    """300 calls of two sites; every sixth or so has no length."""
    return build(database, plain_calls(5, 300))


@pytest.fixture
def office(database: Database, town: Town, tmp_path: Path) -> Office:
    """Whoever makes files of them."""
    assert town.calls
    return Office(database, tmp_path / "jobs")


def exported(office: Office, **parameters: object) -> list[dict[str, str]]:
    """The rows of a file for programs, by name of the column."""
    ann = office.user(role=Role.ADMINISTRATOR)
    job_id = office.ask(ann, **parameters)
    office.work()
    return list(csv.DictReader(io.StringIO(office.text(ann, job_id), newline="")))


@pytest.mark.parametrize("order", Order)
def test_a_file_is_in_the_order_of_its_view(
    office: Office, town: Town, monkeypatch: pytest.MonkeyPatch, order: Order
) -> None:
    """Across pages, and across calls that are as long as each other."""
    monkeypatch.setattr(call_export, "PAGE", 37)
    key, falling = SORTED[order]
    wanted = sorted(town.calls, key=lambda call: (key(call), call.id), reverse=falling)
    rows = exported(office, sort=order.value)
    assert [row["id"] for row in rows] == [call.id for call in wanted]


def test_a_file_tells_of_a_call_what_its_row_tells(office: Office, town: Town) -> None:
    """Its own length and not that of a recording, who it was with, and how it ended."""
    rows = {row["id"]: row for row in exported(office)}
    assert len(rows) == len(town.calls)
    for call in town.calls:
        row, person = rows[call.id], PEOPLE[call.site].get(call.extension or "", ("", None))
        assert float(row["duration_s"]) == call.length_ms / 1000
        assert row["recording_s"] == ("60.0" if call.recorded else "")
        assert row["outcome"] == call.end
        assert (row["agent_name"], row["group_name"]) == (person[0], person[1] or "")
        assert row["site_name"] == call.site
        lost = call.end in {"abandoned", "busy", "failed"}
        assert row["talk_s"] == ("" if lost else str(call.talk_ms / 1000))
        rang_ms = call.length_ms if lost else call.answered_ms
        assert row["rang_s"] == ("" if rang_ms is None else str(rang_ms / 1000))


def test_a_file_and_the_list_on_the_screen_say_the_same(office: Office, database: Database) -> None:
    """Each number that both have, call by call, in one order."""
    ann = office.user("eve", Role.ADMINISTRATOR)
    wanted = CallFilter(at_most_s=1200.0)
    shown = Browse(database).look(ann, wanted, Order.SHORTEST, 500, None).items
    rows = exported(office, sort="shortest", filter=filter_parameters(wanted))
    assert len(rows) > 50
    assert [
        (row["id"], row["duration_s"], row["rang_s"], row["talk_s"], row["caller_name"])
        for row in rows
    ] == [
        (
            each.call.id,
            str(each.call_s),
            "" if each.rang_s is None else str(each.rang_s),
            "" if each.talk_s is None else str(round(each.talk_s, 3)),
            each.caller_name,
        )
        for each in shown
    ]


def test_a_filter_by_length_and_the_file_mean_the_same_length(office: Office) -> None:
    """The recordings here are a minute long, whatever their call is."""
    rows = exported(office, filter={"at_most_s": 20.0})
    assert len(rows) > 50
    assert any(row["recording_s"] == "60.0" for row in rows)
    assert all(float(row["duration_s"]) <= 20 for row in rows)


def test_a_workbook_has_the_columns_and_rows_of_the_other_files(office: Office) -> None:
    """And says how it is sorted."""
    ann = office.user("eve", Role.ADMINISTRATOR)
    ids = [office.ask(ann, format=form, sort="longest") for form in ("xlsx", "csv-spreadsheet")]
    office.work()
    office.work()
    book = openpyxl.load_workbook(office.jobs.file(ann, ids[0], address=None).path)
    titles, *cells = book["Calls"].iter_rows(values_only=True)
    rows = list(csv.reader(io.StringIO(office.text(ann, ids[1]), newline="")))
    assert list(titles) == [column.title for column in COLUMNS]
    assert [re_titled(title) for title in rows[0]] == list(titles)
    assert [row[0] for row in cells] == [row[0] for row in rows[1:]]
    assert ("Sorted", "longest first") in list(book["About"].iter_rows(values_only=True))


def re_titled(title: str) -> str:
    """A title of CSV without its unit."""
    return title.removesuffix(" (s)").removesuffix(" (UTC)")


def test_a_view_gives_its_file_order_and_time_zone() -> None:
    """The address may name a zone in which its days begin; the file must have the same days."""
    words = Words(catalog("en"), ZoneInfo("Europe/London"))
    query = "from=2026-10-22&to=2026-10-23&zone=Asia/Kolkata&sort=oldest"
    view = read_view(query, UnixMillis(NOW), words)
    told = export_of(view, "csv", words)
    assert told["sort"] == "oldest"
    assert told["zone"] == "Asia/Kolkata"
    assert export_of(read_view("", NOW, words), "csv", words)["zone"] == "Europe/London"


def test_a_file_of_a_view_in_another_time_zone_holds_the_calls_of_the_view(
    office: Office, database: Database
) -> None:
    """A list that somebody in another country was sent."""
    words = Words(catalog("en"), ZoneInfo("America/New_York"))
    view = read_view("from=2026-10-22&to=2026-10-23&zone=Asia/Kolkata", NOW, words)
    ann = office.user("eve", Role.ADMINISTRATOR)
    shown = Browse(database).look(ann, view.filter, view.order, 500, None).items
    rows = exported(office, **export_of(view, "csv", words))
    assert rows
    assert [row["id"] for row in rows] == [each.call.id for each in shown]


def test_every_column_is_explained_with_its_unit() -> None:
    """The document has a row for each, in the order of the file."""
    told = DOCUMENT.read_text(encoding="utf-8")
    lines = [line for line in told.splitlines() if line.startswith("| `")]
    keys = [line.split("`")[1] for line in lines]
    assert keys == [column.key for column in COLUMNS]
    for column, line in zip(COLUMNS, lines, strict=True):
        unit = {"seconds": "seconds", "instant": "ISO 8601", "count": "number"}.get(column.kind)
        assert unit is None or unit in line, column.key
        assert f"| {column.title} |" in line
