"""The JSON API: calls, one call, tokens, the feed of changes. Source: contract.md section 6."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from callreel.access.identity import Verifier
from callreel.audio.formats import FORMATS, by_name
from callreel.errors import BadRequest, CallreelError, Unavailable
from callreel.flows.browse import Browse
from callreel.flows.issue import Issue
from callreel.model import AudioSpec, CallId, OutputChannels, Principal, RecordingId
from callreel.web import parameters
from callreel.web.openapi import document
from callreel.web.problems import log_refusal, problem, unexpected
from callreel.web.query import strict
from callreel.web.session import address_of, principal_of, require_same_site
from callreel.web.shapes import as_csv, as_xml, call_item, change_item, token_body

MAX_BODY_BYTES = 16 * 1024
NO_STORE = {"Cache-Control": "no-store"}

Handler = Callable[[Request, Principal], Awaitable[Response]]


class Api:
    """Answers programs."""

    def __init__(self, verifier: Verifier, browse: Browse, issue: Issue) -> None:
        self._verifier = verifier
        self._browse = browse
        self._issue = issue

    def guarded(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """A handler behind the verifier, its errors as problem documents."""

        async def endpoint(request: Request) -> Response:
            try:
                principal = await principal_of(request, self._verifier)
                return await handler(request, principal)
            except CallreelError as error:
                log_refusal(error)
                return problem(error)
            except Exception as error:  # noqa: BLE001  # the edge: an id, the rest to the log
                return problem(unexpected(error))

        return endpoint

    async def calls(self, request: Request, principal: Principal) -> Response:
        """``GET /api/v1/calls``, also ``.json``, ``.csv``, ``.xml``."""
        values = _query(request, parameters.CALLS)
        page = await run_in_threadpool(
            self._browse.calls,
            principal,
            parameters.call_filter(values),
            *parameters.page(values, "cursor"),
        )
        items = [call_item(call) for call in page.items]
        kind = _chosen_kind(request)
        if kind == "csv":
            # The rows have no place for it: the next page is named as HTTP names one (RFC 8288).
            link = {"Link": f'<?cursor={page.next}>; rel="next"'} if page.next else {}
            return Response(
                as_csv(items), headers=NO_STORE | link, media_type="text/csv; charset=utf-8"
            )
        if kind == "xml":
            return Response(
                as_xml(items, page.next), headers=NO_STORE, media_type="application/xml"
            )
        return JSONResponse({"items": items, "next": page.next}, headers=NO_STORE)

    async def call(self, request: Request, principal: Principal) -> Response:
        """``GET /api/v1/calls/{id}``."""
        _query(request, ())
        call_id = CallId(request.path_params["call_id"])
        found = await run_in_threadpool(self._browse.call, principal, call_id)
        return JSONResponse(call_item(found), headers=NO_STORE)

    async def changes(self, request: Request, principal: Principal) -> Response:
        """``GET /api/v1/changes``."""
        values = _query(request, parameters.CHANGES)
        limit, since = parameters.page(values, "since")
        page = await run_in_threadpool(self._browse.changes, principal, since, limit)
        body = {"items": [change_item(change) for change in page.items], "next": page.next}
        return JSONResponse(body, headers=NO_STORE)

    async def tokens(self, request: Request, principal: Principal) -> Response:
        """``POST /api/v1/recordings/{id}/tokens``."""
        require_same_site(request)
        _query(request, ())
        spec, single_use = _token_request(await _json_body(request))
        recording_id = RecordingId(request.path_params["recording_id"])
        if _prefers_async(request) and not FORMATS[spec.format].size_known:
            try:
                await run_in_threadpool(self._issue.prepare, principal, recording_id, spec)
            except Unavailable as going_on:
                return Response(
                    status_code=202,
                    headers=NO_STORE | {"Retry-After": str(going_on.retry_after_s)},
                )
        issued = await run_in_threadpool(
            self._issue.by_id,
            principal,
            recording_id,
            spec,
            single_use=single_use,
            address=address_of(request),
        )
        return JSONResponse(token_body(issued), headers=NO_STORE)

    async def openapi(self, request: Request) -> Response:  # noqa: ARG002  # an endpoint's shape
        """``GET /api/v1/openapi.json``; it tells nothing that the documentation does not."""
        return JSONResponse(document())


def _query(request: Request, table: tuple[parameters.Parameter, ...]) -> dict[str, object]:
    raw = strict(request.scope["query_string"], [parameter.name for parameter in table])
    return parameters.read(raw, table)


def _chosen_kind(request: Request) -> str:
    """By extension, else by what is accepted; JSON where nothing else is asked for."""
    extension = request.path_params.get("extension")
    if extension is not None:
        if extension.lower() not in {"json", "csv", "xml"}:
            raise BadRequest("The extension must be json, csv or xml.")
        return str(extension).lower()
    for accepted in request.headers.get("accept", "").lower().split(","):
        kind = accepted.partition(";")[0].strip()
        chosen = {
            "application/json": "json",
            "text/csv": "csv",
            "application/xml": "xml",
            "text/xml": "xml",
        }.get(kind)
        if chosen:
            return chosen
    return "json"


def _prefers_async(request: Request) -> bool:
    preferences = ",".join(request.headers.getlist("prefer")).lower().split(",")
    return "respond-async" in {preference.partition(";")[0].strip() for preference in preferences}


async def _json_body(request: Request) -> dict[str, object]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BadRequest(f"The body is over {MAX_BODY_BYTES} bytes.")
    if not body:
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise BadRequest("The body must be application/json.")
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest("The body is not JSON.") from None
    if not isinstance(parsed, dict):
        raise BadRequest("The body must be a JSON object.")
    return parsed


def _token_request(body: dict[str, object]) -> tuple[AudioSpec, bool]:
    known = {"format", "channel", "single_use"}
    for name in body:
        if name not in known:
            raise BadRequest(f"{name!r} is not a member here; known: {', '.join(sorted(known))}.")
    chosen = body.get("format", "wav")
    if not isinstance(chosen, str):
        raise BadRequest("format: must be a text.")
    single_use = body.get("single_use", False)
    if not isinstance(single_use, bool):
        raise BadRequest("single_use: must be true or false.")
    try:
        channels = OutputChannels(str(body.get("channel", "both")))
    except ValueError:
        raise BadRequest(f"channel: must be one of {', '.join(OutputChannels)}.") from None
    return AudioSpec(by_name(chosen), channels), single_use
