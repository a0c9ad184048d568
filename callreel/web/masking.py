"""The JSON API of masking: signals sent and settled, spans by hand. Source: contract.md 4.5."""

from __future__ import annotations

import math

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from callreel.db.unsettled import SignalState
from callreel.errors import BadRequest
from callreel.flows.masking import PARTIES, Masking, SpanChange
from callreel.flows.settling import Settlement, Settling
from callreel.flows.signal import SignalOrder, Signals
from callreel.model import CallId, RecordingId, Span
from callreel.web import parameters
from callreel.web.asked import (
    instant_of,
    json_body,
    query_of,
    require_members,
    text_of,
    text_or_none,
)
from callreel.web.session import Session, address_of, require_own_site
from callreel.web.shapes import recording_spans_body, signal_body, signal_item

MAX_KEY = 255
"""Characters of an Idempotency-Key."""
_MUTE = {"on": True, "off": False}


class MaskingApi:
    """Answers programs; its errors are for ``problems.problem``."""

    def __init__(
        self, session: Session, signals: Signals, masking: Masking, settling: Settling
    ) -> None:
        self._session = session
        self._signals = signals
        self._masking = masking
        self._settling = settling

    async def signals(self, request: Request) -> Response:
        """``GET /api/v1/signals`` lists, ``POST`` sends one."""
        if request.method == "POST":
            return await self._send(request)
        principal = await self._session.person_or_program(request)
        values = query_of(request, parameters.SIGNALS)
        limit, cursor = parameters.page(values, "cursor")
        settled = values.get("settled")
        states = values.get("state", frozenset[SignalState]())
        assert isinstance(states, frozenset)  # noqa: S101  # what the table gives
        assert settled is None or isinstance(settled, bool)  # noqa: S101  # as above
        page = await run_in_threadpool(
            self._settling.signals,
            principal,
            states=states,
            settled=settled,
            limit=limit,
            cursor=cursor,
        )
        items = [signal_item(each) for each in page.items]
        return JSONResponse({"items": items, "next": page.next})

    async def _send(self, request: Request) -> Response:
        require_own_site(request)
        principal = await self._session.person_or_program(request)
        query_of(request, ())
        order = _order(await json_body(request))
        answer = await run_in_threadpool(
            self._signals.send,
            principal,
            order,
            address=address_of(request),
            idempotency_key=_idempotency_key(request),
        )
        headers = {"Idempotency-Replayed": "true"} if answer.repeated else {}
        return JSONResponse(signal_body(answer), headers=headers)

    async def settle(self, request: Request) -> Response:
        """``POST /api/v1/signals/{id}/settle``."""
        require_own_site(request)
        principal = await self._session.person_or_program(request)
        query_of(request, ())
        body = await json_body(request)
        require_members(body, ("settle", "reason", "counterpart_at"))
        decision = Settlement(
            how=text_of(body, "settle"),
            reason=text_of(body, "reason"),
            counterpart_at=instant_of(body, "counterpart_at"),
        )
        settled = await run_in_threadpool(
            self._settling.settle,
            principal,
            request.path_params["signal_id"],
            decision,
            address=address_of(request),
        )
        return JSONResponse(signal_item(settled))

    async def spans(self, request: Request) -> Response:
        """``GET /api/v1/recordings/{id}/spans`` lists, ``POST`` adds one."""
        if request.method == "POST":
            require_own_site(request)
        principal = await self._session.person_or_program(request)
        query_of(request, ())
        recording_id = RecordingId(request.path_params["recording_id"])
        if request.method != "POST":
            found = await run_in_threadpool(self._masking.spans, principal, recording_id)
            return JSONResponse(recording_spans_body(found))
        body = await json_body(request)
        require_members(body, ("start_s", "end_s", "channel", "reason"))
        start_s, end_s = _seconds(body, "start_s"), _seconds(body, "end_s")
        if start_s is None:
            raise BadRequest("start_s: is missing.")
        if "end_s" not in body:
            raise BadRequest("end_s: is missing; null masks to the end of the recording.")
        span = Span(start_s, math.inf if end_s is None else end_s, PARTIES[_channel(body)])
        added = await run_in_threadpool(
            self._masking.add,
            principal,
            recording_id,
            span,
            text_of(body, "reason"),
            address=address_of(request),
        )
        return JSONResponse(recording_spans_body(added), 201)

    async def span(self, request: Request) -> Response:
        """``PATCH`` and ``DELETE /api/v1/recordings/{id}/spans/{span_id}``."""
        require_own_site(request)
        principal = await self._session.person_or_program(request)
        query_of(request, ())
        recording_id = RecordingId(request.path_params["recording_id"])
        span_id = request.path_params["span_id"]
        body = await json_body(request)
        if request.method == "DELETE":
            require_members(body, ("reason",))
            seen = await run_in_threadpool(
                self._masking.remove,
                principal,
                recording_id,
                span_id,
                text_of(body, "reason"),
                address=address_of(request),
            )
            return JSONResponse(recording_spans_body(seen))
        wanted = _span_change(body)
        seen = await run_in_threadpool(
            self._masking.change,
            principal,
            recording_id,
            span_id,
            wanted,
            address=address_of(request),
        )
        return JSONResponse(recording_spans_body(seen))


def _order(body: dict[str, object]) -> SignalOrder:
    require_members(body, ("mute", "objtype", "objid", "key", "call_id", "at", "sent_at"))
    mute = _MUTE.get(text_of(body, "mute"))
    if mute is None:
        raise BadRequest("mute: must be on or off.")
    objtype, objid = text_or_none(body, "objtype"), text_or_none(body, "objid")
    if (objtype is None) != (objid is None):
        raise BadRequest("objtype and objid: give both or neither.")
    if objtype is not None and objtype not in {"user", "channel"}:
        raise BadRequest("objtype: must be user or channel.")
    call_id = text_or_none(body, "call_id")
    return SignalOrder(
        mute=mute,
        objtype=objtype,
        objid=objid,
        container=text_or_none(body, "key"),
        call_id=None if call_id is None else CallId(call_id),
        at=instant_of(body, "at"),
        sent_at=instant_of(body, "sent_at"),
    )


def _span_change(body: dict[str, object]) -> SpanChange:
    require_members(body, ("start_s", "end_s", "channel", "state", "reason"))
    if body.get("state", "active") != "active":
        raise BadRequest("state: only active can be set; DELETE takes a span away.")
    end_s = _seconds(body, "end_s")
    if "end_s" in body and end_s is None:
        end_s = math.inf
    return SpanChange(
        reason=text_of(body, "reason"),
        start_s=_seconds(body, "start_s"),
        end_s=end_s,
        channel=_channel(body) if "channel" in body else None,
        confirm="state" in body,
    )


def _idempotency_key(request: Request) -> str | None:
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return None
    if len(keys) > 1 or not 0 < len(keys[0]) <= MAX_KEY or not keys[0].isascii():
        raise BadRequest(f"Idempotency-Key: one, of at most {MAX_KEY} ASCII characters.")
    return keys[0]


def _seconds(body: dict[str, object], name: str) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRequest(f"{name}: must be a number of seconds.")
    try:
        seconds = float(value)
    except OverflowError:
        seconds = math.inf
    if not math.isfinite(seconds):
        raise BadRequest(f"{name}: must be a number of seconds.")
    return seconds


def _channel(body: dict[str, object]) -> str:
    value = body.get("channel")
    if value is None:
        return "both"
    if not isinstance(value, str) or value not in PARTIES:
        raise BadRequest(f"channel: must be one of {', '.join(PARTIES)}; null is both.")
    return value
