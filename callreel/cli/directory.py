"""Commands for what a site holds: datasources, groups, extensions, channels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

import click

from callreel.access.policy import COMMAND
from callreel.bootstrap import Base, system_clock
from callreel.cli.options import data_option, opened, plain_errors
from callreel.db.entries import Channel, Datasource, DirectoryUser, Filter, Group
from callreel.errors import NotFound
from callreel.flows.directory import Directory
from callreel.flows.sites import Sites

PAGE = 500
_Item_co = TypeVar("_Item_co", covariant=True)
site_argument = click.argument("site_name", metavar="SITE")
in_site_option = click.option("--site", "site_name", help="Only of this site (its id or name).")
find_option = click.option("--find", "text", help="Only those whose name holds this text.")


class _Page(Protocol[_Item_co]):
    @property
    def items(self) -> tuple[_Item_co, ...]:
        """The rows of a page."""

    @property
    def next(self) -> str | None:
        """The cursor of the next page."""


_Item = TypeVar("_Item")


def _all(ask: Callable[[str | None], _Page[_Item]]) -> Iterator[_Item]:
    """Every row of a list, page by page."""
    after = None
    while True:
        page = ask(after)
        yield from page.items
        after = page.next
        if after is None:
            return


def _filter(base: Base, site_name: str | None, text: str | None) -> Filter:
    return Filter(text, None if site_name is None else _site(base, site_name))


def _site(base: Base, site_name: str) -> str:
    return Sites(base.db, system_clock).site(COMMAND, site_name).id


@click.group("datasource")
def datasource_group() -> None:
    """Datasources: feeds of calls, and the sites that they feed."""


@datasource_group.command("list")
@data_option
@plain_errors
def datasource_list(data_dir: Path) -> None:
    """List the datasources."""
    with opened(data_dir) as base:
        after = None
        while True:
            items, after = Sites(base.db, system_clock).datasources(
                COMMAND, limit=PAGE, after=after
            )
            for each in items:
                click.echo(f"{each.id}\tsite {each.site_id}")
            if after is None:
                return


@datasource_group.command("set")
@data_option
@click.argument("datasource")
@site_argument
@plain_errors
def datasource_set(data_dir: Path, datasource: str, site_name: str) -> None:
    """Let DATASOURCE feed SITE; one that has calls already stays where it is."""
    with opened(data_dir) as base:
        wanted = Datasource(datasource, _site(base, site_name))
        Sites(base.db, system_clock).set_datasource(COMMAND, wanted)
    click.echo(f"{wanted.id}\tsite {wanted.site_id}")


@click.group("group")
def group_group() -> None:
    """Groups of the users of a site."""


@group_group.command("list")
@data_option
@in_site_option
@find_option
@plain_errors
def group_list(data_dir: Path, site_name: str | None, text: str | None) -> None:
    """List groups and how many users each has."""
    with opened(data_dir) as base:
        flow, wanted = Directory(base.db, system_clock), _filter(base, site_name, text)
        members = flow.groups(COMMAND, limit=1).members
        for each in _all(lambda after: flow.groups(COMMAND, wanted, limit=PAGE, after=after)):
            click.echo(f"{each.site_id}/{each.name}\t{members.get(each.id, 0)} users\t{each.id}")


@group_group.command("add")
@data_option
@site_argument
@click.argument("name", metavar="GROUP")
@plain_errors
def group_add(data_dir: Path, site_name: str, name: str) -> None:
    """Make GROUP in SITE."""
    with opened(data_dir) as base:
        group = Directory(base.db, system_clock).add_group(COMMAND, _site(base, site_name), name)
    click.echo(f"{group.site_id}/{group.name}")


@group_group.command("rename")
@data_option
@site_argument
@click.argument("name", metavar="GROUP")
@click.argument("new_name", metavar="NEW")
@plain_errors
def group_rename(data_dir: Path, site_name: str, name: str, new_name: str) -> None:
    """Call GROUP of SITE NEW; who reaches it goes on reaching it."""
    with opened(data_dir) as base:
        flow = Directory(base.db, system_clock)
        group = flow.find(COMMAND, Group, _site(base, site_name), name)
        renamed = flow.rename_group(COMMAND, group.id, new_name, seen=group.name)
    click.echo(f"{renamed.site_id}/{renamed.name}")


@group_group.command("remove")
@data_option
@site_argument
@click.argument("name", metavar="GROUP")
@plain_errors
def group_remove(data_dir: Path, site_name: str, name: str) -> None:
    """Remove GROUP of SITE, where nobody is in it and no web user reaches it."""
    with opened(data_dir) as base:
        flow = Directory(base.db, system_clock)
        group = flow.find(COMMAND, Group, _site(base, site_name), name)
        flow.remove_group(COMMAND, group.id)
    click.echo(f"{group.site_id}/{group.name}: removed.")


@click.group("extension")
def extension_group() -> None:
    """Extensions: who is behind them, and which group they are in."""


@extension_group.command("list")
@data_option
@in_site_option
@click.option("--group", "group_name", metavar="GROUP", help="Only of this group; needs --site.")
@click.option("--find", "text", help="Only where the name holds it or the extension begins so.")
@plain_errors
def extension_list(
    data_dir: Path, site_name: str | None, group_name: str | None, text: str | None
) -> None:
    """List extensions by the names of their users."""
    if group_name is not None and site_name is None:
        raise click.UsageError("--group goes with --site.")
    with opened(data_dir) as base:
        flow, wanted = Directory(base.db, system_clock), _filter(base, site_name, text)
        if group_name is not None and wanted.site_id is not None:
            group = flow.find(COMMAND, Group, wanted.site_id, group_name)
            wanted = replace(wanted, group_id=group.id)
        names = {
            each.id: each.name
            for each in _all(lambda after: flow.groups(COMMAND, limit=PAGE, after=after))
        }
        for each in _all(lambda after: flow.users(COMMAND, wanted, limit=PAGE, after=after)):
            group_told = "no group" if each.group_id is None else names[each.group_id]
            click.echo(f"{each.site_id}\t{each.extension}\t{each.name}\t{group_told}")


@extension_group.command("set")
@data_option
@site_argument
@click.argument("extension")
@click.option("--name", help="Who is behind it.")
@click.option("--group", "group_name", metavar="GROUP", help="A group of SITE; '' for none.")
@plain_errors
def extension_set(
    data_dir: Path, site_name: str, extension: str, name: str | None, group_name: str | None
) -> None:
    """Say who is behind EXTENSION of SITE; made where it is new. What is not given stays."""
    with opened(data_dir) as base:
        flow, site_id = Directory(base.db, system_clock), _site(base, site_name)
        group_id = flow.find(COMMAND, Group, site_id, group_name).id if group_name else None
        try:
            seen = flow.find(COMMAND, DirectoryUser, site_id, extension)
        except NotFound:
            new = DirectoryUser("", site_id, group_id, extension, name or extension)
            user = flow.add_user(COMMAND, new)
        else:
            wanted = replace(
                seen,
                name=seen.name if name is None else name,
                group_id=seen.group_id if group_name is None else group_id,
            )
            user = flow.change_user(COMMAND, wanted, seen=seen)
    click.echo(f"{user.site_id}\t{user.extension}\t{user.name}")


@extension_group.command("remove")
@data_option
@site_argument
@click.argument("extension")
@plain_errors
def extension_remove(data_dir: Path, site_name: str, extension: str) -> None:
    """Remove EXTENSION of SITE, where it has neither calls nor signals."""
    with opened(data_dir) as base:
        flow = Directory(base.db, system_clock)
        user = flow.find(COMMAND, DirectoryUser, _site(base, site_name), extension)
        flow.remove_user(COMMAND, user.id)
    click.echo(f"{user.site_id}\t{user.extension}: removed.")


@click.group("channel")
def channel_group() -> None:
    """Channels: lines and devices of a site, as its switch names them."""


@channel_group.command("list")
@data_option
@in_site_option
@find_option
@plain_errors
def channel_list(data_dir: Path, site_name: str | None, text: str | None) -> None:
    """List channels."""
    with opened(data_dir) as base:
        flow, wanted = Directory(base.db, system_clock), _filter(base, site_name, text)
        for each in _all(lambda after: flow.channels(COMMAND, wanted, limit=PAGE, after=after)):
            click.echo(f"{each.site_id}\t{each.name}")


@channel_group.command("add")
@data_option
@site_argument
@click.argument("name", metavar="CHANNEL")
@plain_errors
def channel_add(data_dir: Path, site_name: str, name: str) -> None:
    """Make CHANNEL of SITE known before its first call, so that signals can name it."""
    with opened(data_dir) as base:
        channel = Directory(base.db, system_clock).add_channel(
            COMMAND, _site(base, site_name), name
        )
    click.echo(f"{channel.site_id}\t{channel.name}")


@channel_group.command("remove")
@data_option
@site_argument
@click.argument("name", metavar="CHANNEL")
@plain_errors
def channel_remove(data_dir: Path, site_name: str, name: str) -> None:
    """Remove CHANNEL of SITE, where no call and no signal names it."""
    with opened(data_dir) as base:
        flow = Directory(base.db, system_clock)
        channel = flow.find(COMMAND, Channel, _site(base, site_name), name)
        flow.remove_channel(COMMAND, channel.id)
    click.echo(f"{channel.site_id}\t{channel.name}: removed.")
