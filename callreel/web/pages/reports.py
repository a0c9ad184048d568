"""Reports: each an address with its period, scope and filters; numbers that lead to their calls."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from callreel.documents.cells import Cell, is_number
from callreel.documents.pdf import write_pdf
from callreel.documents.shown import shown
from callreel.documents.tables import Column, write_csv, write_xlsx
from callreel.errors import BadRequest
from callreel.flows.browse import Browse
from callreel.flows.report_kinds.shape import Link, Report
from callreel.flows.reports import Reports
from callreel.web.pages.filters import DIRECTIONS
from callreel.web.pages.page import Pages, Visitor
from callreel.web.pages.words import Words
from callreel.web.query import require_short
from callreel.web.threads import Threads
from callreel.wording import to_translate, worded

PERIODS = (
    "today", "yesterday", "7d", "30d", "this-week", "last-week", "this-month", "last-month",
    "this-year", "last-year",
)  # fmt: skip
FORMATS = {
    "csv": "text/csv; charset=utf-8",
    "csv-spreadsheet": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
}
_AT_ONCE = 4


class ReportPages:
    """Pages about many calls at once."""

    def __init__(self, pages: Pages, reports: Reports, browse: Browse) -> None:
        self._pages = pages
        self._reports = reports
        self._browse = browse
        # A year over millions must not keep anybody's list waiting.
        self._making = Threads("report", _AT_ONCE)

    async def kinds(self, request: Request, visitor: Visitor) -> Response:
        """``GET /reports``: what there is."""
        return self._pages.page(
            "reports.html", request, visitor, kinds=self._reports.kinds(visitor.signed_in.principal)
        )

    async def audit(self, request: Request, visitor: Visitor) -> Response:  # noqa: ARG002  # a handler's shape
        """``GET /audit``: the report of who listened."""
        return RedirectResponse("/reports/playback-audit", 303)

    async def report(self, request: Request, visitor: Visitor) -> Response:
        """``GET /reports/{kind}?…``: a report, or with ``format`` its file."""
        asked = _asked(request.url.query)
        form = asked.pop("format", None)
        if form is not None and form not in FORMATS:
            raise BadRequest(worded("format: must be one of %(known)s.", known=", ".join(FORMATS)))
        slug = request.path_params["kind"]
        asked.setdefault("zone", visitor.words.zone.key)
        principal = visitor.signed_in.principal
        # Files are for other programs and other people: they are in English.
        say = visitor.words.catalog.worded if form is None else str
        report = await self._making.run(self._reports.make, principal, slug, asked, say)
        if form is not None:
            data = await self._making.run(_file, report, form)
            suffix = "csv" if form.startswith("csv") else form
            name = f'attachment; filename="{report.kind}.{suffix}"'
            return Response(data, media_type=FORMATS[form], headers={"Content-Disposition": name})
        kind = next(each for each in self._reports.kinds(principal) if each.slug == slug)
        given = {name: value for name, value in asked.items() if name != "zone"}
        return self._pages.page(
            "report.html",
            request,
            visitor,
            report=report,
            facts=_facts(report, visitor.words),
            kind=kind,
            asked=given,
            asks={each.name for each in kind.parameters},
            query=urlencode(asked),
            rows=_rows(report, visitor.words),
            total=_total(report, visitor.words),
            periods=PERIODS,
            places=await self._making.run(self._browse.places, principal),
            directions=DIRECTIONS,
        )


def _asked(query: str) -> dict[str, str]:
    require_short(query.encode("utf-8", "surrogatepass"))
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=40)
    except ValueError:
        raise BadRequest(to_translate("The address cannot be read.")) from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadRequest(to_translate("The address gives a parameter more than once."))
    asked = {name: value.strip() for name, value in found.items() if value.strip()}
    if "from" in asked:
        # The form sends both; days that somebody typed are what they want.
        asked.pop("period", None)
    return asked


def _file(report: Report, form: str) -> bytes:
    if form == "pdf":
        paper = io.BytesIO()
        write_pdf(
            report.table, paper, zone=report.zone, headline=report.headline, chart=report.chart
        )
        return paper.getvalue()
    if form == "xlsx":
        with tempfile.TemporaryDirectory(prefix="callreel-report-") as folder:
            path = Path(folder) / "report.xlsx"
            write_xlsx(report.table, path, zone=report.zone)
            return path.read_bytes()
    text = io.StringIO(newline="")
    for_spreadsheets = form == "csv-spreadsheet"
    write_csv(report.table, text, for_spreadsheets=for_spreadsheets, zone=report.zone)
    return text.getvalue().encode()


_Shown = tuple[str, str | None]
"""What a cell says, and where its calls are."""


def _rows(report: Report, words: Words) -> list[list[_Shown]]:
    columns = report.table.columns
    return [
        [
            (_said(column, cell, report.zone, words), _address(links.get(column.key), words))
            for column, cell in zip(columns, cells, strict=True)
        ]
        for cells, links in zip(report.table.rows, report.links, strict=True)
    ]


def _total(report: Report, words: Words) -> list[_Shown] | None:
    if report.table.total is None:
        return None
    return [
        (
            _said(column, cell, report.zone, words),
            _address(report.total_links.get(column.key), words),
        )
        for column, cell in zip(report.table.columns, report.table.total, strict=True)
    ]


def _facts(report: Report, words: Words) -> list[tuple[str, str]]:
    """What it is about: period, scope, filters."""
    facts = []
    for name, value in report.table.facts:
        said = words.catalog.worded(value)
        if name == "Period":
            said = words.period(report.period, report.zone)
        if value != "none":
            facts.append((words.catalog.translated(name), said))
    return facts


def _said(column: Column, cell: Cell, zone: ZoneInfo, words: Words) -> str:
    """A cell as the visitor reads it; files have it in English."""
    if isinstance(cell, str):
        return words.catalog.worded(cell)
    if column.kind == "count" and cell is not None and is_number(cell):
        return words.number(cell)
    if column.kind == "share" and cell is not None and is_number(cell):
        return words.catalog.share(cell)
    return shown(column.kind, cell, zone)


def _address(link: Link | None, words: Words) -> str | None:
    """Where the calls of a number are."""
    if link is None:
        return None
    if "call" in link:
        return f"/calls/{link['call']}"
    values: dict[str, str] = {}
    if "during" in link:
        values["during"] = str(link["during"])
    elif "since" in link:
        values["from"] = words.minute(int(link["since"]))
        values["to"] = words.minute(int(link["until"]))
    names = {value.value: name for name, value in DIRECTIONS.items()}
    for key, value in link.items():
        if key == "dir":
            values["dir"] = names[str(value)]
        elif key not in {"since", "until", "during", "outside"}:
            values[key] = str(value)
    pairs = [*values.items()]
    if "outside" in link:
        pairs += [("dir", name) for name in DIRECTIONS if name != "internal"]
    return f"/calls?{urlencode(pairs)}"
