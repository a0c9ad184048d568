"""Schedules: run when due, once, in their owner's name, and told honestly."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from callreel.db import audit, schedules, users
from callreel.db.database import Database
from callreel.db.schedules import Plan, Schedule
from callreel.errors import BadRequest, Forbidden, NotFound, TooManyRequests, Unavailable
from callreel.flows.call_export import CallExport
from callreel.flows.mail import Mailer
from callreel.flows.making import Kind
from callreel.flows.schedule_runner import BACK_OFF_MS, Ran, ScheduleRunner
from callreel.flows.schedules import Delivery, Schedules
from callreel.model import Principal, Scope, UnixMillis
from tests.flows.jobbing import NOW, Office, Steps, write_calls
from tests.flows.post import Post, free_port, post

ANN, BOB = "ann@example.org", "bob@example.net"
DAY_MS = 86_400_000
# Every call of ``write_calls`` began on 28 May 2026; NOW is 21 September, 13:33 UTC.
DAILY = Plan("Morning list", "calls", {"period": "2026-05-28"}, "daily", None, 420, "UTC", (ANN,))


class Desk:
    """Schedules, a runner, a mail server that may be down, and a clock that a test sets."""

    def __init__(self, db: Database, tmp_path: Path, server: Post, **kinds: Kind) -> None:
        self.now = NOW
        self.db = db
        self.server = server
        self.work = tmp_path / "jobs"
        self.shelf = tmp_path / "shelf"
        self.shelf.mkdir(exist_ok=True)
        made: dict[str, Kind] = {"calls": CallExport(db), **kinds}
        delivery = Delivery(mail=True, domains=frozenset(), folder=True)
        self.schedules = Schedules(db, made, delivery, lambda: self.now)
        self.runner = ScheduleRunner(
            db, made, self.work, str(self.shelf), Mailer(server.plain()), lambda: self.now
        )
        self.ann = Office(db, self.work).user()

    def add(self, plan: Plan = DAILY, **changed: object) -> str:
        """Add a schedule of Ann's."""
        plan = replace(plan, **changed)  # type: ignore[arg-type]  # named by the tests
        return self.schedules.add(self.ann, plan, address=None).id

    def one(self, schedule_id: str) -> Schedule:
        """A schedule of Ann's."""
        return self.schedules.one(self.ann, schedule_id)

    def at(self, text: str) -> list[Ran]:
        """A round at a time in UTC."""
        moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
        self.now = UnixMillis(round(moment.timestamp() * 1000))
        return self.runner.once()


@pytest.fixture
def server() -> Iterator[Post]:
    """A mail server that takes everything."""
    with post() as opened:
        yield opened


@pytest.fixture
def desk(database: Database, tmp_path: Path, server: Post) -> Desk:
    """Seven calls, on each kind of database."""
    write_calls(database, 7)
    return Desk(database, tmp_path, server)


def test_a_list_is_mailed_when_it_is_due_and_once(desk: Desk) -> None:
    """With what is in it, and when it comes next."""
    found = desk.add()
    assert desk.at("2026-09-22T06:59") == []
    (ran,) = desk.at("2026-09-22T07:00")
    assert (ran.schedule_id, ran.state) == (found, "sent")
    assert desk.at("2026-09-22T07:00:30") == []
    (letter,) = desk.server.letters
    assert letter["Subject"] == "Morning list: Calls, Thursday 28 May 2026"
    (attached,) = list(letter.iter_attachments())
    content = attached.get_payload(decode=True)
    assert isinstance(content, bytes)
    assert len(list(csv.reader(io.StringIO(content.decode())))) == 8
    body = letter.get_body()
    assert body is not None
    assert "ann has this sent every day at 07:00 (UTC)." in body.get_content()
    known = desk.one(found)
    assert (known.last_state, known.last_result) == ("sent", f"7 rows. Mailed to {ANN}.")
    assert known.next_run_at == desk.now - 30_000 + DAY_MS
    assert list(desk.work.iterdir()) == []
    with desk.db.read() as conn:
        told = [(e.actor, e.action, e.decision) for e in audit.entries(conn, object_id=found)]
    assert told == [("ann", "schedule.add", "allowed"), ("schedule", "schedule.sent", "sent")]


