"""A demo that is built once for all tests of this folder; those that change it copy it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from callreel.demo.build import build_demo
from callreel.settings import load_settings


@pytest.fixture(scope="session")
def built_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a finished build. Read only."""
    data_dir = tmp_path_factory.mktemp("demo") / "data"
    data_dir.mkdir()
    build_demo(load_settings(data_dir, {}), lambda _count, _total: None)
    return data_dir


@pytest.fixture
def demo_copy(built_demo: Path, tmp_path: Path) -> Path:
    """A data folder of this test's own; the sound in it is shared with the build by hard links."""
    data_dir = tmp_path / "data"
    shutil.copytree(built_demo, data_dir, ignore=shutil.ignore_patterns("store"))
    shutil.copytree(built_demo / "store", data_dir / "store", copy_function=os.link)
    return data_dir
