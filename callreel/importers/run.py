"""One import from the first item to the summary: what came in, what waits, what was skipped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from callreel.flows.entry import CallEntry, Result, Taken
from callreel.flows.intake import Intake
from callreel.importers.items import Items, Problem
from callreel.importers.stability import Patience, Wait, finished, wait_out


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one thing that an importer found."""

    origin: str
    """File, and line where there are lines."""
    result: Result
    reason: str | None = None
    """Why it waits, was skipped, or came in without sound that plays."""
    call_id: str | None = None
    recording_id: str | None = None
    sound_refused: bool = False
    """The call came in, the sound that it names did not."""
    repaired: str | None = None
    """What was mended in the sound; None where nothing had to be."""

    def as_json(self) -> str:
        """One line of a report."""
        return json.dumps(
            {
                "origin": self.origin,
                "result": self.result.value,
                "reason": self.reason,
                "repaired": self.repaired,
                "call_id": self.call_id,
                "recording_id": self.recording_id,
            }
        )


@dataclass(slots=True)
class Summary:
    """How many of each."""

    counts: dict[Result, int] = field(default_factory=lambda: dict.fromkeys(Result, 0))

    def add(self, outcome: Outcome) -> None:
        """Count one; sound that was refused counts as skipped, besides its call."""
        self.counts[outcome.result] += 1
        if outcome.sound_refused:
            self.counts[Result.SKIPPED] += 1

    @property
    def skipped(self) -> int:
        """How many things were not taken for a reason that does not go away by itself."""
        return self.counts[Result.SKIPPED]

    def line(self) -> str:
        """For people and scripts: the last line of every import."""
        return ", ".join(
            f"{words} {self.counts[result]}"
            for result, words in (
                (Result.NEW, "new"),
                (Result.CHANGED, "changed"),
                (Result.SAME, "already there"),
                (Result.WAITING, "waiting"),
                (Result.SKIPPED, "skipped"),
            )
        )


def run_import(
    items: Items,
    intake: Intake,
    *,
    patience: Patience,
    actor: str,
    wait: Wait = wait_out,
) -> Iterator[Outcome]:
    """Bring in what an importer finds.

    Args:
        items: What it finds.
        intake: Where it goes.
        patience: How long a file must have been left alone.
        actor: Who imports, for the audit log.
        wait: Waits for files that may still be growing.

    Yields:
        One outcome per item, after it was made durable.

    Raises:
        BadInput: The importer cannot read its input at all.
        Unavailable: The database or the store is away; the next run brings in the rest.
    """
    problems: list[Problem] = []
    entries = _entries(finished(items, patience, wait=wait), problems)
    for taken in intake.take(entries, actor=actor):
        yield from drained(problems)
        yield _outcome(taken)
    yield from drained(problems)


def _entries(items: Items, problems: list[Problem]) -> Iterator[CallEntry]:
    for item in items:
        if isinstance(item, Problem):
            problems.append(item)
        else:
            yield item


def drained(problems: list[Problem]) -> Iterator[Outcome]:
    """The outcomes of problems that were put aside; they are put aside no longer."""
    while problems:
        problem = problems.pop(0)
        yield Outcome(problem.origin, problem.result, problem.reason)


def _outcome(taken: Taken) -> Outcome:
    return Outcome(
        origin=taken.entry.origin,
        result=taken.result,
        reason=taken.reason,
        call_id=taken.call_id,
        recording_id=taken.recording_id,
        sound_refused=taken.sound_refused,
        repaired=taken.repaired,
    )
