"""Calls to measure with: the demo's speech at the lengths that the bars name, with masks.

Built once through the product's own intake, kept under ``build/bench``, and copied
for each benchmark by hard links, so that what one writes no other meets.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from benchmarks.processes import ROOT
from callreel.access.identity import hash_password
from callreel.access.keys import create_key_file
from callreel.bootstrap import open_base, open_intake, prepare_database, system_clock
from callreel.db import directory, key_presses, users
from callreel.demo.conversations import RATE_HZ, load_conversations
from callreel.flows.entry import CallEntry, SoundFile
from callreel.model import Direction, Disposition, Role, Scope, Span, UnixMillis
from callreel.settings import DatabaseSettings, Settings

CALLREEL = (sys.executable, "-c", "from callreel.cli.main import main; main()")
USERNAME = "bench"
PASSWORD = "the password of a benchmark"  # noqa: S105  # of a server that only this machine reaches
COPIES = 8
"""Of what is asked for again and again, so that no single file is measured."""
_TAKEN_BY = tuple(
    str(ROOT / "callreel" / name)
    for name in ("access/keys.py", "audio/probe.py", "flows/intake.py")
)
"""What decides how a recording is stored."""
_LONG_AGO_MS = 30 * 86_400_000
_MASKED = (0.1, 0.45, 0.8)
"""Where masks begin, as shares of the length; each is a thirtieth long."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long the calls are, in seconds."""

    minute_s: int
    ten_s: int
    hour_s: int


FULL = Lengths(60, 600, 3600)
SMALL = Lengths(6, 30, 60)


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recording, as peers and clients need it."""

    name: str
    recording_id: str
    file: Path
    """What was imported, unmasked."""
    spans: tuple[tuple[float, float], ...]
    duration_s: float


@dataclass(frozen=True, slots=True)
class Calls:
    """A data folder and what is in it."""

    folder: Path
    """Holds ``data`` and the imported files."""
    recorded: Mapping[str, Recorded]

    @property
    def data_dir(self) -> Path:
        """Callreel's own folder; never served itself."""
        return self.folder / "data"

    def several(self, kind: str) -> list[Recorded]:
        """All copies of a kind: ``minute`` or ``ten``."""
        return [self.recorded[f"{kind}-{number}"] for number in range(COPIES)]

    def copy_to(self, folder: Path) -> Path:
        """A data folder of one's own; sound is linked, the rest is copied."""
        copy = folder / "data"
        shutil.rmtree(copy, ignore_errors=True)

        def linked(source: str, target: str) -> str:
            if Path(source).is_relative_to(self.data_dir / "store"):
                os.link(source, target)
                return target
            return str(shutil.copy2(source, target))

        shutil.copytree(self.data_dir, copy, copy_function=linked)
        return copy


def version(*made_by: str) -> str:
    """Changes with whatever would make a folder that was built earlier unfit.

    Args:
        made_by: Files of code that build it.
    """
    told = hashlib.sha256()
    migrations = sorted((ROOT / "callreel/db/migrations/versions").glob("*.py"))
    for path in (*map(Path, made_by), *migrations):
        told.update(path.read_bytes())
    return told.hexdigest()[:12]


def drop(cache: Path, pattern: str) -> None:
    """Remove what was built earlier, and does not fit any more."""
    for folder in cache.glob(pattern):
        shutil.rmtree(folder)


def make_data(data_dir: Path, *sites: str, database_url: str = "") -> Settings:
    """An empty data folder with sites of these names, a datasource for each, and an administrator.

    Nobody searches it for pressed keys, which would take turns with what is measured.

    Args:
        data_dir: Made.
        sites: Their names; their ids, and those of their datasources, are 1, 2, 3…
        database_url: Empty for SQLite.
    """
    settings = Settings(data_dir, database=DatabaseSettings(database_url))
    data_dir.mkdir(mode=0o700)
    create_key_file(settings.key_file)
    prepare_database(settings)
    with contextlib.closing(open_base(settings)) as base, base.db.write() as conn:
        directory.ensure_voicelocation(conn, "1", "1")
        for number, name in enumerate(sites, 1):
            site = directory.ensure_site(conn, str(number), name)
            directory.set_site(conn, replace(site, key_presses=key_presses.OFF))
            directory.ensure_datasource(conn, str(number), site.id)
    add_user(settings, USERNAME, Role.ADMINISTRATOR, Scope(everything=True))
    return settings


