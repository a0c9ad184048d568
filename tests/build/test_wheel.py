"""The wheel: what `pip install callreel` brings along."""

from __future__ import annotations

import email
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """The wheel, built from the tree as it stands."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as opened:
        yield opened


def test_it_holds_every_module_and_every_file_of_data(wheel: zipfile.ZipFile) -> None:
    """Modules, migrations, speech and the marker of types; a file left out would be missed late."""
    ours = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "callreel").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert ours <= set(wheel.namelist())
    for needed in (
        "callreel/py.typed",
        "callreel/demo/speech/index.json",
        "callreel/web/locale/de.po",
    ):
        assert needed in ours
    assert any(name.startswith("callreel/db/migrations/versions/") for name in ours)
    assert sum(name.endswith(".flac") for name in ours) >= 12


def test_it_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    """No tests, tools, caches or data of whoever built it."""
    for name in wheel.namelist():
        assert name.startswith(("callreel/", "callreel-")), name
        assert "__pycache__" not in name


def test_it_says_what_it_is(wheel: zipfile.ZipFile) -> None:
    """Name, licence, Python and extras are in the metadata; the command is there."""
    info = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = email.message_from_bytes(wheel.read(info))
    assert metadata["Name"] == "callreel"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert set(metadata.get_all("Provides-Extra") or ()) == {"all", "ffmpeg", "postgres"}
    entry_points = wheel.read(info.replace("METADATA", "entry_points.txt")).decode()
    assert "callreel = callreel.cli.main:main" in entry_points
    assert any(name.endswith("/licenses/LICENSE") for name in wheel.namelist())
