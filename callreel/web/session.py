"""Request to Principal: Basic and API keys, through the one verifier.

A request without ``Authorization`` is a challenge, never a failed login (contract.md 2.1).
"""

from __future__ import annotations

import base64
import binascii
import re

from starlette.requests import Request

from callreel.access.identity import Verifier
from callreel.errors import Forbidden, Unauthenticated
from callreel.model import Principal
from callreel.web.threads import Threads

MAX_CREDENTIALS = 8192
"""Characters of an Authorization header; a password has 1024 at the most."""

# The verifier lets 64 wait and refuses the next: there must be threads for these to wait in, and
# none of them may be one that others need.
_LOGINS = 80
_CONTROL = re.compile("[\x00-\x1f\x7f]")


class Session:
    """Finds out who asks.

    Args:
        verifier: The one verifier.
    """

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier
        self._threads = Threads("login", _LOGINS)

    async def principal_of(self, request: Request) -> Principal:
        """Who asks.

        Raises:
            Unauthenticated: Nobody said who they are, or they are not who they say.
            TooManyRequests: Too many failures or too many logins at once.
            Unavailable: The database is away.
        """
        headers = request.headers.getlist("authorization")
        if not headers:
            raise Unauthenticated("Give a user name and a password.")
        if len(headers) > 1 or len(headers[0]) > MAX_CREDENTIALS:
            raise Unauthenticated("Give one Authorization header, with Basic credentials.")
        scheme, _, value = headers[0].strip().partition(" ")
        address = address_of(request)
        if scheme.lower() == "bearer":
            return await self._threads.run(self._verifier.api_key, value.strip(), address)
        if scheme.lower() != "basic":
            raise Unauthenticated("Only Basic is offered here.")
        username, password = _basic(value.strip())
        # One look-up by key, which costs less than to ask a thread for it.
        known = self._verifier.cached_basic(username, password)
        if known is not None:
            return known
        return await self._threads.run(self._verifier.basic, username, password, address)


def _basic(value: str) -> tuple[str, str]:
    """Name and password; read as UTF-8, else as Latin-1 of the same bytes. Source: RFC 7617."""
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise Unauthenticated("The Authorization header is not base64.") from None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    username, colon, password = text.partition(":")
    if not colon:
        raise Unauthenticated("The Authorization header holds no colon.")
    if _CONTROL.search(text):
        raise Unauthenticated("The Authorization header holds a control character.")
    return username, password


def address_of(request: Request) -> str | None:
    """Where a request came from, as the socket says; headers are not believed."""
    return request.client.host if request.client else None


def require_own_site(request: Request) -> None:
    """Refuse what another web site makes a browser send: Basic goes along by itself (T33).

    To be asked before the credentials are, or the browser would ask its user for them.

    Raises:
        Forbidden: The browser says that the request comes from another site.
    """
    if request.headers.get("sec-fetch-site", "none").lower() == "cross-site":
        raise Forbidden("Another web site may not send this for you.")
