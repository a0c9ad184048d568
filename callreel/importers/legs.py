"""Legs of a switch as they come and go, from the events it sends while they do.

Source: Asterisk's documentation of Newchannel, Newstate, Hold, Unhold and Hangup (AMI);
FreeSWITCH ``switch_event.c`` (CHANNEL_CREATE and what follows).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from callreel.db.ongoing import LegNews, LegState
from callreel.errors import BadInput
from callreel.importers.ami_events import ami_blocks, ami_event
from callreel.importers.fields import is_internal
from callreel.importers.freeswitch_events import (
    freeswitch_event,
    freeswitch_leg,
    freeswitch_pieces,
    freeswitch_time,
)
from callreel.importers.heard import EventOptions, Heard, asterisk_leg, event_time, named_line
from callreel.importers.items import Problem
from callreel.model import Direction

_NUMBER = re.compile(r"\+?[\d*#]+")
_NOBODY = {"", "<unknown>", "unknown", "anonymous", "0000000000"}

LiveItem = Heard | LegNews | Problem | None
"""Mute on and off, news of a leg, what cannot be read, an event of another kind."""
_Found = Mapping[str, str]


def read_live_ami(path: Path, options: EventOptions) -> Iterator[LiveItem]:
    """What the manager interface of Asterisk tells, as it tells it.

    Args:
        path: A file, a pipe or standard input; it is read until it ends.
        options: What it does not say.

    Raises:
        BadInput: It cannot be read.
    """
    for origin, found in ami_blocks(path):
        if isinstance(found, Problem):
            yield found
        else:
            yield _either(origin, found, options, ami_event, _ami_news)


def read_live_freeswitch(path: Path, options: EventOptions) -> Iterator[LiveItem]:
    """What FreeSWITCH tells, as it tells it; as ``read_live_ami``.

    Raises:
        BadInput: It cannot be read.
    """
    for origin, found in freeswitch_pieces(path):
        if isinstance(found, Problem):
            yield found
        else:
            yield _either(origin, found, options, freeswitch_event, _freeswitch_news)


LIVE_KINDS: dict[str, Callable[[Path, EventOptions], Iterator[LiveItem]]] = {
    "asterisk-ami": read_live_ami,
    "freeswitch": read_live_freeswitch,
}
"""What reads them, by the kind of switch."""


def _either(
    origin: str,
    found: _Found,
    options: EventOptions,
    mute: Callable[[str, _Found, EventOptions], Heard | Problem | None],
    news: Callable[[_Found, EventOptions], LegNews | None],
) -> LiveItem:
    try:
        told = news(found, options)
    except BadInput as error:
        return Problem(origin, error.message)
    return told or mute(origin, found, options)


def _ami_news(found: _Found, options: EventOptions) -> LegNews | None:
    state = {
        "newchannel": LegState.RINGING,
        "newstate": LegState.RINGING,
        "hold": LegState.HELD,
        "unhold": LegState.TALKING,
        "hangup": LegState.ENDED,
    }.get(found["event"].lower())
    channel = found.get("channel", "")
    # The two halves of a Local channel are the switch talking to itself.
    if state is None or channel.startswith("Local/"):
        return None
    if state is LegState.RINGING and found.get("channelstatedesc", "") == "Up":
        state = LegState.TALKING
    said = found.get("timestamp", "")
    at = event_time(said, options.timezone) if said else options.clock()
    unique_id, linked_id = found.get("uniqueid", ""), found.get("linkedid", "")
    digits = options.internal_digits
    leg = asterisk_leg(unique_id, linked_id, channel, at, digits)
    if leg.unique_id is None:
        raise BadInput("it names no channel by its unique id")
    own = named_line(channel, digits).extension
    number = _number(found.get("calleridnum", ""))
    is_first = leg.linked_id in {None, leg.unique_id}
    if is_first:
        sides = (own or number, _number(found.get("exten", "")))
    else:
        sides = (_number(found.get("connectedlinenum", "")), own or number)
    return LegNews(
        datasource=options.datasource,
        unique_id=leg.unique_id,
        state=state,
        at=at,
        linked_id=leg.linked_id,
        from_number=sides[0],
        to_number=sides[1],
        caller_name=_name(found.get("calleridname" if is_first else "connectedlinename", "")),
        direction=_direction(own, sides[0], sides[1], digits, is_first=is_first),
        extension=own,
    )


def _freeswitch_news(found: _Found, options: EventOptions) -> LegNews | None:
    state = {
        "CHANNEL_CREATE": LegState.RINGING,
        "CHANNEL_PROGRESS": LegState.RINGING,
        "CHANNEL_ANSWER": LegState.TALKING,
        "CHANNEL_HOLD": LegState.HELD,
        "CHANNEL_UNHOLD": LegState.TALKING,
        "CHANNEL_HANGUP_COMPLETE": LegState.ENDED,
        "CHANNEL_DESTROY": LegState.ENDED,
    }.get(found.get("event-name", "").upper())
    if state is None:
        return None
    # Both legs of a call have the uuid of the first one here.
    leg = freeswitch_leg({**found, "other-leg-unique-id": ""}, None, options)
    if leg.unique_id is None:
        raise BadInput("it names no channel by its uuid")
    is_first = leg.linked_id is None
    sides = (
        _number(found.get("caller-caller-id-number", "")),
        _number(found.get("caller-destination-number", "")),
    )
    own = sides[0] if is_first else sides[1]
    own_extension = own if is_internal(own, options.internal_digits) else None
    if is_first and found.get("caller-context", "").lower() == "public":
        own_extension = None
    return LegNews(
        datasource=options.datasource,
        unique_id=leg.unique_id,
        state=state,
        at=freeswitch_time(found),
        linked_id=leg.linked_id,
        from_number=sides[0],
        to_number=sides[1],
        caller_name=_name(found.get("caller-caller-id-name", "")),
        direction=_direction(
            own_extension, sides[0], sides[1], options.internal_digits, is_first=is_first
        ),
        extension=own_extension,
    )


def _direction(
    own: str | None, caller: str, called: str, digits: int, *, is_first: bool
) -> Direction:
    """Which way a conversation goes, by one leg: where it is the first, it came from there."""
    if is_first and own is None:
        return Direction.INBOUND
    if is_first:
        outward = Direction.OUTBOUND if called else Direction.UNKNOWN
        return Direction.INTERNAL if is_internal(called, digits) else outward
    if own is None:
        return Direction.OUTBOUND
    return Direction.INTERNAL if is_internal(caller, digits) else Direction.INBOUND


def _number(text: str) -> str:
    stripped = text.strip()
    return stripped if _NUMBER.fullmatch(stripped) and stripped not in _NOBODY else ""


def _name(text: str) -> str:
    stripped = text.strip()
    # Where no name is known, switches say the number again.
    return "" if stripped.lower() in _NOBODY or _NUMBER.fullmatch(stripped) else stripped
