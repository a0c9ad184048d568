"""How much work one file may cause when it is probed. Source: threats.md T40, T41."""

from __future__ import annotations

from dataclasses import dataclass

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class ProbeLimits:
    """Bounds for one file."""

    sound_s: int = 12 * 3600
    """Longest recording, in seconds."""
    decoded_floor_bytes: int = 512 * _MIB
    """A file may always decode to so many bytes of int16."""
    decoded_ratio: int = 100
    """Above the floor it may decode to so many times its own size; speech cannot."""
    memory_bytes: int = 256 * _MIB
    """Address space that decoding may take."""
    cpu_s: int = 600
    """Processor time; ten minutes of stereo Opus took 2.3 s, so twelve hours need about 165."""
    wall_s: float = 1800.0
    """Time on the clock, waiting for the store included."""

    def most_frames(self, rate_hz: int, channels: int, size_bytes: int) -> int:
        """How many frames a file of this size may decode to."""
        decoded_bytes = max(self.decoded_floor_bytes, self.decoded_ratio * size_bytes)
        return min(self.sound_s * rate_hz, decoded_bytes // (2 * channels))
