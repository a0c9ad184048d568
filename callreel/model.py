"""Units, ids and the frozen records that travel between the layers.

Instants are whole milliseconds since 1970-01-01 UTC (``UnixMillis``) inside, ISO 8601 with offset
outside. Intervals are half-open. Positions in sound are seconds from the first frame of the
recording, or frames where the type says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

Seconds = NewType("Seconds", float)
Hertz = NewType("Hertz", int)
Frames = NewType("Frames", int)
ByteCount = NewType("ByteCount", int)
UnixMillis = NewType("UnixMillis", int)

CallId = NewType("CallId", str)
RecordingId = NewType("RecordingId", str)
WebUserId = NewType("WebUserId", str)

Clock = Callable[[], UnixMillis]
"""What time it is; passed in, so that tests can fix it."""


class Direction(StrEnum):
    """Which way a call went, seen from the site."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    INTERNAL = "internal"
    UNKNOWN = "unknown"


class Disposition(StrEnum):
    """How a call ended."""

    ANSWERED = "answered"
    ABANDONED = "abandoned"
    BUSY = "busy"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Party(StrEnum):
    """One side of a two-channel recording."""

    LEFT = "left"
    RIGHT = "right"


class OutputChannels(StrEnum):
    """Which channels an output holds; of a mono recording all four are that mono.

    Source: contract.md 2.5 and 6.5.
    """

    BOTH = "both"
    LEFT = "left"
    RIGHT = "right"
    MIX = "mix"


class RecordingState(StrEnum):
    """Whether a recording can be served."""

    READY = "ready"
    UNPLAYABLE = "unplayable"
    DELETED = "deleted"


class Role(StrEnum):
    """What a web user is for; ``access/policy.py`` says what each may do."""

    ADMINISTRATOR = "administrator"
    SUPERVISOR = "supervisor"
    COMPLIANCE = "compliance"
    INTEGRATOR = "integrator"
    AUDITOR = "auditor"


class SpanSource(StrEnum):
    """What caused a span. Source: contract.md 4.6."""

    SIGNAL = "signal"
    DTMF = "dtmf"
    HAND = "hand"
    DETECTOR = "detector"
    IMPORT = "import"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a recording that must not be heard, [start_s, end_s)."""

    start_s: float
    """Seconds from the first frame, 0 or more."""
    end_s: float
    """Seconds from the first frame; ``math.inf`` for "to the end"."""
    channel: Party | None = None
    """The one party that is masked; None masks both."""


@dataclass(frozen=True, slots=True)
class Call:
    """One row of ``calls``, as far as a reader may see it. Source: contract.md 6.2."""

    id: CallId
    recording_id: RecordingId | None
    datasource: str
    voicelocation: str | None
    voicefilename: str | None
    started_at: UnixMillis
    duration_s: float
    """Of the recording; of the call where nothing was recorded."""
    direction: Direction
    from_number: str
    to_number: str
    extension: str | None
    channel: str | None
    masked_spans: tuple[Span, ...]
    """The effective list: sorted, merged, on frames."""


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What was found at ingest about the stored sound; serving trusts these and nothing else."""

    codec: str
    """A name from the table in ``audio/codecs.py``, e.g. ``ulaw``, ``gsm``, ``mp3``."""
    container: str
    """``wav``, ``raw``, ``mp3``, ``ogg`` or ``flac``."""
    rate_hz: int
    channels: int
    """1 or 2."""
    frames: int
    """Decoded length, in frames."""
    data_offset: int = 0
    """Where the sound begins, in bytes; a decoder is given nothing before it."""
    data_size: int = 0
    """How many bytes of sound there are."""
    block_align: int = 0
    """Bytes of one block of the codec (``wav`` and ``raw``)."""
    memory_frames: int = 0
    """How far a decoder remembers: a mask is lengthened by so many frames (threats.md T17)."""
    repaired: str | None = None
    """What was mended, for people; None where nothing had to be."""

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.rate_hz


@dataclass(frozen=True, slots=True)
class Fill:
    """What a site writes over what is masked; ``audio/fill.py`` makes and checks it."""

    kind: str = "tone"
    """``tone``, ``silence`` or ``file``."""
    hz: float = 1000.0
    dbfs: float = -20.0
    """Of the peak of the tone."""
    samples: bytes = b""
    """Of a file: int16, little endian, one channel."""
    rate_hz: int = 0
    """Of a file."""


DEFAULT_FILL = Fill()


@dataclass(frozen=True, slots=True)
class Recording:
    """The stored sound that one or more calls share."""

    id: RecordingId
    datasource: str
    voicelocation: str
    voicefilename: str
    store_id: str
    object_key: str
    size_bytes: int
    sha256: str
    """Hex, of the stored bytes as they came in."""
    content_version: int
    """Grows when the stored bytes are replaced."""
    state: RecordingState
    reason: str | None
    """Why it is unplayable, or when and why it was deleted; None where it is neither."""
    facts: SourceFacts | None
    """None where it is unplayable."""
    ready_at: UnixMillis
    """Not served before: end of the last call plus the settle time (threats.md T24)."""
    mask_revision: int
    spans: tuple[Span, ...]
    """The active spans as stored; not yet on frames."""
    mask_seal: str
    """The MAC over revision and spans; whoever serves compares it first (``access/keys.py``)."""
    fill: Fill = DEFAULT_FILL
    """What its site writes over what is masked."""
    source_commitment: str | None = None
    """Where its masks are burned in: the keyed commitment to the sound that came in."""
    awaits_keys: bool = False
    """Its site masks the keys that are heard in it, and nobody has listened for them yet."""
    agent_channel: Party | None = None
    """Where the agent speaks, of two channels; None where nobody knows."""
    deleted_at: UnixMillis | None = None
    """When retention deleted it; None where it is kept."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of the directory that somebody may reach. Empty reaches nothing."""

    everything: bool = False
    site_ids: frozenset[str] = frozenset()
    group_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody whose credentials were verified."""

    web_user_id: WebUserId
    username: str
    role: Role
    reach: Scope
    """What was given to this user; ``access/policy.py`` narrows it per action."""
    via: str
    """``basic``, ``api_key``, ``session``, ``token``, ``lease`` or ``command``; ``job``: done later
    for them."""


@dataclass(frozen=True, slots=True)
class AudioSpec:
    """An output that somebody chose."""

    format: str
    """A name from the table in ``audio/formats.py``, e.g. ``wav``, ``wav-ulaw``, ``mp3``."""
    channels: OutputChannels = OutputChannels.BOTH


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows: one recording, as one output, for one web user, for a while."""

    voicelocation: str
    recording_id: RecordingId
    spec: AudioSpec
    web_user_id: WebUserId
    mask_revision: int
    """The revision at issue; whoever serves must know at least this one."""
    issued_at: UnixMillis
    expires_at: UnixMillis
    token_id: str
    """Unique, 24 hex digits; what is burned where ``single_use``."""
    single_use: bool = False


@dataclass(frozen=True, slots=True)
class WebUser:
    """A web user as stored; the hash never leaves ``access``."""

    id: WebUserId
    username: str
    role: Role
    password_hash: str
    password_version: int
    """Grows with every change of the password; what was verified under an older one is void."""
    disabled: bool
    reach: Scope
