"""One call: its page, its player in the dock, its sound, its notes, and what was heard of it."""

from __future__ import annotations

import asyncio
import functools
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from callreel.access.policy import Action
from callreel.audio.formats import by_name
from callreel.db.masks import StoredSpan
from callreel.errors import BadRequest, CallreelError, Gone, Unauthenticated
from callreel.flows.browse import Browse, CallInFull
from callreel.flows.listen import Listening
from callreel.flows.masking import Masking
from callreel.flows.noting import Noting
from callreel.flows.peaks import Peaks, SeenPeaks, Stretch
from callreel.flows.sessions import SignedIn
from callreel.model import AudioSpec, CallId, Recording
from callreel.web.asked import json_body, require_members
from callreel.web.outlet import Pace
from callreel.web.pages import drawing, story
from callreel.web.pages.page import Pages, Visitor, form, is_partial, to_login
from callreel.web.problems import as_told, plain
from callreel.web.sending import Opener, SoundSender
from callreel.web.session import Session, address_of
from callreel.web.threads import Threads

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

    call_id: CallId
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
        return f"/calls/{self.call_id}/audio/{self.recording.mask_revision}"

    @property
    def silences(self) -> str:
        """As JSON, for the script."""
        return json.dumps(self.waveform.silences if self.waveform else [])

    @property
    def masks(self) -> str:
        """As JSON, for the script."""
        return json.dumps([[each.start_s, each.end_s] for each in self.masked])


@dataclass(frozen=True, slots=True)
class CallFlows:
    """What pages about one call stand on."""

    browse: Browse
    listening: Listening
    peaks: Peaks
    masking: Masking
    noting: Noting


class CallPages:
    """Pages about one call."""

    def __init__(self, pages: Pages, flows: CallFlows) -> None:
        self._pages = pages
        self._flows = flows
        self._looking = Threads("waveform", 16)

    async def call(self, request: Request, visitor: Visitor) -> Response:
        """``GET /calls/{id}?t=``: the page of a call."""
        call_id = _call_id(request)
        full = await run_in_threadpool(
            self._flows.browse.in_full, visitor.signed_in.principal, call_id
        )
        player, why = await self._player(visitor, full)
        spans: tuple[StoredSpan, ...] = ()
        if player is not None and visitor.may(Action.REVIEW):
            found = await run_in_threadpool(
                self._flows.masking.spans, visitor.signed_in.principal, player.recording.id
            )
            spans = found.spans
        return self._pages.page(
            "call.html",
            request,
            visitor,
            full=full,
            player=player,
            why=why,
            starts_s=_moment(request),
            events=story.events(full, spans),
            may_note=visitor.may(Action.NOTE),
            downloads=DOWNLOADS,
        )

    async def dock(self, request: Request, visitor: Visitor) -> Response:
        """``GET /calls/{id}/dock``: the player under the list."""
        call_id = _call_id(request)
        full = await run_in_threadpool(
            self._flows.browse.in_full, visitor.signed_in.principal, call_id
        )
        player, why = await self._player(visitor, full)
        return self._pages.page(
            "dock.html",
            request,
            visitor,
            full=full,
            player=player,
            why=why,
            may_note=visitor.may(Action.NOTE),
        )

    async def wave(self, request: Request, visitor: Visitor) -> Response:
        """``GET /calls/{id}/wave?from=&to=``: a waveform that was late, or a part of it larger."""
        call_id = _call_id(request)
        principal = visitor.signed_in.principal
        full = await run_in_threadpool(self._flows.browse.in_full, principal, call_id)
        recording = await run_in_threadpool(self._flows.listening.recording_of, principal, call_id)
        stretch = _stretch(request)
        seen = await self._looking.run(self._flows.peaks.look, principal, recording.id, stretch)
        duration_s = full.viewed.call.duration_s
        return self._pages.page(
            "wave.html",
            request,
            visitor,
            wave=drawing.waveform(seen, recording.agent_channel),
            from_s=stretch.from_s,
            to_s=min(stretch.to_s, duration_s),
            masked=drawing.stretches(full.viewed.call.masked_spans, duration_s),
        )

    async def _player(
        self, visitor: Visitor, full: CallInFull
    ) -> tuple[Player | None, CallreelError | None]:
        """What is played, or why nothing can be."""
        viewed, principal = full.viewed, visitor.signed_in.principal
        if viewed.call.recording_id is None or not full.may_hear:
            return None, None
        try:
            recording = await run_in_threadpool(
                self._flows.listening.servable, principal, viewed.call.id
            )
        except CallreelError as error:
            return None, error
        looking = asyncio.ensure_future(
            self._looking.run(
                self._flows.peaks.look, principal, recording.id, Stretch(points=drawing.POINTS)
            )
        )
        await asyncio.wait([looking], timeout=PEAKS_WITHIN_S)
        looking.add_done_callback(_forget)
        duration_s = viewed.call.duration_s
        seen = looking.result() if looking.done() and looking.exception() is None else None
        return (
            Player(
                call_id=viewed.call.id,
                recording=recording,
                duration_s=duration_s,
                sitting="p" + secrets.token_hex(12),
                masked=drawing.stretches(viewed.call.masked_spans, duration_s),
                hidden_s=drawing.hidden_s(viewed.call.masked_spans, duration_s),
                waveform=None if seen is None else drawing.waveform(seen, recording.agent_channel),
                ticks=drawing.ticks(duration_s),
            ),
            None,
        )

    async def heard(self, request: Request, visitor: Visitor) -> Response:
        """``POST /calls/{id}/heard``: what was played since, and whether it may go on."""
        body = await json_body(request)
        require_members(body, ("sitting", "revision", "heard", "speed"))
        sitting, revision, heard = body.get("sitting"), body.get("revision"), body.get("heard", [])
        speed = body.get("speed", 1)
        if not isinstance(sitting, str) or not isinstance(revision, int):
            raise BadRequest("sitting and revision: both must be given.")
        if not isinstance(speed, int | float) or isinstance(speed, bool):
            raise BadRequest("speed: must be a number.")
        listening, call_id = self._flows.listening, _call_id(request)
        stretches = _pairs(heard)
        if stretches:
            await run_in_threadpool(
                listening.heard, visitor.signed_in, sitting, stretches, float(speed)
            )
        recording = await run_in_threadpool(
            listening.servable, visitor.signed_in.principal, call_id
        )
        if recording.mask_revision != revision:
            raise Gone("The masks of this recording have changed.")
        return Response(status_code=204)

    async def note(self, request: Request, visitor: Visitor) -> Response:
        """``POST /calls/{id}/notes``."""
        fields = await form(request)
        call_id = _call_id(request)
        await run_in_threadpool(
            self._flows.noting.add,
            visitor.signed_in.principal,
            call_id,
            fields.get("at", ""),
            fields.get("text", ""),
            address_of(request),
        )
        return await self._noted(request, visitor, call_id)

    async def remove_note(self, request: Request, visitor: Visitor) -> Response:
        """``POST /calls/{id}/notes/{note}/remove``."""
        call_id = _call_id(request)
        await run_in_threadpool(
            self._flows.noting.remove,
            visitor.signed_in.principal,
            call_id,
            request.path_params["note_id"],
            address_of(request),
        )
        return await self._noted(request, visitor, call_id)

    async def _noted(self, request: Request, visitor: Visitor, call_id: CallId) -> Response:
        if not is_partial(request):
            return RedirectResponse(f"/calls/{call_id}#notes", 303)
        full = await run_in_threadpool(
            self._flows.browse.in_full, visitor.signed_in.principal, call_id
        )
        return self._pages.page(
            "notes.html", request, visitor, full=full, may_note=visitor.may(Action.NOTE)
        )


