"""The JSON API of calls in progress: told by programs, and listed."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from callreel.db.ongoing import LegNews, LegState
from callreel.errors import BadRequest
from callreel.flows.ongoing import Ongoing
from callreel.model import Clock, Direction
from callreel.web import parameters
from callreel.web.asked import (
    instant_of,
    json_body,
    query_of,
    require_members,
    text_of,
    text_or_none,
)
from callreel.web.session import Session, require_own_site
from callreel.web.shapes import ongoing_item
from callreel.wire import ToldBody

E = TypeVar("E", bound=StrEnum)

MEMBERS = (
    "datasource", "unique_id", "linked_id", "state", "at", "from", "to", "caller_name",
    "extension", "direction",
)  # fmt: skip
"""Of what is told."""


class OngoingApi:
    """Answers programs; its errors are for ``problems.problem``."""

    def __init__(self, session: Session, ongoing: Ongoing, clock: Clock) -> None:
        self._session = session
        self._ongoing = ongoing
        self._clock = clock

    async def calls(self, request: Request) -> Response:
        """``GET /api/v1/calls-in-progress`` lists, ``POST`` tells of one leg."""
        if request.method == "POST":
            return await self._tell(request)
        principal = await self._session.person_or_program(request)
        wanted = parameters.call_filter(query_of(request, parameters.ONGOING))
        found = await run_in_threadpool(self._ongoing.seen, principal, wanted)
        return JSONResponse({"items": [ongoing_item(each) for each in found]})

    async def _tell(self, request: Request) -> Response:
        require_own_site(request)
        principal = await self._session.person_or_program(request)
        query_of(request, ())
        body = await json_body(request)
        require_members(body, MEMBERS)
        news = LegNews(
            datasource=text_of(body, "datasource"),
            unique_id=text_of(body, "unique_id"),
            state=_one_of(LegState, "state", text_of(body, "state")),
            at=instant_of(body, "at") or self._clock(),
            linked_id=text_or_none(body, "linked_id"),
            from_number=text_or_none(body, "from") or "",
            to_number=text_or_none(body, "to") or "",
            caller_name=text_or_none(body, "caller_name") or "",
            direction=_one_of(
                Direction, "direction", text_or_none(body, "direction") or Direction.UNKNOWN.value
            ),
            extension=text_or_none(body, "extension"),
        )
        await run_in_threadpool(self._ongoing.tell, principal, news)
        told: ToldBody = {"unique_id": news.unique_id, "state": news.state.value}
        return JSONResponse(told)


def _one_of(kind: type[E], name: str, text: str) -> E:
    try:
        return kind(text)
    except ValueError:
        known = ", ".join(each.value for each in kind)
        raise BadRequest(f"{name}: must be one of {known}.") from None
