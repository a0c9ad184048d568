"""How many recordings are sent at once, and how many of them to one taker (threats.md T43)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from functools import partial

from callreel.errors import Unavailable
from callreel.wording import to_translate, worded

LISTENER_STREAMS = 32
"""A player asks for one or two at once, and a person has few windows."""


class Streams:
    """Places for recordings that are being sent; safe from many threads.

    Args:
        most: For all together.
        most_each: For one taker: a user, or a lease.
    """

    def __init__(self, most: int, most_each: int) -> None:
        self._free = most
        self._most_each = most_each
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, taker: str) -> Callable[[], None]:
        """Take a place; gives what to call, once, to give it back.

        Raises:
            Unavailable: There is none, or this taker has enough of them.
        """
        with self._lock:
            if self._free <= 0:
                raise Unavailable(
                    to_translate("Too many recordings are being sent; try again."), retry_after_s=2
                )
            if self._taken[taker] >= self._most_each:
                raise Unavailable(
                    worded(
                        "%(most)s recordings are being sent to you already; try "
                        "again when one has ended.",
                        most=self._most_each,
                    ),
                    retry_after_s=2,
                )
            self._free -= 1
            self._taken[taker] += 1
        return partial(self._give_back, taker)

    def _give_back(self, taker: str) -> None:
        with self._lock:
            self._free += 1
            self._taken[taker] -= 1
            if not self._taken[taker]:
                del self._taken[taker]