def add_user(settings: Settings, name: str, role: Role, reach: Scope) -> None:
    """A web user with the password of the benchmarks."""
    with contextlib.closing(open_base(settings)) as base, base.db.write() as conn:
        users.add_user(conn, name, role, hash_password(PASSWORD), reach, system_clock())


def calls(cache: Path, lengths: Lengths) -> Calls:
    """The calls of these lengths, built now if they are not there."""
    folder = cache / f"calls-{lengths.hour_s}-{version(__file__, *_TAKEN_BY)}"
    index = folder / "index.json"
    if not index.exists():
        drop(cache, f"calls-{lengths.hour_s}-*")
        folder.mkdir(parents=True)
        index.write_text(json.dumps(_build(folder, lengths)))
    found = json.loads(index.read_text())
    recorded = {
        name: Recorded(
            name, each["id"], folder / each["file"], tuple(map(tuple, each["spans"])), each["s"]
        )
        for name, each in found.items()
    }
    return Calls(folder, recorded)


@dataclass(frozen=True, slots=True)
class _Wanted:
    name: str
    seconds: int
    subtype: str
    channels: int
    masked: tuple[float, ...]
    turn: int
    """From where in the speech it begins: calls of one turn sound the same."""


def _wanted(lengths: Lengths) -> list[_Wanted]:
    return [
        *(
            _Wanted(f"minute-{turn}", lengths.minute_s, "ULAW", 1, (0.45,), turn)
            for turn in range(COPIES)
        ),
        *(
            _Wanted(f"ten-{turn}", lengths.ten_s, "PCM_16", 1, _MASKED, turn)
            for turn in range(COPIES)
        ),
        _Wanted("talk", lengths.ten_s, "ULAW", 2, _MASKED, 0),
        _Wanted("hour", lengths.hour_s, "ULAW", 2, _MASKED, 0),
        _Wanted("hour-plain", lengths.hour_s, "ULAW", 2, (), 0),
        _Wanted("hour-other", lengths.hour_s, "ULAW", 2, _MASKED, 3),
    ]


def _build(folder: Path, lengths: Lengths) -> dict[str, dict[str, object]]:
    speech = np.concatenate([told.sound() for told in load_conversations()])
    settings = make_data(folder / "data", "Bench")
    entries = []
    found: dict[str, dict[str, object]] = {}
    for each in _wanted(lengths):
        path = folder / f"{each.name}.wav"
        soundfile.write(path, _spoken(speech, each), RATE_HZ, format="WAV", subtype=each.subtype)
        spans = [(share * each.seconds, (share + 1 / 30) * each.seconds) for share in each.masked]
        found[each.name] = {"file": path.name, "spans": spans, "s": each.seconds}
        entries.append(_entry(folder, each, spans))
    importing = open_intake(settings)
    try:
        for taken in importing.intake.take(entries, actor=USERNAME):
            if taken.recording_id is None:
                raise SystemExit(f"{taken.entry.origin}: {taken.reason}")
            found[taken.entry.origin]["id"] = taken.recording_id
    finally:
        importing.close()
    return found


def _spoken(speech: npt.NDArray[np.int16], wanted: _Wanted) -> npt.NDArray[np.int16]:
    frames = wanted.seconds * RATE_HZ
    begin = wanted.turn * 7919
    places = (np.arange(begin, begin + frames)) % len(speech)
    both: npt.NDArray[np.int16] = speech[places]
    if wanted.channels == 2:
        return both
    return np.asarray(both.astype(np.int32).sum(axis=1) >> 1, dtype=np.int16)


def _entry(folder: Path, wanted: _Wanted, spans: list[tuple[float, float]]) -> CallEntry:
    return CallEntry(
        datasource="1",
        source_key=wanted.name,
        origin=wanted.name,
        started_at=UnixMillis(system_clock() - _LONG_AGO_MS),
        duration_s=float(wanted.seconds),
        direction=Direction.INBOUND,
        from_number="01632960001",
        to_number="01614960100",
        extension="2000",
        disposition=Disposition.ANSWERED,
        voicefilename=wanted.name,
        spans=tuple(Span(*each) for each in spans),
        audio=SoundFile(folder, f"{wanted.name}.wav"),
    )
