"""Sound in memory: what a decoder gives, and what may leave.

``RawBlock`` has not been masked; nothing may encode or send it. ``SafeBlock`` and ``SafeBytes`` are
made on the obfuscator's side only: ``SafeBlock`` in ``obfuscate.py``, ``SafeBytes`` by the
encoders, from SafeBlocks and from headers that hold no sound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]
"""int16, shape (frames, channels)."""

SafeBytes = NewType("SafeBytes", bytes)
"""Encoded from SafeBlocks, or a header without sound: this and nothing else is sent."""


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


_OBFUSCATOR_SEAL = object()
