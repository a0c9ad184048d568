"""A report on paper, read back from its bytes."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from callreel.documents import charts, pdf
from callreel.documents.cells import Cell
from callreel.documents.shown import length, shown
from callreel.documents.tables import Column, Kind, Table
from callreel.errors import BadRequest, ConfigurationError
from tests.documents.pdf_text import pdf_pages

LONDON = ZoneInfo("Europe/London")
COLUMNS = (Column("who", "Who", "text"), Column("calls", "Calls", "count"))


def table(rows: list[tuple[Cell, ...]], total: tuple[Cell, ...] | None = None) -> Table:
    """A small report."""
    return Table("Calls & talk", (("Period", "November 2026"),), COLUMNS, rows, total)


def written(what: Table, chart: str | None = None) -> bytes:
    """Its bytes."""
    file = io.BytesIO()
    pdf.write_pdf(what, file, zone=LONDON, headline="12 calls", chart=chart)
    return file.getvalue()


def test_paper_has_all_that_a_report_has() -> None:
    """Title, facts, main number, chart, titles, rows, total, page."""
    chart = charts.ranked_bars("x", [charts.Ranked("Priya", 12, "twelve")])
    (page,) = pdf_pages(written(table([("Priya", 12)], ("Total", 12)), chart))
    for part in (
        "Calls&talk",
        "Period:November2026",
        "Timezone:Europe/London",
        "12calls",
        "WhoCallsPriya12Total12",
        "twelve",
        "Page1of1",
    ):
        assert part in page


def test_every_page_says_which_it_is_and_repeats_the_titles() -> None:
    """So that a page that lies by itself can be read."""
    pages = pdf_pages(written(table([(f"Row {number}", number) for number in range(120)])))
    assert len(pages) > 2
    for number, page in enumerate(pages, 1):
        assert "WhoCalls" in page
        assert f"Page{number}of{len(pages)}" in page
    every = "".join(pages)
    assert all(f"Row{number}{number}" in every for number in range(120))


def test_an_empty_report_says_so_on_paper() -> None:
    """No total under nothing."""
    (page,) = pdf_pages(written(table([], ("Total", 0))))
    assert "Thereisnothingtoshow" in page
    assert "Total0" not in page


@pytest.mark.parametrize(
    "name",
    [
        "<b>bold</b>",
        "</td></tr></table><script>alert(1)</script>",
        "<style>*{display:none}</style>",
        "&lt;",
        '"><iframe src="file:///etc/passwd"></iframe>',
    ],
)
def test_names_are_written_and_not_obeyed(name: str) -> None:
    """As they are, letter by letter."""
    (page,) = pdf_pages(written(table([(name, 7)])))
    assert "".join(name.split()) + "7" in page


def test_nothing_is_read_or_fetched_for_paper(tmp_path: Path) -> None:
    """Not even where something made its way into a chart: no file, no network, no picture."""
    picture = tmp_path / "picture.svg"
    picture.write_text('<svg xmlns="http://www.w3.org/2000/svg"><text>SECRET</text></svg>')
    chart = (
        f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{picture.as_uri()}"/></svg>'
        f'<img src="{picture.as_uri()}"><img src="http://127.0.0.1:9/x.png">'
        f'<link rel="attachment" href="{picture.as_uri()}">'
    )
    made = written(table([("Priya", 1)]), chart)
    assert "SECRET" not in "".join(pdf_pages(made))
    assert b"EmbeddedFile" not in made
    assert len(made) < len(written(table([("Priya", 1)]))) + 500


def test_too_many_rows_are_refused() -> None:
    """With what to take instead."""
    rows: list[tuple[Cell, ...]] = [("x", 1)] * (pdf.MAX_PDF_ROWS + 1)
    with pytest.raises(BadRequest, match=r"more than 1000 rows.*csv or xlsx"):
        written(table(rows))


def test_a_missing_native_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its Debian package."""
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(ConfigurationError, match=r"apt install libpango-1\.0-0") as missing:
        written(table([]))
    assert missing.value.fields["why"]


def test_native_libraries_are_loaded_when_paper_is_needed() -> None:
    """A command that writes none starts without them."""
    code = "import sys, callreel.cli.main; sys.exit('weasyprint' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("kind", "cell", "told"),
    [
        ("text", "0161", "0161"),
        ("count", 1234567, "1,234,567"),
        ("count", 0, "0"),
        ("count", None, ""),
        ("seconds", 59.4, "0:59"),
        ("seconds", 59.5, "1:00"),
        ("seconds", 3725, "1:02:05"),
        ("seconds", 360000.0, "100:00:00"),
        ("seconds", float("nan"), ""),
        ("share", 0.1234, "12.3%"),
        ("instant", 1_792_886_400_000, "2026-10-25 01:00:00"),
        ("instant", 10**17, "100000000000000000"),
    ],
)
def test_cells_are_told_in_words(kind: Kind, cell: Cell, told: str) -> None:
    """In the zone that was asked for, and nothing for nothing."""
    assert shown(kind, cell, LONDON) == told


def test_half_a_second_counts_as_one() -> None:
    """As a spreadsheet rounds it."""
    assert [length(each) for each in (0.5, 1.5, 2.5)] == ["0:01", "0:02", "0:03"]