class CallSound:
    """The sound of a call, for the player and as a file.

    Args:
        pages: Tell what went wrong with a file.
        session: Finds out who asks.
        listening: Opens sound.
        pace: How slow a reader may be.
    """

    def __init__(self, pages: Pages, session: Session, listening: Listening, pace: Pace) -> None:
        self._session = session
        self._listening = listening
        self._player = SoundSender("player", listening.changed, pace, _refusal, PIECE_BYTES)
        self._file = SoundSender(
            "download",
            listening.changed,
            pace,
            lambda request, told: (
                to_login(request)
                if isinstance(told, Unauthenticated)
                else pages.error(request, None, told)
            ),
        )

    async def audio(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /calls/{id}/audio/{revision}?sitting=``: one piece for the player."""
        await self._send(self._player, self._piece, scope, receive, send)

    async def download(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /calls/{id}/download.{extension}``: a file to keep."""
        await self._send(self._file, self._whole, scope, receive, send)

    async def _send(
        self,
        sender: SoundSender,
        opener: Callable[[SignedIn, Request], Opener],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        request = Request(scope)
        try:
            signed_in = await self._session.signed_in(request)
        except Exception as error:  # noqa: BLE001  # the edge: all become answers
            await sender.refuse(request, as_told(error))(scope, receive, send)
            return
        await sender(scope, receive, send, functools.partial(opener, signed_in))

    def _piece(self, signed_in: SignedIn, request: Request) -> Opener:
        revision = request.path_params["revision"]
        if not (revision.isascii() and revision.isdigit() and len(revision) < 10):
            raise BadRequest("The revision of the mask must be a number.")
        return functools.partial(
            self._listening.open,
            signed_in,
            _call_id(request),
            int(revision),
            request.query_params.get("sitting", ""),
            head=request.method == "HEAD",
            address=address_of(request),
        )

    def _whole(self, signed_in: SignedIn, request: Request) -> Opener:
        return functools.partial(
            self._listening.open_to_keep,
            signed_in,
            _call_id(request),
            AudioSpec(by_name(request.query_params.get("format", "wav"))),
            head=request.method == "HEAD",
            address=address_of(request),
        )


def _refusal(_request: Request, told: CallreelError) -> Response:
    response = plain(told)
    if isinstance(told, Unauthenticated):
        # The page asks to sign in; the browser's own window would ask for Basic.
        del response.headers["www-authenticate"]
    return response


def _call_id(request: Request) -> CallId:
    return CallId(request.path_params["call_id"])


def _moment(request: Request) -> float | None:
    """The moment that a link names, in seconds; None where it names none that can be read."""
    return _second(request.query_params.get("t", ""))


def _second(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if 0 <= found < 1e6 else None


def _stretch(request: Request) -> Stretch:
    start, end = (_second(request.query_params.get(name, "")) for name in ("from", "to"))
    if start is not None and end is not None and end <= start:
        raise BadRequest("to: must be after from.")
    whole = Stretch(points=drawing.POINTS)
    return Stretch(
        whole.from_s if start is None else start,
        whole.to_s if end is None else end,
        drawing.POINTS,
    )


def _pairs(heard: object) -> list[tuple[float, float]]:
    found = []
    for pair in heard if isinstance(heard, list) else [None]:
        if not isinstance(pair, list) or len(pair) != 2:
            raise BadRequest("heard: must be pairs of seconds.")
        if not all(isinstance(each, int | float) and not isinstance(each, bool) for each in pair):
            raise BadRequest("heard: must be pairs of seconds.")
        found.append((float(pair[0]), float(pair[1])))
    return found


def _forget(looking: asyncio.Future[SeenPeaks]) -> None:
    """A waveform that could not be drawn is asked for again by its page, and told there."""
    if not looking.cancelled():
        looking.exception()
