"""Schedules: what is made by itself, when, for whom, and what became of it."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from callreel.db.schedules import Plan
from callreel.errors import BadRequest
from callreel.flows.report_files import FORMATS
from callreel.flows.reports import KINDS, Reports
from callreel.flows.schedules import Schedules, when_of
from callreel.flows.timetable import in_words
from callreel.periods import WEEKDAYS
from callreel.web.pages.page import Pages, Visitor, form
from callreel.web.session import address_of
from callreel.wording import to_translate

_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
TITLES = {f"report-{kind.slug}": kind.title for kind in KINDS}


class SchedulePages:
    """Pages about schedules."""

    def __init__(self, pages: Pages, schedules: Schedules, reports: Reports) -> None:
        self._pages = pages
        self._schedules = schedules
        self._reports = reports

    async def schedules(self, request: Request, visitor: Visitor) -> Response:
        """``GET /schedules?kind=&query=``: the list, and a form for one more."""
        principal = visitor.signed_in.principal
        own = await run_in_threadpool(self._schedules.own, principal)
        return self._pages.page(
            "schedules.html",
            request,
            visitor,
            schedules=[(each, in_words(when_of(each))) for each in own],
            titles=TITLES,
            kinds=self._reports.kinds(principal),
            chosen=request.query_params.get("kind", ""),
            query=request.query_params.get("query", ""),
            weekdays=WEEKDAYS,
            formats=FORMATS,
        )

    async def add(self, request: Request, visitor: Visitor) -> Response:
        """``POST /schedules/add``."""
        plan = _plan(await form(request), visitor)
        await run_in_threadpool(
            self._schedules.add, visitor.signed_in.principal, plan, address=address_of(request)
        )
        return RedirectResponse("/schedules", 303)

    async def change(self, request: Request, visitor: Visitor) -> Response:
        """``POST /schedules/{id}``: run it now, stop it, let it go on, or remove it."""
        principal, address = visitor.signed_in.principal, address_of(request)
        schedule_id = request.path_params["schedule_id"]
        wanted = (await form(request)).get("do", "")
        if wanted == "run":
            await run_in_threadpool(
                self._schedules.run_now, principal, schedule_id, address=address
            )
        elif wanted == "remove":
            await run_in_threadpool(self._schedules.remove, principal, schedule_id, address=address)
        elif wanted in {"enable", "disable"}:
            await run_in_threadpool(
                self._schedules.enable,
                principal,
                schedule_id,
                enabled=wanted == "enable",
                address=address,
            )
        else:
            raise BadRequest(to_translate("do: must be run, enable, disable or remove."))
        return RedirectResponse("/schedules", 303)


def _plan(fields: dict[str, str], visitor: Visitor) -> Plan:
    time = _TIME.fullmatch(fields.get("time", ""))
    if time is None:
        raise BadRequest(to_translate("time: not a time such as 07:30."))
    every = fields.get("every", "daily")
    asked = dict(parse_qsl(fields.get("query", ""), keep_blank_values=False))
    asked.pop("zone", None)
    return Plan(
        name=fields.get("name", ""),
        kind=f"report-{fields.get('kind', '')}",
        parameters={**asked, "format": fields.get("format", "pdf")},
        every=every,
        day=_day(every, fields),
        minute=int(time[1]) * 60 + int(time[2]),
        zone=visitor.words.zone.key,
        recipients=tuple(re.split(r"[\s,;]+", fields.get("recipients", "").strip()))
        if fields.get("recipients", "").strip()
        else (),
        folder=fields.get("folder", "").strip() or None,
        only_if_not_empty=fields.get("only_if_not_empty") == "yes",
    )


def _day(every: str, fields: dict[str, str]) -> int | None:
    if every == "daily":
        return None
    text = fields.get("weekday" if every == "weekly" else "monthday", "")
    if not (text.isascii() and text.isdigit() and len(text) < 3):
        raise BadRequest(to_translate("day: choose one."))
    return int(text)
