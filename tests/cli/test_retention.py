"""Commands that show how long recordings are kept, and delete what is too old."""

from __future__ import annotations

import os
import wave
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from callreel.cli.main import main

LONG_AGO = 1_700_000_000


def run(folder: Path, *arguments: str) -> Result:
    """A command on a data folder."""
    return CliRunner().invoke(main, [*arguments, "--data", str(folder)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An installation with one old recording."""
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "call.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16_000))
    os.utime(path, (LONG_AGO, LONG_AGO))
    data = tmp_path / "data"
    assert run(data, "init").exit_code == 0
    assert run(data, "import", "folder", str(tmp_path / "in")).exit_code == 0
    return data


def test_nothing_is_deleted_until_a_site_says_so(folder: Path) -> None:
    """And what would go is told before."""
    assert "kept for ever\t1 recordings" in run(folder, "retention", "show").output
    assert run(folder, "retention", "preview").output == "To be deleted: 0.\n"
    assert run(folder, "retention", "run").output == "Deleted: 0. Erased for good: 0.\n"
    (site,) = run(folder, "site", "list").output.splitlines()
    site_id = site.split("\t")[0]
    assert run(folder, "site", "set", site_id, "--retention-days", "30").exit_code == 0
    told = run(folder, "retention", "preview").output
    assert ("1 of 1 recordings" in told, "To be deleted: 1." in told) == (True, True)
    assert len(list((folder / "store").glob("??/??/*"))) == 1
    done = run(folder, "retention", "run").output
    assert done.startswith("Deleted: 1. Erased for good: 0.\nStill to be erased: 1;")
    assert list((folder / "store").glob("??/??/*")) == []
    assert "Deleted and not erased yet: 1." in run(folder, "retention", "show").output


@pytest.mark.parametrize("days", ["0", "-1", "soon", "36501"])
def test_a_number_of_days_that_means_nothing_is_refused(folder: Path, days: str) -> None:
    """Nothing is deleted by a slip."""
    site_id = run(folder, "site", "list").output.split("\t")[0]
    done = run(folder, "site", "set", site_id, "--retention-days", days)
    assert (done.exit_code, "days" in done.output) == (2, True)
    assert run(folder, "site", "set", site_id, "--retention-days", "9").exit_code == 0
    assert run(folder, "site", "set", site_id, "--retention-days", "forever").exit_code == 0
    assert run(folder, "retention", "preview").output == "To be deleted: 0.\n"
