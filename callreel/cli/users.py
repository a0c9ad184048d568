"""Commands for web users and their API keys."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from callreel.access.policy import COMMAND
from callreel.bootstrap import people_of
from callreel.cli.options import data_option, opened, plain_errors
from callreel.db import directory
from callreel.db.database import Database
from callreel.flows.people import People, Person, Rights
from callreel.model import Role, Scope

password_option = click.option(
    "--password-stdin",
    is_flag=True,
    help="Read the password from standard input; without it one is made and shown once.",
)
site_option = click.option(
    "--site", "site_names", multiple=True, help="A site they may reach; may be repeated."
)
group_option = click.option(
    "--group", "group_names", multiple=True, metavar="SITE/GROUP", help="A group they may reach."
)
everything_option = click.option("--everything", is_flag=True, help="They may reach every site.")
ROLES = click.Choice([role.value for role in Role])
PAGE = 500


@contextmanager
def _people(data_dir: Path) -> Iterator[tuple[People, Database]]:
    with opened(data_dir) as base:
        yield people_of(base), base.db


def _given_password(from_stdin: bool) -> str | None:
    return sys.stdin.readline().rstrip("\r\n") if from_stdin else None


def _told(password: str | None) -> str:
    return f"Password (shown this once): {password}"


def _reach(db: Database, site_names: tuple[str, ...], group_names: tuple[str, ...]) -> Scope:
    """What is named; everything where nothing is."""
    with db.read() as conn:
        return Scope(
            everything=not (site_names or group_names),
            site_ids=frozenset(directory.find_site(conn, name).id for name in site_names),
            group_ids=frozenset(directory.find_group(conn, name) for name in group_names),
        )


@click.group("user")
def user_group() -> None:
    """Web users: add, change, disable, list."""


@user_group.command("add")
@data_option
@click.argument("username")
@click.option("--role", type=ROLES, required=True)
@site_option
@group_option
@everything_option
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
    _require_one_reach(everything, site_names, group_names)
    password = _given_password(password_stdin)
    with _people(data_dir) as (people, db):
        rights = Rights(Role(role), _reach(db, site_names, group_names))
        added = people.add(COMMAND, username, rights, password=password)
    click.echo(f"Added {username} ({role}).")
    if added.password is not None:
        click.echo(_told(added.password))


@user_group.command("change")
@data_option
@click.argument("username")
@click.option("--role", type=ROLES, help="What they are for; their sessions end.")
@site_option
@group_option
@everything_option
@plain_errors
def user_change(
    data_dir: Path,
    username: str,
    role: str | None,
    site_names: tuple[str, ...],
    group_names: tuple[str, ...],
    everything: bool,
) -> None:
    """Change the role of USERNAME, or what they reach; what is not given stays.

    Sites and groups that are given take the place of all that they reached before.
    """
    _require_one_reach(everything, site_names, group_names)
    with _people(data_dir) as (people, db):
        person = people.person(COMMAND, username)
        reach = person.reach
        if everything or site_names or group_names:
            reach = _reach(db, site_names, group_names)
        seen = Rights(person.role, person.reach)
        wanted = Rights(Role(role) if role else person.role, reach)
        changed = people.change(COMMAND, person.id, wanted, seen=seen)
    click.echo(_line(changed))


def _require_one_reach(
    everything: bool, site_names: tuple[str, ...], group_names: tuple[str, ...]
) -> None:
    if everything and (site_names or group_names):
        raise click.UsageError("--everything goes without --site and --group.")


@user_group.command("passwd")
@data_option
@click.argument("username")
@password_option
@plain_errors
def user_passwd(data_dir: Path, username: str, password_stdin: bool) -> None:
    """Give USERNAME a new password; the old one stops at once."""
    password = _given_password(password_stdin)
    with _people(data_dir) as (people, _):
        made = people.new_password(COMMAND, username, password=password)
    click.echo(f"The password of {username} is changed." if made is None else _told(made))


def _switch(action: str, help_text: str, *, enabled: bool) -> click.Command:
    @click.command(action, help=help_text)
    @data_option
    @click.argument("username")
    @plain_errors
    def command(data_dir: Path, username: str) -> None:
        with _people(data_dir) as (people, _):
            people.set_enabled(COMMAND, username, enabled=enabled)
        click.echo(f"{username}: {action}d.")

    return command


_DISABLE = "Shut USERNAME out at once: logins, API keys and tokens."
user_group.add_command(_switch("disable", _DISABLE, enabled=False))
user_group.add_command(_switch("enable", "Let USERNAME in again.", enabled=True))


@user_group.command("list")
@data_option
@plain_errors
def user_list(data_dir: Path) -> None:
    """List the web users."""
    with _people(data_dir) as (people, _):
        after = None
        while True:
            page = people.page(COMMAND, limit=PAGE, after=after)
            for person in page.items:
                click.echo(_line(person))
            after = page.next
            if after is None:
                return


def _line(person: Person) -> str:
    reach = ", ".join(sorted(person.reach.site_ids | person.reach.group_ids))
    return (
        f"{person.username}\t{person.role.value}\t"
        f"{'everything' if person.reach.everything else reach}\t"
        f"{'disabled' if person.disabled else 'active'}"
    )


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
    with _people(data_dir) as (people, _):
        made = people.add_key(COMMAND, username, label)
    click.echo(f"Key {made.id} (shown this once): {made.secret}")


@key_group.command("revoke")
@data_option
@click.argument("key_id")
@plain_errors
def key_revoke(data_dir: Path, key_id: str) -> None:
    """End the API key KEY_ID at once."""
    with _people(data_dir) as (people, _):
        people.revoke_key(COMMAND, key_id)
    click.echo(f"{key_id}: revoked.")


@key_group.command("list")
@data_option
@plain_errors
def key_list(data_dir: Path) -> None:
    """List the API keys; never their secrets."""
    with _people(data_dir) as (people, _):
        for key in people.keys(COMMAND):
            state = "revoked" if key.disabled else "active"
            click.echo(f"{key.id}\t{key.username}\t{key.label}\t{state}")
