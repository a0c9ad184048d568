"""Saved views and how somebody wants pages."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from callreel.flows.views import SavedViews
from callreel.flows.visitors import THEMES, Chosen, Visitors
from callreel.model import Clock
from callreel.web.pages.filters import read_view
from callreel.web.pages.page import Pages, Visitor, form
from callreel.web.pages.words import LANGUAGES
from callreel.web.session import address_of
from callreel.zones import zone_names


class ViewPages:
    """Saves, opens and removes views."""

    def __init__(self, pages: Pages, saved: SavedViews, visitors: Visitors, clock: Clock) -> None:
        self._pages = pages
        self._saved = saved
        self._visitors = visitors
        self._clock = clock

    async def save(self, request: Request, visitor: Visitor) -> Response:
        """``POST /views``."""
        fields = await form(request)
        # Only what can be read is saved; it is read anew whenever it is opened.
        view = read_view(fields.get("query", ""), self._clock(), visitor.words)
        saved = await run_in_threadpool(
            self._saved.save,
            visitor.signed_in.principal,
            fields.get("name", ""),
            view.query(),
            fields.get("audience", "me"),
            address_of(request),
        )
        return RedirectResponse(f"/views/{saved.id}", 303)

    async def open(self, request: Request, visitor: Visitor) -> Response:
        """``GET /views/{id}``: leads to its calls."""
        saved = await run_in_threadpool(
            self._saved.one, visitor.signed_in.principal, request.path_params["view_id"]
        )
        return RedirectResponse(f"/calls?{saved.query}" if saved.query else "/calls", 303)

    async def remove(self, request: Request, visitor: Visitor) -> Response:
        """``POST /views/{id}/remove``."""
        await run_in_threadpool(
            self._saved.remove,
            visitor.signed_in.principal,
            request.path_params["view_id"],
            address_of(request),
        )
        return RedirectResponse("/calls", 303)

    async def preferences(self, request: Request, visitor: Visitor) -> Response:
        """``GET`` and ``POST /preferences``."""
        principal = visitor.signed_in.principal
        if request.method == "POST":
            fields = await form(request)
            language = fields.get("language", "")
            chosen = Chosen(
                language=language if language in LANGUAGES else "",
                theme=fields.get("theme", "auto"),
                single_keys=fields.get("single_keys") == "yes",
                timezone=fields.get("timezone", "").strip(),
            )
            await run_in_threadpool(self._visitors.choose, principal, chosen)
            return RedirectResponse("/preferences", 303)
        return self._pages.page(
            "preferences.html",
            request,
            visitor,
            chosen=await run_in_threadpool(self._visitors.chosen, principal),
            themes=THEMES,
            zones=sorted(zone_names()),
            saved=await run_in_threadpool(self._saved.seen, principal),
        )
