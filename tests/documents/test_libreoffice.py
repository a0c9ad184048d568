"""Hostile cells opened by the real program that people open them with. Source: threats.md T37."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from zoneinfo import ZoneInfo

from callreel.documents.tables import Column, Table, write_csv, write_xlsx
from tests.documents.test_tables import HOSTILE

ZONE = ZoneInfo("Europe/London")
_CELL = re.compile(r"<table:table-cell[^>]*?(?:/>|>.*?</table:table-cell>)", re.DOTALL)


def opened(path: Path) -> list[str]:
    """The cells of a file as LibreOffice has them after it was opened, as XML."""
    profile = (path.parent / "profile").as_uri()
    converted = subprocess.run(
        [
            "soffice", f"-env:UserInstallation={profile}", "--headless", "--convert-to", "fods",
            "--outdir", str(path.parent), str(path),
        ],
        # What it keeps outside of its profile is not for two to make at once.
        env={**os.environ, "HOME": str(path.parent)},
        check=False, capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert converted.returncode == 0, converted.stderr or converted.stdout
    document = path.with_suffix(".fods").read_text(encoding="utf-8")
    return [cell for cell in _CELL.findall(document) if "office:value-type" in cell]


def table(texts: tuple[str, ...]) -> Table:
    """One column of texts."""
    rows = tuple((text,) for text in texts)
    return Table("T", (("Filters", texts[0]),), (Column("x", "X", "text"),), rows, None)


def test_a_formula_is_seen_as_one(tmp_path: Path) -> None:
    """The check itself: a file that was not protected holds a formula."""
    path = tmp_path / "bad.csv"
    path.write_text("=1+1\n")
    assert any("table:formula" in cell for cell in opened(path))


def test_no_cell_of_a_csv_for_spreadsheets_is_a_formula(tmp_path: Path) -> None:
    """Texts begin so that they stay texts."""
    path = tmp_path / "calls.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        write_csv(table(HOSTILE), file, for_spreadsheets=True, zone=ZONE)
    cells = opened(path)
    assert len(cells) >= len(HOSTILE) * 0.8
    assert not any("table:formula" in cell or "xlink:href" in cell for cell in cells)


def test_no_cell_of_a_workbook_is_a_formula(tmp_path: Path) -> None:
    """Texts are texts by their type, and none is a link."""
    path = tmp_path / "calls.xlsx"
    write_xlsx(table(HOSTILE), path, zone=ZONE)
    cells = opened(path)
    assert len(cells) >= len(HOSTILE)
    for cell in cells:
        assert "table:formula" not in cell
        assert "xlink:href" not in cell
        assert 'office:value-type="string"' in cell
