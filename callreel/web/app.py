"""The two applications: routes and the order of what stands before them, as lists.

They are built from the same parts, and may run in one process or apart.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from callreel.access.identity import Verifier
from callreel.flows.browse import Browse
from callreel.flows.deliver import Deliver
from callreel.flows.issue import Issue
from callreel.flows.signal import Signals
from callreel.web.api import Api
from callreel.web.echo import Echo, Pace
from callreel.web.legacy import Legacy
from callreel.wire import CALLS_PATH, CHANGES_PATH, ECHO_PATH, OPENAPI_PATH, VOICE_PATH
from callreel.wire import call_path, tokens_path

log = structlog.get_logger("callreel.access")


@dataclass(frozen=True, slots=True)
class WebParts:
    """What the web application is made of."""

    verifier: Verifier
    issue: Issue
    browse: Browse
    signals: Signals
    is_ready: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class EchoParts:
    """What Echo is made of."""

    deliver: Deliver
    is_ready: Callable[[], bool]
    pace: Pace = field(default_factory=Pace)


def build_web(parts: WebParts) -> ASGIApp:
    """The web application."""
    api = Api(parts.verifier, parts.browse, parts.issue)
    legacy = Legacy(parts.verifier, parts.issue, parts.signals)
    return _application(
        routes=[
            Route("/", _front_page),
            Route(VOICE_PATH + ".{extension}", legacy.voice),
            Route("/signal.js", legacy.signal),
            Route(CALLS_PATH, api.guarded(api.calls)),
            Route(CALLS_PATH + ".{extension}", api.guarded(api.calls)),
            Route(call_path("{call_id}"), api.guarded(api.call)),
            Route(tokens_path("{recording_id}"), api.guarded(api.tokens), methods=["POST"]),
            Route(CHANGES_PATH, api.guarded(api.changes)),
            Route(OPENAPI_PATH, api.openapi),
            *_health(parts.is_ready),
        ],
        middleware=[Middleware(AccessLog), Middleware(SafeHeaders)],
        exception_handlers={},
    )


def build_echo(parts: EchoParts) -> ASGIApp:
    """Echo, the service that sends sound. It knows no user and no password."""
    return _application(
        routes=[
            Route(ECHO_PATH + "/{token}", Echo(parts.deliver, parts.pace)),
            *_health(parts.is_ready),
        ],
        middleware=[Middleware(AccessLog)],
        exception_handlers={404: _bare, 405: _bare},
    )


def _application(
    routes: list[Route],
    middleware: list[Middleware],
    exception_handlers: Mapping[int, Callable[[Request, Exception], Awaitable[Response]]],
) -> ASGIApp:
    application = Starlette(
        routes=routes, middleware=middleware, exception_handlers=dict(exception_handlers)
    )
    # A slash too many is another address; credentials and tokens are never sent on to a third.
    application.router.redirect_slashes = False
    return application


async def _bare(request: Request, error: Exception) -> Response:  # noqa: ARG001  # a handler's shape
    """A status and nothing else. Source: contract.md 3.2."""
    return Response(status_code=getattr(error, "status_code", 404))


async def _front_page(request: Request) -> Response:  # noqa: ARG001  # an endpoint's shape
    return HTMLResponse(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Callreel</title>"
        "<h1>Callreel</h1><p>This server finds, serves and protects recordings of telephone calls."
        f"<p>Programs use <a href={OPENAPI_PATH}>its API</a>; pages for people are not here yet."
    )


def _health(is_ready: Callable[[], bool]) -> list[Route]:
    async def live(request: Request) -> Response:  # noqa: ARG001  # an endpoint's shape
        return PlainTextResponse("ok")

    async def ready(request: Request) -> Response:  # noqa: ARG001  # an endpoint's shape
        good = await run_in_threadpool(is_ready)
        return PlainTextResponse("ok" if good else "not ready", 200 if good else 503)

    return [Route("/livez", live), Route("/readyz", ready)]


_PAGE_HEADERS = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class SafeHeaders:
    """Adds to every answer of the web application what keeps browsers careful."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with headers added."""

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_PAGE_HEADERS]
            await send(message)

        await self._app(scope, receive, add)


class AccessLog:
    """One line for each request; a token is never in it, nor a query."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and tell when it is over."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, count = time.perf_counter(), 0, 0

        async def watch(message: Message) -> None:
            nonlocal status, count
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                count += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            path = scope["path"]
            log.info(
                "request",
                method=scope["method"],
                path=f"{ECHO_PATH}/[token]" if path.startswith(ECHO_PATH + "/") else path,
                status=status,
                bytes=count,
                duration_s=round(time.perf_counter() - began, 4),
                address=scope["client"][0] if scope.get("client") else None,
            )
