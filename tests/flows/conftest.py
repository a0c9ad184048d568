"""An intake over a real database, a real store and the real probe."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from callreel.access.keys import KeyRing, TokenSecret
from callreel.audio.probe import probe
from callreel.db import calls, directory, schema, search
from callreel.db.call_filter import CallFilter
from callreel.db.database import Database
from callreel.flows.entry import CallEntry, SoundFile, Taken
from callreel.flows.intake import Intake
from callreel.model import Call, Direction, Recording, RecordingId, Scope, UnixMillis
from callreel.store.base import Store
from callreel.store.local import InPlaceStore, LocalStore
from tests.flows.house import House, open_house

NOW = UnixMillis(1_795_500_000_000)
STARTED_AT = UnixMillis(1_795_426_200_000)
EVERYTHING = Scope(everything=True)
RATE_HZ = 8000


@dataclass(slots=True)
class Landed:
    """An intake, and what can be seen after it."""

    database: Database
    intake: Intake
    store: LocalStore
    source: Path
    """Folder of the files that come in."""
    keys: KeyRing

    def take(self, *entries: CallEntry) -> list[Taken]:
        """Take entries as one run."""
        return list(self.intake.take(entries, actor="command"))

    def calls(self) -> tuple[Call, ...]:
        """Every call, newest first."""
        with self.database.read() as conn:
            page = search.search_calls(conn, EVERYTHING, CallFilter(), limit=100, cursor=None)
        return page.items

    def recording(self, recording_id: str | None) -> Recording:
        """One recording that must be there."""
        assert recording_id is not None
        with self.database.read() as conn:
            found = calls.find_recording(conn, EVERYTHING, RecordingId(recording_id))
        assert found is not None
        return found

    def recording_ids(self) -> set[str]:
        """Every recording, also one without call."""
        with self.database.read() as conn:
            return set(conn.execute(select(schema.recordings.c.id)).scalars())

    def wav(self, name: str, seed: int = 1, seconds: float = 0.25) -> SoundFile:
        """A file of sound in the source folder."""
        count = int(seconds * RATE_HZ)
        data = struct.pack(f"<{count}h", *((i * (seed * 37 + 11)) % 2000 for i in range(count)))
        fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE_HZ, RATE_HZ * 2, 2, 16)
        body = b"WAVE" + fmt + b"data" + struct.pack("<I", len(data)) + data
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
        return SoundFile(self.source, name)


def entry(key: str = "k1", audio: SoundFile | None = None, **fields: object) -> CallEntry:
    """An ordinary call; anything can be said otherwise."""
    usual: dict[str, object] = {
        "datasource": "1",
        "source_key": key,
        "origin": key,
        "started_at": STARTED_AT,
        "direction": Direction.INBOUND,
        "from_number": "01632960111",
        "to_number": "2104",
        "duration_s": 60.0,
        "voicefilename": "NCS1" if audio is not None else None,
        "extension": "2104",
        "audio": audio,
    }
    return CallEntry(**{**usual, **fields})  # type: ignore[arg-type]  # named by the tests


EntryMaker = Callable[..., CallEntry]


@pytest.fixture
def make_entry() -> EntryMaker:
    """See ``entry``."""
    return entry


@pytest.fixture
def landed(database: Database, tmp_path: Path) -> Landed:
    """An intake on each kind of database."""
    root = tmp_path / "store"
    root.mkdir()
    store = LocalStore(root)
    with database.write() as conn:
        directory.ensure_store(conn, "1", root.as_uri(), read_only=False)

    def store_of(store_id: str) -> Store:
        return store if store_id == "1" else InPlaceStore(tmp_path / "source")

    keys = KeyRing(bytes(range(32)), [TokenSecret(b"test", bytes(range(32)), active=True)])
    intake = Intake(database, store_of, probe, keys, lambda: NOW)
    return Landed(database, intake, store, tmp_path / "source", keys)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house whose clock stands an hour after its calls."""
    with open_house(tmp_path) as opened:
        yield opened
