"""What stands before every endpoint: methods, errors, headers, one line in the log."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from callreel.errors import CallreelError
from callreel.web.connection import way_out_of
from callreel.web.problems import as_told, problem, wrong_method

log = structlog.get_logger("callreel.access")

MAX_LOGGED_PATH = 200

# A token is longer than any other name in a path; it must not be in a log wherever it was put (T5).
# An integrator's link and the secret of a lease are shorter; the name of a lease is 16 characters,
# opens nothing, and stays.
_TOKEN = re.compile(
    r"(?<=/v/)[^/]+|(?<=/p/)[^/]+|(?<=/lease/)[^/]{17,}|[A-Za-z0-9_%-]{64,}", re.IGNORECASE
)

Handler = Callable[[Request], Awaitable[Response]]
Teller = Callable[[CallreelError], Response]


class Endpoint:
    """An ASGI application of one handler: its methods, and its errors as answers.

    Args:
        handler: Gives the answer or raises.
        tell: Makes the answer of an error.
        methods: That it takes; HEAD only where it is listed, since some GETs here do something.
    """

    def __init__(self, handler: Handler, tell: Teller, methods: tuple[str, ...] = ("GET",)) -> None:
        self._handler = handler
        self._tell = tell
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        if request.method not in self._methods:
            response = wrong_method(", ".join(self._methods), as_problem=self._tell is problem)
        else:
            try:
                response = await self._handler(request)
            except Exception as error:  # noqa: BLE001  # the edge: all become answers
                response = self._tell(as_told(error))
        await response(scope, receive, send)


class FixedHeaders:
    """Puts headers on every answer, over those of the same names.

    One that already says the same, and more, is left.

    Args:
        app: What answers.
        headers: By name in lower case.
    """

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self._app = app
        self._headers = {name.encode(): value.encode() for name, value in headers.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with the headers."""

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [each for each in message["headers"] if self._stays(*each)]
                said = {name for name, _ in kept}
                missing = [each for each in self._headers.items() if each[0] not in said]
                message["headers"] = kept + missing
            await send(message)

        await self._app(scope, receive, add)

    def _stays(self, name: bytes, value: bytes) -> bool:
        fixed = self._headers.get(name)
        return fixed is None or fixed in value.split(b", ")


class AccessLog:
    """One line for each request; a token is never in it, nor a query.

    Args:
        app: What answers.
        name: Which of the two applications this is.
    """

    def __init__(self, app: ASGIApp, name: str) -> None:
        self._app = app
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and tell when it is over."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, count, complete = time.perf_counter(), 0, 0, False

        async def watch(message: Message) -> None:
            nonlocal status, count, complete
            await send(message)
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                count += len(message.get("body", b""))
                complete = not message.get("more_body", False)

        try:
            await self._app(scope, receive, watch)
        finally:
            client = scope.get("client")
            way_out = way_out_of(scope)
            log.info(
                "request",
                app=self._name,
                method=scope["method"],
                path=without_tokens(scope["path"])[:MAX_LOGGED_PATH],
                status=status,
                bytes=count + (way_out.aside if way_out else 0),
                complete=complete,
                duration_s=round(time.perf_counter() - began, 4),
                address=client[0] if client else None,
            )


def without_tokens(path: str) -> str:
    """A path as it may be logged."""
    return _TOKEN.sub("[token]", path)
