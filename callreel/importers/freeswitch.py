"""Calls of a FreeSWITCH or FusionPBX exchange, with the recordings that its records name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path

from callreel.errors import BadInput
from callreel.flows.entry import CallEntry, Result, SoundFile
from callreel.importers.fields import (
    clock_of,
    direction_by_length,
    disposition_of,
    is_internal,
    read_direction,
    read_duration,
    read_instant,
)
from callreel.importers.freeswitch_rows import (
    TEMPLATES,
    SwitchRow,
    SwitchRows,
    is_switch_file,
    read_switch_file,
)
from callreel.importers.items import Items, Problem
from callreel.importers.monitor import MonitorTree, NamedRecording, base_stem, walk_files
from callreel.model import Direction, UnixMillis

STANDARD_RECORDINGS = "/var/lib/freeswitch/recordings"
"""Where packages of FreeSWITCH record; names in records begin with it."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DEVICE = re.compile(r"(?:sofia/)?[^/]+/([^/@]+)(?:@.*)?")


@dataclass(frozen=True, slots=True)
class FreeSwitchOptions:
    """What the records do not say."""

    timezone: tzinfo
    """Of their stamps; where they hold seconds since 1970 as well, those win."""
    datasource: str = "1"
    voicelocation: str | None = None
    columns: tuple[str, ...] = TEMPLATES["example"]
    """Of cdr_csv."""
    internal_digits: int = 6
    """A number of at most so many digits is an extension."""
    contexts: Mapping[str, Direction] = field(default_factory=dict)
    """Directions of the dial plan's contexts, where the administrator named them."""
    recorded_under: str = STANDARD_RECORDINGS
    """What absolute names in records begin with, where the recordings lie elsewhere now."""
    in_place: bool = False


def read_freeswitch(
    paths: Sequence[Path], tree: MonitorTree | None, options: FreeSwitchOptions
) -> Items:
    """Entries of call records.

    Args:
        paths: Files, or folders with files of one call each.
        tree: Recordings; None to import none.
        options: What the records do not say.

    Yields:
        One item per record, then one problem per recording that no record named.

    Raises:
        BadInput: A file or folder cannot be read.
    """
    for path in paths:
        for row in _rows(path, options.columns):
            if isinstance(row, Problem):
                yield row
                continue
            try:
                yield _entry(row, tree, options)
            except BadInput as error:
                yield Problem(row.origin, error.message)
    yield from tree.unreadable if tree is not None else ()
    for name in tree.unused() if tree is not None else ():
        yield Problem(name, "no call record names this recording yet", Result.WAITING)


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[SwitchRow | Problem]:
    if not path.is_dir():
        yield from read_switch_file(path, columns)
        return
    unreadable: list[Problem] = []
    for name, entry in walk_files(path, unreadable):
        if not is_switch_file(name):
            continue
        if entry.is_file(follow_symlinks=False):
            yield from _one_file(path / name, columns)
        else:
            yield Problem(name, "a link or a device; neither is followed")
    yield from unreadable


def _one_file(path: Path, columns: tuple[str, ...]) -> SwitchRows:
    try:
        yield from read_switch_file(path, columns)
    except BadInput as error:
        yield Problem(path.name, error.message)


def _caller_name(row: SwitchRow, number: str) -> str:
    name = row.first("caller_id_name", "profile_caller_id_name").strip()
    return "" if name == number else name


