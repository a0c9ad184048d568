"""Events that were captured from the manager interface (AMI) of Asterisk.

Source: Asterisk's documentation of DTMFEnd, UserEvent and CEL; ``manager.conf.sample``
(``timestampevents`` adds the header Timestamp).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from callreel.errors import BadInput
from callreel.flows.entry import Result
from callreel.importers.cel_events import cel_event
from callreel.importers.event_lines import headers, read_blocks
from callreel.importers.heard import (
    EventOptions,
    Heard,
    HeardItems,
    LegNames,
    asterisk_leg,
    event_time,
    named_line,
)
from callreel.importers.items import Problem
from callreel.importers.tail import Tail
from callreel.model import UnixMillis


def read_ami(path: Path, options: EventOptions) -> HeardItems:
    """Events of one file.

    Args:
        path: The file.
        options: What it does not say.

    Raises:
        BadInput: It cannot be read.
    """
    for origin, found in ami_blocks(path):
        yield found if isinstance(found, Problem) else ami_event(origin, found, options)


def ami_blocks(path: Path | Tail) -> Iterator[tuple[str, Mapping[str, str] | Problem]]:
    """Where each event stands, and its headers; each ends with an empty line.

    Raises:
        BadInput: It cannot be read.
    """
    for block in read_blocks(path):
        origin = f"{path.name}:{block.number}"
        if not block.ended:
            waiting = "the last event is not complete yet"
            yield origin, Problem(origin, waiting, Result.WAITING)
        elif block.lines is None:
            yield origin, Problem(origin, "it is larger than any event")
        else:
            found = headers(block.lines)
            if found is None:
                yield origin, Problem(origin, "two events without an empty line between them")
            elif "event" in found:
                yield origin, found


def ami_event(
    origin: str, found: Mapping[str, str], options: EventOptions
) -> Heard | Problem | None:
    """What one event says; None where it is of another kind."""
    kind = found["event"].lower()
    if kind == "cel":
        # Its keys come as DTMFEnd as well; twice they would be none of the sequences.
        row = {
            **found,
            "eventtype": found.get("eventname", ""),
            "channame": found.get("channel", ""),
        }
        is_key = row["eventtype"].upper() == "DTMF"
        return None if is_key else cel_event(origin, row, options)
    mute = options.says(found.get("userevent", "")) if kind == "userevent" else None
    is_key = options.keys is not None and _is_key(kind, found)
    if mute is None and not is_key:
        return None
    try:
        if "timestamp" not in found:
            raise BadInput("it has no Timestamp; set timestampevents = yes in manager.conf")
        at = event_time(found["timestamp"], options.timezone)
        leg = _leg(found, at, options)
    except BadInput as error:
        return Problem(origin, error.message)
    return Heard(origin, at, leg, mute, found.get("digit", "").upper() if is_key else "")


def _is_key(kind: str, found: Mapping[str, str]) -> bool:
    """Whether somebody let go of a key; what was sent on to the other side is the same key."""
    ended = kind == "dtmfend" or (kind == "dtmf" and found.get("end", "").lower() == "yes")
    return ended and found.get("direction", "Received").lower() == "received"


def _leg(found: Mapping[str, str], at: UnixMillis, options: EventOptions) -> LegNames:
    channel = found.get("channel", "")
    unique_id, linked_id = found.get("uniqueid", ""), found.get("linkedid", "")
    if unique_id or linked_id:
        return asterisk_leg(unique_id, linked_id, channel, at, options.internal_digits)
    return named_line(channel, options.internal_digits, found.get("extension", ""))
