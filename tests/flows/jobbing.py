"""Jobs over a database with as many calls as a test wants, and a worker that can be killed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import insert

from callreel.access.policy import Action
from callreel.db import directory, users
from callreel.db.database import Database, open_database
from callreel.db.schema import call_records
from callreel.flows.call_export import CallExport
from callreel.flows.job_worker import JobWorker, Worked
from callreel.flows.jobs import Jobs
from callreel.flows.making import Kind, Made, Order, Parameters
from callreel.model import Principal, Role, Scope, UnixMillis

NOW = UnixMillis(1_790_000_000_000)
ALL = Scope(everything=True)


def write_calls(db: Database, count: int, *, site: str = "s1", first: int = 0) -> None:
    """Calls of a site, a second apart, two of them at each moment."""
    with db.write() as conn:
        directory.ensure_datasource(conn, site)
        for begin in range(first, first + count, 5000):
            numbers = range(begin, min(begin + 5000, first + count))
            conn.execute(insert(call_records), [_row(n, site) for n in numbers])


def _row(number: int, site: str) -> dict[str, object]:
    return {
        "id": f"c{site}{number:08}",
        "site_id": site,
        "datasource": site,
        "started_at": NOW - 10**10 + (number // 2) * 1000,
        "duration_s": 60.5,
        "clock_s": 0.0,
        "direction": "inbound" if number % 3 else "outbound",
        "from_number": f"+4416149600{number % 100:02}",
        "to_number": "=1+1" if number % 7 == 0 else "02079460000",
        "extension": f"{2000 + number % 50}",
        "disposition": "answered",
        "caller_name": "",
        "created_at": NOW,
    }


class Office:
    """Jobs, a worker, and a clock that a test sets."""

    def __init__(self, db: Database, folder: Path, **kinds: Kind) -> None:
        self.db = db
        self.folder = folder
        self.now = NOW
        made: dict[str, Kind] = {"calls": CallExport(db), **kinds}
        self.jobs = Jobs(db, made, folder, lambda: self.now)
        self.worker = JobWorker(db, made, folder, lambda: self.now)

    def user(
        self, name: str = "ann", role: Role = Role.SUPERVISOR, reach: Scope = ALL
    ) -> Principal:
        """Add a web user."""
        with self.db.write() as conn:
            for site in reach.site_ids:
                directory.ensure_site(conn, site)
            user_id = users.add_user(conn, name, role, "no hash", reach, NOW)
        return Principal(user_id, name, role, reach, "basic")

    def ask(self, who: Principal, kind: str = "calls", **parameters: object) -> str:
        """Submit a job; its id."""
        return self.jobs.submit(who, kind, parameters, address=None).id

    def work(self) -> list[Worked]:
        """One round."""
        return self.worker.once()

    def text(self, who: Principal, job_id: str) -> str:
        """The file of a job that is done."""
        path = self.jobs.file(who, job_id, address=None).path
        return path.read_text(encoding="utf-8-sig")

    def folders(self) -> list[str]:
        """What lies in the folder of jobs."""
        return sorted(each.name for each in self.folder.iterdir()) if self.folder.exists() else []


class Steps:
    """A kind whose file is made by a test, step by step."""

    action = Action.SEE_CALLS

    def __init__(self, steps: Iterator[object]) -> None:
        self._steps = steps

    @staticmethod
    def checked(parameters: Parameters) -> Parameters:
        """Anything goes."""
        return parameters

    def make(self, order: Order) -> Made:
        """A line for each step; a step that is an error is raised."""
        path = order.folder / "steps.csv"
        lines = 0
        with path.open("w") as file:
            for step in self._steps:
                if isinstance(step, Exception):
                    raise step
                file.write(f"{step}\n")
                file.flush()
                lines += 1
                order.principal()
                order.heed(lines, None)
        return Made(path, lines, "Steps")


def main(url: str, folder: str) -> None:
    """Work as a server does, and tell how far it is; until it is killed."""
    db = open_database(url)
    calls = CallExport(db)

    class Told:
        """The export, with a word for each hundred rows."""

        action = calls.action
        checked = staticmethod(calls.checked)

        @staticmethod
        def make(order: Order) -> Made:
            """Make it."""

            def heed(done: int, total: int | None) -> None:
                """Tell whoever will kill this."""
                sys.stdout.write(f"{done}\n")
                sys.stdout.flush()
                order.heed(done, total)

            told = Order(order.parameters, order.folder, order.at, order.principal, heed)
            return calls.make(told)

    JobWorker(db, {"calls": Told()}, Path(folder), lambda: NOW).once()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
