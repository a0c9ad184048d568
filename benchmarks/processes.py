"""Processes that a benchmark starts: pinned, looked at, and always ended."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_TICKS = os.sysconf("SC_CLK_TCK")
_END_S = 30.0


@dataclass(frozen=True, slots=True)
class Running:
    """A process of ours with its children."""

    process: subprocess.Popen[bytes]
    log: Path

    def cpu_s(self) -> float:
        """Seconds of CPU that it and its living children took so far."""
        return sum(map(_cpu_s, tree(self.process.pid)))

    def memory(self) -> dict[str, int]:
        """Bytes of all of them: ``rss``, ``pss``, and ``anonymous``, which no file stands for."""
        total = {"rss": 0, "pss": 0, "anonymous": 0}
        for pid in tree(self.process.pid):
            for name, size in _memory(pid).items():
                total[name] += size
        return total


def environment(**more: str) -> dict[str, str]:
    """This environment without proxies and settings of ours."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("CALLREEL_") and not name.lower().endswith("_proxy")
    }
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def pinned(command: Sequence[str], cores: Sequence[int]) -> list[str]:
    """The command, kept to some cores."""
    return ["taskset", "-c", ",".join(map(str, cores)), *command]


def run(command: Sequence[str], *, text_in: str = "", env: Mapping[str, str] | None = None) -> str:
    """Run a program to its end and give what it wrote.

    Raises:
        SystemExit: It failed; with what it said.
    """
    done = subprocess.run(  # noqa: S603  # benchmarks run programs
        command,
        input=text_in,
        env=dict(env or environment()),
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:6])} … failed:\n{done.stderr[-2000:]}")
    return done.stdout


@contextlib.contextmanager
def started(
    command: Sequence[str], log: Path, *, env: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """A process until the block ends; what it writes goes to ``log``."""
    with log.open("ab") as writing:
        process = subprocess.Popen(  # noqa: S603  # as above
            command, stdout=writing, stderr=writing, cwd=ROOT, env=dict(env or environment())
        )
    try:
        yield Running(process, log)
    finally:
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(running: Running, is_there: Callable[[], bool], within_s: float = 60.0) -> None:
    """Return once something is there.

    Raises:
        SystemExit: The process ended, or it took too long; with the end of its log.
    """
    deadline = time.monotonic() + within_s
    while not is_there():
        if running.process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"It does not answer:\n{running.log.read_text()[-2000:]}")
        time.sleep(0.005)


def answers(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        open_now = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [each.getsockname()[1] for each in open_now]


def tree(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += tree(int(child))
    return found


def _cpu_s(pid: int) -> float:
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS
    return 0.0


def _memory(pid: int) -> dict[str, int]:
    names = {"Rss:": "rss", "Pss:": "pss", "Anonymous:": "anonymous"}
    found = {}
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            key, _, rest = line.partition(" ")
            if key in names:
                found[names[key]] = int(rest.split()[0]) * 1024
    return found
