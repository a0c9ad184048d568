"""Commands for stores and voicelocations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from callreel.access.policy import COMMAND
from callreel.bootstrap import Base, places_of
from callreel.cli.options import data_option, opened, plain_errors
from callreel.db.directory import DEFAULT_STORE, Voicelocation
from callreel.errors import NotFound


@click.group("voicelocation")
def voicelocation_group() -> None:
    """Voicelocations: who serves their recordings, and where new ones are kept."""


@voicelocation_group.command("list")
@data_option
@plain_errors
def voicelocation_list(data_dir: Path) -> None:
    """List the voicelocations."""
    with opened(data_dir) as base:
        for each in places_of(base).voicelocations(COMMAND):
            click.echo(_line(each))


@voicelocation_group.command("add")
@data_option
@click.argument("voicelocation")
@click.option("--echo-url", help="Public address of its Echo; ours where it is not given.")
@click.option("--store", "store_id", default=DEFAULT_STORE, help="Where its recordings are kept.")
@plain_errors
def voicelocation_add(
    data_dir: Path, voicelocation: str, echo_url: str | None, store_id: str
) -> None:
    """Make VOICELOCATION known before its first recording."""
    with opened(data_dir) as base:
        wanted = Voicelocation(voicelocation, echo_url or None, store_id)
        click.echo(_line(places_of(base).add_voicelocation(COMMAND, wanted)))


@voicelocation_group.command("set")
@data_option
@click.argument("voicelocation")
@click.option("--echo-url", help="Public address of its Echo; '' for ours.")
@click.option("--store", "store_id", help="Where its new recordings are kept.")
@plain_errors
def voicelocation_set(
    data_dir: Path, voicelocation: str, echo_url: str | None, store_id: str | None
) -> None:
    """Change VOICELOCATION; what is not given stays, and so does what is stored."""
    with opened(data_dir) as base:
        click.echo(_line(set_place(base, voicelocation, echo_url=echo_url, store_id=store_id)))


def set_place(
    base: Base, voicelocation: str, *, echo_url: str | None = None, store_id: str | None = None
) -> Voicelocation:
    """Change a voicelocation; an empty address stands for our own Echo.

    Raises:
        NotFound: There is no such voicelocation, or no such store.
        BadRequest: The address or the store cannot be used.
    """
    places = places_of(base)
    for seen in places.voicelocations(COMMAND):
        if seen.id == voicelocation:
            wanted = replace(
                seen,
                echo_url=seen.echo_url if echo_url is None else (echo_url or None),
                store_id=store_id or seen.store_id,
            )
            return places.change_voicelocation(COMMAND, wanted, seen=seen)
    raise NotFound(f"There is no voicelocation {voicelocation!r}.")


def _line(each: Voicelocation) -> str:
    return f"{each.id}\t{each.echo_url or 'our own Echo'}\tstore {each.store_id}"


@click.group("store")
def store_group() -> None:
    """Stores: folders that recordings are kept in."""


@store_group.command("list")
@data_option
@plain_errors
def store_list(data_dir: Path) -> None:
    """List the stores, folders that are referred to in place as well."""
    with opened(data_dir) as base:
        for each in places_of(base).stores(COMMAND):
            click.echo(f"{each.id}\t{each.uri}\t{'in place' if each.read_only else 'ours'}")


@store_group.command("add")
@data_option
@click.argument("store_id", metavar="STORE")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@plain_errors
def store_add(data_dir: Path, store_id: str, folder: Path) -> None:
    """Add FOLDER, which must be empty, as the store STORE.

    'voicelocation set --store STORE' sends new recordings there.
    """
    with opened(data_dir) as base:
        store = places_of(base).add_store(COMMAND, store_id, folder.absolute())
    click.echo(f"{store.id}\t{store.uri}")
