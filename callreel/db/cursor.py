"""Places in a list that is ordered by time and id, as text that programs hand back.

Source: contract.md 6.2.
"""

from __future__ import annotations

import base64
import binascii
import re

from callreel.errors import BadRequest
from callreel.model import UnixMillis

_PLACE = re.compile(r"(-?\d{1,18})\|([^\0]+)", re.ASCII | re.DOTALL)


def make(at: UnixMillis, object_id: str) -> str:
    """The cursor of the place behind an object."""
    text = f"{at}|{object_id}".encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def read(cursor: str) -> tuple[int, str]:
    """The time and the id that a cursor holds.

    Raises:
        BadRequest: It is not one of ours.
    """
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), b"-_", True)
        place = _PLACE.fullmatch(raw.decode())
    except (binascii.Error, ValueError):
        place = None
    if place is None:
        raise BadRequest("cursor: this is not one that this server gave out.")
    return int(place[1]), place[2]
