"""One call: its page, its player in the dock, its sound, its notes, and what was heard of it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from callreel.access.policy import Action
from callreel.audio.formats import by_name
from callreel.db.masks import StoredSpan
from callreel.errors import CallreelError, Gone, Unauthenticated
from callreel.flows.browse import Browse, CallInFull
from callreel.flows.listen import Listening
from callreel.flows.masking import Masking
from callreel.flows.noting import Noting
from callreel.flows.peaks import Peaks
from callreel.flows.sessions import SignedIn
from callreel.model import AudioSpec, CallId
from callreel.web.outlet import Pace
from callreel.web.pages import drawing, story
from callreel.web.pages.page import Pages, Visitor, form, is_partial, to_login
from callreel.web.pages.player import (
    DOWNLOADS,
    PIECE_BYTES,
    Player,
    PlayerMaker,
    read_told,
    revision_of,
    second,
    stretch_of,
)
from callreel.web.problems import as_told, plain
from callreel.web.sending import Opener, SoundSender
from callreel.web.session import Session, address_of
from callreel.wording import to_translate


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
        self._maker = PlayerMaker(flows.peaks)

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
        stretch = stretch_of(request)
        seen = await self._maker.look(principal, recording.id, stretch)
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
        base = f"/calls/{viewed.call.id}"
        return await self._maker.player(principal, viewed, recording, base), None

    async def heard(self, request: Request, visitor: Visitor) -> Response:
        """``POST /calls/{id}/heard``: what was played since, and whether it may go on."""
        said = await read_told(request)
        listening, principal = self._flows.listening, visitor.signed_in.principal
        call_id = _call_id(request)
        if said.stretches:
            played = await run_in_threadpool(listening.recording_of, principal, call_id)
            await run_in_threadpool(
                listening.sittings.heard,
                principal,
                played,
                said.sitting,
                said.stretches,
                said.speed,
            )
        recording = await run_in_threadpool(listening.servable, principal, call_id)
        if recording.mask_revision != said.revision:
            raise Gone(to_translate("The masks of this recording have changed."))
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
        self._pages = pages
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
                else pages.error(request, getattr(request.state, "visitor", None), told)
            ),
        )

    async def audio(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /calls/{id}/audio/{revision}?sitting=``: one piece for the player."""
        await self._send(self._player, self._piece, scope, receive, send)

    async def download(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /calls/{id}/download.{extension}``: a file to keep."""
        # A refusal is a page, in the language of who reads it; what fails here fails again below.
        with contextlib.suppress(CallreelError):
            request = Request(scope)
            request.state.visitor = await self._pages.visitor(request)
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
        return functools.partial(
            self._listening.open,
            signed_in,
            _call_id(request),
            revision_of(request),
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
    return second(request.query_params.get("t", ""))
