"""Numbers and names of recordings as several telephone systems write them."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime

from callreel.demo.town import MANCHESTER, DemoSite
from callreel.model import Direction, UnixMillis

_FREEPBX_PREFIX = {
    Direction.INBOUND: "external",
    Direction.OUTBOUND: "out",
    Direction.INTERNAL: "internal",
}


def customer_number(draw: random.Random) -> str:
    """A number from the ranges that Ofcom keeps for drama, or an American 555-01 one."""
    last = f"{draw.randrange(1000):03d}"
    kind = draw.random()
    if kind < 0.45:
        return f"07700900{last}"
    if kind < 0.75:
        return f"01632960{last}"
    if kind < 0.93:
        return f"01614960{last}"
    return f"+1202555{100 + draw.randrange(100):04d}"


_FIRMS = (
    "Northern Pipes",
    "Fenwick Motors",
    "Tidewater Marine",
    "Sanderson LLP",
    "Brightwater Ltd",
    "Ashgrove Dental",
    "Harbour Books",
    "Oakfield School",
)
_PEOPLE = ("M. Delgado", "J. Okafor", "S. Lindqvist", "R. Mistry", "T. Abara", "K. Nowak")


def caller_name(number: str) -> str:
    """What the network tells of a number; of most it tells nothing, of one always the same."""
    told = (*_FIRMS, *_PEOPLE)
    place = sum(number.encode()) * 7 % 31
    return told[place] if place < len(told) else ""


def voicefilename(
    draw: random.Random, site: DemoSite, direction: Direction, at: UnixMillis, to_number: str
) -> str:
    """The id of a recording in the manner of the site's telephone system.

    Manchester's records as NCS and 40 hex digits; Bristol has replaced FreePBX by one that writes
    dashed GUIDs, and kept the old recordings.
    """
    if site is MANCHESTER:
        return f"NCS{draw.getrandbits(160):040X}"
    guid = uuid.UUID(int=draw.getrandbits(128), version=4)
    if draw.random() < 0.6:
        return str(guid).upper()
    moment = datetime.fromtimestamp(at / 1000, UTC)
    return (
        f"{_FREEPBX_PREFIX[direction]}-{to_number.lstrip('+')}-{draw.choice(site.people).extension}"
        f"-{moment:%Y%m%d-%H%M%S}-{at // 1000}.{draw.randrange(1, 9999)}"
    )
