"""What every benchmark is given: how large, how often, where, on which cores."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.calls import FULL, SMALL, Calls, calls
from benchmarks.clients import Load
from benchmarks.machine import cores
from benchmarks.nginx import Nginx, nginx
from benchmarks.ours import make_certificate


@dataclass(frozen=True, slots=True)
class Bench:
    """One run."""

    cache: Path
    """Kept from run to run."""
    work: Path
    """Emptied after the run."""
    rows: int
    """Calls in the databases that are searched."""
    rounds: int
    small: bool
    """Only to see that it works: short calls, few readers."""

    @property
    def seconds(self) -> float:
        """How long one side is asked in one round."""
        return 0.4 if self.small else 2.0

    @property
    def server_core(self) -> list[int]:
        """Of a server that is kept to one."""
        return cores()[:1]

    @property
    def client_core(self) -> list[int]:
        """Of those who ask it."""
        return cores()[1:2] or cores()[:1]

    @property
    def both_cores(self) -> list[int]:
        """Of what may use both."""
        return cores()[:2]

    @property
    def load(self) -> Load:
        """Those who ask."""
        return Load(self.cache, self.client_core, self.seconds)

    def some(self, many: int, few: int) -> int:
        """A number for a full run, and for a small one."""
        return few if self.small else many

    def calls(self) -> Calls:
        """The calls of this size."""
        return calls(self.cache, SMALL if self.small else FULL)

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """A folder of one benchmark, removed afterwards."""
        folder = Path(tempfile.mkdtemp(dir=self.work))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def certificate(self) -> tuple[Path, Path]:
        """Certificate and key."""
        return make_certificate(self.cache)

    @contextlib.contextmanager
    def nginx(self, files: Path, folder: Path) -> Iterator[Nginx]:
        """Serve a folder by nginx, on the server's core."""
        with nginx(files, folder, self.server_core, self.certificate()) as running:
            yield running
