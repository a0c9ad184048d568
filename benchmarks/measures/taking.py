"""What comes in, and what is drawn of it: an import of CSV rows, the peaks of an hour."""

from __future__ import annotations

import csv
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.bench import Bench
from benchmarks.calls import CALLREEL, make_data
from benchmarks.figures import Figure, Sample, in_turns
from benchmarks.ours import PATIENT, serving
from benchmarks.processes import environment, pinned, run

_MOST_ROWS = 100_000
_END_S = 1_795_000_000
_MAPPING = """
timezone = "UTC"
[columns]
id = "id"
started_at = "start"
duration_s = "seconds"
direction = "direction"
from = "caller"
to = "called"
extension = "extension"
disposition = "state"
"""
_COLUMNS = ("id", "start", "seconds", "direction", "caller", "called", "extension", "state")
_POINTS = 2000
_STEP = 256


def import_csv(bench: Bench) -> Iterator[Figure]:
    """``callreel import csv`` into an empty database, and the same rows by hand into SQLite."""
    count = min(bench.rows, _MOST_ROWS)
    with bench.folder() as folder:
        records, mapping = folder / "records.csv", folder / "mapping.toml"
        _write(records, count)
        mapping.write_text(_MAPPING)
        turn = iter(range(1000))

        def mine() -> Sample:
            data = folder / f"data-{next(turn)}"
            make_data(data, "Bench")
            words = [*CALLREEL, "import", "csv", str(records), "--mapping", str(mapping)]
            words = pinned([*words, "--data", str(data)], bench.both_cores)
            began = time.perf_counter()
            told = run(words, env=environment())
            took_s = time.perf_counter() - began
            if f"new {count}," not in told:
                raise SystemExit(f"not everything came in: {told[-300:]}")
            return Sample(count / took_s, {"seconds": took_s})

        def theirs() -> Sample:
            began = time.perf_counter()
            _by_hand(records, folder / f"by-hand-{next(turn)}.db")
            took_s = time.perf_counter() - began
            return Sample(count / took_s, {"seconds": took_s})

        samples = in_turns(bench.rounds, mine, theirs)
    yield Figure("import-csv", *samples, "SQL by hand, one index", (f"{count:,} rows a round",))


def _write(path: Path, count: int) -> None:
    draw = random.Random(4)  # noqa: S311  # calls, the same in each run
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for number in range(count):
            at = datetime.fromtimestamp(_END_S - (count - number) * 31, UTC)
            caller = f"07700900{draw.randrange(1000):03}"
            called = f"01632960{draw.randrange(1000):03}"
            direction = draw.choice(("inbound", "outbound"))
            extension = 2000 + draw.randrange(200)
            state = "answered" if draw.random() < 0.9 else "abandoned"
            seconds = draw.randrange(5, 600)
            writer.writerow(
                (f"x{number}", at.isoformat(), seconds, direction, caller, called, extension, state)
            )


def _by_hand(records: Path, database: Path) -> None:
    with closing(sqlite3.connect(database)) as lite, records.open(newline="") as file:
        lite.execute("PRAGMA journal_mode = WAL")
        lite.execute("PRAGMA synchronous = FULL")
        lite.execute(f"CREATE TABLE calls ({', '.join(_COLUMNS)}, PRIMARY KEY (id))")
        lite.execute("CREATE INDEX calls_start ON calls (start)")
        rows = csv.reader(file)
        next(rows)
        lite.executemany(f"INSERT INTO calls VALUES ({', '.join('?' * len(_COLUMNS))})", rows)  # noqa: S608  # question marks
        lite.commit()


def peaks(bench: Bench) -> Iterator[Figure]:
    """The first picture of an hour, by the API, and numpy over what soundfile decodes."""
    with bench.folder() as folder:
        made = bench.calls()
        hour, warm = made.recorded["hour"], made.recorded["minute-0"]
        path = f"/api/v1/recordings/%s/peaks?points={_POINTS}"

        def mine() -> Sample:
            with serving(made.copy_to(folder), bench.server_core, PATIENT) as ours:
                ours.asked("GET", path % warm.recording_id)
                began = time.perf_counter()
                ours.asked("GET", path % hour.recording_id)
                first_ms = (time.perf_counter() - began) * 1000
                began = time.perf_counter()
                ours.asked("GET", path % hour.recording_id)
                again_ms = (time.perf_counter() - began) * 1000
            return Sample(first_ms, {"again_ms": again_ms})

        def theirs() -> Sample:
            began = time.perf_counter()
            samples, _ = soundfile.read(hour.file, dtype="int16", always_2d=True)
            whole = len(samples) // _STEP * _STEP
            steps = samples[:whole].reshape(-1, _STEP, samples.shape[1])
            np.stack((steps.min(axis=1), steps.max(axis=1)))
            return Sample((time.perf_counter() - began) * 1000)

        yield Figure("peaks", *in_turns(bench.rounds, mine, theirs), "soundfile and numpy")
