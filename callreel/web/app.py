"""The two applications: routes and the order of what stands before them, as lists.

They are built from the same parts, and may run in one process or apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from callreel.access.identity import Verifier
from callreel.errors import NotFound
from callreel.flows.browse import Browse
from callreel.flows.deliver import Deliver
from callreel.flows.issue import Issue
from callreel.flows.masking import Masking
from callreel.flows.peaks import Peaks
from callreel.flows.settling import Settling
from callreel.flows.signal import Signals
from callreel.flows.ticket import Tickets
from callreel.web.api import Api
from callreel.web.echo import Echo
from callreel.web.edge import AccessLog, Endpoint, FixedHeaders
from callreel.web.legacy import Legacy
from callreel.web.masking import MaskingApi
from callreel.web.ongoing import OngoingApi
from callreel.web.outlet import Pace
from callreel.web.pages.site import PageParts, page_routes
from callreel.web.peaks import PeaksApi
from callreel.web.problems import plain, problem
from callreel.web.session import CookieRules, Session
from callreel.wire import (
    API,
    CALLS_PATH,
    CHANGES_PATH,
    ECHO_PATH,
    ONGOING_PATH,
    OPENAPI_PATH,
    SIGNALS_PATH,
    VOICE_PATH,
    call_path,
    peaks_path,
    settle_path,
    span_path,
    spans_path,
    tickets_path,
    tokens_path,
)

READ = ("GET", "HEAD")
WEB_HEADERS = {
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""On every answer to programs; pages have their own."""
ECHO_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "cross-origin",
    "cache-control": "private, no-store",
}
"""On every answer of Echo; with the third a page of the other origin may play the sound."""


@dataclass(frozen=True, slots=True)
class WebParts:
    """What the web application is made of."""

    verifier: Verifier
    issue: Issue
    tickets: Tickets
    browse: Browse
    signals: Signals
    masking: Masking
    settling: Settling
    peaks: Peaks
    pages: PageParts
    cookie: CookieRules
    is_ready: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class EchoParts:
    """What Echo is made of."""

    deliver: Deliver
    is_ready: Callable[[], bool]
    pace: Pace = field(default_factory=Pace)


def build_web(parts: WebParts) -> ASGIApp:
    """The web application."""
    session = Session(parts.verifier, parts.pages.sessions, parts.cookie)
    api = Api(session, parts.browse, parts.issue, parts.tickets)
    masking = MaskingApi(session, parts.signals, parts.masking, parts.settling)
    peaks = PeaksApi(session, parts.peaks)
    ongoing = OngoingApi(session, parts.pages.ongoing, parts.pages.clock)
    legacy = Legacy(session, parts.issue, parts.signals)
    programs = [
        # No HEAD on these two: their GET mints a token, and masks.
        Route(VOICE_PATH + ".{extension}", Endpoint(legacy.voice, plain)),
        Route("/signal.js", Endpoint(legacy.signal, plain)),
        Route(CALLS_PATH, Endpoint(api.calls, problem, READ)),
        Route(CALLS_PATH + ".{extension}", Endpoint(api.calls, problem, READ)),
        Route(call_path("{call_id}"), Endpoint(api.call, problem, READ)),
        Route(tokens_path("{recording_id}"), Endpoint(api.tokens, problem, ("POST",))),
        Route(tickets_path("{recording_id}"), Endpoint(api.tickets, problem, ("POST",))),
        Route(peaks_path("{recording_id}"), Endpoint(peaks.peaks, problem, READ)),
        Route(ONGOING_PATH, Endpoint(ongoing.calls, problem, (*READ, "POST"))),
        Route(SIGNALS_PATH, Endpoint(masking.signals, problem, (*READ, "POST"))),
        Route(settle_path("{signal_id}"), Endpoint(masking.settle, problem, ("POST",))),
        Route(spans_path("{recording_id}"), Endpoint(masking.spans, problem, (*READ, "POST"))),
        Route(
            span_path("{recording_id}", "{span_id}"),
            Endpoint(masking.span, problem, ("PATCH", "DELETE")),
        ),
        Route(CHANGES_PATH, Endpoint(api.changes, problem, READ)),
        Route(OPENAPI_PATH, Endpoint(api.openapi, problem, READ)),
        *_health(parts.is_ready),
    ]
    return _application(
        routes=[
            # Programs ask more often than people do.
            *(Route(each.path, FixedHeaders(each.endpoint, WEB_HEADERS)) for each in programs),
            *page_routes(session, parts.pages),
        ],
        nowhere=FixedHeaders(_nowhere, WEB_HEADERS),
        middleware=[Middleware(AccessLog, name="web")],
    )


def build_echo(parts: EchoParts) -> ASGIApp:
    """Echo, the service that sends sound. It knows no user and no password."""
    return _application(
        routes=[
            Route(ECHO_PATH + "/{token}", Echo(parts.deliver, parts.pace)),
            *_health(parts.is_ready),
        ],
        nowhere=Response(status_code=404),
        middleware=[
            Middleware(AccessLog, name="echo"),
            Middleware(FixedHeaders, headers=ECHO_HEADERS),
        ],
    )


def _application(routes: list[Route], nowhere: ASGIApp, middleware: list[Middleware]) -> ASGIApp:
    """Routes behind middleware, the first of it outermost."""
    # A slash too many is another address; credentials and tokens are never sent on to a third.
    application: ASGIApp = Router(routes, redirect_slashes=False, default=nowhere)
    for layer in reversed(middleware):
        application = layer.cls(application, *layer.args, **layer.kwargs)
    return application


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    tell = problem if scope["path"].startswith(API) else plain
    await tell(NotFound("There is nothing at this address."))(scope, receive, send)


def _health(is_ready: Callable[[], bool]) -> list[Route]:
    async def live(request: Request) -> Response:  # noqa: ARG001  # a handler's shape
        return PlainTextResponse("ok")

    async def ready(request: Request) -> Response:  # noqa: ARG001  # a handler's shape
        good = await run_in_threadpool(is_ready)
        return PlainTextResponse("ok" if good else "not ready", 200 if good else 503)

    return [
        Route("/livez", Endpoint(live, plain, READ)),
        Route("/readyz", Endpoint(ready, plain, READ)),
    ]