def _entry(row: SwitchRow, tree: MonitorTree | None, options: FreeSwitchOptions) -> CallEntry:
    uuid = row.first("uuid", "call_uuid", "xml_cdr_uuid", "profile_uuid")
    if _UUID.fullmatch(uuid) is None:
        raise BadInput(f"its uuid is {uuid!r}")
    from_number = row.first("caller_id_number", "profile_caller_id_number").strip()
    to_number = row.first(
        "destination_number", "profile_destination_number", "caller_destination"
    ).strip()
    direction = _direction(row, from_number, to_number, options)
    named = _recording(row, uuid, tree, options)
    started_at = _instant(row, "start", options.timezone)
    audio = None
    if tree is not None and named.name is not None:
        tree.use(named.name)
        audio = SoundFile(tree.root, named.name, options.in_place)
    return CallEntry(
        datasource=options.datasource,
        source_key=f"uuid:{uuid.lower()}",
        origin=row.origin,
        started_at=started_at,
        answered_at=_answered_at(row, options.timezone),
        clock_s=clock_of(started_at),
        direction=direction,
        from_number=from_number,
        caller_name=_caller_name(row, from_number),
        to_number=to_number,
        duration_s=read_duration(row.first("duration")) or 0.0,
        voicelocation=options.voicelocation,
        voicefilename=base_stem(audio.name) if audio is not None else None,
        extension=_extension(row, direction, from_number, to_number, options),
        channel=_gateway(row),
        disposition=disposition_of(
            direction, answered=_is_answered(row), said=row.first("hangup_cause")
        ),
        linked_id=row.first("originating_leg_uuid", "bridge_uuid", "bleg_uuid").lower() or None,
        unique_id=uuid.lower(),
        audio=audio,
        missing=named.reason,
    )


_EPOCH = re.compile(r"[0-9]{1,18}")


def _instant(row: SwitchRow, name: str, zone: tzinfo) -> UnixMillis:
    """``start`` or ``answer``; seconds since 1970 need no zone, so they come before the stamp."""
    micros = row.first(f"{name}_uepoch")
    if _EPOCH.fullmatch(micros) and int(micros):
        return read_instant(str(int(micros) / 1e6), zone, ("unix",))
    epoch = row.first(f"{name}_epoch")
    if _EPOCH.fullmatch(epoch) and int(epoch):
        return read_instant(epoch, zone, ("unix",))
    return read_instant(row.first(f"{name}_stamp"), zone)


def _answered_at(row: SwitchRow, zone: tzinfo) -> UnixMillis | None:
    if not _is_answered(row):
        return None
    try:
        return _instant(row, "answer", zone)
    except BadInput:
        # Nothing rests on it but how exactly signals are placed.
        return None


def _is_answered(row: SwitchRow) -> bool:
    # An answer time of 0 is how the epoch forms write "never".
    times = (row.first("answer_epoch"), row.first("answer_uepoch"))
    return bool(row.first("answer_stamp")) or any(time not in {"", "0"} for time in times)


def _direction(
    row: SwitchRow, from_number: str, to_number: str, options: FreeSwitchOptions
) -> Direction:
    """By context where the administrator named it, by FusionPBX's own word, else by length.

    The variable ``direction`` is left alone: it is the leg's, seen from the switch.
    """
    told = options.contexts.get(row.first("context", "profile_context"))
    if told is not None:
        return told
    word = row.first("call_direction")
    if word:
        return read_direction(word)
    return direction_by_length(from_number, to_number, options.internal_digits)


def _extension(
    row: SwitchRow,
    direction: Direction,
    from_number: str,
    to_number: str,
    options: FreeSwitchOptions,
) -> str | None:
    device = _DEVICE.fullmatch(row.first("last_sent_callee_id_number", "channel_name"))
    near = to_number if direction is Direction.INBOUND else from_number
    candidates = (near, device.group(1) if device is not None else "")
    return next((text for text in candidates if is_internal(text, options.internal_digits)), None)


def _gateway(row: SwitchRow) -> str | None:
    return row.first("sip_gateway_name", "sip_gateway") or None


def _recording(
    row: SwitchRow, uuid: str, tree: MonitorTree | None, options: FreeSwitchOptions
) -> NamedRecording:
    if tree is None:
        return NamedRecording(None)
    path, name = row.first("record_path"), row.first("record_name", "sofia_record_file")
    spoken = f"{path.rstrip('/')}/{name}" if path and name else name
    named = tree.spoken(spoken, options.recorded_under) if spoken else NamedRecording(None)
    if named.name is not None or named.refused:
        return named
    full = [each for each in tree.named(uuid) if not tree.is_empty(each)]
    return NamedRecording(full[0]) if full else named
