"""Kills a round of retention at every step of it, and reports what was left. Run as a program.

Steps are those of ``tests/imports/killing.py``. Of three recordings one is too old, one is too old
and has the bytes of one that is kept, and one is on hold.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from callreel.audio.rendered import RenderCache
from callreel.bootstrap import Stores
from callreel.db import audit, burns, directory
from callreel.db.database import Database, open_database
from callreel.db.schema import recordings
from callreel.flows.burn import RENDERS_GONE_MS
from callreel.flows.retention import Retention
from callreel.flows.sound import Sound
from callreel.model import AudioSpec, RecordingId, UnixMillis
from callreel.store.local import LocalStore
from tests.contracts.records import KEYS, NOW, CallPlan, found_recording, new_recording, write_call
from tests.contracts.records import write_recording as put
from tests.flows.burning import FACTS, RATE_HZ, _write_wav
from tests.imports.killing import Steps

DAY_S = 86_400
SOUNDS = {"old": 1, "held": 2, "shared": 3, "young": 3}
"""Recordings, and which sound each has."""


class Installation:
    """A data folder with a site that keeps recordings for 30 days."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = UnixMillis(NOW + 40 * DAY_S * 1000)

    def open(self) -> tuple[Database, Retention, RenderCache]:
        """Everything that retention needs."""
        database = open_database(f"sqlite:///{self.folder / 'callreel.db'}")
        cache = RenderCache(self.folder / "cache", 1 << 24)
        retention = Retention(
            database, Stores(database, self.folder), lambda: self.now, cache.forget
        )
        return database, retention, cache

    def make(self) -> dict[str, bytes]:
        """Recordings, one of them rendered; gives what can be found in each sound."""
        (self.folder / "store").mkdir(parents=True)
        database, _, cache = self.open()
        database.migrate()
        with database.write() as conn:
            directory.ensure_store(conn, "1", "file:store", read_only=False)
            site = directory.ensure_site(conn, "s1")
            directory.set_site(conn, replace(site, retention_days=30))
        markers = {}
        for name, seed in SOUNDS.items():
            samples = np.random.default_rng(seed).integers(-9000, 9000, RATE_HZ).astype("<i2")
            markers[name] = samples[500:600].tobytes()
            path = self.folder / "in.wav"
            _write_wav(path, samples)
            with path.open("rb") as file:
                info = LocalStore(self.folder / "store").put(file)
            path.unlink()
            with database.write() as conn:
                at_s = 20.0 * DAY_S if name == "young" else 0.0
                write_call(conn, CallPlan(f"c-{name}", recording=name, at_s=at_s))
                known = replace(
                    new_recording(name),
                    object_key=info.key,
                    size_bytes=info.size_bytes,
                    sha256=info.sha256,
                    facts=FACTS,
                )
                put(conn, known)
        with database.write() as conn:
            burns.place_hold(conn, RecordingId("held"), by="ann", reason="claim", now=NOW)
        sound = Sound(KEYS, Stores(database, self.folder), cache, lambda: self.now)
        sound.open(found_recording(database, "old"), AudioSpec("flac")).close()
        cache.close()
        database.close()
        return markers

    def run(self, steps: Steps | None = None) -> None:
        """Two rounds, a minute apart, as far as the steps allow."""
        database, retention, cache = self.open()
        if steps is not None:
            steps.watch()
        retention.once()
        self.now = UnixMillis(self.now + RENDERS_GONE_MS)
        retention.once()
        cache.close()
        database.close()

    def faults(self, markers: dict[str, bytes]) -> Iterator[str]:
        """What must not be after all is done."""
        in_store = [path.read_bytes() for path in (self.folder / "store").glob("??/??/*")]
        for name, there in (("old", False), ("held", True), ("shared", True)):
            if any(markers[name] in each for each in in_store) is not there:
                yield f"the sound of {name} is {'gone' if there else 'still there'}"
        if any((self.folder / "cache").glob("*")):
            yield "a render is left"
        database, _, cache = self.open()
        with database.read() as conn:
            for row in conn.execute(recordings.select()):
                gone = row.id in {"old", "shared"}
                if (row.state == "deleted", row.erased_at is not None) != (gone, gone):
                    yield f"{row.id} is {row.state}, erased at {row.erased_at}"
                actions = [each.action for each in audit.entries(conn, object_id=row.id)]
                if actions != (["recording.delete", "recording.erase"] if gone else []):
                    yield f"the audit log tells of {row.id}: {actions}"
        cache.close()
        database.close()


def main(folder: Path) -> None:
    """Print, as JSON, how many steps there are and what was wrong after a kill at each."""
    markers = Installation(folder / "fresh").make()
    # Once whole in this process, so that each child finds every module loaded.
    shutil.copytree(folder / "fresh", folder / "warm")
    warm = Installation(folder / "warm")
    before = len(list((folder / "warm" / "cache").glob("*")))
    warm.run()
    wrong = {0: list(warm.faults(markers))}
    if not before:
        wrong[0].append("there was no render to forget")
    step = 0
    while True:
        step += 1
        place = folder / str(step)
        shutil.copytree(folder / "fresh", place)
        child = os.fork()
        if child == 0:
            Installation(place).run(Steps(step))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == 0:
            break
        killed = Installation(place)
        killed.run()
        wrong[step] = list(killed.faults(markers))
        shutil.rmtree(place)
    print(json.dumps({"steps": step - 1, "wrong": {n: f for n, f in wrong.items() if f}}))  # noqa: T201  # its answer


if __name__ == "__main__":
    main(Path(sys.argv[1]))
