"""Sound in memory: what a decoder gives, and what may leave.

``RawBlock`` and ``StoredBytes`` have not been masked; nothing may encode or send them. What may
leave is made on the obfuscator's side only: ``SafeBlock`` and ``SafeExtents`` in ``obfuscate.py``,
``SafeBytes`` by the encoders, from those two and from headers that hold no sound.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NewType

import numpy as np
import numpy.typing as npt

from callreel.spans import Interval

Samples = npt.NDArray[np.int16]
"""int16, shape (frames, channels)."""

SafeBytes = NewType("SafeBytes", bytes)
"""Encoded from SafeBlocks, or a header without sound: this and nothing else is sent."""

StoredBytes = NewType("StoredBytes", bytes)
"""Bytes of a recording as they are stored: not masked."""


@dataclass(frozen=True, slots=True)
class RawBlock:
    """Decoded sound that was not masked yet."""

    samples: Samples
    """int16, shape (frames, channels), channels 1 or 2."""
    rate_hz: int


class SafeBlock:
    """Masked sound. Only ``obfuscate.py`` makes one (a test counts where the seal is named)."""

    __slots__ = ("rate_hz", "samples")

    samples: Samples
    rate_hz: int

    def __init__(self, samples: Samples, rate_hz: int, *, seal: object) -> None:
        if seal is not _OBFUSCATOR_SEAL:
            raise TypeError("a SafeBlock is made by the obfuscator only")
        self.samples = samples
        self.rate_hz = rate_hz


class SafeExtents:
    """The frames of a stored recording that may leave as they are stored. Made as SafeBlock is.

    Args:
        masked: The frames that may not, of whichever channel: sorted, disjoint.
        stored: Gives the stored bytes of frames, from a start and a count.
        seal: The obfuscator's.
    """

    __slots__ = ("_ends", "_masked", "_stored")

    def __init__(
        self,
        masked: Sequence[Interval],
        stored: Callable[[int, int], StoredBytes],
        *,
        seal: object,
    ) -> None:
        if seal is not _OBFUSCATOR_SEAL:
            raise TypeError("SafeExtents are made by the obfuscator only")
        self._masked = masked
        self._ends = [end for _, end in masked]
        self._stored = stored

    def pieces(self, start: int, stop: int) -> Iterator[tuple[int, int, SafeBytes | None]]:
        """The frames [start, stop) in pieces: first, behind the last, and their bytes.

        The bytes are None where something is masked: nothing that is stored there is even read.

        Raises:
            Unplayable, Unavailable: The stored bytes cannot be read.
        """
        at = start
        # The first interval that ends behind the start, and all after it.
        for begin, end in self._masked[bisect_right(self._ends, start) :]:
            if max(begin, at) >= stop:
                break
            if begin > at:
                yield at, begin, SafeBytes(self._stored(at, begin - at))
            yield max(begin, at), min(end, stop), None
            at = min(end, stop)
        if at < stop:
            yield at, stop, SafeBytes(self._stored(at, stop - at))


_OBFUSCATOR_SEAL = object()
