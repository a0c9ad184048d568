"""Request to Principal: Basic and API keys, through the one verifier.

A request without ``Authorization`` is a challenge, never a failed login (contract.md 2.1).
"""

from __future__ import annotations

import base64
import binascii

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from callreel.access.identity import Verifier
from callreel.errors import Forbidden, Unauthenticated
from callreel.model import Principal


async def principal_of(request: Request, verifier: Verifier) -> Principal:
    """Who asks.

    Raises:
        Unauthenticated: Nobody said who they are, or they are not who they say.
        TooManyRequests: Too many failures or too many logins at once.
    """
    headers = request.headers.getlist("authorization")
    if not headers:
        raise Unauthenticated("Give a user name and a password.")
    if len(headers) > 1:
        raise Unauthenticated("Give one Authorization header.")
    scheme, _, value = headers[0].strip().partition(" ")
    address = address_of(request)
    if scheme.lower() == "bearer":
        return await run_in_threadpool(verifier.api_key, value.strip(), address)
    if scheme.lower() != "basic":
        raise Unauthenticated("Only Basic is offered here.")
    username, password = _basic(value.strip())
    known = await run_in_threadpool(verifier.cached_basic, username, password)
    if known is not None:
        return known
    return await run_in_threadpool(verifier.basic, username, password, address)


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
    return username, password


def address_of(request: Request) -> str | None:
    """Where a request came from, as the socket says; headers are not believed."""
    return request.client.host if request.client else None


def require_same_site(request: Request) -> None:
    """Refuse what another web site makes a browser send: Basic goes along by itself (T33).

    Raises:
        Forbidden: The browser says that the request comes from another site.
    """
    if request.headers.get("sec-fetch-site", "none") in {"cross-site", "same-site"}:
        raise Forbidden("Another web site may not send this for you.")
