"""Request to Principal: Basic, API keys, and the cookie of somebody who signed in to the pages.

A request without ``Authorization`` is a challenge, never a failed login (contract.md 2.1).
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from callreel.access.identity import Verifier
from callreel.errors import Forbidden, Unauthenticated
from callreel.flows.sessions import Sessions, SignedIn
from callreel.model import Principal
from callreel.web.threads import Threads
from callreel.wording import to_translate

MAX_CREDENTIALS = 8192
"""Characters of an Authorization header; a password has 1024 at the most."""

# The verifier lets 64 wait and refuses the next: there must be threads for these to wait in, and
# none of them may be one that others need.
_LOGINS = 80
_CONTROL = re.compile("[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class CookieRules:
    """How the cookie of a session is set. Source: threats.md T33."""

    secure: bool
    """Pages are reached by https: no other address and no plain http can set or see it."""
    plain_allowed: bool = False
    """Passwords may be typed into a page that came by plain http."""

    @property
    def name(self) -> str:
        """Of the cookie; browsers hold it to its prefix."""
        return "__Host-callreel" if self.secure else "callreel"

    def set(self, response: Response, secret: str) -> None:
        """Give a browser its secret."""
        response.set_cookie(
            self.name, secret, path="/", secure=self.secure, httponly=True, samesite="lax"
        )

    def clear(self, response: Response) -> None:
        """Take it back."""
        response.delete_cookie(
            self.name, path="/", secure=self.secure, httponly=True, samesite="lax"
        )


class Session:
    """Finds out who asks.

    Args:
        verifier: The one verifier.
        sessions: Of the pages.
        cookie: How their cookie is set.
    """

    def __init__(self, verifier: Verifier, sessions: Sessions, cookie: CookieRules) -> None:
        self._verifier = verifier
        self._sessions = sessions
        self.cookie = cookie
        self._threads = Threads("login", _LOGINS)
        self._looking = Threads("session", 16)

    async def signed_in(self, request: Request) -> SignedIn:
        """Who has the cookie of this request.

        Raises:
            Unauthenticated: No cookie, or its session is over.
            Unavailable: The database is away.
        """
        return await self._looking.run(self._sessions.find, self.secret_of(request) or "")

    def secret_of(self, request: Request) -> str | None:
        """The secret in the cookie; None without one."""
        return request.cookies.get(self.cookie.name)

    async def sign_in(self, request: Request, username: str, password: str) -> str:
        """Begin a session; gives its secret. Raises as ``Sessions.sign_in``."""
        return await self._threads.run(
            self._sessions.sign_in,
            username,
            password,
            address_of(request),
            self.secret_of(request),
        )

    async def sign_out(self, request: Request) -> None:
        """End the session of this request. Raises as ``Sessions.sign_out``."""
        await self._looking.run(
            self._sessions.sign_out, self.secret_of(request) or "", address_of(request)
        )

    async def person_or_program(self, request: Request) -> Principal:
        """As ``principal_of``, and by the cookie of the pages. Source: contract.md 6.1.

        What changes something must then carry the token of the session's pages.

        Raises:
            Forbidden: By cookie, without the token or from another site.
        """
        if self.secret_of(request) is None or "authorization" in request.headers:
            return await self.principal_of(request)
        try:
            signed_in = await self.signed_in(request)
        except Unauthenticated:
            return await self.principal_of(request)
        if request.method not in {"GET", "HEAD"}:
            require_own_page(request)
            given = request.headers.get("x-csrf-token", "")
            if not secrets.compare_digest(given.encode(), signed_in.csrf.encode()):
                raise Forbidden("By cookie, X-Csrf-Token must hold the token of the page.")
        return signed_in.principal

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
        # One look-up by key: where it waits for no other machine, a thread would cost more.
        if self._verifier.is_at_hand:
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
    """Where a request came from: as the socket says, or a proxy of ``server.trusted_proxies``."""
    return request.client.host if request.client else None


def require_own_site(request: Request) -> None:
    """Refuse what another web site makes a browser send: Basic goes along by itself (T33).

    To be asked before the credentials are, or the browser would ask its user for them.

    Raises:
        Forbidden: The browser says that the request comes from another site.
    """
    if request.headers.get("sec-fetch-site", "none").lower() == "cross-site":
        raise Forbidden(to_translate("Another web site may not send this for you."))


def require_own_page(request: Request) -> None:
    """Refuse a form that was not sent from a page of this very address (threats.md T33).

    Raises:
        Forbidden: The browser says that it comes from elsewhere, or says nothing and the origin is
            another.
    """
    said = request.headers.get("sec-fetch-site")
    if said is None:
        # Before 2023 some browsers did not say; an origin of ours is as good.
        origin = request.headers.get("origin")
        said = "same-origin" if origin in {None, _own_origin(request)} else "cross-site"
    if said.lower() not in {"same-origin", "none"}:
        raise Forbidden(to_translate("Another web site may not send this for you."))


def _own_origin(request: Request) -> str:
    return f"{request.url.scheme}://{request.headers.get('host', '')}"
