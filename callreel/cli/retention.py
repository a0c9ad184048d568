"""Commands that show how long recordings are kept, and delete those that are too old."""

from __future__ import annotations

from pathlib import Path

import click

from callreel.bootstrap import open_workshop
from callreel.cli.options import data_option, plain_errors, settings_of
from callreel.errors import Unavailable
from callreel.wire import iso_instant

_MIB = 1 << 20


@click.group("retention")
def retention_group() -> None:
    """How long recordings are kept: 'callreel site set SITE --retention-days' says it."""


@retention_group.command("show")
@data_option
@plain_errors
def retention_show(data_dir: Path) -> None:
    """Tell how long each site keeps recordings, and what it has of them."""
    opened = open_workshop(settings_of(data_dir))
    try:
        for each in opened.retention.keeping():
            oldest = "none" if each.oldest_at is None else f"since {iso_instant(each.oldest_at)}"
            click.echo(
                f"{each.site_id}\t{each.name}\t{told_days(each.retention_days)}\t"
                f"{each.recordings} recordings\t{each.size_bytes / _MIB:.1f} MiB\t{oldest}"
            )
        left = opened.retention.left()
    finally:
        opened.close()
    if left:
        click.echo(f"Deleted and not erased yet: {left}.")


@retention_group.command("preview")
@data_option
@plain_errors
def retention_preview(data_dir: Path) -> None:
    """Tell what would be deleted now; nothing is changed."""
    opened = open_workshop(settings_of(data_dir))
    try:
        total = 0
        for each in opened.retention.keeping():
            total += each.expired
            if each.retention_days is not None:
                click.echo(
                    f"{each.site_id}\t{each.name}\t{told_days(each.retention_days)}\t"
                    f"{each.expired} of {each.recordings} recordings\t"
                    f"{each.expired_bytes / _MIB:.1f} MiB"
                )
    finally:
        opened.close()
    click.echo(f"To be deleted: {total}.")


@retention_group.command("run")
@data_option
@plain_errors
def retention_run(data_dir: Path) -> None:
    """Delete what is older than its site keeps it. There is no way back."""
    opened = open_workshop(settings_of(data_dir))
    deleted = erased = 0
    try:
        while True:
            done = opened.retention.once("command")
            deleted += done.deleted
            erased += done.erased
            if not done.deleted:
                break
        left = opened.retention.left()
    finally:
        opened.close()
    click.echo(f"Deleted: {deleted}. Erased for good: {erased}.")
    if left:
        click.echo(
            f"Still to be erased: {left}; run it again in a minute, when no render of them can be "
            "being made, or let the server do it."
        )
    if done.away:
        stores = ", ".join(f"{store_id} ({why})" for store_id, why in sorted(done.away.items()))
        raise Unavailable(f"Stores that could not erase: {stores}.")


def told_days(days: int | None) -> str:
    """A retention in words."""
    return "kept for ever" if days is None else f"kept {days} days"
