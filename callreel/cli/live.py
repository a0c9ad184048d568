"""``callreel live``: a switch's events while they come. Options: docs/imports.md."""

from __future__ import annotations

from pathlib import Path

import click

from callreel.bootstrap import open_base, system_clock
from callreel.cli.import_events import folded, naming_options
from callreel.cli.import_options import zone_of, zone_options
from callreel.cli.options import data_option, plain_errors, settings_of
from callreel.flows.ongoing import Ongoing
from callreel.flows.switch import SwitchSignals
from callreel.importers.heard import EventOptions
from callreel.importers.legs import LIVE_KINDS
from callreel.importers.live import LiveFeed, LiveTally

STANDARD_INPUT = Path("/dev/stdin")


@click.command("live")
@plain_errors
@click.argument("kind", type=click.Choice(sorted(LIVE_KINDS)))
@click.argument(
    "source",
    default=STANDARD_INPUT,
    type=click.Path(dir_okay=False, path_type=Path),
)
@naming_options
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
    mask_names: tuple[str, ...],
    unmask_names: tuple[str, ...],
) -> None:
    """Show calls in progress, and take mute on and off, from the events of Asterisk or FreeSWITCH.

    Reads standard input, or SOURCE, until it ends.
    """
    options = EventOptions(
        clock=system_clock,
        datasource=datasource,
        timezone=None if zone is None else zone_of(zone),
        mask_names=folded(mask_names),
        unmask_names=folded(unmask_names),
        internal_digits=internal_digits,
    )
    tally = LiveTally()
    base = open_base(settings_of(data_dir))
    try:
        taker = SwitchSignals(base.db, base.keys, system_clock)
        feed = LiveFeed(Ongoing(base.db, system_clock), taker)
        for problem in feed.run(kind, source, options, tally, actor="command"):
            click.echo(f"{problem.result.value}: {problem.origin}: {problem.reason}", err=True)
    finally:
        click.echo(tally.line(), err=True)
        base.close()
