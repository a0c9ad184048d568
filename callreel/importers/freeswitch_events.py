"""Events of FreeSWITCH: JSON lines, or plain text as its event socket sends it.

A mask has no event of its own there. It shows as the command ``uuid_record UUID mask PATH``
(Event-Name API), as an application that the dial plan runs (CHANNEL_EXECUTE of
record_session_mask), or as a CUSTOM event that the site names.
Source: FreeSWITCH ``switch_event.c`` (plain values are URL-encoded, JSON values are not),
``mod_commands.c``, ``mod_dptools.c``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from callreel.errors import BadInput
from callreel.flows.entry import Result
from callreel.importers.event_lines import MAX_BLOCK_LINES, decoded, headers, open_events
from callreel.importers.heard import EventOptions, Heard, HeardItems, LegNames, named_line
from callreel.importers.items import Problem
from callreel.importers.tail import Tail
from callreel.model import UnixMillis

MAX_EVENT_BYTES = 1 << 20
"""Of one event; a larger one is an attack or something else."""
_TWO = "two events without an empty line between them"
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MICROS = re.compile(r"\d{15,16}")
_ACTIONS = {"mask": True, "unmask": False}
_APPLICATIONS = {"record_session_mask": True, "record_session_unmask": False}


@dataclass(frozen=True, slots=True)
class _Piece:
    """One event, or what is wrong with it."""

    number: int
    found: Mapping[str, str] | None = field(default=None, repr=False)
    wrong: str = ""
    is_torn: bool = False


def read_freeswitch_events(path: Path, options: EventOptions) -> HeardItems:
    """Events of one file.

    Args:
        path: The file.
        options: What it does not say.

    Raises:
        BadInput: It cannot be read.
    """
    for origin, found in freeswitch_pieces(path):
        yield found if isinstance(found, Problem) else freeswitch_event(origin, found, options)


def freeswitch_pieces(path: Path | Tail) -> Iterator[tuple[str, Mapping[str, str] | Problem]]:
    """Where each event stands, and its headers by their names in lower case.

    Raises:
        BadInput: It cannot be read.
    """
    with open_events(path) as file:
        for piece in _Pieces(file):
            origin = f"{path.name}:{piece.number}"
            if piece.is_torn:
                waiting = "the last event is not complete yet"
                yield origin, Problem(origin, waiting, Result.WAITING)
            elif piece.found is None:
                yield origin, Problem(origin, piece.wrong)
            else:
                yield origin, piece.found


class _Pieces:
    """Cuts a file into events, at empty lines and by Content-Length.

    A body may hold anything, also what looks like an event, so it is cut off by its length.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._number = 0

    def __iter__(self) -> Iterator[_Piece]:
        while raw := self._line():
            if not raw.strip():
                continue
            number = self._number
            if raw.lstrip(b"\xef\xbb\xbf \t").startswith(b"{"):
                yield self._of_json(number, raw)
                continue
            piece = self._of_block(number, raw)
            if piece is not None:
                yield piece

    def _line(self) -> bytes:
        """The next line; empty at the end of the file, cut where it is too long."""
        raw = self._file.readline(MAX_EVENT_BYTES)
        self._number += 1
        return raw

    def _is_cut(self, raw: bytes) -> bool:
        return len(raw) == MAX_EVENT_BYTES and not raw.endswith(b"\n")

    def _skip_line(self, raw: bytes) -> None:
        while raw and not raw.endswith(b"\n"):
            raw = self._file.readline(MAX_EVENT_BYTES)

    def _of_json(self, number: int, raw: bytes) -> _Piece:
        if self._is_cut(raw):
            self._skip_line(raw)
            return _Piece(number, wrong="it is larger than any event")
        found = _json_event(raw)
        if found is None and not raw.endswith(b"\n"):
            return _Piece(number, is_torn=True)
        return _Piece(number, found, "the line is not a JSON object")

    def _of_block(self, number: int, raw: bytes) -> _Piece | None:
        """The event of a block of headers; None where it is none: an envelope, an answer."""
        lines: list[str] = []
        is_large = False
        while raw.strip(b"\r\n"):
            if self._is_cut(raw):
                self._skip_line(raw)
                is_large = True
            elif len(lines) < MAX_BLOCK_LINES:
                lines.append(decoded(raw))
            else:
                is_large = True
            raw = self._line()
        if not raw:
            return _Piece(number, is_torn=True)
        if is_large:
            return _Piece(number, wrong="it is larger than any event")
        found = headers(tuple(lines))
        if found is None:
            return _Piece(number, wrong=_TWO)
        return self._with_body(number, found)

    def _with_body(self, number: int, found: Mapping[str, str]) -> _Piece | None:
        length = found.get("content-length", "0")
        if not (length.isascii() and length.isdecimal()) or int(length) > MAX_EVENT_BYTES:
            return _Piece(number, wrong="its Content-Length cannot be right")
        body = self._file.read(int(length))
        self._number += body.count(b"\n")
        if len(body) < int(length):
            return _Piece(number, is_torn=True)
        if "event-name" in found:
            return _Piece(number, _plain(found))
        kind = found.get("content-type", "")
        if kind == "text/event-json":
            return _Piece(number, _json_event(body), "it is not a JSON object")
        if kind != "text/event-plain":
            return None
        head = re.split(r"\r?\n\r?\n", body.decode("utf-8", "replace"), maxsplit=1)[0]
        inner = headers(tuple(head.split("\n")))
        return _Piece(number, None if inner is None else _plain(inner), _TWO)


