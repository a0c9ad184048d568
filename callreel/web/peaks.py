"""Peaks as JSON: what a waveform is drawn from. Source: threats.md T16."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from callreel.flows.peaks import Peaks
from callreel.model import RecordingId
from callreel.web import parameters
from callreel.web.asked import query_of
from callreel.web.preconditions import is_known, is_refused
from callreel.web.session import Session
from callreel.web.shapes import peaks_body
from callreel.web.threads import Threads

_LOOKING = 32


class PeaksApi:
    """Answers programs and pages; its errors are for ``problems.problem``."""

    def __init__(self, session: Session, peaks: Peaks) -> None:
        self._session = session
        self._peaks = peaks
        # To look may mean to wait for a render; those who wait must hold up nothing else.
        self._looking = Threads("peaks", _LOOKING)

    async def peaks(self, request: Request) -> Response:
        """``GET /api/v1/recordings/{id}/peaks``."""
        principal = await self._session.person_or_program(request)
        wanted = parameters.stretch(query_of(request, parameters.PEAKS))
        recording_id = RecordingId(request.path_params["recording_id"])
        seen = await self._looking.run(self._peaks.look, principal, recording_id, wanted)
        headers = {"ETag": seen.etag, "Cache-Control": "private, no-store"}
        if is_refused(request.headers, seen.etag):
            return Response(status_code=412, headers=headers)
        if is_known(request.headers, seen.etag):
            return Response(status_code=304, headers=headers)
        return JSONResponse(peaks_body(seen), headers=headers)
