"""One report on paper: title, facts, the main number, a chart, a table, and page x of y.

The library that draws it is imported when it is first needed, as it loads native libraries.
"""

from __future__ import annotations

import html
import logging
from collections.abc import Iterator, Mapping
from typing import IO, NoReturn
from zoneinfo import ZoneInfo

from callreel.documents.cells import Cell, for_xml
from callreel.documents.shown import shown
from callreel.documents.tables import Column, Table
from callreel.errors import BadRequest, ConfigurationError
from callreel.wording import worded

MAX_PDF_ROWS = 1_000
"""Of one report on paper; drawing takes about a second for each 120."""

_MISSING = (
    "A PDF needs Pango, which is not installed here; on Debian: "
    "apt install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core"
)

_STYLE = """
@page { size: A4; margin: 16mm 14mm 18mm;
  @bottom-left { content: string(title); font: 8pt Inter, sans-serif; color: #59616b; }
  @bottom-right { content: "Page " counter(page) " of " counter(pages);
    font: 8pt Inter, sans-serif; color: #59616b; } }
html { font: 9pt/1.35 Inter, "DejaVu Sans", sans-serif; color: #17191c; }
h1 { font-size: 16pt; margin: 0 0 2mm; string-set: title content(); }
dl { margin: 0 0 3mm; color: #59616b; }
dl div { margin: 0; }
dt { display: inline; }
dt::after { content: ": "; }
dd { display: inline; margin: 0; color: #17191c; }
.main { font-size: 12pt; margin: 0 0 3mm; }
figure { margin: 0 0 4mm; }
figure svg { width: 100%; }
table { width: 100%; border-collapse: collapse; font-size: 8pt; }
thead { display: table-header-group; }
th { text-align: left; font-weight: 600; border-bottom: 0.5pt solid #17191c; }
th, td { padding: 1mm 1.5mm; vertical-align: top; overflow-wrap: anywhere; }
td { border-bottom: 0.3pt solid #dcdcd6; }
tr { break-inside: avoid; }
.number { text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
tr.total td { border-top: 0.5pt solid #17191c; border-bottom: 0; font-weight: 600; }
.none { color: #59616b; }
"""


def write_pdf(
    table: Table, file: IO[bytes], *, zone: ZoneInfo, headline: str, chart: str | None
) -> None:
    """Write a report as PDF.

    Args:
        table: Its title, facts, rows and total.
        file: Opened for writing bytes.
        zone: Where instants are told.
        headline: The main number, in words.
        chart: SVG from ``charts.py``, which goes in as it is; None for none.

    Raises:
        BadRequest: There are more than MAX_PDF_ROWS rows.
        ConfigurationError: Native libraries are missing; it names their Debian packages.
        OSError: The file cannot be written.

    Cost: memory of about 100 KB for each row.
    """
    rows: list[tuple[Cell, ...]] = []
    for row in table.rows:
        if len(rows) == MAX_PDF_ROWS:
            raise BadRequest(
                worded(
                    "The report has more than %(most)s rows, which is too much for "
                    "paper; take csv or xlsx, or a shorter period.",
                    most=str(MAX_PDF_ROWS),
                )
            )
        rows.append(row)
    page = "".join(_page(table, rows, zone, headline, chart))
    file.write(_drawn(page))


def _drawn(page: str) -> bytes:
    try:
        import weasyprint  # noqa: PLC0415  # loads native libraries, which may be missing
    except (OSError, ImportError) as error:
        raise ConfigurationError(_MISSING, why=str(error)) from error
    # It tells of styles that it does not know; nobody could do anything about them.
    logging.getLogger("weasyprint").setLevel(logging.CRITICAL)
    logging.getLogger("fontTools").setLevel(logging.CRITICAL)

    class Nothing(weasyprint.urls.URLFetcher):  # type: ignore[misc]  # it has no types
        """Fetches nothing: what is drawn brings all with it."""

        def fetch(self, url: str, headers: Mapping[str, str] | None = None) -> NoReturn:
            """Refuse; the library goes on without it."""
            del url, headers
            raise ValueError("Nothing is fetched.")

    document = weasyprint.HTML(string=page, url_fetcher=Nothing(), media_type="print")
    written = document.write_pdf()
    assert isinstance(written, bytes)  # noqa: S101  # as it is given no file to write to
    return written


def _page(
    table: Table, rows: list[tuple[Cell, ...]], zone: ZoneInfo, headline: str, chart: str | None
) -> Iterator[str]:
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_text(table.title)}'
    yield f"</title><style>{_STYLE}</style></head><body><h1>{_text(table.title)}</h1><dl>"
    for what, which in (*table.facts, ("Time zone", zone.key)):
        yield f"<div><dt>{_text(what)}</dt><dd>{_text(which)}</dd></div>"
    yield f'</dl><p class="main">{_text(headline)}</p>'
    if chart is not None:
        yield f"<figure>{chart}</figure>"
    yield "<table><thead><tr>"
    for column in table.columns:
        yield f"<th{_side(column)}>{_text(column.title)}</th>"
    yield "</tr></thead><tbody>"
    for row in rows:
        yield f"<tr>{_cells(table, row, zone)}</tr>"
    if table.total is not None and rows:
        yield f'<tr class="total">{_cells(table, table.total, zone)}</tr>'
    yield "</tbody></table>"
    if not rows:
        yield '<p class="none">There is nothing to show for this period and these filters.</p>'
    yield "</body></html>"


def _cells(table: Table, row: tuple[Cell, ...], zone: ZoneInfo) -> str:
    return "".join(
        f"<td{_side(column)}>{_text(shown(column.kind, cell, zone))}</td>"
        for column, cell in zip(table.columns, row, strict=True)
    )


def _side(column: Column) -> str:
    return "" if column.kind in {"text", "instant"} else ' class="number"'


def _text(text: str) -> str:
    return html.escape(for_xml(text), quote=True)
