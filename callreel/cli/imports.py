"""``callreel import …`` and ``callreel watch``. Options and exit codes: docs/imports.md."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

import click

from callreel.cli.import_events import events_command
from callreel.cli.import_options import (
    FILE,
    FOLDER,
    PATH,
    Exchange,
    ImportRun,
    Sidecars,
    exchange_options,
    import_options,
    patience_options,
    sidecar_options,
)
from callreel.cli.options import plain_errors
from callreel.errors import BadInput
from callreel.importers.asterisk import STANDARD_MONITOR, AsteriskOptions, read_asterisk
from callreel.importers.asterisk_rows import read_rows
from callreel.importers.csvmap import read_mapped
from callreel.importers.folder import FolderOptions, read_folder
from callreel.importers.freeswitch import STANDARD_RECORDINGS, FreeSwitchOptions, read_freeswitch
from callreel.importers.freeswitch_rows import TEMPLATES
from callreel.importers.mapping import load_mapping
from callreel.importers.monitor import MonitorTree
from callreel.importers.stability import Patience
from callreel.importers.watch import FolderWatch, WatchOptions


@click.group("import")
def import_group() -> None:
    """Bring in calls and recordings of other systems; may run beside the server, and again."""


import_group.add_command(events_command)


@import_group.command("asterisk")
@plain_errors
@click.argument("records", type=FILE)
@click.option("--monitor", type=FOLDER, help="Folder of the recordings, searched to its depth.")
@click.option("--table", default="cdr", show_default=True, help="Name of the table, in SQLite.")
@click.option(
    "--recorded-under",
    default=STANDARD_MONITOR,
    show_default=True,
    help="What absolute names in the records begin with, where --monitor was moved.",
)
@exchange_options
@patience_options
@import_options
def asterisk_command(
    run: ImportRun,
    records: Path,
    monitor: Path | None,
    exchange: Exchange,
    table: str,
    recorded_under: str,
    patience: Patience,
) -> None:
    """Call records of Asterisk or FreePBX: Master.csv, a CSV export, or SQLite."""
    options = AsteriskOptions(
        timezone=exchange.timezone,
        datasource=run.datasource,
        voicelocation=run.voicelocation,
        internal_digits=exchange.internal_digits,
        contexts=exchange.contexts,
        recorded_under=recorded_under,
        in_place=run.in_place,
    )
    tree = None if monitor is None else MonitorTree(monitor.resolve())
    run.bring_in(read_asterisk(partial(read_rows, records, table), tree, options), patience)


@import_group.command("csv")
@plain_errors
@click.argument("records", type=FILE)
@click.option("--mapping", required=True, type=FILE, help="What the columns mean, in TOML.")
@click.option("--recordings", type=FOLDER, help="Folder of the recordings.")
@patience_options
@import_options
def csv_command(
    run: ImportRun, records: Path, mapping: Path, recordings: Path | None, patience: Patience
) -> None:
    """Call records in any CSV or JSON lines, by a mapping file."""
    checked = load_mapping(mapping)
    root = recordings or checked.recordings_root
    items = read_mapped(
        records,
        checked,
        recordings=None if root is None else root.resolve(),
        datasource=run.datasource,
        voicelocation=run.voicelocation,
        in_place=run.in_place,
    )
    run.bring_in(items, patience)


def _folder_options(run: ImportRun, sidecars: Sidecars) -> FolderOptions:
    return FolderOptions(
        datasource=run.datasource,
        voicelocation=run.voicelocation,
        timezone=sidecars.timezone,
        in_place=run.in_place,
        require_sidecar=sidecars.required,
    )


@import_group.command("folder")
@plain_errors
@click.argument("folder", type=FOLDER)
@sidecar_options
@patience_options
@import_options
def folder_command(run: ImportRun, folder: Path, sidecars: Sidecars, patience: Patience) -> None:
    """Files of sound, each with an optional side-car name.json."""
    options = _folder_options(run, sidecars)
    items = list(read_folder(folder.resolve(), options))
    run.bring_in(iter(items), patience, total=len(items))


@import_group.command("freeswitch")
@plain_errors
@click.argument("records", nargs=-1, required=True, type=PATH)
@click.option("--recordings", type=FOLDER, help="Folder of the recordings.")
@click.option(
    "--template",
    default="example",
    show_default=True,
    help=f"Template of cdr_csv ({', '.join(TEMPLATES)}), or its columns with commas between.",
)
@click.option(
    "--recorded-under",
    default=STANDARD_RECORDINGS,
    show_default=True,
    help="What absolute names in the records begin with, where --recordings was moved.",
)
@exchange_options
@patience_options
@import_options
def freeswitch_command(
    run: ImportRun,
    records: tuple[Path, ...],
    recordings: Path | None,
    exchange: Exchange,
    template: str,
    recorded_under: str,
    patience: Patience,
) -> None:
    """Call records of FreeSWITCH or FusionPBX: cdr_csv, json_cdr, xml_cdr; files or folders."""
    options = FreeSwitchOptions(
        timezone=exchange.timezone,
        datasource=run.datasource,
        voicelocation=run.voicelocation,
        columns=_template(template),
        internal_digits=exchange.internal_digits,
        contexts=exchange.contexts,
        recorded_under=recorded_under,
        in_place=run.in_place,
    )
    tree = None if recordings is None else MonitorTree(recordings.resolve())
    run.bring_in(read_freeswitch(records, tree, options), patience)


def _template(text: str) -> tuple[str, ...]:
    columns = TEMPLATES.get(text) or tuple(name.strip() for name in text.split(","))
    if not {"uuid", "start_stamp"} <= set(columns):
        raise BadInput(
            f"--template {text!r} is not known ({', '.join(TEMPLATES)}), and as columns it lacks "
            "uuid or start_stamp"
        )
    return columns


@click.command("watch")
@plain_errors
@click.argument("folder", type=FOLDER)
@sidecar_options
@click.option(
    "--interval", default=5.0, show_default=True, type=click.FloatRange(0.1), metavar="SECONDS",
    help="From one look at the folder to the next.",
)  # fmt: skip
@click.option(
    "--stable-for", default=5.0, show_default=True, type=click.FloatRange(0), metavar="SECONDS",
    help="A file must have been left alone for so long.",
)  # fmt: skip
@click.option(
    "--quiet-for", default=60.0, show_default=True, type=click.FloatRange(0), metavar="SECONDS",
    help="A WAV file whose header does not agree with its size must be left alone for so long.",
)  # fmt: skip
@click.option("--once", is_flag=True, help="Stop after one look.")
@import_options
def watch_command(
    run: ImportRun,
    folder: Path,
    sidecars: Sidecars,
    interval: float,
    stable_for: float,
    quiet_for: float,
    *,
    once: bool,
) -> None:
    """A folder that keeps growing, by the rules of 'import folder'; ends on SIGTERM or Ctrl-C."""
    patience = Patience(stable_for, quiet_for, quiet_for, trust_header=False)
    options = WatchOptions(interval_s=interval, patience=patience, once=once)
    folder_options = _folder_options(run, sidecars)
    with stopped_by_signals() as stop, run.intake() as intake:
        watch = FolderWatch(
            folder.resolve(), folder_options, options, intake, actor=run.actor, stop=stop
        )
        run.show(watch.run())


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set, so that what is being written is finished first."""
    stop = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before: dict[signal.Signals, Callable[..., object] | int | None] = {
        number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
