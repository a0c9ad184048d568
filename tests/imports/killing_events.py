"""Kills an import of events at every step of it, and reports what was left. See ``killing.py``."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from callreel.db import directory
from callreel.db.database import open_database
from callreel.flows import switch
from callreel.flows.switch import SwitchSignals
from callreel.importers.events import Tally, read_events, run_events
from tests.contracts.records import NOW as PLANNED
from tests.contracts.records import CallPlan, write_call
from tests.imports.killing import KEYS, NOW, Installation, Steps, _in_child, write_untouched
from tests.imports.switch_lines import CALLER, START_S, options

# Several transactions, so that some are done when it is killed and some are not.
switch.BATCH_EVENTS = 2


class Switchboard(Installation):
    """An installation that takes events; one call is there, another one is not."""

    def make(self) -> None:
        """One with a call of the second leg."""
        super().make()
        database = open_database(self.url)
        with database.write() as conn:
            at_s = START_S - PLANNED / 1000
            plan = CallPlan("c1", site="1", recording="r1", at_s=at_s, unique_id=CALLER)
            write_call(conn, plan)
            directory.ensure_datasource(conn, "1")
        database.close()

    def take(self, source: Path, acknowledge: int, steps: Steps | None = None) -> None:
        """Import events; each that is told is written to a file descriptor."""
        database = open_database(self.url)
        taker = SwitchSignals(database, KEYS, lambda: NOW)
        if steps is not None:
            steps.watch()
        tally = Tally()
        items = read_events("asterisk-cel", [source], options(datasource="1"), tally)
        for outcome in run_events(items, taker, tally, actor="command"):
            write_untouched(acknowledge, f"{outcome.origin} {outcome.result.value}\n".encode())
        database.close()

    def told(self) -> dict[str, list[str]]:
        """What is there, less what chance decides."""
        found = {}
        for name, texts in self.state().items():
            loaded = [json.loads(text) for text in texts]
            for row in loaded:
                for column in ("id", "signal_on_id", "signal_off_id", "detail"):
                    row.pop(column, None)
            found[name] = sorted(json.dumps(row, sort_keys=True) for row in loaded)
        return found

    def signals(self) -> int:
        """How many signals there are."""
        return len(self.state()["signals"])


def _attempt(
    template: Switchboard, work: Path, source: Path, fatal: int | None
) -> tuple[Switchboard, int, int, int]:
    """One import that is killed at a step; also how many it told of, status and steps."""
    installation = Switchboard(work)
    shutil.copytree(template.folder, work)
    counted, told = work / "steps", work / "told"

    def child() -> None:
        acknowledge = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        steps = Steps(fatal)
        installation.take(source, acknowledge, steps)
        counted.write_text(str(steps.count))

    status = _in_child(child)
    count = int(counted.read_text()) if fatal is None else 0
    return installation, len(told.read_text().splitlines()), status, count


def main(source: Path, work: Path) -> None:
    """Print one line of JSON for each step, and one for the undisturbed import."""
    template = Switchboard(work / "template")
    template.make()
    with (work / "nowhere").open("w") as nowhere:
        warm = Switchboard(work / "warm")
        shutil.copytree(template.folder, warm.folder)
        warm.take(source, nowhere.fileno())
        whole, told, _, count = _attempt(template, work / "whole", source, None)
        expected = whole.told()
        sys.stdout.write(
            json.dumps({"steps": count, "signals": whole.signals(), "told": told}) + "\n"
        )
        for step in range(1, count + 1):
            killed, told, status, _ = _attempt(template, work / f"s{step}", source, step)
            faults = list(killed.faults(set()))
            faults = [each for each in faults if "points at no sound" not in each]
            if killed.signals() < told:
                faults.append("a signal that was told is lost")
            killed.take(source, nowhere.fileno())
            faults += [each for each in killed.faults(set()) if "no sound" not in each]
            differs = [name for name, rows in killed.told().items() if rows != expected[name]]
            report = {"step": step, "status": status, "faults": faults, "differs": differs}
            sys.stdout.write(json.dumps(report) + "\n")
            shutil.rmtree(killed.folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
