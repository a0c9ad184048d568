"""Commands for sites and their settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from callreel.access.policy import COMMAND
from callreel.audio.fill import fill_of
from callreel.audio.fill_file import read_fill_file
from callreel.bootstrap import system_clock
from callreel.cli.options import data_option, opened, plain_errors
from callreel.cli.places import set_place
from callreel.cli.retention import told_days
from callreel.db import directory, key_presses
from callreel.db.directory import Site
from callreel.flows.sites import Sites
from callreel.model import Fill
from callreel.wire import is_plain_origin


@click.group("site")
def site_group() -> None:
    """Sites: their default voicelocation and how they mask."""


@site_group.command("add")
@data_option
@click.argument("site_id", metavar="SITE")
@click.option("--name", help="What people call it; SITE where it is not given.")
@plain_errors
def site_add(data_dir: Path, site_id: str, name: str | None) -> None:
    """Make the site SITE, before its first call; 'site set' changes its settings."""
    with opened(data_dir) as base:
        site = Sites(base.db, system_clock).add(COMMAND, site_id, name)
    click.echo(_line(site))


@site_group.command("list")
@data_option
@plain_errors
def site_list(data_dir: Path) -> None:
    """List the sites and their settings."""
    with opened(data_dir) as base:
        for site in Sites(base.db, system_clock).sites(COMMAND):
            click.echo(_line(site))


def _line(site: Site) -> str:
    longest = "no maximum" if site.max_span_s is None else f"at most {site.max_span_s} s"
    return (
        f"{site.id}\t{site.name}\tvoicelocation {site.default_voicelocation or '1'}\t"
        f"pad {site.pad_s} s\t{longest}\tsettle {site.settle_s} s\t"
        f"fill {_told(site.fill)}\t"
        f"burn in {_told_hours(site.burn_in_after_s)}\tkeys {site.key_presses}\t"
        f"{told_days(site.retention_days)}\t{site.timezone}"
    )


def _seconds_after(known: float | None, given: str | None) -> float | None:
    if given is None:
        return known
    if given == "never":
        return None
    try:
        return float(given) * 3600
    except ValueError:
        raise click.UsageError(
            f"--burn-in-after: {given!r} is not a number of hours, nor 'never'."
        ) from None


def _days(known: int | None, given: str | None) -> int | None:
    if given is None:
        return known
    if given == "forever":
        return None
    try:
        return int(given)
    except ValueError:
        raise click.UsageError(
            f"--retention-days: {given!r} is not a number of days, nor 'forever'."
        ) from None


def _told_hours(seconds: float | None) -> str:
    return "never" if seconds is None else f"after {seconds / 3600:g} h"


def _told(fill: Fill) -> str:
    if fill.kind == "tone":
        return f"tone {fill.hz:g} Hz {fill.dbfs:g} dBFS"
    if fill.kind == "file":
        return f"file {len(fill.samples) / 2 / fill.rate_hz:.2f} s"
    return fill.kind


@site_group.command("set")
@data_option
@click.argument("site_name", metavar="SITE")
@click.option("--name", help="What people call it.")
@click.option("--timezone", help="Such as Europe/London; reports and lists use it.")
@click.option("--voicelocation", help="Used where a call names none.")
@click.option("--echo-url", help="Public address of the Echo of that voicelocation; '' for ours.")
@click.option("--pad", type=float, help="Seconds added on each side of a span from signals.")
@click.option("--max-span", type=float, help="Seconds an unpaired 'mute on' masks; 0 for no end.")
@click.option("--settle", type=float, help="Seconds a recording waits for late signals.")
@click.option(
    "--burn-in-after",
    metavar="HOURS",
    help="Burn masks in so long after a recording is ready; 'never' for only when told.",
)
@click.option(
    "--retention-days",
    metavar="DAYS",
    help="Delete recordings so many days after their last call; 'forever' keeps them.",
)
@click.option(
    "--key-presses",
    "key_presses_policy",
    type=click.Choice(key_presses.POLICIES),
    help="Keys heard in new recordings: ignore them, list them for a person, mask them at once.",
)
@click.option(
    "--fill",
    type=click.Choice(["tone", "silence"]),
    help="What is written over what is masked.",
)
@click.option("--fill-hz", type=float, help="Frequency of the tone, 100 to 3400 Hz.")
@click.option("--fill-dbfs", type=float, help="Level of the tone, -60 to -6 dBFS.")
@click.option(
    "--fill-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A WAV of 0.1 to 10 s that is written over what is masked, again and again.",
)
@plain_errors
def site_set(  # noqa: PLR0913, PLR0917  # one for each option of the command
    data_dir: Path,
    site_name: str,
    name: str | None,
    timezone: str | None,
    voicelocation: str | None,
    echo_url: str | None,
    pad: float | None,
    max_span: float | None,
    settle: float | None,
    burn_in_after: str | None,
    retention_days: str | None,
    key_presses_policy: str | None,
    fill: str | None,
    fill_hz: float | None,
    fill_dbfs: float | None,
    fill_file: Path | None,
) -> None:
    """Change the settings of SITE (its id or name); what is not given stays."""
    if echo_url and not is_plain_origin(echo_url):
        raise click.UsageError(
            f"--echo-url: {echo_url!r} is not an address such as https://echo.example"
        )
    if fill_file is not None and (fill, fill_hz, fill_dbfs) != (None, None, None):
        raise click.UsageError("--fill-file goes without --fill, --fill-hz and --fill-dbfs.")
    own = None if fill_file is None else read_fill_file(fill_file)
    with opened(data_dir) as base:
        sites = Sites(base.db, system_clock)
        site = sites.site(COMMAND, site_name)
        if own is not None:
            chosen = own
        elif (fill, fill_hz, fill_dbfs) != (None, None, None):
            chosen = fill_of(
                fill or "tone",
                site.fill.hz if fill_hz is None else fill_hz,
                site.fill.dbfs if fill_dbfs is None else fill_dbfs,
            )
        else:
            chosen = site.fill
        wanted = replace(
            site,
            fill=chosen,
            name=site.name if name is None else name,
            timezone=timezone or site.timezone,
            default_voicelocation=voicelocation or site.default_voicelocation,
            pad_s=site.pad_s if pad is None else pad,
            max_span_s=site.max_span_s if max_span is None else (max_span or None),
            settle_s=site.settle_s if settle is None else settle,
            burn_in_after_s=_seconds_after(site.burn_in_after_s, burn_in_after),
            retention_days=_days(site.retention_days, retention_days),
            key_presses=key_presses_policy or site.key_presses,
        )
        changed = sites.change(COMMAND, wanted, seen=site)
        if echo_url is not None:
            place = changed.default_voicelocation or directory.DEFAULT_VOICELOCATION
            set_place(base, place, echo_url=echo_url)
