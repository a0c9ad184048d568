"""Reports as files, for jobs and schedules; each kind of report is a ``making.Kind`` of its own.

Parameters: those of the report, as it takes them from an address, and ``format`` (one of FORMATS).
"""

from __future__ import annotations

from pathlib import Path

from callreel.access.policy import Action
from callreel.db.database import Database
from callreel.documents.pdf import write_pdf
from callreel.documents.tables import write_csv, write_xlsx
from callreel.errors import BadRequest
from callreel.flows.making import Kind, Made, Order, Parameters
from callreel.flows.report_kinds import shape
from callreel.flows.report_kinds.shape import Report
from callreel.flows.reports import KINDS, Reports
from callreel.periods import local
from callreel.wording import worded
from callreel.zones import zone_named

FORMATS = ("csv", "csv-spreadsheet", "xlsx", "pdf")


def report_kinds(db: Database) -> dict[str, Kind]:
    """What jobs and schedules can make of reports: ``report-agents`` and so on."""
    return {f"report-{kind.slug}": _ReportFile(db, kind) for kind in KINDS}


class _ReportFile:
    """One kind of report."""

    def __init__(self, db: Database, kind: shape.Kind) -> None:
        self._db = db
        self._kind = kind

    @property
    def action(self) -> Action:
        """See ``making.Kind``."""
        return self._kind.action

    def checked(self, parameters: Parameters) -> Parameters:
        """See ``making.Kind``; what names a place or a person is looked up when it is made."""
        known = {each.name for each in self._kind.parameters}
        for name, value in parameters.items():
            if name != "format" and name not in known:
                told = ", ".join(sorted({*known, "format"}))
                raise BadRequest(
                    worded(
                        "%(name)s: %(slug)s does not ask for it; use %(told)s.",
                        name=name[:40],
                        slug=self._kind.slug,
                        told=told,
                    )
                )
            if not isinstance(value, str):
                raise BadRequest(worded("%(name)s: not a text.", name=name))
        if "zone" in parameters:
            zone_named(parameters["zone"])
        form = parameters.get("format", "pdf")
        if form not in FORMATS:
            raise BadRequest(
                worded(
                    "format: %(form)s is not one of %(known)s.",
                    form=repr(form),
                    known=", ".join(FORMATS),
                )
            )
        return {**parameters, "format": form}

    def make(self, order: Order) -> Made:
        """See ``making.Kind``."""
        asked = {name: str(value) for name, value in order.parameters.items() if name != "format"}
        order.heed(0, None)
        # Yesterday is the day before the one it was made for, however late that is.
        report = Reports(self._db, lambda: order.at).make(order.principal(), self._kind.slug, asked)
        rows = len(report.links)
        order.heed(0, rows)
        form = str(order.parameters["format"])
        suffix = "csv" if form.startswith("csv") else form
        day = local(order.at, report.zone).date().isoformat()
        path = order.folder / f"{self._kind.slug}-{day}.{suffix}"
        _write(report, form, path)
        order.heed(rows, rows)
        return Made(path, rows, f"{report.title}, {report.period.words}")


def _write(report: Report, form: str, path: Path) -> None:
    if form == "xlsx":
        write_xlsx(report.table, path, zone=report.zone)
    elif form == "pdf":
        with path.open("xb") as file:
            write_pdf(
                report.table, file, zone=report.zone, headline=report.headline, chart=report.chart
            )
    else:
        with path.open("x", encoding="utf-8", newline="") as text:
            for_spreadsheets = form == "csv-spreadsheet"
            write_csv(report.table, text, for_spreadsheets=for_spreadsheets, zone=report.zone)
