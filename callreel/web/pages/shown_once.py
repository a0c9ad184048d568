"""Secrets between the form that made them and the one page that shows them.

One process serves the pages (docs/operations.md), so they are kept in its memory and nowhere else:
no address, log, database or file holds them. A server that is stopped in between forgets them.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

KEPT_S = 60.0
"""How long a secret waits for the page; a browser asks for it at once."""

Later = Callable[[float, Callable[[], None]], object]
"""Calls something after so many seconds."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Secret:
    """A password or a key that was just made."""

    username: str
    """Whose it is."""
    text: str = field(repr=False)


class ShownOnce:
    """Keeps secrets, each for the session that made it.

    Args:
        later: Has them forgotten in time, also where nobody ever asks.
    """

    def __init__(self, later: Later | None = None) -> None:
        self._later = later or _on_the_loop
        self._kept: dict[str, dict[int, Secret]] = {}
        self._numbers = itertools.count()

    def keep(self, session_id: str, secret: Secret) -> None:
        """Keep a secret until it is taken, for a minute at the most."""
        number = next(self._numbers)
        self._kept.setdefault(session_id, {})[number] = secret
        # By its number: what waits for the minute to pass must not hold the secret.
        self._later(KEPT_S, lambda: self._forget(session_id, number))

    def take(self, session_id: str) -> tuple[Secret, ...]:
        """What was kept for a session, for the last time; two forms may have been sent at once."""
        return tuple(self._kept.pop(session_id, {}).values())

    def _forget(self, session_id: str, number: int) -> None:
        kept = self._kept.get(session_id, {})
        kept.pop(number, None)
        if not kept:
            self._kept.pop(session_id, None)


def _on_the_loop(seconds: float, call: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(seconds, call)