def test_what_was_missed_while_no_server_ran_is_one_mail(desk: Desk) -> None:
    """Four mornings: one mail, about the last of them, and the next comes tomorrow."""
    found = desk.add(parameters={"period": "yesterday"})
    assert len(desk.at("2026-09-25T11:00")) == 1
    assert desk.at("2026-09-25T11:01") == []
    (letter,) = desk.server.letters
    assert "24 September 2026" in letter["Subject"]
    moment = datetime(2026, 9, 26, 7, tzinfo=UTC)
    assert desk.one(found).next_run_at == round(moment.timestamp() * 1000)


def test_an_empty_list_is_not_sent_where_nobody_wants_it(desk: Desk) -> None:
    """And the result says so."""
    quiet = desk.add(parameters={"period": "2026-01-01"}, only_if_not_empty=True)
    (ran,) = desk.at("2026-09-22T07:00")
    assert (ran.schedule_id, ran.state) == (quiet, "empty")
    assert desk.server.letters == []
    desk.schedules.change(
        desk.ann, quiet, replace(DAILY, parameters={"period": "2026-01-01"}), address=None
    )
    assert [each.state for each in desk.at("2026-09-23T07:00")] == ["sent"]
    assert len(desk.server.letters) == 1


def test_mail_that_is_not_taken_is_tried_again_to_those_who_have_not_got_it(desk: Desk) -> None:
    """And the day that it is about stays the same."""
    found = desk.add(recipients=(ANN, BOB), parameters={"period": "yesterday"})
    desk.server.refusals = {BOB: "451 later"}
    (ran,) = desk.at("2026-09-22T07:00")
    assert ran.state == "trying"
    assert "tried again in 1 minute." in ran.told
    assert desk.at("2026-09-22T07:00:59") == []
    desk.server.refusals = {}
    assert [each.state for each in desk.at("2026-09-22T07:01:00")] == ["sent"]
    assert [to for _, to in desk.server.envelopes] == [[ANN], [BOB]]
    first, second = desk.server.letters
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Subject"] == second["Subject"]
    assert desk.one(found).next_run_at == NOW // DAY_MS * DAY_MS + 2 * DAY_MS + 7 * 3_600_000


def test_a_mail_server_that_is_down_is_given_up_after_three_more_tries(
    database: Database, tmp_path: Path
) -> None:
    """With what was wrong; the next morning is another run."""
    desk = Desk(database, tmp_path, Post(port=free_port()))
    found = desk.add()
    desk.at("2026-09-22T06:59")
    desk.now = UnixMillis(desk.one(found).next_run_at or 0)
    states = []
    for wait_ms in (*BACK_OFF_MS, 0):
        states += [each.state for each in desk.runner.once()]
        desk.now = UnixMillis(desk.now + wait_ms)
    assert states == ["trying"] * 3 + ["failed"]
    known = desk.one(found)
    assert "cannot be reached" in (known.last_result or "")
    assert "tried 4 times" in (known.last_result or "")
    assert (known.tries, known.due_at) == (0, None)
    assert datetime.fromtimestamp((known.next_run_at or 0) / 1000, UTC).day == 23


def test_who_is_refused_for_good_is_not_tried_again(desk: Desk) -> None:
    """The others have it, and the result names who has not."""
    found = desk.add(recipients=(ANN, BOB))
    desk.server.refusals = {BOB: "550 no such person"}
    (ran,) = desk.at("2026-09-22T07:00")
    assert ran.state == "failed"
    assert ran.told == f"7 rows. Mailed to {ANN}. {BOB}: 550 no such person"
    assert desk.one(found).due_at is None


def test_a_list_is_put_into_a_folder_whole(desk: Desk) -> None:
    """Below the one that is allowed, under a name of its own for each run."""
    schedule_id = desk.add(recipients=(), folder="sales team", name="Morning: list")
    assert [each.state for each in desk.at("2026-09-22T07:00")] == ["sent"]
    assert [each.state for each in desk.at("2026-09-23T07:00")] == ["sent"]
    found = sorted((desk.shelf / "sales team").iterdir())
    assert [each.name.replace(schedule_id[-6:], "ID") for each in found] == [
        "Morning--list-ID-2026-09-22-0700.csv",
        "Morning--list-ID-2026-09-23-0700.csv",
    ]
    assert len(found[0].read_text().splitlines()) == 8


def test_two_of_one_name_have_files_of_their_own(desk: Desk) -> None:
    """However long it is, in whatever letters."""
    for _ in range(2):
        desk.add(
            recipients=(),
            folder="team",
            name="\N{GRINNING FACE}" * 20 + "\N{HIRAGANA LETTER A}" * 40,
        )
    assert [each.state for each in desk.at("2026-09-22T07:00")] == ["sent", "sent"]
    assert len([*(desk.shelf / "team").iterdir()]) == 2


