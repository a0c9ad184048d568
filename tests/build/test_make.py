"""What `make` promises to somebody who has just cloned the repository."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("run.txt", "dev.txt")
PROGRAMS = frozenset(
    "mcs mono node curl chromium soffice nginx ffmpeg wrk cc taskset openssl".split()  # noqa: SIM905  # as the script has it
)
"""Whose packages `tools/test-programs.sh` looks after."""


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make as a newcomer would, without what the make around the tests has set."""
    environment = {key: value for key, value in os.environ.items() if "MAKE" not in key}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with what make itself reads, and no virtual environment."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    return tmp_path


def python_that(folder: Path, script: str) -> Path:
    """An interpreter that behaves as a shell script says."""
    path = folder / "python-stand-in"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_help_lists_what_can_be_run() -> None:
    """`make help` names every documented target, and is what plain `make` says."""
    told = make(ROOT, "help").stdout
    for target in ("run", "test", "check", "fix", "bench", "docs", "clean"):
        assert re.search(rf"^make {target} ", told, re.MULTILINE), target
    assert make(ROOT).stdout == told


def test_a_missing_python_is_told_in_one_line(clone: Path) -> None:
    """Whoever has no such interpreter reads what to give instead."""
    told = make(clone, "run", "PYTHON=no-such-python")
    assert told.returncode != 0
    assert "There is no 'no-such-python'" in told.stdout
    assert "PYTHON=" in told.stdout
    assert len(told.stdout.splitlines()) == 1


def test_an_old_python_is_told_in_one_line(clone: Path) -> None:
    """Python before 3.11 is refused by its version, not by a traceback."""
    pretend = "import sys; sys.version_info = (3, 10, 14); exec(sys.argv[1])"
    old = python_that(
        clone,
        f"""[ "$1" = --version ] && echo Python 3.10.14 && exit
        exec '{sys.executable}' -c '{pretend}' "$2" """,
    )
    told = make(clone, "run", f"PYTHON={old}")
    assert told.returncode != 0
    assert "Python 3.10.14" in told.stdout
    assert "3.11 or newer" in told.stdout
    assert len(told.stdout.splitlines()) == 1


def test_a_python_without_venv_is_told_in_one_line(clone: Path) -> None:
    """Debian's python3 comes without ensurepip; the package to install is named."""
    bare = python_that(clone, 'case "$2" in *ensurepip*) exit 1 ;; *) exit 0 ;; esac')
    told = make(clone, "run", f"PYTHON={bare}")
    assert told.returncode != 0
    assert "python3-venv" in told.stdout
    assert len(told.stdout.splitlines()) == 1


def test_continuous_integration_runs_the_test_command_and_nothing_else() -> None:
    """`.ci/run` is `make test`, so that what a developer runs is what is checked."""
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith(("#", "set ", "cd "))]
    assert commands == ["exec make test"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_every_package_by_hash_and_names_no_host(name: str) -> None:
    """What is installed is what was tested, from wherever it is fetched."""
    text = (ROOT / "requirements" / name).read_text()
    packages = re.findall(r"^[a-z0-9].*", text, re.MULTILINE)
    assert len(packages) > 30
    for package in packages:
        assert re.match(r"[a-z0-9._-]+==[^ ]+ (;.* )?\\$", package), package
    assert "://" not in text
    assert "index" not in text.replace("indexed", "")
    assert "/" not in re.sub(r"#.*", "", text)


def test_the_two_locks_agree() -> None:
    """What runs in production is what the tests ran with."""
    run, dev = (
        dict(
            re.findall(r"^([a-z0-9._-]+==\S+ ?[^\\]*)\\\n((?:    --hash.*\n)+)", text, re.MULTILINE)
        )
        for text in ((ROOT / "requirements" / name).read_text() for name in LOCKS)
    )
    assert run
    assert run.items() <= dev.items()


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """A PATH without the programs of the tests; stand-ins are put beside."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def stand_in(folder: Path, name: str, script: str) -> None:
    """A program that does what a shell script says."""
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def find_programs(path: Path) -> subprocess.CompletedProcess[str]:
    """Run the script that `make test` looks for programs with."""
    return subprocess.run(
        ["/bin/sh", str(ROOT / "tools" / "test-programs.sh")],
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_missing_programs_are_named_where_they_cannot_be_installed(bare_path: Path) -> None:
    """Who is not root reads which Debian packages to ask for, and the run fails."""
    stand_in(bare_path, "id", "echo 1000")
    stand_in(bare_path, "curl", "exit 0")
    told = find_programs(bare_path)
    assert told.returncode == 1
    for package in ("mono-mcs", "mono-runtime", "nodejs", "libmono-system-core4.0-cil"):
        assert package in told.stderr
    assert " curl" not in told.stderr


def test_root_gets_missing_programs_installed(bare_path: Path) -> None:
    """Only what is missing, without questions."""
    asked = bare_path / "asked"
    stand_in(bare_path, "id", "echo 0")
    stand_in(bare_path, "apt-get", f'echo "$@" >> {asked}')
    for present in sorted(PROGRAMS - {"node"}):
        stand_in(bare_path, present, "exit 0")
    assert find_programs(bare_path).returncode == 0
    assert asked.read_text().split() == ["install", "-qq", "--no-install-recommends", "nodejs"]


def test_nothing_is_installed_where_every_program_is_there(bare_path: Path) -> None:
    """No package manager is touched."""
    for present in sorted(PROGRAMS):
        stand_in(bare_path, present, "exit 0")
    stand_in(bare_path, "apt-get", "exit 9")
    assert find_programs(bare_path).returncode == 0
