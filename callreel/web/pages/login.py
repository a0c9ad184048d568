"""Signing in and out. Password first; pasting is fine; no puzzle (WCAG 3.3.8)."""

from __future__ import annotations

import ipaddress

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from callreel.errors import CallreelError, Forbidden, TooManyRequests, Unauthenticated
from callreel.web.pages.page import LOGIN, Pages, Visitor, form, is_partial
from callreel.web.problems import as_told, status_of, wrong_method
from callreel.web.session import Session, require_own_page
from callreel.wording import to_translate

HOME, LOGOUT = "/calls", "/logout"
PLAIN = to_translate(
    "Passwords are not taken over plain http: anybody on the way could read them. Reach this page "
    "by https, or let an administrator set server.plain_login."
)


class Login:
    """The page to sign in; an ASGI application."""

    def __init__(self, pages: Pages, session: Session) -> None:
        self._pages = pages
        self._session = session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET`` and ``POST /login``."""
        request = Request(scope, receive)
        if request.method not in {"GET", "HEAD", "POST"}:
            response = wrong_method("GET, HEAD, POST", as_problem=False)
        else:
            try:
                response = await (self._signed_in if request.method == "POST" else self._asked)(
                    request
                )
            except Exception as error:  # noqa: BLE001  # the edge: all become pages
                response = self._pages.error(request, None, as_told(error))
        await response(scope, receive, send)

    async def _asked(self, request: Request) -> Response:
        return self._form(request, request.query_params.get("next", ""))

    async def _signed_in(self, request: Request) -> Response:
        require_own_page(request)
        self._require_safe(request)
        fields = await form(request)
        where = fields.get("next", "")
        try:
            secret = await self._session.sign_in(
                request, fields.get("username", "").strip(), fields.get("password", "")
            )
        except (Unauthenticated, TooManyRequests) as told:
            return self._form(request, where, told, fields.get("username", ""))
        response = Response(status_code=204) if is_partial(request) else _to(where)
        self._session.cookie.set(response, secret)
        return response

    def _require_safe(self, request: Request) -> None:
        cookie = self._session.cookie
        if cookie.secure or cookie.plain_allowed or _is_here(request):
            return
        raise Forbidden(PLAIN)

    def _form(
        self, request: Request, where: str, told: CallreelError | None = None, username: str = ""
    ) -> Response:
        status = 200 if told is None else status_of(told)[0]
        headers = {}
        if told is not None and told.retry_after_s is not None:
            headers["Retry-After"] = str(told.retry_after_s)
        # 401 without a challenge: the page asks, and the browser's own window must not.
        return self._pages.page(
            "login.html",
            request,
            None,
            status,
            headers,
            next=where,
            told=told,
            username=username,
        )

    async def sign_out(self, request: Request, visitor: Visitor) -> Response:  # noqa: ARG002  # a handler's shape
        """``POST /logout``: the session ends in every window, and what it plays in a second."""
        await self._session.sign_out(request)
        response = RedirectResponse(LOGIN, 303)
        self._session.cookie.clear(response)
        response.headers["Clear-Site-Data"] = '"cache"'
        return response


def _to(where: str) -> Response:
    """Back to where somebody was: to a path of ours, never to another site."""
    own = where.startswith("/") and not where.startswith(("//", "/\\")) and "\\" not in where
    path = where.partition("?")[0]
    if not own or path in {LOGIN, LOGOUT} or not where.isprintable():
        where = HOME
    return RedirectResponse(where, 303)


def _is_here(request: Request) -> bool:
    """Whether both ends of the connection are on this machine."""
    host = request.headers.get("host", "").rpartition(":")[0].strip("[]") or request.headers.get(
        "host", ""
    )
    client = request.client.host if request.client else ""
    return _is_loopback(client) and (host == "localhost" or _is_loopback(host))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
