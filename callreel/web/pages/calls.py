"""Call View: the list of calls, its filters, the bars above it, and calls as they come in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from callreel.access.policy import Action
from callreel.db.listing import ViewedPage
from callreel.db.summary import Grain, Summary
from callreel.errors import CallreelError, TooSlow
from callreel.flows import browse
from callreel.flows.ongoing import Ongoing
from callreel.flows.views import SavedViews
from callreel.model import Clock, UnixMillis
from callreel.periods import WEEKDAYS
from callreel.web.pages import drawing
from callreel.web.pages.filters import COLUMNS, MORE_COLUMNS, STATES, View, read_view
from callreel.web.pages.live import Live
from callreel.web.pages.page import Pages, Visitor, is_partial
from callreel.web.pages.words import Words
from callreel.web.threads import Threads

PAGE = 100
BARS_WITHIN_S = 0.04
"""How long a page waits for its bars; those that take longer it asks for afterwards."""
BARS_WITH_ROWS_S = 0.015
"""The same of rows alone, which somebody waits for who chose or typed."""
COUNT_ALL_WITHIN_S = 60.0
"""Who asks for the exact number waits for it."""
KEEP_ALIVE_S = 15

PERIODS = ("today", "yesterday", "7d", "30d", "this-month", "last-month", "this-year")
LENGTHS = ("30s", "1m", "5m", "15m", "1h")


_GrainOf = Callable[[UnixMillis, UnixMillis], Grain]


@dataclass(frozen=True, slots=True)
class Overview:
    """What stands above the rows."""

    summary: Summary
    bars: drawing.Bars | None


class ListPages:
    """Pages about many calls."""

    def __init__(
        self,
        pages: Pages,
        calls: browse.Browse,
        ongoing: Ongoing,
        saved: SavedViews,
        live: Live,
        clock: Clock,
    ) -> None:
        self._pages = pages
        self._browse = calls
        self._ongoing = ongoing
        self._saved = saved
        self._live = live
        self._clock = clock
        # A count over millions must not keep rows of others waiting.
        self._counting = Threads("overview", 4)
        self._counting_all = Threads("overview-exact", 1)

    async def calls(self, request: Request, visitor: Visitor) -> Response:
        """``GET /calls?…``."""
        view = self._view(request, visitor)
        clean = view.query(before=view.cursor)
        if not is_partial(request) and clean != request.url.query:
            return RedirectResponse(_address(clean), 303)
        principal = visitor.signed_in.principal
        within_s = BARS_WITH_ROWS_S if is_partial(request) else BARS_WITHIN_S
        counting = asyncio.ensure_future(self._counting.run(self._quick, visitor, view, within_s))
        try:
            page = await run_in_threadpool(
                self._browse.look, principal, view.filter, view.order, PAGE, view.cursor
            )
            place = await run_in_threadpool(self._browse.came, principal, view.filter, None)
            overview = await counting
        finally:
            counting.cancel()
        values = await self._shown(visitor, view, page, overview)
        # Once the rows are painted, and nobody types on.
        pause_ms = 250 if _was_typed(request) else 100 if is_partial(request) else 0
        values["count_after_ms"] = pause_ms
        headers = {"HX-Replace-Url": _address(clean)} if is_partial(request) else {}
        if _was_typed(request):
            headers = {"HX-Replace-Url": _address(clean)}
        elif is_partial(request):
            headers = {"HX-Push-Url": _address(clean)}
        name = "calls_results.html" if is_partial(request) else "calls.html"
        return self._pages.page(name, request, visitor, 200, headers, place=place[1], **values)

    async def overview(self, request: Request, visitor: Visitor) -> Response:
        """``GET /calls/overview?…``: the bars, where they took longer than the rows."""
        view = self._view(request, visitor)
        overview = await self._counting.run(self._roughly, visitor, view)
        return self._pages.page(
            "calls_overview.html", request, visitor, view=view, overview=overview
        )

    async def overview_of_all(self, request: Request, visitor: Visitor) -> Response:
        """``GET /calls/overview/exact?…``: the same, of every call, where it was estimated."""
        view = self._view(request, visitor)
        overview = await self._counting_all.run(self._exact, visitor, view, COUNT_ALL_WITHIN_S)
        return self._pages.page(
            "calls_overview.html", request, visitor, view=view, overview=overview
        )

    async def live(self, request: Request, visitor: Visitor) -> Response:
        """``GET /calls/live/{place}?…``: rows that came in after a place, as server-sent events."""
        view = self._view(request, visitor)
        since = request.headers.get("last-event-id", request.path_params["place"])
        return StreamingResponse(
            self._rows(request, visitor, view, since),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no"},
        )

    async def _rows(
        self, request: Request, visitor: Visitor, view: View, since: str
    ) -> AsyncIterator[str]:
        seat = self._live.join(visitor.signed_in, view.filter, since)
        try:
            yield "retry: 1000\n\n"
            while not await request.is_disconnected():
                came = await seat.next(KEEP_ALIVE_S)
                if self._view(request, visitor).filter != view.filter:
                    # A day is over: "today" is another. The window comes back and asks for it.
                    return
                if came is None:
                    yield ": still here\n\n"
                    continue
                if came.ongoing is not None:
                    going = self._pages.render(
                        "calls_ongoing.html",
                        request,
                        visitor,
                        view=view,
                        ongoing=came.ongoing,
                        now=self._clock(),
                    )
                    yield f"event: ongoing\n{_data(going)}\n"
                if came.items:
                    rows = self._pages.render(
                        "calls_came.html",
                        request,
                        visitor,
                        view=view,
                        items=came.items,
                        shape=drawing.shape,
                        may_hear=visitor.may(Action.HEAR),
                    )
                    yield f"id: {came.place}\n{_data(rows)}\n"
        except CallreelError:
            # The session is over, or nobody knows: the page asks again and is told so.
            return
        finally:
            seat.leave()

    def _view(self, request: Request, visitor: Visitor) -> View:
        return read_view(request.url.query, self._clock(), visitor.words)

    def _quick(self, visitor: Visitor, view: View, within_s: float) -> Overview | None:
        """The bars that come with the rows; None where they take too long for that."""
        with contextlib.suppress(TooSlow):
            return self._exact(visitor, view, within_s)
        return None

    def _exact(self, visitor: Visitor, view: View, within_s: float) -> Overview:
        principal = visitor.signed_in.principal
        return self._drawn(
            visitor,
            view,
            lambda grain_of: self._browse.count(principal, view.filter, grain_of, within_s),
        )

    def _roughly(self, visitor: Visitor, view: View) -> Overview:
        principal = visitor.signed_in.principal
        return self._drawn(
            visitor, view, lambda grain_of: self._browse.overview(principal, view.filter, grain_of)
        )

    def _drawn(
        self, visitor: Visitor, view: View, look: Callable[[_GrainOf], browse.Overview | None]
    ) -> Overview:
        zone, now = visitor.words.zone, self._clock()

        def grain_of(first: UnixMillis, last: UnixMillis) -> Grain:
            return drawing.grain_of(zone, *_shown_extent(view, (first, last), now))

        found = look(grain_of)
        if found is None:
            return Overview(Summary(0, 0.0, ()), None)
        first, last = _shown_extent(view, (found.first, found.last), now)
        return Overview(found.counted, drawing.bars(found.counted.buckets, first, last, zone))

    async def _shown(
        self, visitor: Visitor, view: View, page: ViewedPage, overview: Overview | None
    ) -> dict[str, object]:
        places = await run_in_threadpool(self._browse.places, visitor.signed_in.principal)
        principal = visitor.signed_in.principal
        labels = {
            **{("site", key): name for key, name in places.sites},
            **{("grp", key): name for key, name in places.groups},
        }
        return {
            "beside": view.beside(labels.keys()),
            "saved": await run_in_threadpool(self._saved.seen, principal),
            "view": view,
            "page": page,
            "overview": overview,
            "ongoing": await run_in_threadpool(self._ongoing.seen, principal, view.filter)
            if view.is_live
            else (),
            "now": self._clock(),
            "places": places,
            "periods": PERIODS,
            "states": STATES[:4],
            "lengths": LENGTHS,
            "all_columns": (*COLUMNS, *MORE_COLUMNS),
            "shape": drawing.shape,
            "may_hear": visitor.may(Action.HEAR),
            "labels": labels | _told(view, visitor.words),
        }


def _shown_extent(
    view: View, extent: tuple[UnixMillis, UnixMillis], now: UnixMillis
) -> tuple[UnixMillis, UnixMillis]:
    """The whole period that was asked for, as far as it is past; else from first to last call."""
    if view.period is None:
        return extent
    last = UnixMillis(min(view.period.until - 1, max(now, extent[1])))
    return view.period.since, max(last, extent[1])


def _told(view: View, words: Words) -> dict[tuple[str, str], str]:
    """How values are told that stand for something else in an address."""
    told = {
        ("weekday", str(number)): words.catalog.translated(day)
        for number, day in enumerate(WEEKDAYS)
    }
    if view.filter.during is not None:
        told["during", view.values["during"]] = words.short(view.filter.during)
    return told


def _data(text: str) -> str:
    return "".join(f"data: {line}\n" for line in text.splitlines() if line.strip())


def _address(query: str) -> str:
    return f"/calls?{query}" if query else "/calls"


def _was_typed(request: Request) -> bool:
    """Whether a keystroke asked for it: then Back must not undo letter by letter."""
    return request.headers.get("hx-source", "").startswith("input#q")
