"""Files that take a while: asked for, watched, cancelled, fetched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from callreel.flows.filters import filter_parameters
from callreel.flows.jobs import JobFile, Jobs
from callreel.model import Clock
from callreel.web.pages.filters import View, read_view
from callreel.web.pages.page import Pages, Visitor, form, is_partial
from callreel.web.pages.words import Words
from callreel.web.session import address_of

_CHUNK_BYTES = 1 << 18


class FilePages:
    """Pages about jobs."""

    def __init__(self, pages: Pages, jobs: Jobs, clock: Clock) -> None:
        self._pages = pages
        self._jobs = jobs
        self._clock = clock

    async def export(self, request: Request, visitor: Visitor) -> Response:
        """``POST /calls/export``: the list that somebody looks at, as a file."""
        fields = await form(request)
        view = read_view(fields.get("query", ""), self._clock(), visitor.words)
        job = await run_in_threadpool(
            self._jobs.submit,
            visitor.signed_in.principal,
            "calls",
            export_of(view, fields.get("format", ""), visitor.words),
            address=address_of(request),
        )
        return RedirectResponse(f"/jobs/{job.id}", 303)

    async def jobs(self, request: Request, visitor: Visitor) -> Response:
        """``GET /jobs``."""
        own = await run_in_threadpool(self._jobs.own, visitor.signed_in.principal)
        return self._pages.page("jobs.html", request, visitor, jobs=own)

    async def job(self, request: Request, visitor: Visitor) -> Response:
        """``GET /jobs/{id}``: how far it is; the page asks again by itself."""
        job = await run_in_threadpool(
            self._jobs.one, visitor.signed_in.principal, request.path_params["job_id"]
        )
        name = "job_progress.html" if is_partial(request) else "job.html"
        return self._pages.page(name, request, visitor, job=job, now=self._clock())

    async def cancel(self, request: Request, visitor: Visitor) -> Response:
        """``POST /jobs/{id}/cancel``."""
        job_id = request.path_params["job_id"]
        await run_in_threadpool(self._jobs.cancel, visitor.signed_in.principal, job_id)
        return RedirectResponse(f"/jobs/{job_id}", 303)

    async def file(self, request: Request, visitor: Visitor) -> Response:
        """``GET /jobs/{id}/file``."""
        found = await run_in_threadpool(
            self._jobs.file,
            visitor.signed_in.principal,
            request.path_params["job_id"],
            address=address_of(request),
        )
        return StreamingResponse(
            _parts(found),
            media_type=found.media_type,
            headers={
                "Content-Length": str(found.size_bytes),
                "Content-Disposition": f'attachment; filename="{found.name}"',
            },
        )


def export_of(view: View, chosen: str, words: Words) -> dict[str, object]:
    """The parameters of the job that exports a view; its period stays relative where it is.

    Days begin where those of the view do, or the file were another list.
    """
    parameters: dict[str, object] = {
        "filter": filter_parameters(replace(view.filter, since=None, until=None)),
        "format": chosen,
        "sort": view.order.value,
        "zone": view.values.get("zone", words.zone.key),
    }
    if view.period_text is not None:
        parameters["period"] = view.period_text
    return parameters


def _parts(found: JobFile) -> Iterator[bytes]:
    with found.path.open("rb") as file:
        while part := file.read(_CHUNK_BYTES):
            yield part
