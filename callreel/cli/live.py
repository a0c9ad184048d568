"""``callreel live``: a switch's events while they come. Options: docs/imports.md."""

from __future__ import annotations

from pathlib import Path

import click

from callreel.bootstrap import open_base, system_clock
from callreel.cli.import_events import columns_option, folded, naming_options
from callreel.cli.import_options import zone_of, zone_options
from callreel.cli.imports import stopped_by_signals
from callreel.cli.options import data_option, plain_errors, settings_of
from callreel.flows.ongoing import Ongoing
from callreel.flows.switch import SwitchSignals
from callreel.importers.heard import EventOptions
from callreel.importers.legs import LIVE_KINDS
from callreel.importers.live import LiveFeed, LiveTally
from callreel.importers.tail import STANDARD_INPUT, Tail


@click.command("live")
@plain_errors
@click.argument("kind", type=click.Choice(sorted(LIVE_KINDS)))
@click.argument(
    "source",
    default=STANDARD_INPUT,
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
)
@click.option(
    "--follow", is_flag=True, help="Read on where a file ends now, also after its rotation."
)
@naming_options
@columns_option
@zone_options
@data_option
@click.option(
    "--datasource", default="1", show_default=True, help="The feed that its calls are imported as."
)
def live_command(  # noqa: PLR0913 - an option each
    *,
    kind: str,
    source: Path,
    zone: str | None,
    data_dir: Path,
    datasource: str,
    internal_digits: int,
    columns: str,
    mask_names: tuple[str, ...],
    unmask_names: tuple[str, ...],
    follow: bool,
) -> None:
    """Show calls in progress, and take mute on and off, from the events of Asterisk or FreeSWITCH.

    Reads standard input, or SOURCE, until it ends, or until SIGTERM or Ctrl-C.
    """
    options = EventOptions(
        clock=system_clock,
        datasource=datasource,
        timezone=None if zone is None else zone_of(zone),
        mask_names=folded(mask_names),
        unmask_names=folded(unmask_names),
        columns=tuple(columns.split(",")) if columns else (),
        internal_digits=internal_digits,
    )
    tally = LiveTally()
    settings = settings_of(data_dir)
    base = open_base(settings)
    try:
        with stopped_by_signals() as stop:
            feed = LiveFeed(
                Ongoing(base.db, system_clock, age_ms=settings.server.ongoing_ms),
                SwitchSignals(base.db, base.keys, system_clock),
                stop,
            )
            tail = Tail(source, stop, follow=follow)
            for problem in feed.run(kind, tail, options, tally, actor="command"):
                click.echo(f"{problem.result.value}: {problem.origin}: {problem.reason}", err=True)
    finally:
        click.echo(tally.line(), err=True)
        base.close()
