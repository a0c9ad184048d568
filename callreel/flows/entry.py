"""What an importer hands to the intake, and what the intake answers; ids made from content.

Ids are derived, not drawn: whoever imports the same thing twice, or in another order, gets the same
ids, so nothing comes in twice.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from callreel.model import CallId, Direction, Disposition, Party, RecordingId, Span, UnixMillis

DEFAULT_DATASOURCE = "1"
DEFAULT_VOICELOCATION = "1"
DEFAULT_STORE = "1"
SOUND_KEY = "sound:"
"""Begins the source key of a call of which only the sound is known; its SHA-256 follows."""


@dataclass(frozen=True, slots=True)
class SoundFile:
    """A file of sound that somebody offers."""

    root: Path
    """A folder that the administrator named; trusted."""
    name: str
    """Relative to it, with ``/``; may come from a record and is not trusted (threats.md T47)."""
    in_place: bool = False
    """Refer to the file instead of copying it."""

    @property
    def path(self) -> str:
        """For people and reports; never opened."""
        return str(self.root / self.name)


@dataclass(frozen=True, slots=True)
class SharedRecording:
    """The recording that several calls share, where it goes by other names than this call."""

    voicelocation: str | None
    """None: the site's default."""
    voicefilename: str | None
    """None: made from the content."""


@dataclass(frozen=True, slots=True)
class CallEntry:
    """One call as an importer found it."""

    datasource: str
    """The feed it came from."""
    source_key: str | None
    """Tells this call from every other of the datasource; None: the sound alone does."""
    origin: str
    """File and line, for reports."""
    started_at: UnixMillis | None
    """None where no record told it: then the file's time less its length."""
    answered_at: UnixMillis | None = None
    """None where nobody answered, or no record told."""
    clock_s: float = 0.0
    """How coarse these times are: 1 where the record cuts them to whole seconds."""
    direction: Direction = Direction.UNKNOWN
    from_number: str = ""
    to_number: str = ""
    caller_name: str = ""
    """As the network told it; text of anybody."""
    duration_s: float | None = None
    """Of the call, in seconds; None where only the sound knows."""
    voicelocation: str | None = None
    """None: the site's default."""
    voicefilename: str | None = None
    """The call's name of its recording; None: made from the content."""
    shared: SharedRecording | None = None
    """Names of the recording; None: those of the call."""
    extension: str | None = None
    channel: str | None = None
    disposition: Disposition = Disposition.UNKNOWN
    linked_id: str | None = None
    """What the switch calls all legs of one conversation."""
    unique_id: str | None = None
    """What the switch calls this leg in its own events; signals find the call by it."""
    spans: tuple[Span, ...] = ()
    """Seconds from the first frame of the recording, taken as given (contract.md 4.3)."""
    keyed_by_sound: bool = False
    """``source_key`` tells the call only together with the sound."""
    audio: SoundFile | None = None
    agent_channel: Party | None = None
    """Where the agent speaks in it; None where the record does not tell."""
    second_copy: SoundFile | None = None
    """Another file of the same sound; the entry is refused where it is not the same."""
    missing: str | None = None
    """Why there is no sound although the record names some; None where nothing was recorded."""


class Result(StrEnum):
    """What became of an entry."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "same"
    WAITING = "waiting"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one entry, told when it is on the disk."""

    entry: CallEntry
    result: Result
    call_id: CallId | None = None
    recording_id: RecordingId | None = None
    reason: str | None = None
    """Why it waits, was skipped, or came in without playable sound."""
    sound_refused: bool = False
    """The call came in, the sound that it names did not."""
    repaired: str | None = None
    """What was mended in the sound; None where nothing had to be."""


class NotTaken(Exception):
    """An entry that does not come in now; ``result`` says whether it waits or is skipped."""

    def __init__(self, result: Result, reason: str) -> None:
        super().__init__(reason)
        self.result = result
        self.reason = reason


def require_storable(entry: CallEntry) -> None:
    """Refuse text that a database cannot hold.

    Raises:
        NotTaken: A NUL character, or half of one beyond the basic plane, in some field.
    """
    texts = {
        "datasource": entry.datasource,
        "voicelocation": entry.voicelocation,
        "voicefilename": entry.voicefilename,
        "from": entry.from_number,
        "to": entry.to_number,
        "extension": entry.extension,
        "channel": entry.channel,
        "linked id": entry.linked_id,
        "unique id": entry.unique_id,
    }
    for name, text in texts.items():
        if text is not None and ("\0" in text or _is_torn(text)):
            raise NotTaken(Result.SKIPPED, f"{name} holds a character that cannot be stored")
    if not entry.datasource or any(ord(sign) < 32 for sign in entry.datasource):
        # It becomes the id of a site, which people type and terminals show.
        raise NotTaken(Result.SKIPPED, "its datasource is empty or holds control characters")


def _is_torn(text: str) -> bool:
    return not text.isascii() and _TORN.search(text) is not None


_TORN = re.compile("[\ud800-\udfff]")


def call_id(datasource: str, source_key: str) -> CallId:
    """The id of a call; the same for the same call of the same feed, whoever imports it."""
    return CallId("c" + _digest(datasource, source_key))


def recording_id(datasource: str, voicelocation: str, voicefilename: str) -> RecordingId:
    """The id of a recording, from the three names that tell it from every other."""
    return RecordingId("r" + _digest(datasource, voicelocation, voicefilename))


def in_place_store_id(root: Path) -> str:
    """The id of the store that refers to a folder of the administrator's."""
    return "p" + _digest(str(root))


def content_name(sha256: str) -> str:
    """The voicefilename of a recording that nobody named: SHA and 40 hex digits of its hash."""
    return "SHA" + sha256[:40].upper()


def _digest(*parts: str) -> str:
    # JSON keeps the borders between the parts. surrogatepass: a name of a file need not be UTF-8.
    text = _JSON.encode(parts).encode("utf-8", "surrogatepass")
    # 20 bytes are 32 signs, of which 26 are kept.
    return base64.b32encode(hashlib.sha256(text).digest()[:20]).decode("ascii").lower()[:26]


_JSON = json.JSONEncoder(ensure_ascii=False)
