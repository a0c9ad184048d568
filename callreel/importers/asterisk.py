"""Calls of an Asterisk or FreePBX exchange, with the recordings of its monitor tree."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo

from callreel.errors import BadInput
from callreel.flows.entry import CallEntry, Result, SoundFile
from callreel.importers.asterisk_rows import CdrRow, Rows
from callreel.importers.fields import (
    clock_of,
    direction_by_length,
    disposition_of,
    is_internal,
    read_duration,
    read_instant,
)
from callreel.importers.items import Items, Problem
from callreel.importers.monitor import MonitorTree, NamedRecording, base_stem
from callreel.model import Direction, UnixMillis

STANDARD_MONITOR = "/var/spool/asterisk/monitor"
"""Where Asterisk records unless told otherwise; names in records begin with it."""

_DEVICE = re.compile(r"[^/]+/(.+?)(?:-[0-9a-f]{8,})?(?:;[12])?")
_CALLER_ID = re.compile(r"<([^<>]*)>\s*$")
_INBOUND_CONTEXTS = ("from-trunk", "from-pstn", "from-did", "ext-did", "from-external")


@dataclass(frozen=True, slots=True)
class AsteriskOptions:
    """What the records do not say."""

    timezone: tzinfo
    """Of their times: UTC with ``usegmtime``, else the exchange's own."""
    datasource: str = "1"
    voicelocation: str | None = None
    internal_digits: int = 6
    """A number of at most so many digits is an extension."""
    contexts: Mapping[str, Direction] = field(default_factory=dict)
    """Directions of the dial plan's contexts, where the administrator named them."""
    recorded_under: str = STANDARD_MONITOR
    """What absolute names in records begin with, where the tree lies elsewhere now."""
    in_place: bool = False


def read_asterisk(
    rows: Callable[[], Rows], tree: MonitorTree | None, options: AsteriskOptions
) -> Items:
    """Entries of call detail records.

    Rows of one linked id (a transfer) share the recording if only one of them has any.

    Args:
        rows: Gives the rows from the beginning; called twice where there is a tree.
        tree: Recordings; None to import none.
        options: What the records do not say.

    Yields:
        One item per row, then one problem per recording that no row named.
    """
    linked = _linked_recordings(rows(), tree, options) if tree is not None else {}
    for row in rows():
        if isinstance(row, Problem):
            yield row
            continue
        try:
            yield _entry(row, tree, linked, options)
        except BadInput as error:
            yield Problem(row.origin, error.message)
    yield from tree.unreadable if tree is not None else ()
    for name in tree.unused() if tree is not None else ():
        yield Problem(name, "no call record names this recording yet", Result.WAITING)


def _linked_recordings(
    rows: Rows, tree: MonitorTree, options: AsteriskOptions
) -> dict[str, set[str]]:
    linked: dict[str, set[str]] = {}
    for row in rows:
        if isinstance(row, CdrRow) and row.linkedid:
            name = _own_recording(row, tree, options).name
            if name is not None:
                linked.setdefault(row.linkedid, set()).add(name)
    return linked


def _entry(
    row: CdrRow,
    tree: MonitorTree | None,
    linked: Mapping[str, set[str]],
    options: AsteriskOptions,
) -> CallEntry:
    started_at = read_instant(row.start, options.timezone, ("iso", "unix"))
    caller, called = device_of(row.channel), device_of(row.dstchannel)
    direction = _direction(row, caller, called, options)
    answered = row.disposition.strip().upper() == "ANSWERED"
    named = NamedRecording(None)
    if tree is not None:
        named = _own_recording(row, tree, options)
        shared = linked.get(row.linkedid, set())
        # Legs that only rang heard nothing of the conversation, so they do not share it.
        if named == NamedRecording(None) and answered and len(shared) == 1:
            named = NamedRecording(next(iter(shared)))
    audio = _sound(named, tree, options)
    return CallEntry(
        datasource=options.datasource,
        # The raw text of the time: correcting the zone and importing again mends the calls, and
        # makes no second ones.
        source_key=_key(row),
        origin=row.origin,
        started_at=started_at,
        answered_at=_answered_at(row, options, answered=answered),
        clock_s=clock_of(started_at),
        direction=direction,
        from_number=_caller_number(row),
        caller_name=_caller_name(row),
        to_number=row.dst.strip(),
        duration_s=read_duration(row.duration) or 0.0,
        voicelocation=options.voicelocation,
        voicefilename=base_stem(audio.name) if audio is not None else None,
        extension=_extension(row, direction, caller, called, options),
        channel=_line(row, direction),
        disposition=disposition_of(direction, answered=answered, said=row.disposition),
        linked_id=row.linkedid or None,
        unique_id=row.uniqueid or None,
        audio=audio,
        missing=named.reason,
    )


