"""The side-car of a recording: ``name.json`` beside ``name.wav``, with what the sound cannot tell.

It is refused as a whole where any of it cannot be read, since what could not be read may have been
the spans that must not be heard.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo

from callreel.errors import BadInput
from callreel.importers.fields import MAX_DURATION_S, read_instant
from callreel.model import Direction, Party, Span, UnixMillis
from callreel.spans import MAX_POSITION_S

FIELDS = (
    "datasource", "voicelocation", "voicefilename", "recording", "started_at", "duration_s",
    "direction", "from", "to", "caller_name", "extension", "channel", "agent_channel", "spans",
)  # fmt: skip
"""Everything that may stand in a side-car."""
MAX_BYTES = 1 << 20
"""A side-car is small; anything larger is something else."""

_SPAN_FIELDS = ("start_s", "end_s", "channel")
_TEXT_MAX_CHARS = 256
_MAX_SPANS = 10_000


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What a side-car says; None or empty where it does not."""

    datasource: str | None
    voicelocation: str | None
    voicefilename: str | None
    recording: str | None
    """Another file of sound in the same folder, or a key that several calls share."""
    started_at: UnixMillis | None
    duration_s: float | None
    direction: Direction
    from_number: str
    to_number: str
    caller_name: str
    extension: str | None
    channel: str | None
    agent_channel: Party | None
    spans: tuple[Span, ...]


def read_sidecar(contents: bytes, zone: tzinfo) -> Sidecar:
    """Read and check a whole side-car.

    Args:
        contents: Of the file.
        zone: Of a ``started_at`` without offset.

    Raises:
        BadInput: It is torn, not JSON, or a field is unknown or wrong; the message names it.
    """
    document = _document(contents)
    for name in document:
        if name not in FIELDS:
            close = difflib.get_close_matches(str(name), FIELDS, 1)
            advice = f"; did you mean {close[0]}?" if close else f"; known are {', '.join(FIELDS)}"
            raise BadInput(f"there is no field {name!r}{advice}")
    return Sidecar(
        datasource=_text(document, "datasource"),
        voicelocation=_text(document, "voicelocation"),
        voicefilename=_text(document, "voicefilename"),
        recording=_text(document, "recording"),
        started_at=_instant(document, zone),
        duration_s=_duration(document),
        direction=_direction(document),
        from_number=_text(document, "from") or "",
        to_number=_text(document, "to") or "",
        caller_name=_text(document, "caller_name") or "",
        extension=_text(document, "extension"),
        channel=_text(document, "channel"),
        agent_channel=_agent_channel(document),
        spans=_spans(document),
    )


def _document(contents: bytes) -> dict[str, object]:
    if len(contents) > MAX_BYTES:
        raise BadInput("it is larger than 1 MiB")
    try:
        document = json.loads(
            contents.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_no_constant
        )
    except UnicodeDecodeError as error:
        raise BadInput("it is not UTF-8 text") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"it is not JSON, or torn ({error})") from error
    if not isinstance(document, dict):
        raise BadInput('it must be one JSON object, like {"from": "..."}')
    return document


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    # The last of two would win silently, and the first may have held the spans.
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is given twice")
    return found


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _text(document: Mapping[str, object], name: str) -> str | None:
    value = document.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        # Programs write extensions and ids without quotes; digits are the same text.
        value = str(value)
    if not isinstance(value, str):
        raise BadInput(f"{name} must be a text in quotes")
    if len(value) > _TEXT_MAX_CHARS or any(ord(sign) < 32 for sign in value):
        raise BadInput(f"{name} is longer than 256 characters or holds control characters")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"{name} holds half a character") from error
    return value


def _agent_channel(document: Mapping[str, object]) -> Party | None:
    value = document.get("agent_channel")
    if value is None:
        return None
    if value not in {party.value for party in Party}:
        raise BadInput("agent_channel must be left or right")
    return Party(value)


def _instant(document: Mapping[str, object], zone: tzinfo) -> UnixMillis | None:
    text = document.get("started_at")
    if text is None:
        return None
    if not isinstance(text, str):
        raise BadInput('started_at must be a text like "2026-11-23T09:30:00+00:00"')
    return _named("started_at", lambda: read_instant(text, zone))


def _duration(document: Mapping[str, object]) -> float | None:
    value = document.get("duration_s")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadInput("duration_s must be a number of seconds")
    if not 0 <= value <= MAX_DURATION_S:
        raise BadInput("duration_s must be from 0 to one week")
    return float(value)


def _direction(document: Mapping[str, object]) -> Direction:
    value = document.get("direction")
    if value is None:
        return Direction.UNKNOWN
    if not isinstance(value, str) or value not in {"inbound", "outbound", "internal"}:
        raise BadInput(f"direction is {value!r}; it must be inbound, outbound or internal")
    return Direction(value)


def _spans(document: Mapping[str, object]) -> tuple[Span, ...]:
    value = document.get("spans")
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > _MAX_SPANS:
        raise BadInput('spans must be a list like [{"start_s": 1, "end_s": 2, "channel": null}]')
    return tuple(_span(number, entry) for number, entry in enumerate(value, 1))


def _span(number: int, entry: object) -> Span:
    where = f"span {number}"
    if not isinstance(entry, dict):
        raise BadInput(f'{where} must be an object like {{"start_s": 1, "end_s": 2}}')
    for name in entry:
        if name not in _SPAN_FIELDS:
            raise BadInput(f"{where} has no field {name!r}; known are {', '.join(_SPAN_FIELDS)}")
    start_s = _position(f"{where}: start_s", entry.get("start_s"))
    end = entry.get("end_s")
    end_s = math.inf if end is None and "end_s" in entry else _position(f"{where}: end_s", end)
    if end_s < start_s:
        raise BadInput(f"{where} ends before it starts")
    return Span(start_s, end_s, _channel(where, entry.get("channel")))


def _position(where: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadInput(f"{where} must be a number of seconds")
    # Python reads a number of any length, and not every one is a double.
    if not 0 <= value <= MAX_POSITION_S:
        raise BadInput(f"{where} must be 0 or more seconds from the start of the recording")
    return float(value)


def _channel(where: str, value: object) -> Party | None:
    if value is None or value == "both":
        return None
    if not isinstance(value, str) or value not in {"left", "right"}:
        raise BadInput(f"{where}: channel is {value!r}; it must be null, both, left or right")
    return Party(value)


def _named(name: str, read: Callable[[], UnixMillis]) -> UnixMillis:
    try:
        return read()
    except BadInput as error:
        raise BadInput(f"{name}: {error.message}") from error
