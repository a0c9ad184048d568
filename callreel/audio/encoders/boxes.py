"""Just enough of MP4 to find where the sound lies. Source: ISO/IEC 14496-12, section 4.2."""

from __future__ import annotations

import struct
from pathlib import Path


def data_position(path: Path) -> int:
    """Where the contents of ``mdat`` begin in a file that we have just written."""
    size = path.stat().st_size
    at = 0
    with path.open("rb") as file:
        while at + 8 <= size:
            file.seek(at)
            length, kind = struct.unpack(">I4s", file.read(8))
            header = 8
            if length == 1:
                (length,) = struct.unpack(">Q", file.read(8))
                header = 16
            if kind == b"mdat":
                return at + header
            at += max(length, header)
    raise OSError("no mdat in what was written")
