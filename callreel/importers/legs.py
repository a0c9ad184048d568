"""Legs of a switch as they come and go, from the events it sends while they do.

Source: Asterisk's documentation of Newchannel, Newstate, Hold, Unhold and Hangup (AMI), and of
CHAN_START, ANSWER, HANGUP, CHAN_END and LINKEDID_END (CEL);
FreeSWITCH ``switch_event.c`` (CHANNEL_CREATE and what follows).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from callreel.db.ongoing import LegNews, LegState
from callreel.errors import BadInput
from callreel.flows.ongoing import MAX_NAME
from callreel.importers.ami_events import ami_blocks, ami_event
from callreel.importers.cel_events import cel_event, cel_rows
from callreel.importers.fields import is_internal
from callreel.importers.freeswitch_events import (
    freeswitch_event,
    freeswitch_leg,
    freeswitch_pieces,
    freeswitch_time,
)
from callreel.importers.heard import EventOptions, Heard, asterisk_leg, event_time, named_line
from callreel.importers.items import Problem
from callreel.importers.tail import Tail
from callreel.model import Direction

_NUMBER = re.compile(r"\+?[\d*#]{1,100}", re.ASCII)
_NOBODY = {"", "<unknown>", "unknown", "anonymous", "0000000000"}

LiveItem = Heard | LegNews | Problem | None
"""Mute on and off, news of a leg, what cannot be read, an event of another kind."""
_Found = Mapping[str, str]


def read_live_ami(source: Path | Tail, options: EventOptions) -> Iterator[LiveItem]:
    """What the manager interface of Asterisk tells, as it tells it.

    Args:
        source: What is read until it ends.
        options: What it does not say.

    Raises:
        BadInput: It cannot be read.
    """
    return _items(ami_blocks(source), options, ami_event, _ami_news)


def read_live_cel(source: Path | Tail, options: EventOptions) -> Iterator[LiveItem]:
    """What Asterisk writes of its channels, as it writes it; lines, and no database.

    Raises:
        BadInput: It cannot be read.
    """
    return _items(cel_rows(source, options), options, cel_event, _cel_news)


def read_live_freeswitch(source: Path | Tail, options: EventOptions) -> Iterator[LiveItem]:
    """What FreeSWITCH tells, as it tells it; as ``read_live_ami``.

    Raises:
        BadInput: It cannot be read.
    """
    return _items(freeswitch_pieces(source), options, freeswitch_event, _freeswitch_news)


LIVE_KINDS: dict[str, Callable[[Path | Tail, EventOptions], Iterator[LiveItem]]] = {
    "asterisk-ami": read_live_ami,
    "asterisk-cel": read_live_cel,
    "freeswitch": read_live_freeswitch,
}
"""What reads them, by the kind of switch."""


def _items(
    pieces: Iterator[tuple[str, _Found | Problem]],
    options: EventOptions,
    mute: Callable[[str, _Found, EventOptions], Heard | Problem | None],
    news: Callable[[_Found, EventOptions], LegNews | None],
) -> Iterator[LiveItem]:
    for origin, found in pieces:
        if isinstance(found, Problem):
            yield found
            continue
        try:
            told = news(found, options)
        except BadInput as error:
            yield Problem(origin, error.message)
        else:
            yield told or mute(origin, found, options)


def _ami_news(found: _Found, options: EventOptions) -> LegNews | None:
    state = {
        "newchannel": LegState.RINGING,
        "newstate": LegState.RINGING,
        "hold": LegState.HELD,
        "unhold": LegState.TALKING,
        "hangup": LegState.ENDED,
    }.get(found["event"].lower())
    if state is LegState.RINGING and found.get("channelstatedesc", "") == "Up":
        state = LegState.TALKING
    said = found.get("timestamp", "")
    return _asterisk_news(state, said, found, options)


def _cel_news(row: _Found, options: EventOptions) -> LegNews | None:
    kind = row.get("eventtype", "").strip().upper()
    state = {
        "CHAN_START": LegState.RINGING,
        "ANSWER": LegState.TALKING,
        "HANGUP": LegState.ENDED,
        "CHAN_END": LegState.ENDED,
        "LINKEDID_END": LegState.ENDED,
    }.get(kind)
    said = row.get("eventtime", "").strip()
    if state is not None and not said:
        raise BadInput("it has no time")
    found = {
        # Of a conversation it does not matter on what its last channel was.
        "channel": "" if kind == "LINKEDID_END" else row.get("channame", ""),
        "uniqueid": row.get("uniqueid", "").strip(),
        "linkedid": row.get("linkedid", "").strip(),
        "calleridnum": row.get("cidnum", ""),
        "calleridname": row.get("cidname", ""),
        "exten": row.get("dialled", row.get("exten", "")),
    }
    told = _asterisk_news(state, said, found, options)
    return replace(told, of_all=kind == "LINKEDID_END") if told else None


def _asterisk_news(
    state: LegState | None, said: str, found: _Found, options: EventOptions
) -> LegNews | None:
    """What an event tells of a leg, by the names that the manager interface has for it.

    Args:
        state: What goes on; None where the event is of another kind.
        said: When it was; empty for now.
        found: The event.
        options: What it does not say.

    Raises:
        BadInput: It names no leg, or its time cannot be read.
    """
    channel = found.get("channel", "")
    # The two halves of a Local channel are the switch talking to itself.
    if state is None or channel.startswith("Local/"):
        return None
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
    # A caller says what they like; it must not hide the call, nor keep its end from being taken.
    plain = "".join(sign for sign in " ".join(text.split()) if sign.isprintable())[:MAX_NAME]
    # Where no name is known, switches say the number again.
    return "" if plain.lower() in _NOBODY or _NUMBER.fullmatch(plain) else plain
