"""What is masked in a WAV that is sent as it is stored: made once, and kept in memory.

All around it is sent by the kernel from the file; to make it anew for each reader would cost more
than all the rest.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from callreel.audio.blocks import SafeBytes
from callreel.spans import Interval

LIMIT_BYTES = 16 << 20


class Prepared:
    """Masked stretches of outputs, those that were wanted last.

    Args:
        limit_bytes: How much is kept.
    """

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, Interval], SafeBytes] = OrderedDict()
        self._total = 0
        self._rounds = 0

    def get(self, identity: str, frames: Interval, make: Callable[[], SafeBytes]) -> SafeBytes:
        """A stretch, made now if it is not kept.

        Args:
            identity: The recording's id, a slash, and everything else that the bytes depend on.
            frames: Which of it.
            make: Makes it; two who come at the same time may both.
        """
        name = (identity, frames)
        with self._lock:
            found = self._kept.get(name)
            if found is not None:
                self._kept.move_to_end(name)
                return found
            rounds = self._rounds
        data = make()
        with self._lock:
            # What was forgotten meanwhile must not come back.
            if rounds == self._rounds and name not in self._kept:
                self._kept[name] = data
                self._total += len(data)
                while self._total > self._limit_bytes:
                    _, dropped = self._kept.popitem(last=False)
                    self._total -= len(dropped)
        return data

    def forget(self, recording_id: str) -> None:
        """Drop everything of a recording."""
        with self._lock:
            self._rounds += 1
            for name in [each for each in self._kept if each[0].startswith(f"{recording_id}/")]:
                self._total -= len(self._kept.pop(name))