def test_who_gets_it_by_mail_gets_it_where_the_folder_is_away(desk: Desk) -> None:
    """And it says which half failed."""
    desk.add(recipients=(ANN,), folder="team")
    desk.shelf.rmdir()
    (ran,) = desk.at("2026-09-22T07:00")
    assert ran.state == "failed"
    assert "Not put into team: schedules.folder: there is no folder" in ran.told
    assert f"Mailed to {ANN}" in ran.told
    assert [to for _, to in desk.server.envelopes] == [[ANN]]


def test_a_schedule_that_was_stopped_while_it_was_tried_goes_on_to_everybody(desk: Desk) -> None:
    """Not only to those who had not got the one before."""
    found = desk.add(recipients=(ANN, BOB))
    desk.server.refusals = {BOB: "451 later"}
    assert [each.state for each in desk.at("2026-09-22T07:00")] == ["trying"]
    desk.server.refusals = {}
    desk.schedules.enable(desk.ann, found, enabled=False, address=None)
    desk.schedules.enable(desk.ann, found, enabled=True, address=None)
    assert [each.state for each in desk.at("2026-09-23T07:00")] == ["sent"]
    assert [sorted(to) for _, to in desk.server.envelopes] == [[ANN], sorted([ANN, BOB])]


def test_a_folder_that_is_a_link_to_elsewhere_gets_nothing(desk: Desk, tmp_path: Path) -> None:
    """Nor is one made where a share is not mounted."""
    (tmp_path / "elsewhere").mkdir()
    (desk.shelf / "out").symlink_to(tmp_path / "elsewhere")
    desk.add(recipients=(), folder="out")
    (ran,) = desk.at("2026-09-22T07:00")
    assert (ran.state, "link" in ran.told) == ("failed", True)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    (desk.shelf / "out").unlink()
    desk.shelf.rmdir()
    (ran,) = desk.at("2026-09-23T07:00")
    assert (ran.state, "schedules.folder" in ran.told) == ("failed", True)
    assert not desk.shelf.exists()


def test_a_schedule_holds_what_its_owner_reaches_when_it_runs(desk: Desk) -> None:
    """And nothing once they are disabled."""
    found = desk.add()
    with desk.db.write() as conn:
        users.set_reach(conn, desk.ann.web_user_id, Scope(site_ids=frozenset({"s1"})))
    assert [each.state for each in desk.at("2026-09-22T07:00")] == ["sent"]
    with desk.db.write() as conn:
        users.disable(conn, "ann", desk.now)
    (ran,) = desk.at("2026-09-23T07:00")
    assert (ran.state, "disabled" in ran.told) == ("failed", True)
    assert len(desk.server.letters) == 1
    assert desk.one(found).next_run_at is not None


def test_a_disabled_schedule_rests_and_runs_when_told(desk: Desk) -> None:
    """Once, and goes on resting."""
    found = desk.add()
    desk.schedules.enable(desk.ann, found, enabled=False, address=None)
    assert desk.at("2026-09-25T07:00") == []
    desk.schedules.run_now(desk.ann, found, address=None)
    assert [each.state for each in desk.runner.once()] == ["sent"]
    assert desk.at("2026-09-26T07:00") == []
    known = desk.schedules.enable(desk.ann, found, enabled=True, address=None)
    assert known.next_run_at == desk.now + DAY_MS


def test_a_removed_schedule_sends_nothing_even_while_it_is_made(
    database: Database, tmp_path: Path, server: Post
) -> None:
    """Looked at again before the letter goes."""

    def steps() -> Iterator[object]:
        """Remove it after the first row."""
        yield 1
        desk.schedules.remove(desk.ann, found, address=None)

    desk = Desk(database, tmp_path, server, steps=Steps(steps()))
    found = desk.add(kind="steps", parameters={})
    assert desk.at("2026-09-22T07:00") == []
    assert server.letters == []
    assert desk.schedules.own(desk.ann) == ()


def test_a_server_that_dies_leaves_its_run_to_the_next(desk: Desk) -> None:
    """For the same moment, once its lease has run out."""
    found = desk.add(parameters={"period": "yesterday"})
    desk.at("2026-09-22T06:00")
    desk.now = UnixMillis(desk.one(found).next_run_at or 0)
    taken = desk.runner._claim(None)
    assert taken is not None
    left = desk.work / f"{taken.id}.{taken.claimed_by}"
    left.mkdir(parents=True)
    assert desk.runner.once() == []
    desk.now = UnixMillis(desk.now + schedules.LEASE_MS + 1)
    assert [each.state for each in desk.runner.once()] == ["sent"]
    assert "21 September 2026" in desk.server.letters[0]["Subject"]
    assert list(desk.work.iterdir()) == []


