"""What every importer yields: entries for the intake, and what it could not make one of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from callreel.flows.entry import CallEntry, Result


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that did not come in, and why."""

    origin: str
    """File, and line where there are lines."""
    reason: str
    """What is wrong and how to mend it, as part of a sentence."""
    result: Result = Result.SKIPPED
    """``WAITING`` where trying again later may help by itself."""


Item = CallEntry | Problem
Items = Iterator[Item]
