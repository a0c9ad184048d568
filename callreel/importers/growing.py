"""Whether somebody may still be writing a file of records."""

from __future__ import annotations

import time
from pathlib import Path

STILL_S = 60.0
"""A last line without its end counts as whole when nobody wrote to the file for so long."""


def may_grow(path: Path) -> bool:
    """Whether a last line that has no end may be half of one.

    A program that writes records can stop anywhere, also where what is there looks like a row.
    """
    try:
        changed = path.stat().st_mtime
    except OSError:
        return True
    return path.is_file() and time.time() - changed < STILL_S
