"""``python -m benchmarks``: run them, keep the raw results, write the page.

Options: ``--only NAME`` (a benchmark, or a row), ``--rows``, ``--rounds``, ``--small``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import machine, page
from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.measures import BENCHMARKS
from benchmarks.processes import ROOT

RESULTS = "results.json"
_OUT = ROOT / "build" / "bench"
_LEAST_ROUNDS = 5


def main() -> None:
    """Measure what is asked for."""
    chosen = _arguments()
    # Whoever ends us ends what we started: servers and databases.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    # Debian keeps nginx where only root looks.
    os.environ["PATH"] += f"{os.pathsep}/usr/sbin"
    machine.require_programs()
    names = _names(chosen.only)
    out: Path = chosen.out.absolute()
    work = out / f"work-{os.getpid()}"
    work.mkdir(parents=True)
    rows = chosen.rows or (10_000 if chosen.small else 1_000_000)
    rounds = chosen.rounds or (1 if chosen.small else _LEAST_ROUNDS)
    bench = Bench(out, work, rows, rounds, chosen.small)
    run = {
        "machine": machine.facts(),
        "small": chosen.small,
    }
    # The clients that are written in Python keep off the server's core as well.
    os.sched_setaffinity(0, bench.client_core)
    kept = out / ("small-" * chosen.small + RESULTS)
    try:
        for name in names:
            _tell(f"{name} …")
            figures = _measured(bench, name)
            results = page.merged(page.read(kept), run, figures)
            kept.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    is_ours = out == _OUT and not chosen.small
    told = ROOT / "docs" / "benchmarks.md" if is_ours else kept.with_suffix(".md")
    page.write(results, told)
    _tell(f"{kept}\n{told}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", help=f"one of {', '.join(BENCHMARKS)}, or a row of the page")
    parser.add_argument("--rows", type=int, help="calls to search (1000000; small: 10000)")
    parser.add_argument("--rounds", type=int, help="how often each side is measured (5; small: 1)")
    parser.add_argument("--small", action="store_true", help="only to see that everything works")
    parser.add_argument("--out", type=Path, default=_OUT, help=f"where to keep ({_OUT})")
    return parser.parse_args()


def _names(only: str | None) -> list[str]:
    found = [name for name, (_, rows) in BENCHMARKS.items() if only in {None, name, *rows}]
    if not found:
        raise SystemExit(f"There is no benchmark {only!r}: {', '.join(BENCHMARKS)}.")
    return found


def _measured(bench: Bench, name: str) -> dict[str, Any]:
    busy = machine.busy_share()
    benchmark, rows = BENCHMARKS[name]
    found = {}
    for figure in benchmark(bench):
        found[figure.name] = {
            **figure.as_json(),
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "busy": busy,
        }
        _show(figure)
    if set(found) != set(rows):
        raise AssertionError(f"{name} gave {sorted(found)}")
    return found


def _show(figure: Figure) -> None:
    told = figure.as_json()
    met = "met" if figure.is_met else "NOT MET"
    _tell(
        f"  {figure.name:20} {told['median']:12.4g} against {figure.bar.bar:g}: {met}"
        f" (ratio {told['ratio']:.3g})"
    )
    for note in figure.notes:
        _tell(f"    {note}")


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
