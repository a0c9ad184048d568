"""Kills a burn-in at every step of it, and reports what was left. Run as a program of its own.

Steps are those of ``tests/imports/killing.py``. Before the second run another mask comes in, so
that whatever the first one left half done would hold speech that must not be heard.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import wave
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from callreel.audio.rendered import RenderCache
from callreel.bootstrap import Stores
from callreel.db import audit, burns, calls, directory, masks
from callreel.db.database import Database, open_database
from callreel.flows.burn import RENDERS_GONE_MS, Burner
from callreel.flows.sound import Sound
from callreel.model import RecordingId, Scope, SourceFacts, Span, SpanSource, UnixMillis
from callreel.store.local import LocalStore
from tests.contracts.records import CallPlan, new_recording, write_call, write_recording
from tests.imports.killing import KEYS, NOW, Steps

RECORDING = RecordingId("r1")
RATE_HZ = 8000
FACTS = SourceFacts(
    "pcm_s16le",
    "wav",
    RATE_HZ,
    1,
    RATE_HZ,
    data_offset=44,
    data_size=2 * RATE_HZ,
    block_align=2,
)
FIRST, LATER = Span(0.2, 0.4), Span(0.6, 0.8)


class Installation:
    """A data folder with one recording, whose masked speech is known to the byte."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = UnixMillis(NOW + 3_600_000)

    def open(self) -> tuple[Database, Burner, RenderCache]:
        """Everything that a burn-in needs."""
        database = open_database(f"sqlite:///{self.folder / 'callreel.db'}")
        cache = RenderCache(self.folder / "cache", 1 << 24)
        stores = Stores(database, self.folder)
        sound = Sound(KEYS, stores, cache, lambda: self.now)
        burner = Burner(database, KEYS, stores, sound, lambda: self.now, cache.forget)
        return database, burner, cache

    def make(self) -> dict[str, bytes]:
        """One with a mask; gives what was said under it and under the mask that comes later."""
        store = self.folder / "store"
        store.mkdir(parents=True)
        samples = np.random.default_rng(5).integers(-9000, 9000, RATE_HZ).astype("<i2")
        database, _, cache = self.open()
        database.migrate()
        path = self.folder / "in.wav"
        _write_wav(path, samples)
        with path.open("rb") as file:
            info = LocalStore(store).put(file)
        path.unlink()
        with database.write() as conn:
            directory.ensure_store(conn, "1", "file:store", read_only=False)
            write_call(conn, CallPlan("c1", recording=RECORDING))
            known = replace(
                new_recording(RECORDING),
                object_key=info.key,
                size_bytes=info.size_bytes,
                sha256=info.sha256,
                facts=FACTS,
            )
            write_recording(conn, known)
        self.mask(database, FIRST)
        cache.close()
        database.close()
        return {
            name: samples[round(span.start_s * RATE_HZ) + 50 :][:64].tobytes()
            for name, span in (("first", FIRST), ("later", LATER))
        }

    @staticmethod
    def mask(database: Database, span: Span) -> None:
        """A mask comes in."""
        with database.write() as conn:
            masks.add_spans(
                conn,
                RECORDING,
                [span],
                SpanSource.HAND,
                actor="ann",
                reason="card",
                seal=KEYS.seal_mask,
                now=NOW,
            )

    def burn(self, steps: Steps | None = None) -> None:
        """Burn in, as far as the steps allow."""
        database, burner, cache = self.open()
        if steps is not None:
            steps.watch()
        burner.burn(RECORDING, actor="command", cause="command")
        cache.close()
        database.close()

    def complete(self) -> None:
        """Another mask, and the runs that are left to do."""
        database, _, cache = self.open()
        self.mask(database, LATER)
        cache.close()
        database.close()
        self.burn()
        self.now = UnixMillis(self.now + RENDERS_GONE_MS)
        self.burn()
        self.burn()
        self.now = UnixMillis(self.now + RENDERS_GONE_MS)
        self.burn()

    def faults(self, speech: dict[str, bytes]) -> Iterator[str]:
        """What must not be after all is done."""
        for name, marker in speech.items():
            for path in self.folder.rglob("*"):
                if path.is_file() and marker in path.read_bytes():
                    yield f"{path.relative_to(self.folder)} holds the {name} speech"
        database, _, cache = self.open()
        with database.read() as conn:
            found = calls.find_recording(conn, Scope(everything=True), RECORDING)
            burn = burns.find(conn, RECORDING)
            actions = [each.action for each in audit.entries(conn, object_id=RECORDING)]
        assert found is not None
        objects = {path.name for path in (self.folder / "store").glob("??/??/*")}
        if objects != {found.object_key.rpartition("/")[2]}:
            yield f"the store holds {len(objects)} objects"
        if burn is None or burn.state != "done":
            yield "the burn-in is not done"
        # The helpers wrote another sound first: what came in is content version 2.
        if actions.count("burn_in.swap") != found.content_version - 2:
            yield "a swap is not in the audit log"
        if actions[-1] != "burn_in.done":
            yield "the end is not in the audit log"
        cache.close()
        database.close()


def _write_wav(path: Path, samples: np.ndarray) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.tobytes())


def main(folder: Path) -> None:
    """Print, as JSON, how many steps there are and what was wrong after a kill at each."""
    speech = Installation(folder / "fresh").make()
    # Once whole in this process, so that each child finds every module loaded.
    shutil.copytree(folder / "fresh", folder / "warm")
    warm = Installation(folder / "warm")
    warm.burn()
    warm.complete()
    wrong = {0: list(warm.faults(speech))}
    step = 0
    while True:
        step += 1
        place = folder / str(step)
        shutil.copytree(folder / "fresh", place)
        child = os.fork()
        if child == 0:
            Installation(place).burn(Steps(step))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == 0:
            break
        killed = Installation(place)
        killed.complete()
        wrong[step] = list(killed.faults(speech))
        shutil.rmtree(place)
    print(json.dumps({"steps": step - 1, "wrong": {n: f for n, f in wrong.items() if f}}))  # noqa: T201  # its answer


if __name__ == "__main__":
    main(Path(sys.argv[1]))
