"""Every page and its address."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from callreel.flows.browse import Browse
from callreel.flows.directory import Directory
from callreel.flows.jobs import Jobs
from callreel.flows.lease import Leases
from callreel.flows.listen import Listening
from callreel.flows.masking import Masking
from callreel.flows.noting import Noting
from callreel.flows.ongoing import Ongoing
from callreel.flows.peaks import Peaks
from callreel.flows.people import People
from callreel.flows.places import Places
from callreel.flows.reports import Reports
from callreel.flows.schedules import Schedules
from callreel.flows.sessions import Sessions
from callreel.flows.sites import Sites
from callreel.flows.views import SavedViews
from callreel.flows.visitors import Visitors
from callreel.model import Clock
from callreel.web.edge import Endpoint, FixedHeaders
from callreel.web.outlet import Pace
from callreel.web.pages.assets import PREFIX, Assets
from callreel.web.pages.call import CallFlows, CallPages, CallSound
from callreel.web.pages.calls import ListPages
from callreel.web.pages.directory import DirectoryPages
from callreel.web.pages.files import FilePages
from callreel.web.pages.lease import LeaseFlows, LeasePages, LeaseRules, lease_headers
from callreel.web.pages.live import Live
from callreel.web.pages.login import HOME, Login
from callreel.web.pages.page import (
    LOGIN,
    PAGE_HEADERS,
    PageEndpoint,
    PageHandler,
    Pages,
)
from callreel.web.pages.reports import ReportPages
from callreel.web.pages.schedules import SchedulePages
from callreel.web.pages.settings import SettingsPages
from callreel.web.pages.views import ViewPages
from callreel.web.problems import plain
from callreel.web.session import Session

POST = ("POST",)
ANY = ("GET", "HEAD", "POST")
SOUND_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "private, no-store",
    "content-security-policy": "default-src 'none'",
}
"""On the sound of the player."""


@dataclass(frozen=True, slots=True)
class PageParts:
    """What pages stand on."""

    sessions: Sessions
    visitors: Visitors
    browse: Browse
    listening: Listening
    leases: Leases
    peaks: Peaks
    masking: Masking
    noting: Noting
    ongoing: Ongoing
    views: SavedViews
    jobs: Jobs
    schedules: Schedules
    reports: Reports
    sites: Sites
    directory: Directory
    people: People
    places: Places
    clock: Clock
    embed_origins: tuple[str, ...] = ()
    """Whose pages may show the player of a link."""
    pace: Pace = field(default_factory=Pace)


def page_routes(session: Session, parts: PageParts) -> list[Route]:
    """Every route of the pages."""
    assets = Assets()
    pages = Pages(session, parts.visitors, assets)
    login = Login(pages, session)
    live = Live(parts.browse, parts.ongoing, parts.sessions)
    calls = ListPages(pages, parts.browse, parts.ongoing, parts.views, live, parts.clock)
    views = ViewPages(pages, parts.views, parts.visitors, parts.clock)
    reports = ReportPages(pages, parts.reports, parts.browse)
    schedules = SchedulePages(pages, parts.schedules, parts.reports)
    directory = DirectoryPages(pages, parts.directory, parts.sites)
    settings = SettingsPages(pages, parts.sites, parts.people, parts.places, parts.directory)
    files = FilePages(pages, parts.jobs, parts.clock)
    flows = CallFlows(parts.browse, parts.listening, parts.peaks, parts.masking, parts.noting)
    call = CallPages(pages, flows)
    sound = CallSound(pages, session, parts.listening, parts.pace)

    def page(path: str, handler: PageHandler, methods: tuple[str, ...] = ("GET", "HEAD")) -> Route:
        endpoint = PageEndpoint(pages, handler, methods)
        return Route(path, FixedHeaders(endpoint, PAGE_HEADERS))

    def heard(path: str, endpoint: ASGIApp) -> Route:
        return Route(path, FixedHeaders(endpoint, SOUND_HEADERS))

    return [
        Route("/", Endpoint(_front_page, plain, ("GET", "HEAD"))),
        Route(PREFIX + "/{digest}/{name:path}", Endpoint(assets.answer, plain, ("GET", "HEAD"))),
        Route(LOGIN, FixedHeaders(login, PAGE_HEADERS)),
        page("/logout", login.sign_out, POST),
        page("/calls", calls.calls),
        page("/calls/overview", calls.overview),
        page("/calls/overview/exact", calls.overview_of_all),
        page("/calls/live/{place}", calls.live),
        page("/calls/export", files.export, POST),
        page("/views", views.save, POST),
        page("/views/{view_id}", views.open),
        page("/views/{view_id}/remove", views.remove, POST),
        page("/preferences", views.preferences, ANY),
        page("/reports", reports.kinds),
        page("/reports/{kind}", reports.report),
        page("/audit", reports.audit),
        page("/schedules", schedules.schedules),
        page("/schedules/add", schedules.add, POST),
        page("/schedules/{schedule_id}", schedules.change, POST),
        page("/directory", directory.directory),
        page("/directory/{tab}", directory.directory, ANY),
        page("/settings", settings.settings),
        page("/settings/sites", settings.add_site, POST),
        page("/settings/sites/{site}", settings.site, ANY),
        page("/settings/people", settings.people, ANY),
        page("/settings/places", settings.places, ANY),
        page("/preferences/password", settings.password, POST),
        page("/jobs", files.jobs),
        page("/jobs/{job_id}", files.job),
        page("/jobs/{job_id}/cancel", files.cancel, POST),
        page("/jobs/{job_id}/file", files.file),
        page("/calls/{call_id}", call.call),
        page("/calls/{call_id}/dock", call.dock),
        page("/calls/{call_id}/wave", call.wave),
        page("/calls/{call_id}/heard", call.heard, POST),
        page("/calls/{call_id}/notes", call.note, POST),
        page("/calls/{call_id}/notes/{note_id}/remove", call.remove_note, POST),
        heard("/calls/{call_id}/audio/{revision}", sound.audio),
        heard("/calls/{call_id}/download", sound.download),
        *_lease_routes(pages, session, parts),
    ]


def _lease_routes(pages: Pages, session: Session, parts: PageParts) -> list[Route]:
    """What whoever was sent a link may reach."""
    rules = LeaseRules(parts.embed_origins, session.cookie.secure)
    flows = LeaseFlows(parts.leases, parts.listening, parts.peaks, parts.visitors)
    lease = LeasePages(pages, flows, rules, parts.pace)
    headers = lease_headers(parts.embed_origins)
    below = "/lease/{lease}"
    return [
        Route("/p/{ticket}", FixedHeaders(lease.ticket, headers)),
        Route(below + "/", FixedHeaders(lease.endpoint(lease.page), headers)),
        Route(below + "/dock", FixedHeaders(lease.endpoint(lease.dock), headers)),
        Route(below + "/wave", FixedHeaders(lease.endpoint(lease.wave), headers)),
        Route(below + "/heard", FixedHeaders(lease.endpoint(lease.heard, POST), headers)),
        Route(below + "/audio/{revision}", FixedHeaders(lease.audio, SOUND_HEADERS)),
        Route(below + "/download", FixedHeaders(lease.download, SOUND_HEADERS)),
    ]


async def _front_page(request: Request) -> Response:  # noqa: ARG001  # a handler's shape
    return RedirectResponse(HOME, 303)
