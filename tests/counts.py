"""How often a random test is repeated: a share in `make test`, all in `make test-full`."""

from __future__ import annotations

import os
from collections.abc import Callable

from hypothesis import settings

FULL = os.environ.get("CALLREEL_TEST_FULL") == "1"
"""Set by `make test-full`."""


# Examples are the same in every run but the full one; a slow machine fails no test.
settings.register_profile("callreel", deadline=None, derandomize=not FULL)
settings.load_profile("callreel")


def repeated(*, named: int, usual: int, steps: int = 50) -> settings:
    """How often Hypothesis repeats a test.

    Args:
        named: The count that was promised; `make test-full` runs it.
        usual: The count of every other run.
        steps: Of a state machine, for each time.
    """
    return settings(max_examples=named if FULL else usual, stateful_step_count=steps)


class Shown:
    """Counts something that happened, for the page that `make test-full` writes."""

    def __init__(self, record: Callable[[str, object], None]) -> None:
        self._record = record
        self._counts: dict[str, int] = {}

    def one(self, what: str) -> None:
        """It happened once more."""
        self._counts[what] = self._counts.get(what, 0) + 1

    def done(self) -> None:
        """Hand the counts to the report of the test."""
        for what, count in self._counts.items():
            self._record("shown", f"{count:,} {what}")
