"""The command that searches recordings for pressed keys."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from callreel.bootstrap import Workshop, open_workshop
from callreel.cli.options import data_option, plain_errors, settings_of
from callreel.db import calls, directory, key_presses
from callreel.errors import CallreelError, NotFound
from callreel.flows.key_presses import Searched
from callreel.model import RecordingId, Scope

NOT_SEARCHED = 6
"""The exit code where some recording could not be searched."""


@click.command("find-keys")
@data_option
@click.argument("recordings", nargs=-1, metavar="[RECORDING]...")
@click.option("--due", is_flag=True, help="Also what waits to be searched, as a server does it.")
@plain_errors
def find_keys_command(data_dir: Path, recordings: tuple[str, ...], due: bool) -> None:
    """Listen for pressed keys in each RECORDING, and propose or mask where they are.

    What its site does with keys is done; where that is nothing, they are proposed.
    """
    if not recordings and not due:
        raise click.UsageError("Name recordings, or give --due.")
    opened = open_workshop(settings_of(data_dir))
    failed = False
    try:
        for each in recordings:
            try:
                _tell(_search(opened, RecordingId(each)))
            except CallreelError as error:
                failed = True
                _tell(Searched(RecordingId(each), False, 0, error.message))
        while due and (found := opened.key_finder.once()):
            for searched in found:
                failed |= not searched.done
                _tell(searched)
    finally:
        opened.close()
    if failed:
        sys.exit(NOT_SEARCHED)


def _search(opened: Workshop, recording_id: RecordingId) -> Searched:
    with opened.base.db.write() as conn:
        recording = calls.find_recording(conn, Scope(everything=True), recording_id)
        if recording is None:
            raise NotFound("There is no such recording.")
        site = directory.ensure_datasource(conn, recording.datasource)
        chosen = site.key_presses
        policy = key_presses.LIST if chosen == key_presses.OFF else chosen
        key_presses.ask_for(conn, [recording_id], policy)
    return opened.key_finder.search(recording_id, actor="command")


def _tell(searched: Searched) -> None:
    told = searched.told if searched.done else f"NOT searched: {searched.told}"
    click.echo(f"{searched.recording_id}: {told}", err=not searched.done)
