"""What every page shares: who looks, templates, headers, and errors as a person reads them."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote

import jinja2
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from callreel.access.policy import Action, scope_for
from callreel.errors import BadRequest, CallreelError, Forbidden, Unauthenticated
from callreel.flows.sessions import SignedIn
from callreel.flows.visitors import Visitors
from callreel.web.pages.assets import Assets
from callreel.web.pages.names import names
from callreel.web.pages.words import LANGUAGES, Words, catalog, language_of, length
from callreel.web.problems import as_told, status_of, wrong_method
from callreel.web.session import Session, require_own_page
from callreel.wording import to_translate, worded

TEMPLATES = Path(__file__).parent.parent / "templates"
LOGIN = "/login"
MAX_FORM_BYTES = 64 * 1024

PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; font-src 'self'; media-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # A telephone number may stand in an address of ours; no other site may read it.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
    "vary": "HX-Request-Type",
}
"""On every page. Source: ui.md section 2."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at a page, and how they read."""

    signed_in: SignedIn
    words: Words
    theme: str
    """``light``, ``dark``, or ``auto`` as the system says."""
    single_keys: bool
    """Whether keys without Ctrl or Alt do something (WCAG 2.1.4)."""

    def may(self, action: Action) -> bool:
        """Whether they may do something anywhere."""
        principal = self.signed_in.principal
        scope = scope_for(principal, action)
        return scope.everything or bool(scope.site_ids) or bool(scope.group_ids)


PageHandler = Callable[[Request, Visitor], Awaitable[Response]]


class Pages:
    """Renders templates, for whoever asks.

    Args:
        session: Finds out who asks.
        visitors: How they want to read.
        assets: Addresses of style and scripts.
    """

    def __init__(self, session: Session, visitors: Visitors, assets: Assets) -> None:
        self._session = session
        self._visitors = visitors
        self._assets = assets
        self._languages: dict[str, jinja2.Environment] = {}

    def in_language(self, language: str) -> jinja2.Environment:
        """The templates in one language; its words cannot be another's half-way down a page."""
        found = self._languages.get(language)
        if found is None:
            found = self._languages[language] = self._environment(language)
        return found

    def _environment(self, language: str) -> jinja2.Environment:
        made = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES),
            autoescape=True,
            extensions=["jinja2.ext.i18n"],
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        said = catalog(language)
        made.globals.update(names(said))
        made.globals.update(
            asset=self._assets.url, length=length, languages=LANGUAGES, Action=Action
        )
        made.filters["translated"] = said.translated
        made.filters["quote"] = lambda text: quote(str(text), safe="")
        made.install_gettext_callables(  # type: ignore[attr-defined]  # of the extension
            said.gettext, said.ngettext, newstyle=True, pgettext=said.pgettext
        )
        return made

    async def visitor(self, request: Request) -> Visitor:
        """Who looks.

        Raises:
            Unauthenticated: Nobody who is signed in.
            Unavailable: The database is away.
        """
        signed_in = await self._session.signed_in(request)
        found = await run_in_threadpool(self._visitors.preferences, signed_in.principal)
        language = found.language or language_of(request.headers.get("accept-language", ""))
        words = Words(catalog(language), found.zone)
        return Visitor(signed_in, words, found.theme, found.single_keys)

    def render(self, name: str, request: Request, visitor: Visitor | None, **values: object) -> str:
        """A template as text."""
        language = (
            visitor.words.catalog.language
            if visitor
            else language_of(request.headers.get("accept-language", ""))
        )
        template = self.in_language(language).get_template(name)
        return template.render(
            visitor=visitor,
            words=visitor.words if visitor else None,
            language=language,
            theme=visitor.theme if visitor else "auto",
            path=request.url.path,
            partial=is_partial(request),
            **values,
        )

    def page(
        self,
        name: str,
        request: Request,
        visitor: Visitor | None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **values: object,
    ) -> Response:
        """A template as an answer."""
        return HTMLResponse(self.render(name, request, visitor, **values), status, headers)

    def error(self, request: Request, visitor: Visitor | None, told: CallreelError) -> Response:
        """What went wrong, in words: a page, or a strip above what is there."""
        status, title = status_of(told)
        headers = {}
        if told.retry_after_s is not None:
            headers["Retry-After"] = str(told.retry_after_s)
        if is_partial(request):
            # Beside what is there: old rows stay, and the strip says what to do.
            headers |= {"HX-Retarget": "#strip", "HX-Reswap": "innerHTML"}
            return self.page("strip.html", request, visitor, status, headers, told=told)
        return self.page("error.html", request, visitor, status, headers, told=told, title=title)


def is_partial(request: Request) -> bool:
    """Whether a script of ours asks for a part of a page."""
    return request.headers.get("hx-request-type") == "partial"


class PageEndpoint:
    """An ASGI application of one page: who may, forged forms, and errors as pages.

    Args:
        pages: Renders.
        handler: Gives the answer or raises.
        methods: That it takes.
    """

    def __init__(
        self, pages: Pages, handler: PageHandler, methods: tuple[str, ...] = ("GET", "HEAD")
    ) -> None:
        self._pages = pages
        self._handler = handler
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        visitor: Visitor | None = None
        try:
            if request.method not in self._methods:
                response = wrong_method(", ".join(self._methods), as_problem=False)
            else:
                if request.method not in {"GET", "HEAD"}:
                    require_own_page(request)
                visitor = await self._pages.visitor(request)
                if request.method not in {"GET", "HEAD"}:
                    await require_form_token(request, visitor.signed_in)
                response = await self._handler(request, visitor)
        except Unauthenticated:
            response = to_login(request)
        except Exception as error:  # noqa: BLE001  # the edge: all become pages
            response = self._pages.error(request, visitor, as_told(error))
        await response(scope, receive, send)


def to_login(request: Request) -> Response:
    """Send somebody to sign in, and back to where they were."""
    if is_partial(request):
        # Not a form inside a cell of a table: the page shows a dialog, and keeps what it has.
        return Response(status_code=401, headers={"HX-Trigger": "signed-out", "HX-Reswap": "none"})
    if request.method not in {"GET", "HEAD"}:
        return RedirectResponse(LOGIN, 303)
    where = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"{LOGIN}?next={quote(where, safe='')}", 303)


async def form(request: Request) -> dict[str, str]:
    """The fields of a form, each once.

    Raises:
        BadRequest: It is too long, not UTF-8, or names a field twice.
    """
    kept: dict[str, str] | None = getattr(request.state, "form", None)
    if kept is not None:
        return kept
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise BadRequest(
                worded("The form is longer than %(most)s bytes.", most=str(MAX_FORM_BYTES))
            )
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=200
        )
    except ValueError:
        raise BadRequest(to_translate("The form cannot be read.")) from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadRequest(to_translate("The form names a field more than once."))
    request.state.form = found
    return found


async def require_form_token(request: Request, signed_in: SignedIn) -> None:
    """Refuse a form that no page of this session made (threats.md T33).

    Raises:
        Forbidden: It carries no token, or another session's.
    """
    given = request.headers.get("x-csrf-token")
    if given is None and request.headers.get("content-type", "").startswith(
        "application/x-www-form-urlencoded"
    ):
        given = (await form(request)).get("csrf", "")
    if not secrets.compare_digest((given or "").encode(), signed_in.csrf.encode()):
        raise Forbidden(to_translate("This form is from an older page; load the page again."))
