"""Peers on the server that Callreel runs on: uvicorn with uvloop and httptools."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import (
    Running,
    answers,
    environment,
    free_ports,
    pinned,
    started,
    wait_for,
)


@dataclass(frozen=True, slots=True)
class Peer:
    """It runs."""

    running: Running
    port: int


@contextlib.contextmanager
def peer(application: str, folder: Path, cores: Sequence[int], **env: str) -> Iterator[Peer]:
    """An application of this package until the block ends.

    Args:
        application: Module and name, as ``bare:application``.
        folder: For its log.
        cores: Where it may run.
        env: Of its environment.
    """
    (port,) = free_ports(1)
    words = [sys.executable, "-m", "uvicorn", f"benchmarks.peers.{application}"]
    words += ["--port", str(port), "--no-access-log", "--log-level", "warning"]
    words += ["--loop", "uvloop", "--http", "httptools"]
    with started(pinned(words, cores), folder / "peer.log", env=environment(**env)) as running:
        wait_for(running, lambda: answers(port))
        yield Peer(running, port)
