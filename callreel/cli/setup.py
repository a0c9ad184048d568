"""Commands that set an installation up: ``init``, ``migrate``, ``site``."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import click

from callreel.access.keys import create_key_file
from callreel.access.policy import COMMAND
from callreel.audio.fill import fill_of
from callreel.audio.fill_file import read_fill_file
from callreel.bootstrap import open_base, people_of, prepare_database, system_clock
from callreel.cli.options import data_option, plain_errors, settings_of
from callreel.cli.retention import told_days
from callreel.db import audit, directory, key_presses, users
from callreel.errors import ConfigurationError
from callreel.flows.people import Rights
from callreel.model import Fill, Role, Scope
from callreel.settings import Settings, is_plain_origin


def make_folder(data_dir: Path) -> None:
    """Make a data folder that only its owner enters; an existing one is left as it is.

    Raises:
        ConfigurationError: It cannot be made or written.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot make the data folder {data_dir}: {error.strerror}."
        ) from error
    if not os.access(data_dir, os.W_OK | os.X_OK):
        raise ConfigurationError(f"The data folder {data_dir} cannot be written.")


def initialise(settings: Settings) -> None:
    """Make keys and schema where they are missing; harmless when they are there."""
    if not settings.key_file.exists():
        create_key_file(settings.key_file)
    _tell_of_reader(prepare_database(settings))


def _tell_of_reader(there: bool) -> None:
    if not there:
        click.echo(
            "callreel: there is no role callreel_read for integrators' SQL, and this user of the "
            "database may not make it. Somebody who may: CREATE ROLE callreel_read NOLOGIN; "
            "then run 'callreel migrate'.",
            err=True,
        )


@click.command("init")
@data_option
@click.option("--admin", "admin_name", default="admin", help="Name of the first administrator.")
@plain_errors
def init_command(data_dir: Path, admin_name: str) -> None:
    """Make keys, the database and the first administrator, whose password is shown once."""
    make_folder(data_dir)
    settings = settings_of(data_dir)
    initialise(settings)
    base = open_base(settings)
    try:
        with base.db.read() as conn:
            if users.list_users(conn):
                raise ConfigurationError(
                    f"{data_dir} is set up already; use 'callreel user add' or 'passwd'."
                )
        rights = Rights(Role.ADMINISTRATOR, Scope(everything=True))
        added = people_of(base).add(COMMAND, admin_name, rights)
    finally:
        base.close()
    click.echo(f"Ready: {data_dir}")
    click.echo(f"Administrator: {admin_name}")
    click.echo(f"Password (shown this once): {added.password}")
    click.echo(f"Start with: callreel serve --data {data_dir}")


@click.command("migrate")
@data_option
@plain_errors
def migrate_command(data_dir: Path) -> None:
    """Bring the database to the schema of this version."""
    _tell_of_reader(prepare_database(settings_of(data_dir)))
    click.echo("The database has the schema of this version.")


@click.group("site")
def site_group() -> None:
    """Sites: their default voicelocation and how they mask."""


@site_group.command("list")
@data_option
@plain_errors
def site_list(data_dir: Path) -> None:
    """List the sites and their settings."""
    base = open_base(settings_of(data_dir))
    try:
        with base.db.read() as conn:
            for site in directory.list_sites(conn):
                longest = (
                    "no maximum" if site.max_span_s is None else f"at most {site.max_span_s} s"
                )
                click.echo(
                    f"{site.id}\t{site.name}\tvoicelocation {site.default_voicelocation or '1'}\t"
                    f"pad {site.pad_s} s\t{longest}\tsettle {site.settle_s} s\t"
                    f"fill {_told(site.fill)}\t"
                    f"burn in {_told_hours(site.burn_in_after_s)}\tkeys {site.key_presses}\t"
                    f"{told_days(site.retention_days)}\t{site.timezone}"
                )
    finally:
        base.close()


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
    base = open_base(settings_of(data_dir))
    try:
        with base.db.write() as conn:
            site = directory.find_site(conn, site_name)
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
            changed = replace(
                site,
                fill=chosen,
                name=site.name if name is None else name,
                default_voicelocation=voicelocation or site.default_voicelocation,
                pad_s=site.pad_s if pad is None else pad,
                max_span_s=site.max_span_s if max_span is None else (max_span or None),
                settle_s=site.settle_s if settle is None else settle,
                burn_in_after_s=_seconds_after(site.burn_in_after_s, burn_in_after),
                retention_days=_days(site.retention_days, retention_days),
                key_presses=key_presses_policy or site.key_presses,
            )
            directory.set_site(conn, changed)
            location = changed.default_voicelocation or directory.DEFAULT_VOICELOCATION
            directory.ensure_voicelocation(conn, location, directory.DEFAULT_STORE)
            if echo_url is not None:
                directory.set_echo_url(conn, location, echo_url or None)
            audit.append(conn, audit.command_entry(system_clock(), "site.set", site.id))
    finally:
        base.close()
