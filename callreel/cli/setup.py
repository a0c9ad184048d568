"""Commands that set an installation up: ``init`` and ``migrate``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from callreel.access.keys import create_key_file
from callreel.access.policy import COMMAND
from callreel.bootstrap import open_base, people_of, prepare_database
from callreel.cli.options import data_option, plain_errors, settings_of
from callreel.db import users
from callreel.errors import ConfigurationError
from callreel.flows.people import Rights
from callreel.model import Role, Scope
from callreel.settings import Settings


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
