"""The player, whoever it is for: what it shows, what it plays, and what it tells.

Somebody who signed in has it on the page of a call and in the dock, whoever was sent a link has it
on a page of its own (``lease.py``).
"""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass

from starlette.requests import Request

from callreel.db.listing import ViewedCall
from callreel.errors import BadRequest
from callreel.flows.peaks import Peaks, SeenPeaks, Stretch
from callreel.model import Principal, Recording, RecordingId
from callreel.web.asked import json_body, require_members
from callreel.web.pages import drawing
from callreel.web.threads import Threads
from callreel.wording import to_translate, worded

PIECE_BYTES = 512 * 1024
"""Of sound in one answer; browsers ask for the next. Source: ui.md section 8."""
DOWNLOADS = (
    ("mp3", "MP3"),
    ("wav", "WAV"),
    ("wav-ulaw", "WAV G.711"),
    ("flac", "FLAC"),
    ("opus", "Opus"),
)
"""Formats that people are offered, by name; programs have all of them."""
PEAKS_WITHIN_S = 0.1
"""How long a dock waits for its waveform; a later one follows by itself."""


@dataclass(frozen=True, slots=True)
class Player:
    """What a player needs."""

    base: str
    """What all its addresses begin with, such as ``/calls/ID``."""
    recording: Recording
    duration_s: float
    sitting: str
    masked: tuple[drawing.Stretch, ...]
    hidden_s: float
    waveform: drawing.Waveform | None
    """None where it is not there yet."""
    ticks: tuple[tuple[float, float], ...]

    @property
    def audio(self) -> str:
        """Address of the sound; the revision of the mask is in it, so that no two are mixed."""
        return f"{self.base}/audio/{self.recording.mask_revision}"

    @property
    def silences(self) -> str:
        """As JSON, for the script."""
        return json.dumps(self.waveform.silences if self.waveform else [])

    @property
    def masks(self) -> str:
        """As JSON, for the script."""
        return json.dumps([[each.start_s, each.end_s] for each in self.masked])


class PlayerMaker:
    """Makes players, with their waveforms where those are there soon enough."""

    def __init__(self, peaks: Peaks) -> None:
        self._peaks = peaks
        self._looking = Threads("waveform", 16)

    async def look(
        self, principal: Principal, recording_id: RecordingId, stretch: Stretch
    ) -> SeenPeaks:
        """As ``Peaks.look``."""
        return await self._looking.run(self._peaks.look, principal, recording_id, stretch)

    async def player(
        self, principal: Principal, viewed: ViewedCall, recording: Recording, base: str
    ) -> Player:
        """The player of a recording that can be played."""
        looking = asyncio.ensure_future(
            self.look(principal, recording.id, Stretch(points=drawing.POINTS))
        )
        await asyncio.wait([looking], timeout=PEAKS_WITHIN_S)
        looking.add_done_callback(_forget)
        duration_s = viewed.call.duration_s
        seen = looking.result() if looking.done() and looking.exception() is None else None
        return Player(
            base=base,
            recording=recording,
            duration_s=duration_s,
            sitting="p" + secrets.token_hex(12),
            masked=drawing.stretches(viewed.call.masked_spans, duration_s),
            hidden_s=drawing.hidden_s(viewed.call.masked_spans, duration_s),
            waveform=None if seen is None else drawing.waveform(seen, recording.agent_channel),
            ticks=drawing.ticks(duration_s),
        )


@dataclass(frozen=True, slots=True)
class Told:
    """What a player told of what it played."""

    sitting: str
    revision: int
    stretches: list[tuple[float, float]]
    speed: float


async def read_told(request: Request) -> Told:
    """The body of a request of a player.

    Raises:
        BadRequest: It cannot be read; the message names the member.
    """
    body = await json_body(request)
    require_members(body, ("sitting", "revision", "heard", "speed"))
    sitting, revision, heard = body.get("sitting"), body.get("revision"), body.get("heard", [])
    speed = body.get("speed", 1)
    if not isinstance(sitting, str) or not isinstance(revision, int):
        raise BadRequest(to_translate("sitting and revision: both must be given."))
    return Told(sitting, revision, _pairs(heard), _number("speed", speed))


def second(text: str) -> float | None:
    """A moment in seconds; None where it is none."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if 0 <= found < 1e6 else None


def stretch_of(request: Request) -> Stretch:
    """What of a waveform is asked for.

    Raises:
        BadRequest: It ends before it begins.
    """
    start, end = (second(request.query_params.get(name, "")) for name in ("from", "to"))
    if start is not None and end is not None and end <= start:
        raise BadRequest(to_translate("to: must be after from."))
    whole = Stretch(points=drawing.POINTS)
    return Stretch(
        whole.from_s if start is None else start,
        whole.to_s if end is None else end,
        drawing.POINTS,
    )


def revision_of(request: Request) -> int:
    """The revision of the mask in an address of sound.

    Raises:
        BadRequest: It is no number.
    """
    revision: str = request.path_params["revision"]
    if not (revision.isascii() and revision.isdigit() and len(revision) < 10):
        raise BadRequest(to_translate("The revision of the mask must be a number."))
    return int(revision)


def _pairs(heard: object) -> list[tuple[float, float]]:
    found = []
    for pair in heard if isinstance(heard, list) else [None]:
        if not isinstance(pair, list) or len(pair) != 2:
            raise BadRequest(to_translate("heard: must be pairs of seconds."))
        found.append((_number("heard", pair[0]), _number("heard", pair[1])))
    return found


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRequest(worded("%(name)s: must be a number.", name=name))
    try:
        return float(value)
    except OverflowError:
        raise BadRequest(worded("%(name)s: too large.", name=name)) from None


def _forget(looking: asyncio.Future[SeenPeaks]) -> None:
    """A waveform that could not be drawn is asked for again by its page, and told there."""
    if not looking.cancelled():
        looking.exception()