def test_a_run_that_kills_its_servers_is_given_up(desk: Desk) -> None:
    """Like a job."""
    desk.add()
    desk.at("2026-09-22T06:00")
    desk.now = UnixMillis(desk.now + 3_600_000)
    for _ in range(4):
        assert desk.runner._claim(None) is not None
        desk.now = UnixMillis(desk.now + schedules.LEASE_MS + 1)
    (ran,) = desk.runner.once()
    assert (ran.state, "server ended" in ran.told) == ("failed", True)


def test_a_database_that_is_away_costs_no_run(
    database: Database, tmp_path: Path, server: Post
) -> None:
    """The next round does it."""
    steps: list[object] = [Unavailable("The database cannot be reached now; try again.")]
    desk = Desk(database, tmp_path, server, steps=Steps(iter(steps)))
    found = desk.add(kind="steps", parameters={})
    with pytest.raises(Unavailable):
        desk.at("2026-09-22T07:00")
    assert (desk.one(found).tries, desk.one(found).last_state) == (0, None)
    assert [each.state for each in desk.runner.once()] == ["sent"]


def test_a_fault_in_one_schedule_leaves_the_others(
    database: Database, tmp_path: Path, server: Post
) -> None:
    """What broke is for the log, that it broke is for its owner."""
    desk = Desk(database, tmp_path, server, steps=Steps(iter([ZeroDivisionError("x / 0")])))
    broken = desk.add(kind="steps", parameters={})
    desk.add(name="Other")
    ran = {each.schedule_id: each for each in desk.at("2026-09-22T07:00")}
    assert sorted(each.state for each in ran.values()) == ["failed", "sent"]
    assert "x / 0" in ran[broken].why
    assert "x / 0" not in ran[broken].told


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"name": " "}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"kind": "cals"}, "kind"),
        ({"parameters": {"colour": "red"}}, "colour"),
        ({"every": "hourly"}, "every"),
        ({"minute": 1440}, "at"),
        ({"zone": "Mars/Base"}, "zone"),
        ({"zone": "localtime"}, "zone"),
        ({"parameters": {"format": "csv", "zone": "Factory"}}, "zone"),
        ({"recipients": ("ann@example.org\r\nBcc: eve@evil.example",)}, "recipients"),
        ({"recipients": tuple(f"a{n}@example.org" for n in range(21))}, "recipients"),
        ({"recipients": ()}, "recipients"),
        ({"folder": "../etc"}, "folder"),
        ({"folder": "/etc"}, "folder"),
        ({"folder": ".."}, "folder"),
        ({"folder": ".ssh"}, "folder"),
        ({"folder": ""}, "folder"),
    ],
)
def test_what_is_wrong_is_named(desk: Desk, changed: dict[str, object], named: str) -> None:
    """Before anything is stored."""
    with pytest.raises(BadRequest, match=f"^{named}"):
        desk.add(**changed)
    assert desk.schedules.own(desk.ann) == ()


def test_without_a_mail_server_or_a_folder_nothing_can_be_promised(desk: Desk) -> None:
    """The setting that is missing is named."""
    delivery = Delivery(mail=False, domains=frozenset(), folder=False)
    bare = Schedules(desk.db, {"calls": CallExport(desk.db)}, delivery, lambda: NOW)
    with pytest.raises(BadRequest, match=r"mail\.host"):
        bare.add(desk.ann, DAILY, address=None)
    with pytest.raises(BadRequest, match=r"schedules\.folder"):
        bare.add(desk.ann, replace(DAILY, recipients=(), folder="x"), address=None)


def test_the_schedule_of_another_looks_like_none(desk: Desk) -> None:
    """Nor can anybody schedule what they may not see, or without end."""
    found = desk.add()
    other: Principal = Office(desk.db, desk.work).user("bob", reach=Scope())
    with pytest.raises(NotFound):
        desk.schedules.one(other, found)
    with pytest.raises(NotFound):
        desk.schedules.remove(other, found, address=None)
    with pytest.raises(Forbidden):
        desk.schedules.add(other, DAILY, address=None)
    for n in range(49):
        desk.add(name=f"List {n}")
    with pytest.raises(TooManyRequests):
        desk.add()
