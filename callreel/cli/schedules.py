"""Commands for jobs and schedules: whoever has the data folder acts for their owners."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from callreel.bootstrap import Base, Office, open_base, open_office, system_clock
from callreel.cli.options import data_option, plain_errors, settings_of
from callreel.db import audit, jobs, schedules, users
from callreel.db.jobs import Job
from callreel.db.schedules import Plan, Schedule
from callreel.errors import BadRequest, Conflict, NotFound
from callreel.flows.making import principal_now
from callreel.flows.schedules import when_of
from callreel.flows.timetable import in_words
from callreel.model import Principal
from callreel.periods import WEEKDAYS, local
from callreel.wire import iso_instant

NOT_SENT = 6
"""The exit code where a schedule that was run has not reached everybody."""
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_DAYS = {name[:3].lower(): number for number, name in enumerate(WEEKDAYS)}


@contextmanager
def _opened(data_dir: Path) -> Iterator[tuple[Base, Office]]:
    base = open_base(settings_of(data_dir))
    try:
        yield base, open_office(base)
    finally:
        base.close()


@click.command("jobs")
@data_option
@click.option("--cancel", metavar="JOB", help="End a job that waits or runs, instead.")
@plain_errors
def jobs_command(data_dir: Path, cancel: str | None) -> None:
    """List the jobs of everybody, newest first, or end one of them."""
    with _opened(data_dir) as (base, _office):
        if cancel is not None:
            _cancel(base, cancel)
            return
        with base.db.read() as conn:
            names = {user.id: user.username for user in users.list_users(conn)}
            for job in jobs.newest(conn, 1000):
                click.echo("\t".join(_job_cells(job, names.get(job.web_user_id, ""))))


def _cancel(base: Base, job_id: str) -> None:
    now = system_clock()
    with base.db.write() as conn:
        if jobs.find(conn, job_id) is None:
            raise NotFound(f"There is no job {job_id!r}.")
        if not jobs.cancel(conn, job_id, "It was cancelled at the command line.", now):
            raise Conflict("This job has ended already.")
        audit.append(conn, audit.command_entry(now, "job.cancel", job_id))
    click.echo(f"{job_id}: cancelled.")


def _job_cells(job: Job, username: str) -> tuple[str, ...]:
    total = "" if job.total_count is None else f" of {job.total_count}"
    return (
        job.id,
        username,
        job.kind,
        job.state.value,
        f"{job.done_count}{total}",
        iso_instant(job.created_at),
        job.told or "",
    )


@click.group("schedule")
def schedule_group() -> None:
    """Lists and reports that are sent by themselves."""


@schedule_group.command("add")
@data_option
@click.argument("name")
@click.option("--owner", required=True, help="The web user in whose name it is made.")
@click.option("--kind", default="calls", show_default=True, help="What is made.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="A parameter of the kind.")
@click.option("--every", type=click.Choice(["daily", "weekly", "monthly"]), default="daily")
@click.option("--on", "day", metavar="DAY", help="mon to sun, or 1 to 31 of a month.")
@click.option("--at", "time", default="07:00", show_default=True, metavar="HH:MM")
@click.option("--zone", default="UTC", show_default=True, help="Such as Europe/London.")
@click.option("--to", "recipients", multiple=True, metavar="ADDRESS", help="May be repeated.")
@click.option("--folder", help="A folder below schedules.folder.")
@click.option("--only-if-not-empty", is_flag=True, help="Send nothing where there is nothing.")
@plain_errors
def schedule_add(  # noqa: PLR0913  # the options of one command
    data_dir: Path,
    name: str,
    *,
    owner: str,
    kind: str,
    pairs: tuple[str, ...],
    every: str,
    day: str | None,
    time: str,
    zone: str,
    recipients: tuple[str, ...],
    folder: str | None,
    only_if_not_empty: bool,
) -> None:
    """Add the schedule NAME."""
    minute = _minute(time)
    parameters = dict(_pair(each) for each in pairs)
    plan = Plan(
        name,
        kind,
        parameters,
        every,
        _day(day),
        minute,
        zone,
        recipients,
        folder,
        only_if_not_empty,
    )
    with _opened(data_dir) as (base, office):
        with base.db.read() as conn:
            user = users.by_name(conn, owner)
        if user is None:
            raise NotFound(f"There is no user {owner!r}.")
        who = replace(principal_now(base.db, user.id), username="command")
        added = office.schedules.add(who, plan, address=None)
    click.echo(f"Added {added.id}, {in_words(when_of(added))}; next {_next(added)}.")


@schedule_group.command("list")
@data_option
@plain_errors
def schedule_list(data_dir: Path) -> None:
    """List the schedules of everybody."""
    with _opened(data_dir) as (base, _office), base.db.read() as conn:
        names = {user.id: user.username for user in users.list_users(conn)}
        for each in schedules.everybodys(conn):
            where = [*each.recipients, *([] if each.folder is None else [f"{each.folder}/"])]
            cells = (
                each.id,
                names.get(each.web_user_id, ""),
                each.name,
                each.kind,
                in_words(when_of(each)),
                ", ".join(where),
                f"next {_next(each)}" if each.enabled else "disabled",
                f"{each.last_state}: {each.last_result}" if each.last_state else "not run yet",
            )
            click.echo("\t".join(cells))


@schedule_group.command("run")
@data_option
@click.argument("schedule")
@plain_errors
def schedule_run(data_dir: Path, schedule: str) -> None:
    """Run SCHEDULE now, and tell what came of it."""
    with _opened(data_dir) as (base, office):
        owner, known = _owner(base, schedule)
        office.schedules.run_now(owner, known.id, address=None)
        ran = office.runner.once(known.id)
        if not ran:
            click.echo(f"{known.id}: a server runs it at this moment.")
            return
    click.echo(f"{ran[0].state}: {ran[0].told}")
    if ran[0].state not in {"sent", "empty"}:
        sys.exit(NOT_SENT)


@schedule_group.command("remove")
@data_option
@click.argument("schedule")
@plain_errors
def schedule_remove(data_dir: Path, schedule: str) -> None:
    """Forget SCHEDULE."""
    with _opened(data_dir) as (base, office):
        owner, known = _owner(base, schedule)
        office.schedules.remove(owner, known.id, address=None)
    click.echo(f"{known.id}: removed.")


def _switch(name: str, help_text: str, *, enabled: bool) -> click.Command:
    @click.command(name, help=help_text)
    @data_option
    @click.argument("schedule")
    @plain_errors
    def command(data_dir: Path, schedule: str) -> None:
        with _opened(data_dir) as (base, office):
            owner, known = _owner(base, schedule)
            office.schedules.enable(owner, known.id, enabled=enabled, address=None)
        click.echo(f"{known.id}: {name}d.")

    return command


schedule_group.add_command(_switch("enable", "Have SCHEDULE run at its times.", enabled=True))
schedule_group.add_command(_switch("disable", "Have SCHEDULE run no more.", enabled=False))


def _owner(base: Base, schedule_id: str) -> tuple[Principal, Schedule]:
    with base.db.read() as conn:
        known = schedules.find(conn, schedule_id)
        user = None if known is None else users.by_id(conn, known.web_user_id)
    if known is None or user is None:
        raise NotFound(f"There is no schedule {schedule_id!r}; see 'callreel schedule list'.")
    # Also of a user who is disabled: it must be possible to remove what they left. The audit log
    # tells who it was, as of every command.
    return Principal(user.id, "command", user.role, user.reach, "job"), known


def _next(schedule: Schedule) -> str:
    if schedule.next_run_at is None:
        return "never"
    zone = when_of(schedule).zone
    return local(schedule.next_run_at, ZoneInfo(zone)).isoformat(" ", "minutes")


def _minute(text: str) -> int:
    time = _TIME.fullmatch(text)
    if time is None:
        raise BadRequest(f"--at: {text!r} is not a time such as 07:30.")
    return int(time[1]) * 60 + int(time[2])


def _day(text: str | None) -> int | None:
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return int(text)
    if text[:3].lower() not in _DAYS:
        raise BadRequest(f"--on: {text!r} is not mon to sun, nor 1 to 31.")
    return _DAYS[text[:3].lower()]


def _pair(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not equals:
        raise BadRequest(f"--set: {text!r} is not KEY=VALUE.")
    if value.startswith("{"):
        try:
            return key, json.loads(value)
        except ValueError:
            raise BadRequest(f"--set {key}: begins as JSON and is not.") from None
    return key, value
