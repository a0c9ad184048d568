"""Everything there is, over one folder, for tests that listen and mask."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from callreel.access.keys import KeyRing, TokenSecret
from callreel.audio.prober import Prober
from callreel.audio.rendered import RenderCache
from callreel.bootstrap import Stores
from callreel.db import audit, directory, users
from callreel.db.database import Database, open_database
from callreel.flows.browse import Browse
from callreel.flows.burn import Burner
from callreel.flows.deliver import Deliver
from callreel.flows.entry import CallEntry, SoundFile
from callreel.flows.export import Exporter
from callreel.flows.intake import Intake
from callreel.flows.issue import Issue, Issued
from callreel.flows.key_presses import KeyFinder
from callreel.flows.masking import Masking
from callreel.flows.peaks import Peaks
from callreel.flows.prove import Prover
from callreel.flows.settling import Settling
from callreel.flows.signal import Signals
from callreel.flows.sound import Sound
from callreel.flows.streams import Streams
from callreel.model import (
    AudioSpec,
    Principal,
    RecordingId,
    Role,
    Scope,
    UnixMillis,
    WebUserId,
)

START = UnixMillis(1_790_000_000_000)
ALL = Scope(everything=True)
WAV = AudioSpec("wav")
SOUND_S = 10


@dataclass
class House:
    """Everything there is, over one folder, with a clock that a test sets."""

    db: Database
    keys: KeyRing
    issue: Issue
    deliver: Deliver
    signals: Signals
    masking: Masking
    settling: Settling
    peaks: Peaks
    prover: Prover
    burner: Burner
    key_finder: KeyFinder
    exporter: Exporter
    browse: Browse
    intake: Intake
    cache: RenderCache
    sound: Sound
    folder: Path
    now: UnixMillis
    lost: list[Exception]
    echo: Callable[[Collection[str]], Deliver]
    """An Echo for some voicelocations."""

    def user(
        self, name: str = "crm", role: Role = Role.INTEGRATOR, reach: Scope = ALL
    ) -> Principal:
        """Add a web user; their principal."""
        with self.db.write() as conn:
            directory.ensure_site(conn, "elsewhere")
            user_id = users.add_user(conn, name, role, "no hash", reach, START)
        return Principal(user_id, name, role, reach, "basic")

    @staticmethod
    def principal(user_id: str, name: str, role: Role = Role.INTEGRATOR) -> Principal:
        """Somebody who reaches everything, known to the database or not."""
        return Principal(WebUserId(user_id), name, role, ALL, "basic")

    def take(
        self,
        name: str,
        *,
        extension: str,
        start_s: float,
        recording: str = "R",
        in_place: bool = False,
    ) -> str:
        """Import a call of ten seconds that shares a recording; the id of the recording."""
        path = self.folder / f"{recording}.wav"
        if not path.exists():
            noise = np.random.default_rng(1).integers(-9000, 9000, (SOUND_S * 8000, 2))
            with wave.open(str(path), "wb") as file:
                file.setnchannels(2)
                file.setsampwidth(2)
                file.setframerate(8000)
                file.writeframes(noise.astype("<i2").tobytes())
        entry = CallEntry(
            datasource="3",
            source_key=name,
            origin=name,
            started_at=UnixMillis(round(START + start_s * 1000)),
            # All legs end with the sound that they share.
            duration_s=SOUND_S - start_s if 0 <= start_s < SOUND_S else 5.0,
            voicefilename=recording,
            extension=extension,
            from_number="01632960001",
            to_number="01632960002",
            audio=SoundFile(self.folder, path.name, in_place=in_place),
        )
        (taken,) = self.intake.take([entry], actor="test")
        assert taken.recording_id is not None, taken.reason
        return taken.recording_id

    def ask(self, who: Principal, recording: str, spec: AudioSpec = WAV, **more: bool) -> Issued:
        """A token."""
        return self.issue.by_id(who, RecordingId(recording), spec, address=None, **more).result(20)

    def hear(self, issued: Issued) -> bytes:
        """All bytes behind a token."""
        delivery = self.deliver.open(token_of(issued), head=False, address=None)
        try:
            assert delivery.size is not None
            delivery.started()
            return b"".join(delivery.stream(0, delivery.size))
        finally:
            delivery.close(1).result()

    def actions(self, recording: str) -> list[tuple[str, str]]:
        """What the audit log tells of a recording."""
        with self.db.read() as conn:
            return [(e.action, e.decision) for e in audit.entries(conn, object_id=recording)]


def token_of(issued: Issued) -> str:
    """The token in a URL."""
    return issued.url.rpartition("/")[2]


def samples(wav: bytes) -> np.ndarray:
    """Decoded, (frames, channels)."""
    with wave.open(io.BytesIO(wav)) as file:
        raw = file.readframes(file.getnframes())
        return np.frombuffer(raw, "<i2").reshape(-1, file.getnchannels())


@contextmanager
def open_house(tmp_path: Path, database_url: str | None = None) -> Iterator[House]:
    """A house whose clock stands an hour after the calls; over SQLite unless told."""
    db = open_database(database_url or f"sqlite:///{tmp_path / 'callreel.db'}")
    db.migrate()
    with db.write() as conn:
        directory.ensure_store(conn, "1", "file:store", read_only=False)
    keys = KeyRing(bytes(range(32)), [TokenSecret(b"abcd", bytes(range(32)), True)])
    (tmp_path / "store").mkdir()
    stores = Stores(db, tmp_path)
    cache = RenderCache(tmp_path / "cache", limit_bytes=1 << 24, wait_s=30)
    prober = Prober()
    lost: list[Exception] = []
    made: House

    def clock() -> UnixMillis:
        return made.now

    sound = Sound(keys, stores, cache, clock)

    def echo(own: Collection[str]) -> Deliver:
        return Deliver(
            db,
            keys,
            sound,
            Streams(2, 2),
            clock,
            voicelocations=own,
            on_audit_failure=lost.append,
        )

    prover = Prover(db, keys, sound, clock)
    made = House(
        db=db,
        keys=keys,
        issue=Issue(db, keys, sound, clock, "http://echo.example/"),
        deliver=echo(()),
        signals=Signals(db, keys, clock),
        masking=Masking(db, keys, clock),
        settling=Settling(db, keys, clock),
        peaks=Peaks(db, sound, cache.forget),
        prover=prover,
        exporter=Exporter(db, sound, prover, clock, cache.forget),
        burner=Burner(db, keys, stores, sound, clock, cache.forget),
        key_finder=KeyFinder(db, keys, sound, clock),
        browse=Browse(db),
        intake=Intake(db, stores, prober.probe, keys, clock),
        cache=cache,
        sound=sound,
        folder=tmp_path / "in",
        now=UnixMillis(START + 3_600_000),
        lost=lost,
        echo=echo,
    )
    made.folder.mkdir()
    yield made
    prober.close()
    cache.close()
    db.close()
