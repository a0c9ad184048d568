"""What files of a switch's events hold that matters here, and what they do not say.

A key that somebody typed lives in ``Heard.key`` only, on its way to ``key_presses.py``. It must not
get into a message, an id, a log or a row: it may be part of a card number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from callreel.errors import BadInput
from callreel.importers.fields import MAX_DURATION_S, is_internal, read_instant, to_millis
from callreel.importers.items import Problem
from callreel.model import Clock, UnixMillis

_UNIX = re.compile(r"\d{8,11}(\.\d{1,9})?")
_ASTERISK_ID = re.compile(r"[\w.:@+-]{1,150}", re.ASCII)
_ONLY_KEYS = re.compile(r"[\d*#]+")
_BORN = re.compile(r"(?:.*-)?(\d{9,11})\.\d+")
_CHANNEL = re.compile(
    r"([A-Za-z0-9]+)/(?:[\w.-]+/)?([^/@;]+?)(?:@[^/;]*?)?(?:-[0-9a-f]{8,})?(?:;[12])?"
)
KEYS = frozenset("0123456789*#ABCD")
LONGEST = 8
"""Keys of a sequence."""
EARLY_MS = 5_000
"""How far a channel's event may lie before the whole second in its unique id."""


@dataclass(frozen=True, slots=True)
class KeyRules:
    """What is typed to say on and off."""

    start: str = "*5"
    stop: str = "*6"
    gap_ms: int = 3_000
    """The longest time between a key and the next one of a sequence."""

    def __post_init__(self) -> None:
        """Refuse sequences that cannot be told apart.

        Raises:
            BadInput: A sequence is empty, too long, of other signs, or part of the other.
        """
        for each in (self.start, self.stop):
            if not 1 <= len(each) <= LONGEST or not KEYS.issuperset(each):
                raise BadInput(f"a sequence is 1 to {LONGEST} of the keys 0 to 9, *, #, A to D")
        if self.start in self.stop or self.stop in self.start:
            raise BadInput("the start and the stop sequence must not be part of each other")


@dataclass(frozen=True, slots=True)
class EventOptions:
    """What the events do not say."""

    clock: Clock
    """What time it is: a sequence at the very end of a file may still go on."""
    datasource: str = "1"
    """The feed that the calls of this switch are imported as."""
    timezone: tzinfo | None = None
    """Of times without offset; None refuses those."""
    mask_names: frozenset[str] = frozenset({"mask"})
    """Names of events that say on, in lower case."""
    unmask_names: frozenset[str] = frozenset({"unmask"})
    """Names of events that say off, in lower case."""
    keys: KeyRules | None = None
    """None: nobody types on and off here."""
    columns: tuple[str, ...] = ()
    """Of CEL lines without header, where they are none of the sample configuration."""
    table: str = "cel"
    """In SQLite."""
    internal_digits: int = 6
    """A number of at most so many digits is an extension."""

    def says(self, *names: str) -> bool | None:
        """Whether one of these names says on or off; None where none says either."""
        for name in names:
            folded = name.strip().lower()
            if folded in self.mask_names:
                return True
            if folded in self.unmask_names:
                return False
        return None


@dataclass(frozen=True, slots=True)
class LegNames:
    """Where it was heard; see ``flows/switch.py``."""

    unique_id: str | None = None
    linked_id: str | None = None
    extension: str | None = None
    channel: str | None = None

    @property
    def about(self) -> tuple[str | None, ...]:
        """Tells one line from another, for keys that belong together."""
        if self.unique_id:
            return (self.unique_id,)
        return (self.linked_id, self.extension, self.channel)


@dataclass(frozen=True, slots=True)
class Heard:
    """An event that says on or off, or a key."""

    origin: str
    at: UnixMillis
    leg: LegNames
    mute: bool | None = None
    """None for a key."""
    key: str = field(default="", repr=False)
    """Empty where it is not known which."""


HeardItems = Iterator[Heard | Problem | None]
"""None stands for an event of another kind."""


def event_time(text: str, zone: tzinfo | None) -> UnixMillis:
    """The instant of an event: seconds since 1970 with a fraction, or ISO 8601.

    Raises:
        BadInput: It is neither, or has no offset and nobody said the zone. The message holds
            nothing of the text: in a line whose columns have slipped it may be anything.
    """
    stripped = text.strip()
    try:
        if _UNIX.fullmatch(stripped):
            return read_instant(stripped, UTC, ("unix",))
        moment = datetime.fromisoformat(stripped)
        if moment.tzinfo is not None or zone is not None:
            return to_millis(moment, zone or UTC)
    except (BadInput, ValueError, OverflowError):
        raise BadInput("its time is not one that can be read") from None
    raise BadInput("its time has no zone; say --utc, --local or --timezone ZONE")


def asterisk_leg(
    unique_id: str, linked_id: str, channel: str, at: UnixMillis, internal_digits: int
) -> LegNames:
    """The names of a leg of Asterisk.

    Raises:
        BadInput: An id is none, or was given at another time than the event's.
    """
    for each in (unique_id, linked_id):
        if each and (_ASTERISK_ID.fullmatch(each) is None or _ONLY_KEYS.fullmatch(each)):
            raise BadInput("its unique id is not one of Asterisk's")
    born = _BORN.fullmatch(unique_id)
    if born is not None:
        age_ms = at - int(born.group(1)) * 1000
        if not -EARLY_MS <= age_ms <= MAX_DURATION_S * 1000:
            raise BadInput("its time is not that of its unique id; is the zone right?")
    if unique_id or linked_id:
        return LegNames(unique_id or None, linked_id or None)
    return named_line(channel, internal_digits)


def named_line(channel: str, internal_digits: int, extension: str = "") -> LegNames:
    """The extension or the line of an event that has no id; one of them, or neither."""
    if is_internal(extension, internal_digits):
        return LegNames(extension=extension)
    found = _CHANNEL.fullmatch(channel.strip())
    if found is None:
        return LegNames()
    technology, device = found.groups()
    if is_internal(device, internal_digits):
        return LegNames(extension=device)
    return LegNames(channel=f"{technology}/{device}")
