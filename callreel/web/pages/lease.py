"""What an integrator's link opens: its ticket is exchanged for a lease, and a bare player comes.

The cookie of a lease is bound to its path. A frame on another site may be given no cookie by its
browser; the secret is then in the path of the frame, and the same is checked.
Source: ui.md section 8.
"""

from __future__ import annotations

import functools
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from callreel.audio.formats import by_name
from callreel.errors import CallreelError, Forbidden, Gone, NotFound
from callreel.flows.browse import CallInFull
from callreel.flows.lease import OVER, SECRET, BegunLease, Leases, OpenLease
from callreel.flows.listen import Listening
from callreel.flows.peaks import Peaks
from callreel.flows.sessions import SignedIn
from callreel.flows.ticket import hashed
from callreel.flows.visitors import Visitors
from callreel.model import AudioSpec
from callreel.web.outlet import Pace
from callreel.web.pages import drawing
from callreel.web.pages.page import PAGE_HEADERS, Pages, Visitor, is_partial
from callreel.web.pages.player import (
    DOWNLOADS,
    PIECE_BYTES,
    PlayerMaker,
    read_told,
    revision_of,
    stretch_of,
)
from callreel.web.pages.words import Words, catalog, language_of
from callreel.web.problems import as_told, plain, status_of, wrong_method
from callreel.web.sending import Opener, SoundSender
from callreel.web.session import address_of, require_own_page
from callreel.web.threads import Threads
from callreel.wording import to_translate

OTHERWISE = "otherwise"
"""Names the secret on the one redirect that finds out whether a frame kept its cookie."""
_NAME = re.compile(r"[0-9a-f]{16}", re.ASCII)
_FRAMES = frozenset({"iframe", "frame", "embed", "object"})


def lease_headers(embed_origins: tuple[str, ...]) -> dict[str, str]:
    """Headers of a link and its player: the one page that others may frame, where they are named.

    Args:
        embed_origins: As the setting has them, checked.
    """
    # An address may hold the secret of a lease: it goes nowhere.
    headers = PAGE_HEADERS | {"referrer-policy": "no-referrer"}
    if embed_origins:
        frames = f"frame-ancestors {' '.join(embed_origins)}"
        policy = headers["content-security-policy"].replace("frame-ancestors 'none'", frames)
        headers["content-security-policy"] = policy
        # It knows no list of origins, and some browsers would still obey it.
        del headers["x-frame-options"]
    return headers


@dataclass(frozen=True, slots=True)
class LeaseRules:
    """How links are opened."""

    embed_origins: tuple[str, ...]
    """Whose pages may frame the player."""
    secure: bool
    """Pages are reached by https."""


@dataclass(frozen=True, slots=True)
class LeaseFlows:
    """What a link and its player stand on."""

    leases: Leases
    listening: Listening
    peaks: Peaks
    visitors: Visitors


LeaseHandler = Callable[[Request, OpenLease], Awaitable[Response]]


