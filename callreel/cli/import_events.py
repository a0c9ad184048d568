"""``callreel import events``: signals from a switch's own events. Options: docs/imports.md."""

from __future__ import annotations

from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import click

from callreel.bootstrap import open_base, system_clock
from callreel.cli.import_options import (
    FILE,
    Command,
    ImportRun,
    report_options,
    zone_of,
    zone_options,
)
from callreel.cli.options import plain_errors, settings_of
from callreel.flows.switch import SwitchSignals
from callreel.importers.events import KINDS, Tally, read_events, run_events
from callreel.importers.heard import EventOptions, KeyRules

_NAMING = (
    click.option(
        "--internal-digits",
        default=6,
        show_default=True,
        type=click.IntRange(1, 15),
        help="A number of at most so many digits is an extension.",
    ),
    click.option(
        "--unmask-name",
        "unmask_names",
        multiple=True,
        default=("unmask",),
        show_default=True,
        metavar="NAME",
        help="An event of this name says off; may be repeated.",
    ),
    click.option(
        "--mask-name",
        "mask_names",
        multiple=True,
        default=("mask",),
        show_default=True,
        metavar="NAME",
        help="An event of this name says on; may be repeated.",
    ),
)
columns_option = click.option(
    "--columns",
    default="",
    metavar="NAMES",
    help="Of CEL lines without a header, with commas between; else as in the samples.",
)
_OF_CEL = (
    click.option("--table", default="cel", show_default=True, help="Of CEL, in SQLite."),
    columns_option,
)


def naming_options(command: Command) -> Command:
    """Give a command the options of all that reads events."""
    for option in _NAMING:
        command = option(command)
    return command


def folded(names: tuple[str, ...]) -> frozenset[str]:
    """Names of events as they are compared."""
    return frozenset(name.strip().lower() for name in names)


def _key_options(command: Command) -> Command:
    """Give a command the options about keys, as one argument ``keys``."""

    @wraps(command)
    def with_keys(
        *,
        start_keys: str,
        stop_keys: str,
        key_gap: float,
        no_keys: bool,
        **others: Any,  # noqa: ANN401 - as below
    ) -> None:
        rules = KeyRules(start_keys.upper(), stop_keys.upper(), round(key_gap * 1000))
        command(keys=None if no_keys else rules, **others)

    for option in (
        click.option(
            "--no-keys", is_flag=True, help="Leave keys alone: nobody types on and off here."
        ),
        click.option(
            "--key-gap",
            default=3.0,
            show_default=True,
            type=click.FloatRange(0.1, 60),
            metavar="SECONDS",
            help="The longest time from one key of a sequence to the next.",
        ),
        click.option(
            "--stop-keys", default="*6", show_default=True, metavar="KEYS", help="Typed to say off."
        ),
        click.option(
            "--start-keys", default="*5", show_default=True, metavar="KEYS", help="Typed to say on."
        ),
    ):
        with_keys = option(with_keys)
    return with_keys


def _form_options(command: Command) -> Command:
    """Give a command the questions about the events themselves, as one argument ``options``."""

    @wraps(command)
    def with_options(
        *,
        mask_names: tuple[str, ...],
        unmask_names: tuple[str, ...],
        columns: str,
        table: str,
        internal_digits: int,
        zone: str | None,
        **others: Any,  # noqa: ANN401 - whatever else the command has, click checked it
    ) -> None:
        options = EventOptions(
            clock=system_clock,
            timezone=None if zone is None else zone_of(zone),
            mask_names=folded(mask_names),
            unmask_names=folded(unmask_names),
            columns=tuple(columns.split(",")) if columns else (),
            table=table,
            internal_digits=internal_digits,
        )
        command(options=options, **others)

    for option in (*_NAMING, *_OF_CEL):
        with_options = option(with_options)
    return with_options


@click.command("events")
@plain_errors
@click.argument("kind", type=click.Choice(sorted(KINDS)))
@click.argument("files", nargs=-1, required=True, type=FILE)
@_form_options
@_key_options
@zone_options
@report_options
def events_command(
    run: ImportRun,
    kind: str,
    files: tuple[Path, ...],
    options: EventOptions,
    keys: KeyRules | None,
) -> None:
    """Mute on and off from the events of Asterisk (CEL, AMI) or FreeSWITCH."""
    options = replace(options, datasource=run.datasource, keys=keys)
    tally = Tally()
    base = open_base(settings_of(run.data_dir))
    try:
        taker = SwitchSignals(base.db, base.keys, system_clock)
        items = read_events(kind, files, options, tally)
        run.show(run_events(items, taker, tally, actor=run.actor), also=tally.line)
    finally:
        base.close()
