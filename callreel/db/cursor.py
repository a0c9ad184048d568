"""Places in a list that is ordered by time and id, or by texts, as text that is handed back.

Source: contract.md 6.2.
"""

from __future__ import annotations

import base64
import binascii
import json
import re

from callreel.errors import BadRequest
from callreel.model import UnixMillis
from callreel.wording import to_translate

_PLACE = re.compile(r"(-?\d{1,18})\|([^\0]+)", re.ASCII | re.DOTALL)

_NOT_OURS = to_translate("cursor: this is not one that this server gave out.")


def make(at: UnixMillis, object_id: str) -> str:
    """The cursor of the place behind an object."""
    text = f"{at}|{object_id}".encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def read(cursor: str) -> tuple[int, str]:
    """The time and the id that a cursor holds.

    Raises:
        BadRequest: It is not one of ours.
    """
    place = _PLACE.fullmatch(_decoded(cursor))
    if place is None:
        raise BadRequest(_NOT_OURS)
    return int(place[1]), place[2]


def make_texts(*texts: str) -> str:
    """The cursor of the place behind a row of a list that is ordered by texts."""
    return base64.urlsafe_b64encode(json.dumps(texts).encode()).rstrip(b"=").decode()


def read_texts(cursor: str, count: int) -> tuple[str, ...]:
    """The texts that a cursor holds.

    Raises:
        BadRequest: It is not one of ours, or not of this list.
    """
    try:
        place = json.loads(_decoded(cursor))
    except ValueError:
        place = None
    if (
        not isinstance(place, list)
        or len(place) != count
        or not all(isinstance(each, str) for each in place)
    ):
        raise BadRequest(_NOT_OURS)
    return tuple(place)


def _decoded(cursor: str) -> str:
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), b"-_", True)
        return raw.decode()
    except (binascii.Error, ValueError):
        raise BadRequest(_NOT_OURS) from None