def _plain(found: Mapping[str, str]) -> Mapping[str, str]:
    return {name: unquote(value) for name, value in found.items()}


def _json_event(raw: bytes) -> Mapping[str, str] | None:
    try:
        said = json.loads(raw.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    return {
        str(name).lower(): value.strip() for name, value in said.items() if isinstance(value, str)
    }


def freeswitch_event(
    origin: str, found: Mapping[str, str], options: EventOptions
) -> Heard | Problem | None:
    """What one event says; None where it is of another kind."""
    kind = found.get("event-name", "").upper()
    mute, said_uuid = _mute(kind, found, options)
    is_key = mute is None and kind == "DTMF" and options.keys is not None
    if mute is None and not is_key:
        return None
    try:
        at = freeswitch_time(found)
        leg = freeswitch_leg(found, said_uuid, options)
    except BadInput as error:
        return Problem(origin, error.message)
    return Heard(origin, at, leg, mute, found.get("dtmf-digit", "").upper() if is_key else "")


def _mute(
    kind: str, found: Mapping[str, str], options: EventOptions
) -> tuple[bool | None, str | None]:
    """What an event says, and the uuid in its command where there is one."""
    if kind == "CHANNEL_EXECUTE":
        return _APPLICATIONS.get(found.get("application", "")), None
    if kind in {"API", "CUSTOM"} and found.get("api-command", "") == "uuid_record":
        uuid, _, rest = found.get("api-command-argument", "").strip().partition(" ")
        return _ACTIONS.get(rest.strip().partition(" ")[0].lower()), uuid
    if kind == "CUSTOM":
        return options.says(found.get("event-subclass", "")), None
    return None, None


def freeswitch_time(found: Mapping[str, str]) -> UnixMillis:
    """When an event was.

    Raises:
        BadInput: It does not say.
    """
    micros = found.get("event-date-timestamp", "")
    if _MICROS.fullmatch(micros) is None:
        raise BadInput("it has no Event-Date-Timestamp in microseconds")
    return UnixMillis(int(micros) // 1000)


def freeswitch_leg(
    found: Mapping[str, str], said_uuid: str | None, options: EventOptions
) -> LegNames:
    """The names of the leg that an event is about.

    Args:
        found: The event.
        said_uuid: The uuid in a command; None where it is no command.
        options: What it does not say.

    Raises:
        BadInput: A uuid is none.
    """
    unique_id = said_uuid or found.get("unique-id", "")
    # A command runs outside of any call; what its event says of another leg is not of this one.
    linked_id = "" if said_uuid else found.get("other-leg-unique-id", "")
    linked_id = linked_id or ("" if said_uuid else found.get("channel-call-uuid", ""))
    for each in (unique_id, linked_id):
        if each and _UUID.fullmatch(each) is None:
            raise BadInput("its uuid is not one")
    if unique_id or linked_id:
        other = linked_id.lower() if linked_id.lower() != unique_id.lower() else ""
        return LegNames(unique_id.lower() or None, other or None)
    return named_line(found.get("channel-name", ""), options.internal_digits)
