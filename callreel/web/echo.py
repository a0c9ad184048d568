"""The one route of Echo: sound for whoever has a token.

Echo never asks for credentials and never redirects: a .NET client would answer with the user's
password (threats.md T12). Source: contract.md section 3.
"""

from __future__ import annotations

import functools

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from callreel.errors import CallreelError, Unauthenticated
from callreel.flows.deliver import Deliver
from callreel.web.outlet import Pace
from callreel.web.problems import plain
from callreel.web.sending import Opener, SoundSender
from callreel.web.session import address_of


class Echo:
    """Answers requests with a token.

    Args:
        deliver: Opens what tokens grant.
        pace: How slow a reader may be.
    """

    def __init__(self, deliver: Deliver, pace: Pace) -> None:
        self._deliver = deliver
        self._sender = SoundSender("echo", deliver.changed, pace, _refusal)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._sender(scope, receive, send, self._opener)

    def _opener(self, request: Request) -> Opener:
        return functools.partial(
            self._deliver.open,
            _token(request),
            head=request.method == "HEAD",
            address=address_of(request),
        )


def _token(request: Request) -> str:
    """As it stood in the URL: a token has one spelling, and a percent sign is none of it."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    return raw.rpartition(b"/")[2].decode("latin-1")


def _refusal(_request: Request, told: CallreelError) -> Response:
    if isinstance(told, Unauthenticated):
        # Nothing below asks for credentials here; were it to, no client may be made to send them.
        return PlainTextResponse("forbidden: This address is not valid.", 403)
    return plain(told)
