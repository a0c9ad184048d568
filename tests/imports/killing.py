"""Kills an import at every step of it, and reports what was left. Run as a program of its own.

Steps are what can be seen from outside: system calls that change a disk, statements and commits of
the database. They are counted and cut off here, around the import; nothing in it knows of this.
One process is warmed up and forked for each step, which is fast, and safe as it has one thread.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC
from functools import partial
from pathlib import Path

from sqlalchemy import Engine, event

from callreel.access.keys import KeyRing, TokenSecret
from callreel.audio.probe import probe
from callreel.db import directory, rows, schema
from callreel.db.database import Database, open_database
from callreel.flows import intake as intake_module
from callreel.flows.intake import Intake
from callreel.importers.asterisk import AsteriskOptions, read_asterisk
from callreel.importers.asterisk_rows import read_rows
from callreel.importers.folder import FolderOptions, read_folder
from callreel.importers.items import Items
from callreel.importers.monitor import MonitorTree
from callreel.importers.run import run_import
from callreel.importers.stability import Patience
from callreel.model import Span, UnixMillis
from callreel.store.local import LocalStore

NOW = UnixMillis(1_795_500_000_000)
KEYS = KeyRing(bytes(range(32)), [TokenSecret(b"test", bytes(range(32)), active=True)])
CALLS = ("open", "fsync", "rename", "link", "write", "mkdir", "unlink", "ftruncate")

# Each recording in a transaction of its own: the second leg must not cover for the first.
intake_module.BATCH_SOUNDS = 1

write_untouched = os.write


class Steps:
    """Counts steps, and ends the process right before one of them."""

    def __init__(self, fatal: int | None) -> None:
        self.count = 0
        self._fatal = fatal

    def __call__(self) -> None:
        """One more step is about to happen."""
        self.count += 1
        if self.count == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> None:
        """Count from here on."""
        for name in CALLS:
            setattr(os, name, self._counted(getattr(os, name)))
        for name in ("before_cursor_execute", "commit", "rollback"):
            event.listen(Engine, name, lambda *_: self())

    def _counted(self, call: Callable[..., object]) -> Callable[..., object]:
        def counted(*args: object, **kwargs: object) -> object:
            self()
            return call(*args, **kwargs)

        return counted


class Installation:
    """A data folder with a database and a store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder / 'callreel.db'}"
        self.store = folder / "store"

    def make(self) -> None:
        """An empty one."""
        self.store.mkdir(parents=True)
        database = open_database(self.url)
        database.migrate()
        with database.write() as conn:
            directory.ensure_store(conn, "1", self.store.as_uri(), read_only=False)
        database.close()

    def bring_in(self, items: Items, acknowledge: int, steps: Steps | None = None) -> None:
        """Import; every outcome is written to a file descriptor as soon as it is told."""
        database = open_database(self.url)
        store = LocalStore(self.store)
        intake = Intake(database, lambda _id: store, probe, KEYS, lambda: NOW)
        if steps is not None:
            steps.watch()
        for outcome in run_import(items, intake, patience=Patience(0, 0, 0), actor="command"):
            write_untouched(acknowledge, f"{outcome.call_id}\n".encode())
        database.close()

    def faults(self, acknowledged: set[str]) -> Iterator[str]:
        """What must not be, whenever the import was killed."""
        for path in self.store.glob("??/??/*"):
            if hashlib.sha256(path.read_bytes()).hexdigest() != path.name:
                yield f"{path.name} is not whole"
        with closing(sqlite3.connect(self.folder / "callreel.db")) as connection:
            if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                yield "the database is damaged"
            if connection.execute("PRAGMA foreign_key_check").fetchall():
                yield "a row refers to nothing"
        database = open_database(self.url)
        yield from self._faults_of_rows(database, acknowledged)
        database.close()

    def _faults_of_rows(self, database: Database, acknowledged: set[str]) -> Iterator[str]:
        with database.read() as conn:
            calls = conn.execute(schema.call_records.select()).all()
            recordings = conn.execute(schema.recordings.select()).all()
            spans = rows.active_spans(conn, [row.id for row in recordings])
        lost = acknowledged - {row.id for row in calls}
        if lost:
            yield f"{len(lost)} acknowledged calls are lost"
        known = {row.id for row in recordings}
        for row in calls:
            if row.recording_id is not None and row.recording_id not in known:
                yield f"call {row.id} points at no recording"
        for row in recordings:
            if not (self.store / row.object_key).is_file():
                yield f"recording {row.id} points at no sound"
            masked = spans.get(row.id, ())
            if KEYS.seal_mask(row.id, row.mask_revision, masked) != row.mask_seal:
                yield f"recording {row.id} has a mask that does not fit its seal"
            if row.voicefilename == "MASKED" and set(masked) != {Span(0, 0.01), Span(0.02, 0.03)}:
                yield "a recording can be seen without all of its spans"

    def state(self) -> dict[str, list[str]]:
        """Everything that is there, less what chance decides."""
        found: dict[str, list[str]] = {
            "files": sorted(
                str(path.relative_to(self.store))
                for path in self.store.rglob("*")
                if path.is_file()
            )
        }
        database = open_database(self.url)
        with database.read() as conn:
            for table in schema.metadata.sorted_tables:
                left_out = {"id", "seq"} if table.name in {"spans", "audit", "changes"} else set()
                found[table.name] = sorted(
                    json.dumps({k: v for k, v in row._mapping.items() if k not in left_out})
                    for row in conn.execute(table.select())
                )
        database.close()
        return found


