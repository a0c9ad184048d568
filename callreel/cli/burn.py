"""Commands that burn masks in, hold recordings, and look after damaged masks."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import click
from sqlalchemy import Connection

from callreel.access.identity import Verifier
from callreel.access.keys import load_key_file
from callreel.access.policy import NOTHING, Action, scope_for
from callreel.bootstrap import Base, DatabaseUsers, open_base, open_workshop, system_clock
from callreel.cli.key_presses import find_keys_command
from callreel.cli.options import data_option, plain_errors, settings_of
from callreel.db import audit, burns, calls, masks
from callreel.errors import CallreelError, Forbidden, NotFound, Unauthenticated
from callreel.flows.masking import require_reason
from callreel.model import Principal, RecordingId, Scope, UnixMillis
from callreel.wire import iso_instant

NOT_BURNED = 6
"""The exit code where some recording could not be burned in."""

password_option = click.option(
    "--password-stdin",
    is_flag=True,
    help="Read passwords from standard input, a line each, instead of asking.",
)


class _People:
    """Those who give their name and password to a command."""

    def __init__(self, base: Base, from_stdin: bool) -> None:
        self._verifier = Verifier(DatabaseUsers(base.db))
        self._from_stdin = from_stdin

    def who(self, username: str) -> Principal:
        """Ask for a password.

        Raises:
            Unauthenticated: It is wrong.
            Forbidden: This user may not place holds, release them or allow a burn-in despite one.
        """
        if self._from_stdin:
            password = sys.stdin.readline().rstrip("\r\n")
        else:
            password = click.prompt(f"Password of {username}", hide_input=True, err=True)
        try:
            principal = self._verifier.basic(username, password, None)
        except Unauthenticated:
            raise Unauthenticated(f"The password of {username} is wrong.") from None
        if scope_for(principal, Action.HOLD) == NOTHING:
            raise Forbidden(f"{username} is neither compliance nor administrator.")
        return principal


@click.command("burn-in")
@data_option
@click.argument("recordings", nargs=-1, metavar="[RECORDING]...")
@click.option("--due", is_flag=True, help="Also what the sites want burned in by now.")
@click.option("--despite-hold", is_flag=True, help="Two people allow it: --by and --and-by.")
@click.option("--by", "first", metavar="USER", help="The first of them.")
@click.option("--and-by", "second", metavar="USER", help="The second.")
@password_option
@plain_errors
def burn_in_command(
    data_dir: Path,
    recordings: tuple[str, ...],
    due: bool,
    despite_hold: bool,
    first: str | None,
    second: str | None,
    password_stdin: bool,
) -> None:
    """Rewrite the stored sound of each RECORDING with its masks, and erase what was there.

    There is no way back. Run it again after an interruption: it goes on where it was.
    """
    settings = settings_of(data_dir)
    if not recordings and not due:
        raise click.UsageError("Name recordings, or give --due.")
    if despite_hold != (first is not None and second is not None):
        raise click.UsageError("--despite-hold goes with --by and --and-by, and they with it.")
    opened = open_workshop(settings)
    try:
        approved_by = None
        if first is not None and second is not None:
            people = _People(opened.base, password_stdin)
            found = (people.who(first), people.who(second))
            if found[0].web_user_id == found[1].web_user_id:
                raise click.UsageError("--and-by: must be somebody else than --by.")
            approved_by = (found[0].username, found[1].username)
        wanted = [RecordingId(each) for each in recordings]
        if due:
            wanted += [each for each in opened.burner.due() if each not in wanted]
        failed = False
        for recording_id in wanted:
            try:
                burned = opened.burner.burn(
                    recording_id, actor="command", cause="command", approved_by=approved_by
                )
                click.echo(f"{recording_id}: {burned.told}")
            except CallreelError as error:
                failed = True
                click.echo(f"{recording_id}: NOT burned in: {error.message}", err=True)
    finally:
        opened.close()
    if failed:
        sys.exit(NOT_BURNED)


@click.group("hold")
def hold_group() -> None:
    """Legal holds: what is on hold is not deleted, nor burned in unless two people allow it."""


@hold_group.command("place")
@data_option
@click.argument("recordings", nargs=-1, required=True, metavar="RECORDING...")
@click.option("--by", "username", required=True, metavar="USER", help="Who places it.")
@click.option("--reason", required=True, help="Why; kept with the hold.")
@password_option
@plain_errors
def hold_place(
    data_dir: Path, recordings: tuple[str, ...], username: str, reason: str, password_stdin: bool
) -> None:
    """Put each RECORDING on hold."""

    def place(conn: Connection, recording_id: RecordingId, by: str, now: UnixMillis) -> int:
        burns.place_hold(conn, recording_id, by=by, reason=require_reason(reason), now=now)
        return 1

    who = (username, password_stdin)
    count = _on_each(data_dir, recordings, who, ("hold.place", {"reason": reason}), place)
    click.echo(f"On hold: {count}.")


@hold_group.command("release")
@data_option
@click.argument("recordings", nargs=-1, required=True, metavar="RECORDING...")
@click.option("--by", "username", required=True, metavar="USER", help="Who releases it.")
@click.option("--reason", required=True, help="Why; kept with the hold.")
@password_option
@plain_errors
def hold_release(
    data_dir: Path, recordings: tuple[str, ...], username: str, reason: str, password_stdin: bool
) -> None:
    """End every hold on each RECORDING."""

    def release(conn: Connection, recording_id: RecordingId, by: str, now: UnixMillis) -> int:
        told = require_reason(reason)
        return burns.release_holds(conn, recording_id, by=by, reason=told, now=now)

    who = (username, password_stdin)
    count = _on_each(data_dir, recordings, who, ("hold.release", {"reason": reason}), release)
    click.echo(f"Released: {count}.")


def _on_each(
    data_dir: Path,
    recordings: Iterable[str],
    who: tuple[str, bool],
    told: tuple[str, dict[str, object]],
    change: Callable[[Connection, RecordingId, str, UnixMillis], int],
) -> int:
    """Change recordings in one transaction, each with its audit row; gives the sum of the counts.

    Args:
        data_dir: The data folder.
        recordings: Their ids.
        who: A user name, and whether the password comes from standard input.
        told: Action and detail of the audit rows.
        change: What is done.
    """
    username, from_stdin = who
    action, detail = told
    base = open_base(settings_of(data_dir))
    try:
        by = _People(base, from_stdin).who(username).username
        wanted = _known(base, recordings)
        now = system_clock()
        count = 0
        with base.db.write() as conn:
            for recording_id in wanted:
                count += change(conn, recording_id, by, now)
                audit.append(
                    conn,
                    audit.AuditEntry(now, by, action, recording_id, "allowed", detail, None),
                )
    finally:
        base.close()
    return count


@hold_group.command("list")
@data_option
@click.option("--all", "everything", is_flag=True, help="Also those that were released.")
@plain_errors
def hold_list(data_dir: Path, everything: bool) -> None:
    """List holds, oldest first."""
    base = open_base(settings_of(data_dir))
    try:
        with base.db.read() as conn:
            for hold in burns.list_holds(conn, released=everything):
                released = f"\treleased by {hold.released_by}" if hold.released_by else ""
                click.echo(
                    f"{hold.recording_id}\t{iso_instant(hold.placed_at)}\t{hold.placed_by}\t"
                    f"{hold.reason}{released}"
                )
    finally:
        base.close()


@click.group("mask")
def mask_group() -> None:
    """Masks: look at their rows, answer for damaged ones, find pressed keys."""


@mask_group.command("show")
@data_option
@click.argument("recording", metavar="RECORDING")
@plain_errors
def mask_show(data_dir: Path, recording: str) -> None:
    """Tell what the rows of RECORDING say, and whether they fit their seal."""
    base = open_base(settings_of(data_dir))
    try:
        (recording_id,) = _known(base, [recording])
        with base.db.read() as conn:
            intact = masks.is_intact(conn, recording_id, base.keys.seal_mask)
            for each in masks.stored_spans(conn, recording_id):
                end = "the end" if math.isinf(each.span.end_s) else f"{each.span.end_s} s"
                click.echo(
                    f"{each.id}\t{each.state}\t{each.span.start_s} s to {end}\t"
                    f"{each.span.channel or 'both'}\t{each.source.value}\t{each.actor or ''}\t"
                    f"{each.reason or ''}"
                )
    finally:
        base.close()
    click.echo("The rows fit their seal." if intact else "The rows do NOT fit their seal.")


@mask_group.command("reseal")
@data_option
@click.argument("recording", metavar="RECORDING")
@click.option("--by", "username", required=True, metavar="USER", help="Who answers for the rows.")
@click.option("--reason", required=True, help="Why; kept in the audit log.")
@password_option
@plain_errors
def mask_reseal(
    data_dir: Path, recording: str, username: str, reason: str, password_stdin: bool
) -> None:
    """Seal the rows of RECORDING as they are now, so that it is served again."""
    keys = load_key_file(settings_of(data_dir).key_file)
    detail: dict[str, object] = {"reason": require_reason(reason)}

    def reseal(conn: Connection, recording_id: RecordingId, _by: str, now: UnixMillis) -> int:
        masks.reseal(conn, recording_id, keys.seal_mask, now, intact=True)
        detail["spans"] = spans = masks.shown(conn, recording_id)
        return len(spans)

    who = (username, password_stdin)
    count = _on_each(data_dir, [recording], who, ("mask.reseal", detail), reseal)
    click.echo(f"Sealed: {count} spans.")


mask_group.add_command(find_keys_command)


def _known(base: Base, recordings: Iterable[str]) -> list[RecordingId]:
    """The recordings of these ids.

    Raises:
        NotFound: There is none of one of them.
    """
    found = []
    with base.db.read() as conn:
        for each in recordings:
            recording_id = RecordingId(each)
            if calls.find_recording(conn, Scope(everything=True), recording_id) is None:
                raise NotFound(f"There is no recording {each}.")
            found.append(recording_id)
    return found
