"""Answers to records: what came is checked before anybody relies on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import cast
from urllib.parse import urlsplit

from callreel.client.errors import BadAnswer
from callreel.wire import CallItem, ChangeItem, SpanItem

EXTENSIONS: Mapping[str, str] = MappingProxyType(
    {
        "wav": ".wav",
        "wav-ulaw": ".wav",
        "wav-alaw": ".wav",
        "mp3": ".mp3",
        "opus": ".opus",
        "flac": ".flac",
        "m4a": ".m4a",
        "webm": ".webm",
    }
)
"""From output format to the extension of its files. Source: contract.md 2.5."""
CHANNELS = ("both", "left", "right", "mix")
"""Which channels an output may hold. Source: contract.md 2.5."""


@dataclass(frozen=True, slots=True)
class Token:
    """An address that fetches one recording for about a minute. Who has it can listen."""

    url: str = field(repr=False)
    """Absolute, at Echo; asked for without credentials."""
    expires_at: datetime | None
    """By the server's clock; None where it was asked for by names, which does not tell."""
    content_type: str | None
    """None as above."""
    duration_s: float | None
    """None as above."""
    size_bytes: int | None
    """None as above, and where the size is not known before the sound is made."""
    masked_spans: tuple[SpanItem, ...]
    """What is obfuscated in it; empty also where it was asked for by names."""
    mask_revision: int | None
    """None where it was asked for by names."""


@dataclass(frozen=True, slots=True)
class CallPage:
    """Some calls of a list."""

    items: tuple[CallItem, ...]
    next: str | None
    """The cursor of the page after; None at the end."""


@dataclass(frozen=True, slots=True)
class ChangePage:
    """Some changes, in order."""

    items: tuple[ChangeItem, ...]
    next: str
    """Where to go on; stays good when there was nothing new."""


def token_at(url: str) -> Token:
    """A token of which nothing is known but its address.

    Raises:
        BadAnswer: It is not an absolute web address.
    """
    return Token(_address(url), None, None, None, None, (), None)


def read_token(body: object) -> Token:
    """The answer to a request for a token.

    Raises:
        BadAnswer: A part is missing or of another kind.
    """
    values = _object(body, "the token")
    return Token(
        url=_address(_text(values, "url")),
        expires_at=_instant(values, "expires_at"),
        content_type=_text(values, "content_type"),
        duration_s=_number(values, "duration_s"),
        size_bytes=None if values.get("size_bytes") is None else _count(values, "size_bytes"),
        masked_spans=_spans(values),
        mask_revision=_count(values, "mask_revision"),
    )


def read_call(body: object) -> CallItem:
    """One call.

    Raises:
        BadAnswer: as ``read_token``.
    """
    values = _object(body, "the call")
    for name in ("id", "datasource", "started_at", "direction", "from", "to"):
        _text(values, name)
    for name in ("recording_id", "voicelocation", "voicefilename", "extension", "channel"):
        _text_or_none(values, name)
    _number(values, "duration_s")
    _spans(values)
    return cast("CallItem", values)


def read_call_page(body: object) -> CallPage:
    """A page of the list of calls.

    Raises:
        BadAnswer: as ``read_token``.
    """
    values = _object(body, "the list")
    items = tuple(read_call(item) for item in _items(values, "items"))
    return CallPage(items, _text_or_none(values, "next"))


def read_change_page(body: object) -> ChangePage:
    """A page of the feed of changes.

    Raises:
        BadAnswer: as ``read_token``.
    """
    values = _object(body, "the feed")
    items = []
    for item in _items(values, "items"):
        change = _object(item, "the change")
        for name in ("kind", "at"):
            _text(change, name)
        for name in ("call_id", "recording_id"):
            _text_or_none(change, name)
        items.append(cast("ChangeItem", change))
    return ChangePage(tuple(items), _text(values, "next"))


def _fault(what: str) -> BadAnswer:
    return BadAnswer(f"The server's answer does not keep to the contract: {what}.")


def _object(body: object, what: str) -> dict[str, object]:
    if not isinstance(body, dict):
        raise _fault(f"{what} is not an object")
    return body


def _items(values: dict[str, object], name: str) -> list[object]:
    value = values.get(name)
    if not isinstance(value, list):
        raise _fault(f"{name} is not a list")
    return value


def _text(values: dict[str, object], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str):
        raise _fault(f"{name} is not a text")
    return value


def _text_or_none(values: dict[str, object], name: str) -> str | None:
    return None if name in values and values[name] is None else _text(values, name)


def _number(values: dict[str, object], name: str) -> float:
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _fault(f"{name} is not a number")
    return float(value)


def _count(values: dict[str, object], name: str) -> int:
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _fault(f"{name} is not a count")
    return value


def _instant(values: dict[str, object], name: str) -> datetime:
    try:
        return datetime.fromisoformat(_text(values, name))
    except ValueError:
        raise _fault(f"{name} is not a time") from None


def _spans(values: dict[str, object]) -> tuple[SpanItem, ...]:
    spans = []
    for item in _items(values, "masked_spans"):
        span = _object(item, "a span")
        for name in ("start_s", "end_s"):
            _number(span, name)
        _text_or_none(span, "channel")
        spans.append(cast("SpanItem", span))
    return tuple(spans)


def _address(url: str) -> str:
    """The address itself; with a user name in it, it would send credentials to Echo."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.username is None
        good = good and (parts.port is None or parts.port > 0) and url.isascii()
    except ValueError:
        good = False
    if not good or not url.isprintable() or " " in url:
        raise _fault("the token's url is not a web address")
    return url