class LeasePages:
    """A link, its player, and what the player asks for."""

    def __init__(self, pages: Pages, flows: LeaseFlows, rules: LeaseRules, pace: Pace) -> None:
        self._pages = pages
        self._flows = flows
        self._rules = rules
        self._maker = PlayerMaker(flows.peaks)
        self._looking = Threads("lease", 16)
        changed = flows.listening.changed
        self._player = SoundSender(
            "lease", changed, pace, lambda _request, told: plain(told), PIECE_BYTES
        )
        self._file = SoundSender("lease-file", changed, pace, self._error)

    async def ticket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /p/{ticket}``: used once, and the ticket leaves the address bar."""
        request = Request(scope, receive)
        try:
            response = await self._exchanged(request)
        except Exception as error:  # noqa: BLE001  # the edge: all become pages
            response = self._error(request, as_told(error))
        await response(scope, receive, send)

    async def _exchanged(self, request: Request) -> Response:
        if request.method == "HEAD":
            # What scans mail looks before its reader does; this says nothing and uses nothing.
            return Response()
        if request.method != "GET":
            return wrong_method("GET, HEAD", as_problem=False)
        if _is_guess(request):
            return Response(status_code=503, headers={"Retry-After": "1"})
        framed = self._may_be_framed(request)
        if framed and not self._rules.embed_origins:
            raise Forbidden(
                to_translate("This server shows its player in no other page: server.embed_origins.")
            )
        begun = await self._looking.run(
            self._flows.leases.begin, request.path_params["ticket"], address_of(request)
        )
        where = f"/lease/{begun.name}/"
        response = RedirectResponse(f"{where}?{OTHERWISE}={begun.secret}" if framed else where, 303)
        response.headers.append("set-cookie", self._cookie(begun))
        return response

    def _may_be_framed(self, request: Request) -> bool:
        said = request.headers.get("sec-fetch-dest")
        # Over plain http browsers do not say.
        return said in _FRAMES or (said is None and bool(self._rules.embed_origins))

    @property
    def _cookie_name(self) -> str:
        return "__Secure-callreel-lease" if self._rules.secure else "callreel-lease"

    def _cookie(self, begun: BegunLease) -> str:
        # Written out: the library that writes cookies does not know Partitioned before Python 3.14.
        reach = "SameSite=None; Secure; Partitioned" if self._rules.secure else "SameSite=Lax"
        return (
            f"{self._cookie_name}={begun.secret}; Path=/lease/{begun.name}/; "
            f"Max-Age={begun.lasts_s}; HttpOnly; {reach}"
        )

    def _secret_of(self, request: Request) -> str:
        """The secret of a request, from its cookie, or from its path.

        Raises:
            Forbidden: The cookie is missing, or of another lease.
        """
        named: str = request.path_params["lease"]
        if _NAME.fullmatch(named) is None:
            return named
        secret = request.cookies.get(self._cookie_name, "")
        if not _is_of(secret, named):
            raise Forbidden(OVER)
        return secret

    async def _held(self, request: Request) -> OpenLease:
        return await self._looking.run(self._flows.leases.find, self._secret_of(request))

    def endpoint(
        self, handler: LeaseHandler, methods: tuple[str, ...] = ("GET", "HEAD")
    ) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
        """An ASGI application of one page: the lease, forged requests, and errors as pages."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            """Answer one request."""
            request = Request(scope, receive)
            try:
                response = await self._answered(request, handler, methods)
            except Exception as error:  # noqa: BLE001  # the edge: all become pages
                response = self._error(request, as_told(error))
            await response(scope, receive, send)

        return answer

    async def _answered(
        self, request: Request, handler: LeaseHandler, methods: tuple[str, ...]
    ) -> Response:
        if request.method not in methods:
            return wrong_method(", ".join(methods), as_problem=False)
        if handler == self.page and OTHERWISE in request.query_params:
            return self._way_in(request)
        changes = request.method not in {"GET", "HEAD"}
        if changes:
            require_own_page(request)
        held = await self._held(request)
        given = request.headers.get("x-csrf-token", "")
        if changes and not secrets.compare_digest(given.encode(), held.csrf.encode()):
            raise Forbidden(to_translate("This is from an older player; load the page again."))
        return await handler(request, held)

    def _way_in(self, request: Request) -> Response:
        """A frame has just opened a link: by its cookie, or without one by the path."""
        secret, named = request.query_params[OTHERWISE], request.path_params["lease"]
        if not _is_of(secret, named):
            raise Forbidden(OVER)
        kept = request.cookies.get(self._cookie_name) == secret
        return RedirectResponse(f"/lease/{named if kept else secret}/", 303)

    async def page(self, request: Request, held: OpenLease) -> Response:
        """``GET /lease/{n}/``: the player and nothing else."""
        named = request.path_params["lease"]
        if _NAME.fullmatch(named) is None and request.headers.get("sec-fetch-dest") == "document":
            # In the address bar of a window a secret would be copied and passed on.
            raise Forbidden(
                to_translate("This player is shown inside the page that it was opened in only.")
            )
        return await self._shown("lease.html", request, held)

    async def dock(self, request: Request, held: OpenLease) -> Response:
        """``GET /lease/{n}/dock``: the player again, after a mask changed."""
        return await self._shown("lease_player.html", request, held)

    async def _shown(self, name: str, request: Request, held: OpenLease) -> Response:
        viewed = await run_in_threadpool(self._flows.leases.viewed, held)
        visitor = await self._visitor(request, held)
        player, why = None, None
        try:
            recording = await run_in_threadpool(self._flows.leases.servable, held)
        except CallreelError as error:
            why = error
        else:
            base = f"/lease/{request.path_params['lease']}"
            player = await self._maker.player(held.principal, viewed, recording, base)
        return self._pages.page(
            name,
            request,
            visitor,
            # Notes, other legs and who listened are for those who sign in.
            full=CallInFull(viewed, (), (), (), may_hear=True),
            player=player,
            why=why,
            label=held.lease.label,
            downloads=DOWNLOADS if held.lease.download else (),
        )

    async def _visitor(self, request: Request, held: OpenLease) -> Visitor:
        """Whoever opened the link, with their browser's language and the zone of who made it."""
        chosen = await run_in_threadpool(self._flows.visitors.preferences, held.principal)
        language = language_of(request.headers.get("accept-language", ""))
        signed_in = SignedIn(held.principal, held.lease.id, held.csrf)
        return Visitor(signed_in, Words(catalog(language), chosen.zone), "auto", single_keys=True)

    async def wave(self, request: Request, held: OpenLease) -> Response:
        """``GET /lease/{n}/wave?from=&to=``: a waveform that was late, or a part of it larger."""
        viewed = await run_in_threadpool(self._flows.leases.viewed, held)
        stretch = stretch_of(request)
        seen = await self._maker.look(held.principal, held.recording.id, stretch)
        duration_s = viewed.call.duration_s
        return self._pages.page(
            "wave.html",
            request,
            await self._visitor(request, held),
            wave=drawing.waveform(seen, held.recording.agent_channel),
            from_s=stretch.from_s,
            to_s=min(stretch.to_s, duration_s),
            masked=drawing.stretches(viewed.call.masked_spans, duration_s),
        )

    async def heard(self, request: Request, held: OpenLease) -> Response:
        """``POST /lease/{n}/heard``: what was played since, and whether it may go on."""
        said = await read_told(request)
        if said.stretches:
            await run_in_threadpool(
                self._flows.listening.sittings.heard,
                held.principal,
                held.recording,
                said.sitting,
                said.stretches,
                said.speed,
            )
        recording = await run_in_threadpool(self._flows.leases.servable, held)
        if recording.mask_revision != said.revision:
            raise Gone(to_translate("The masks of this recording have changed."))
        return Response(status_code=204)

    async def audio(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /lease/{n}/audio/{revision}?sitting=``: one piece for the player."""
        await self._send(self._player, self._piece, scope, receive, send)

    async def download(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /lease/{n}/download?format=``: a file to keep, where the link allows it."""
        await self._send(self._file, self._whole, scope, receive, send)

    async def _send(
        self,
        sender: SoundSender,
        opener: Callable[[OpenLease, Request], Opener],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        request = Request(scope)
        try:
            held = await self._held(request)
        except Exception as error:  # noqa: BLE001  # the edge: all become answers
            await sender.refuse(request, as_told(error))(scope, receive, send)
            return
        await sender(scope, receive, send, functools.partial(opener, held))

    def _piece(self, held: OpenLease, request: Request) -> Opener:
        return functools.partial(
            self._flows.leases.open,
            held,
            revision_of(request),
            request.query_params.get("sitting", ""),
            head=request.method == "HEAD",
            address=address_of(request),
        )

    def _whole(self, held: OpenLease, request: Request) -> Opener:
        return functools.partial(
            self._flows.leases.open_to_keep,
            held,
            AudioSpec(by_name(request.query_params.get("format", "wav"))),
            head=request.method == "HEAD",
            address=address_of(request),
        )

    def _error(self, request: Request, told: CallreelError) -> Response:
        """What went wrong, without a way into the rest of the pages."""
        if is_partial(request):
            return self._pages.error(request, None, told)
        status, title = status_of(told)
        if isinstance(told, NotFound | Gone):
            title = ""
        headers = {}
        if told.retry_after_s is not None:
            headers["Retry-After"] = str(told.retry_after_s)
        return self._pages.page(
            "lease_over.html", request, None, status, headers, told=told, title=title
        )


def _is_of(secret: str, name: str) -> bool:
    """Whether a secret is that of the lease of a name; whether there is one is not asked."""
    if _NAME.fullmatch(name) is None or SECRET.fullmatch(secret) is None:
        return False
    return hashed(secret).startswith(name)


def _is_guess(request: Request) -> bool:
    """Whether a browser fetches this only because its reader might want it."""
    said = " ".join(request.headers.get(name, "") for name in ("sec-purpose", "purpose", "x-moz"))
    return "prefetch" in said.lower()
