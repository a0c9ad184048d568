"""How long something may still take; passed down so that every wait ends with the whole."""

from __future__ import annotations

import time
from collections.abc import Callable

from callreel.client.errors import ClientError, DeadlineExceeded

SHORTEST_PAUSE_S = 0.2
"""Between two tries, whatever a server says."""
LONGEST_PAUSE_S = 5.0
"""Between two tries where the server does not say."""


class Deadline:
    """An instant on a clock that only goes forward.

    Args:
        seconds: From now.
        clock: Seconds, rising.
        sleep: Waits for so many seconds.
    """

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._sleep = sleep
        self._end = clock() + seconds

    @property
    def remaining_s(self) -> float:
        """How much is left; 0 or less when it has passed."""
        return self._end - self._clock()

    def require(self) -> None:
        """Return while there is time.

        Raises:
            DeadlineExceeded: There is none.
        """
        if self.remaining_s <= 0:
            raise DeadlineExceeded(f"It was not done within {self._seconds:g} s.")

    def pause_or_raise(self, fault: ClientError, tries: int) -> None:
        """Wait before another try, as long as the fault names, else longer with every try.

        Args:
            fault: What kept the last try from succeeding.
            tries: How many have failed so far, 1 or more.

        Raises:
            ClientError: ``fault`` itself, at once, where the wait would outlast the deadline.
        """
        wanted_s = fault.retry_after_s
        if wanted_s is None:
            wanted_s = min(LONGEST_PAUSE_S, SHORTEST_PAUSE_S * 2.0 ** min(tries - 1, 10))
        pause_s = max(SHORTEST_PAUSE_S, wanted_s)
        if pause_s >= self.remaining_s:
            raise fault
        self._sleep(pause_s)
