"""Build the demo data set once, by way of the intake that every importer uses."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from callreel.access.keys import create_key_file
from callreel.bootstrap import Importing, open_intake, prepare_database, system_clock
from callreel.db import directory
from callreel.db.database import Database
from callreel.demo.conversations import load_conversations
from callreel.demo.plan import PlannedCall, plan_calls
from callreel.demo.state import DemoPlan, read_plan, write_plan
from callreel.demo.town import SITES
from callreel.errors import ConfigurationError
from callreel.flows.entry import CallEntry, Result, SharedRecording, SoundFile
from callreel.model import Party, UnixMillis
from callreel.settings import Settings

SEED = 960_496
"""The same demo everywhere, moved to the month before it is built."""
ACTOR = "demo"
_SOUND_DIR = "demo-sound"

Progress = Callable[[int, int], None]
"""Called with how many calls are in, of how many."""


def build_demo(settings: Settings, progress: Progress) -> None:
    """Have the demo's calls in a data folder; at once where they are there already.

    A build that was killed is gone through again: the intake takes nothing twice.

    Args:
        settings: Of the data folder, which exists and is held by this process alone.
        progress: Told of every call that came in.

    Raises:
        ConfigurationError: The folder holds another installation, or cannot be written.
        Unavailable: The database or the store is away.

    Cost: about ten seconds and 100 MB of disk, once.
    """
    plan = read_plan(settings.data_dir)
    if plan is None:
        _require_empty(settings)
        plan = DemoPlan(seed=SEED, built_at=system_clock())
        write_plan(settings.data_dir, plan)
    if not settings.key_file.exists():
        create_key_file(settings.key_file)
    prepare_database(settings)
    if plan.complete:
        return
    calls = plan_calls(plan.seed, plan.built_at, load_conversations())
    importing = open_intake(settings)
    sound_dir = settings.data_dir / _SOUND_DIR
    try:
        _fill_directory(importing.base.db)
        _take(importing, calls, sound_dir, progress)
    finally:
        importing.close()
        shutil.rmtree(sound_dir, ignore_errors=True)
    write_plan(settings.data_dir, replace(plan, complete=True))


def _require_empty(settings: Settings) -> None:
    """Keep made-up calls out of a real installation.

    Raises:
        ConfigurationError: There is one.
    """
    if settings.key_file.exists() or (settings.data_dir / "callreel.db").exists():
        raise ConfigurationError(
            f"{settings.data_dir} holds an installation that is not a demo; give another folder."
        )


def _fill_directory(db: Database) -> None:
    with db.write() as conn:
        for site in SITES:
            known = directory.ensure_site(conn, site.id, site.name)
            directory.ensure_datasource(conn, site.datasource, site.id)
            directory.ensure_voicelocation(conn, site.voicelocation, directory.DEFAULT_STORE)
            directory.set_site(
                conn,
                replace(
                    known,
                    default_voicelocation=site.voicelocation,
                    timezone="Europe/London",
                ),
            )
            for person in site.people:
                group_id = directory.ensure_group(conn, site.id, person.group)
                directory.set_user(
                    conn, site.id, person.extension, name=person.name, group_id=group_id
                )


def _take(
    importing: Importing, calls: Sequence[PlannedCall], sound_dir: Path, progress: Progress
) -> None:
    shutil.rmtree(sound_dir, ignore_errors=True)
    sound_dir.mkdir()
    taken = importing.intake.take(_entries(calls, sound_dir), actor=ACTOR)
    for count, one in enumerate(taken, start=1):
        if one.reason is not None or one.result in {Result.SKIPPED, Result.WAITING}:
            raise ConfigurationError(
                f"The demo cannot be built: {one.entry.origin} did not come in: {one.reason}."
            )
        progress(count, len(calls))


def _entries(calls: Sequence[PlannedCall], sound_dir: Path) -> Iterator[CallEntry]:
    """Entries as an importer would find them; each sound is made when its call is asked for."""
    for call in calls:
        audio: SoundFile | None = None
        if call.sound is not None:
            # Legs that share a recording share the file.
            if not (sound_dir / call.sound.name).exists():
                call.sound.write(sound_dir)
            audio = SoundFile(sound_dir.absolute(), call.sound.name)
        shared = call.recording_name
        yield CallEntry(
            datasource=call.site.datasource,
            source_key=call.key,
            origin=call.key,
            started_at=call.started_at,
            direction=call.direction,
            from_number=call.from_number,
            to_number=call.to_number,
            caller_name=call.caller_name,
            answered_at=None
            if call.rang_s is None
            else UnixMillis(call.started_at + round(call.rang_s * 1000)),
            duration_s=call.duration_s,
            voicelocation=call.site.voicelocation,
            voicefilename=call.voicefilename,
            shared=None if shared is None else SharedRecording(call.site.voicelocation, shared),
            extension=call.extension,
            channel=call.channel,
            disposition=call.disposition,
            linked_id=call.linked_id,
            spans=call.spans,
            audio=audio,
            agent_channel=Party.LEFT if call.sound and not call.sound.form.mono else None,
        )
