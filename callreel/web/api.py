"""The JSON API: calls, tokens, links, the feed of changes. Source: contract.md section 6."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from callreel.audio.formats import FORMATS, by_name
from callreel.errors import BadRequest, RenderGoesOn
from callreel.flows.browse import Browse
from callreel.flows.issue import Issue
from callreel.flows.ticket import TicketOrder, Tickets
from callreel.model import AudioSpec, CallId, OutputChannels, RecordingId
from callreel.web import parameters
from callreel.web.accept import chosen_kind
from callreel.web.asked import json_body, query_of, require_members
from callreel.web.legacy import channels_of
from callreel.web.openapi import document
from callreel.web.renders import Renders
from callreel.web.session import Session, address_of, require_own_site
from callreel.web.shapes import as_csv, as_xml, call_item, change_item, ticket_body, token_body
from callreel.web.threads import begun

NEXT_HEADER = "Callreel-Next"
"""Names the next page of a CSV, whose rows have no place for it."""


class Api:
    """Answers programs; its errors are for ``problems.problem``."""

    def __init__(self, session: Session, browse: Browse, issue: Issue, tickets: Tickets) -> None:
        self._session = session
        self._browse = browse
        self._issue = issue
        self._tickets = tickets
        self._renders = Renders(issue)

    async def calls(self, request: Request) -> Response:
        """``GET /api/v1/calls``, also ``.json``, ``.csv``, ``.xml``."""
        principal = await self._session.person_or_program(request)
        kind = chosen_kind(request)
        values = query_of(request, parameters.CALLS)
        page = await run_in_threadpool(
            self._browse.calls,
            principal,
            parameters.call_filter(values),
            *parameters.page(values, "cursor"),
        )
        items = [call_item(call) for call in page.items]
        if kind == "csv":
            following = {} if page.next is None else {NEXT_HEADER: page.next}
            return _answer(as_csv(items), "text/csv; charset=utf-8", following)
        if kind == "xml":
            return _answer(as_xml(items, page.next), "application/xml")
        return JSONResponse({"items": items, "next": page.next}, headers=_VARY)

    async def call(self, request: Request) -> Response:
        """``GET /api/v1/calls/{id}``."""
        principal = await self._session.person_or_program(request)
        query_of(request, ())
        call_id = CallId(request.path_params["call_id"])
        found = await run_in_threadpool(self._browse.call, principal, call_id)
        return JSONResponse(call_item(found))

    async def changes(self, request: Request) -> Response:
        """``GET /api/v1/changes``."""
        principal = await self._session.person_or_program(request)
        values = query_of(request, parameters.CHANGES)
        limit, since = parameters.page(values, "since")
        page = await run_in_threadpool(self._browse.changes, principal, since, limit)
        items = [change_item(change) for change in page.items]
        return JSONResponse({"items": items, "next": page.next})

    async def tokens(self, request: Request) -> Response:
        """``POST /api/v1/recordings/{id}/tokens``; 202 while a render is made, where preferred."""
        require_own_site(request)
        principal = await self._session.person_or_program(request)
        query_of(request, ())
        spec, single_use = _token_request(await json_body(request))
        recording_id = RecordingId(request.path_params["recording_id"])
        applied = {}
        if _prefers_async(request) and not FORMATS[spec.format].size_known:
            applied = {"Preference-Applied": "respond-async"}
            try:
                await self._renders.require_done(principal, recording_id, spec)
            except RenderGoesOn as not_yet:
                wait = {"Retry-After": str(not_yet.retry_after_s)}
                return JSONResponse({"state": "rendering"}, 202, headers=wait | applied)
        issued = await begun(
            functools.partial(
                self._issue.by_id,
                principal,
                recording_id,
                spec,
                single_use=single_use,
                address=address_of(request),
            ),
            blocks=self._issue.blocks,
        )
        return JSONResponse(token_body(issued), headers=applied)

    async def tickets(self, request: Request) -> Response:
        """``POST /api/v1/recordings/{id}/tickets``."""
        require_own_site(request)
        principal = await self._session.person_or_program(request)
        query_of(request, ())
        issued = await run_in_threadpool(
            self._tickets.issue,
            principal,
            RecordingId(request.path_params["recording_id"]),
            _ticket_order(await json_body(request)),
            address_of(request),
        )
        return JSONResponse(ticket_body(issued))

    async def openapi(self, request: Request) -> Response:  # noqa: ARG002  # a handler's shape
        """``GET /api/v1/openapi.json``; it tells nothing that the documentation does not."""
        return JSONResponse(document())


_VARY = {"Vary": "Accept"}


def _answer(
    body: str | bytes, media_type: str, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(body, headers={**_VARY, **(headers or {})}, media_type=media_type)


def _prefers_async(request: Request) -> bool:
    preferences = ",".join(request.headers.getlist("prefer")).lower().split(",")
    return "respond-async" in {preference.partition(";")[0].strip() for preference in preferences}


_MEMBERS = ("format", "channel", "single_use")


def _token_request(body: dict[str, object]) -> tuple[AudioSpec, bool]:
    require_members(body, _MEMBERS)
    chosen, channel = body.get("format", "wav"), body.get("channel", OutputChannels.BOTH.value)
    single_use = body.get("single_use", False)
    if not isinstance(chosen, str):
        raise BadRequest("format: must be a text.")
    if not isinstance(channel, str):
        raise BadRequest("channel: must be a text.")
    if not isinstance(single_use, bool):
        raise BadRequest("single_use: must be true or false.")
    return AudioSpec(by_name(chosen), channels_of("channel", channel)), single_use


def _ticket_order(body: dict[str, object]) -> TicketOrder:
    require_members(body, ("uses", "download", "label"))
    label, uses, download = body.get("label"), body.get("uses", 1), body.get("download", False)
    if not isinstance(label, str):
        raise BadRequest("label: whom the link is for must be given, as a text.")
    if not isinstance(uses, int) or isinstance(uses, bool):
        raise BadRequest("uses: must be a whole number.")
    if not isinstance(download, bool):
        raise BadRequest("download: must be true or false.")
    return TicketOrder(label, uses, download)