def _items(kind: str, source: Path) -> Items:
    if kind == "folder":
        return read_folder(source, FolderOptions())
    tree = MonitorTree(source)
    return read_asterisk(partial(read_rows, source / "Master.csv"), tree, AsteriskOptions(UTC))


def _in_child(work: Callable[[], None]) -> int:
    """Fork, do it there, and give the status."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - a child must never run on as a second parent
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def _attempt(
    template: Installation, work: Path, kind: str, source: Path, fatal: int | None
) -> tuple[Installation, set[str], int, int]:
    """One import that is killed at a step; also its acknowledgements, status and steps."""
    installation = Installation(work)
    shutil.copytree(template.folder, work)
    told = work / "told"
    counted = work / "steps"

    def child() -> None:
        acknowledge = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        steps = Steps(fatal)
        installation.bring_in(_items(kind, source), acknowledge, steps)
        counted.write_text(str(steps.count))

    status = _in_child(child)
    acknowledged = set(told.read_text().split()) - {"None"}
    return installation, acknowledged, status, int(counted.read_text()) if fatal is None else 0


def main(kind: str, source: Path, work: Path) -> None:
    """Print one line of JSON for each step, and one for the undisturbed import."""
    template = Installation(work / "template")
    template.make()
    with (work / "nowhere").open("w") as nowhere:
        # Warm: every module is loaded and every statement compiled before the first fork.
        warm = Installation(work / "warm")
        shutil.copytree(template.folder, warm.folder)
        warm.bring_in(_items(kind, source), nowhere.fileno())
        whole, acknowledged, _, count = _attempt(template, work / "whole", kind, source, None)
        expected = whole.state()
        calls = len(expected["call_records"])
        sys.stdout.write(
            json.dumps({"steps": count, "calls": calls, "told": len(acknowledged)}) + "\n"
        )
        for step in range(1, count + 1):
            killed, told, status, _ = _attempt(template, work / f"s{step}", kind, source, step)
            faults = list(killed.faults(told))
            killed.bring_in(_items(kind, source), nowhere.fileno())
            differs = [name for name, found in killed.state().items() if found != expected[name]]
            report = {"step": step, "status": status, "faults": faults, "differs": differs}
            sys.stdout.write(json.dumps(report) + "\n")
            shutil.rmtree(killed.folder)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