def _answered_at(row: CdrRow, options: AsteriskOptions, *, answered: bool) -> UnixMillis | None:
    """When somebody answered; FreePBX's table tells only for how long they talked."""
    if not answered:
        return None
    try:
        if row.answer.strip():
            return read_instant(row.answer, options.timezone, ("iso", "unix"))
        rang_s = (read_duration(row.duration) or 0.0) - (read_duration(row.billsec) or 0.0)
    except BadInput:
        # Written as 0000-00-00 by some: it says nothing, and nothing rests on it.
        return None
    if not row.billsec.strip():
        return None
    started_at = read_instant(row.start, options.timezone, ("iso", "unix"))
    return UnixMillis(started_at + round(rang_s * 1000))


def _key(row: CdrRow) -> str:
    parts = (row.uniqueid, row.start, row.channel, row.dstchannel, row.dst, row.sequence)
    return "\n".join(parts)


def _sound(
    named: NamedRecording, tree: MonitorTree | None, options: AsteriskOptions
) -> SoundFile | None:
    if tree is None or named.name is None:
        return None
    tree.use(named.name)
    return SoundFile(tree.root, named.name, options.in_place)


def _own_recording(row: CdrRow, tree: MonitorTree, options: AsteriskOptions) -> NamedRecording:
    """The recording that a row names itself: by file name, by unique id, by linked id."""
    spoken = row.recordingfile.strip() or _audio_of(row.userfield)
    named = tree.spoken(spoken, options.recorded_under) if spoken else NamedRecording(None)
    if named.name is not None or named.refused:
        return named
    for unique_id in (row.uniqueid, row.linkedid):
        for name in tree.of_unique_id(unique_id) if unique_id else ():
            if not tree.is_empty(name):
                return NamedRecording(name)
    return named


def _audio_of(userfield: str) -> str:
    kind, separator, name = userfield.strip().partition(":")
    return name.strip() if separator and kind == "audio" else ""


def _caller_number(row: CdrRow) -> str:
    number = row.src.strip() or row.cnum.strip()
    if number:
        return number
    found = _CALLER_ID.search(row.clid)
    return found.group(1).strip() if found is not None else ""


def _caller_name(row: CdrRow) -> str:
    """``M. Delgado`` of ``"M. Delgado" <01632960001>``; nothing where it repeats the number."""
    name = _CALLER_ID.sub("", row.clid).strip().strip('"').strip()
    return "" if name in {row.src.strip(), row.cnum.strip()} else name


def device_of(channel: str) -> str:
    """``211`` of ``SIP/211-0000ce14``."""
    found = _DEVICE.fullmatch(channel.strip())
    return found.group(1).partition("@")[0] if found is not None else ""


def _line(row: CdrRow, direction: Direction) -> str | None:
    """The device on the outer side of the call, without the number of this one use of it."""
    channel = row.dstchannel if direction is Direction.OUTBOUND else row.channel
    found = _DEVICE.fullmatch(channel.strip())
    if found is None:
        return None
    return f"{channel.strip().partition('/')[0]}/{found.group(1)}"


def _direction(row: CdrRow, caller: str, called: str, options: AsteriskOptions) -> Direction:
    """By context where it is known, else by who is an extension: device first, then number."""
    told = options.contexts.get(row.dcontext)
    if told is not None:
        return told
    if row.dcontext.startswith(_INBOUND_CONTEXTS):
        return Direction.INBOUND
    digits = options.internal_digits
    from_number = caller if is_internal(caller, digits) else row.src.strip()
    to_number = called if is_internal(called, digits) else row.dst.strip()
    if to_number and not to_number.lstrip("+").isdigit():
        # Feature codes and names of the dial plan (*97, s, hangup) are inside the exchange.
        to_number = "0"
    return direction_by_length(from_number, to_number, digits)


def _extension(
    row: CdrRow, direction: Direction, caller: str, called: str, options: AsteriskOptions
) -> str | None:
    """The extension on our side: the called one of an inbound call, else the caller."""
    devices = (
        (called, row.dst.strip())
        if direction is Direction.INBOUND
        else (
            caller,
            row.src.strip(),
        )
    )
    return next((name for name in devices if is_internal(name, options.internal_digits)), None)
