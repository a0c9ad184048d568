"""The machine that measures, what is installed on it, and how busy others keep it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path

PROGRAMS = {
    "nginx": "nginx",
    "ffmpeg": "ffmpeg",
    "wrk": "wrk",
    "cc": "gcc and libc6-dev",
    "taskset": "util-linux",
    "openssl": "openssl",
}
"""Each program that some benchmark needs, and the Debian packages that bring it."""
_BUSY_S = 0.5
_CORES = sorted(os.sched_getaffinity(0))
_LIBRARIES = (
    "callreel", "uvicorn", "uvloop", "httptools", "starlette", "fastapi", "sqlalchemy", "psycopg",
    "numpy", "lameenc", "soundfile", "av",
)  # fmt: skip


def require_programs() -> None:
    """End with the names of the packages where a program is missing."""
    missing = [package for name, package in PROGRAMS.items() if shutil.which(name) is None]
    if missing:
        raise SystemExit(f"The benchmarks need these Debian packages: {', '.join(missing)}.")


def cores() -> list[int]:
    """The cores that this process could use as it began."""
    return _CORES


def facts() -> dict[str, object]:
    """Machine and versions, for the results."""
    return {
        "cores": len(cores()),
        "model": _model(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
        "python": platform.python_version(),
        "load": [round(each, 2) for each in os.getloadavg()],
        "versions": {
            **{name: importlib.metadata.version(name) for name in _LIBRARIES},
            "nginx": _first_line("nginx", "-v").rpartition("/")[2],
            "ffmpeg": _first_line("ffmpeg", "-version").removeprefix("ffmpeg version "),
            "wrk": _first_line("wrk", "-v").partition(" [")[0].removeprefix("wrk "),
        },
    }


def busy_share() -> float:
    """How much of all cores others use now, 0 to 1, while this process waits."""
    before = _jiffies()
    time.sleep(_BUSY_S)
    busy, whole = (now - then for now, then in zip(_jiffies(), before, strict=True))
    return busy / max(1, whole)


def _jiffies() -> tuple[int, int]:
    fields = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return sum(fields) - idle, sum(fields)


def _model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _first_line(program: str, option: str) -> str:
    path = shutil.which(program)
    if path is None:
        return "missing"
    told = subprocess.run([path, option], capture_output=True, text=True, check=False)  # noqa: S603  # found by us
    return (told.stdout + told.stderr).splitlines()[0].partition(" Copyright")[0].strip()
