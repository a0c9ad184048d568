"""Commands for web users and their API keys."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from sqlalchemy import Connection

from callreel.access.identity import hash_api_key, hash_password, make_api_key, make_password
from callreel.bootstrap import open_base, system_clock
from callreel.cli.options import data_option, plain_errors, settings_of
from callreel.db import audit, directory, users
from callreel.errors import BadRequest
from callreel.model import Role, Scope

password_option = click.option(
    "--password-stdin",
    is_flag=True,
    help="Read the password from standard input; without it one is made and shown once.",
)


@contextmanager
def _changing(data_dir: Path, action: str, name: str) -> Iterator[Connection]:
    """A write transaction that also holds the audit row of the command."""
    base = open_base(settings_of(data_dir))
    try:
        with base.db.write() as conn:
            yield conn
            audit.append(conn, audit.command_entry(system_clock(), action, name))
    finally:
        base.close()


def _new_password(from_stdin: bool) -> tuple[str, str]:
    """A password's hash, and what to tell about it."""
    password = sys.stdin.readline().rstrip("\r\n") if from_stdin else make_password()
    try:
        hashed = hash_password(password)
    except ValueError as error:
        raise BadRequest(f"password: {error}.") from None
    return hashed, "" if from_stdin else f"Password (shown this once): {password}"


@click.group("user")
def user_group() -> None:
    """Web users: add, change, disable, list."""


@user_group.command("add")
@data_option
@click.argument("username")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@click.option("--site", "site_names", multiple=True, help="A site they may reach; may be repeated.")
@click.option(
    "--group", "group_names", multiple=True, metavar="SITE/GROUP", help="A group they may reach."
)
@click.option("--everything", is_flag=True, help="They may reach every site.")
@password_option
@plain_errors
def user_add(
    data_dir: Path,
    username: str,
    role: str,
    site_names: tuple[str, ...],
    group_names: tuple[str, ...],
    everything: bool,
    password_stdin: bool,
) -> None:
    """Add the web user USERNAME. Without --site and --group they reach everything."""
    if everything and (site_names or group_names):
        raise click.UsageError("--everything goes without --site and --group.")
    hashed, told = _new_password(password_stdin)
    with _changing(data_dir, "user.add", username) as conn:
        reach = Scope(
            everything=not (site_names or group_names),
            site_ids=frozenset(directory.find_site(conn, name).id for name in site_names),
            group_ids=frozenset(directory.find_group(conn, name) for name in group_names),
        )
        users.add_user(conn, username, Role(role), hashed, reach, system_clock())
    click.echo(f"Added {username} ({role}).")
    if told:
        click.echo(told)


@user_group.command("passwd")
@data_option
@click.argument("username")
@password_option
@plain_errors
def user_passwd(data_dir: Path, username: str, password_stdin: bool) -> None:
    """Give USERNAME a new password; the old one stops at once."""
    hashed, told = _new_password(password_stdin)
    with _changing(data_dir, "user.passwd", username) as conn:
        users.set_password(conn, username, hashed)
    click.echo(told or f"The password of {username} is changed.")


def _simple(
    action: str, help_text: str, change: Callable[[Connection, str], None]
) -> click.Command:
    @click.command(action, help=help_text)
    @data_option
    @click.argument("username")
    @plain_errors
    def command(data_dir: Path, username: str) -> None:
        with _changing(data_dir, f"user.{action}", username) as conn:
            change(conn, username)
        click.echo(f"{username}: {action}d.")

    return command


user_group.add_command(
    _simple(
        "disable",
        "Shut USERNAME out at once: logins, API keys and tokens.",
        lambda conn, name: users.disable(conn, name, system_clock()),
    )
)
user_group.add_command(_simple("enable", "Let USERNAME in again.", users.enable))


@user_group.command("list")
@data_option
@plain_errors
def user_list(data_dir: Path) -> None:
    """List the web users."""
    base = open_base(settings_of(data_dir))
    try:
        with base.db.read() as conn:
            for user in users.list_users(conn):
                reach = sorted(user.reach.site_ids | user.reach.group_ids)
                click.echo(
                    f"{user.username}\t{user.role.value}\t"
                    f"{'everything' if user.reach.everything else ', '.join(reach)}\t"
                    f"{'disabled' if user.disabled else 'active'}"
                )
    finally:
        base.close()


@click.group("key")
def key_group() -> None:
    """API keys of web users."""


@key_group.command("add")
@data_option
@click.argument("username")
@click.option("--label", default="", help="What it is for.")
@plain_errors
def key_add(data_dir: Path, username: str, label: str) -> None:
    """Make an API key for USERNAME; it is shown once."""
    secret = make_api_key()
    with _changing(data_dir, "key.add", username) as conn:
        key_id = users.add_key(conn, username, hash_api_key(secret), label, system_clock())
    click.echo(f"Key {key_id} (shown this once): {secret}")


@key_group.command("revoke")
@data_option
@click.argument("key_id")
@plain_errors
def key_revoke(data_dir: Path, key_id: str) -> None:
    """End the API key KEY_ID at once."""
    with _changing(data_dir, "key.revoke", key_id) as conn:
        users.revoke_key(conn, key_id, system_clock())
    click.echo(f"{key_id}: revoked.")


@key_group.command("list")
@data_option
@plain_errors
def key_list(data_dir: Path) -> None:
    """List the API keys; never their secrets."""
    base = open_base(settings_of(data_dir))
    try:
        with base.db.read() as conn:
            for key in users.list_keys(conn):
                state = "revoked" if key.disabled else "active"
                click.echo(f"{key.id}\t{key.username}\t{key.label}\t{state}")
    finally:
        base.close()
