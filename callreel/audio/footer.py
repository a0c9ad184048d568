"""What the render cache writes behind each output: where it may be cut, and that it is whole.

Cut marks as little-endian 64-bit positions, then 24 bytes: a magic word, the size of the output,
the number of marks. One file, so that one rename makes both appear.
"""

from __future__ import annotations

import os
import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_MAGIC = b"callreel"
_TAIL = struct.Struct("<8sQQ")


@dataclass(frozen=True, slots=True)
class Footer:
    """What was read."""

    size: int
    """Bytes of the output itself."""
    marks: Sequence[int]
    """Rising positions; between two neighbours at most one second of sound."""


def append_footer(path: Path, marks: Sequence[int]) -> None:
    """Write it behind the output. Not synced: the cache begins empty whenever a server starts."""
    with path.open("ab") as file:
        size = file.tell()
        file.write(struct.pack(f"<{len(marks)}Q", *marks))
        file.write(_TAIL.pack(_MAGIC, size, len(marks)))


def read_footer(fd: int) -> Footer | None:
    """The footer of an open file; None where there is no whole one."""
    whole = os.fstat(fd).st_size
    tail = os.pread(fd, _TAIL.size, whole - _TAIL.size) if whole >= _TAIL.size else b""
    if len(tail) != _TAIL.size:
        return None
    magic, size, count = _TAIL.unpack(tail)
    if magic != _MAGIC or size + 8 * count + _TAIL.size != whole:
        return None
    marks = array("Q", os.pread(fd, 8 * count, size))
    return Footer(size, marks)
