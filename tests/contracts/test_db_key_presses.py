"""Which recordings are still to be searched for keys, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from callreel.db import key_presses
from callreel.db.database import Database
from callreel.model import RecordingId
from tests.contracts.records import CallPlan, write_call


def test_any_number_of_recordings_may_be_put_off(database: Database) -> None:
    """A store that is away leaves more waiting than a statement takes values."""
    with database.write() as conn:
        for name in ("r1", "r2", "r3"):
            write_call(conn, CallPlan(name.replace("r", "c"), recording=name))
            key_presses.ask_for(conn, [RecordingId(name)], "list")
        put_off = {"r1", *(f"gone-{number}" for number in range(300_000))}
        assert key_presses.due(conn, 1, without=put_off) == ("r2",)
        assert key_presses.due(conn, 9, without={"r2"}) == ("r1", "r3")
