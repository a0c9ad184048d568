"""``callreel lease``: who listens by an integrator's link, and the end of it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import click

from callreel.bootstrap import open_base, system_clock
from callreel.cli.options import data_option, plain_errors, settings_of
from callreel.db import audit, leases
from callreel.errors import BadRequest, NotFound
from callreel.wire import iso_instant

_NAME = re.compile(r"[0-9a-f]{16}", re.ASCII)


@click.group("lease")
def lease_group() -> None:
    """Players that were opened by an integrator's link."""


@lease_group.command("list")
@data_option
@plain_errors
def lease_list(data_dir: Path) -> None:
    """List those that are open, newest first: who made the link, for whom, until when."""
    base = open_base(settings_of(data_dir))
    try:
        with base.db.read() as conn:
            for listed in leases.open_ones(conn, system_clock()):
                lease = listed.lease
                cells = (
                    lease.name,
                    listed.username,
                    lease.label,
                    lease.recording_id,
                    iso_instant(lease.created_at),
                    iso_instant(lease.seen_at),
                    iso_instant(lease.ends_at),
                    "file" if lease.download else "listen",
                )
                click.echo("\t".join(cells))
    finally:
        base.close()


@lease_group.command("revoke")
@data_option
@click.argument("lease")
@plain_errors
def lease_revoke(data_dir: Path, lease: str) -> None:
    """End the lease LEASE: within a second no more sound leaves for it."""
    if _NAME.fullmatch(lease) is None:
        raise BadRequest("LEASE: give the name that 'callreel lease list' shows.")
    base = open_base(settings_of(data_dir))
    try:
        with base.db.write() as conn:
            recording_id = leases.end(conn, lease)
            if recording_id is None:
                raise NotFound(f"There is no lease {lease!r}, or it is over.")
            entry = audit.command_entry(system_clock(), "lease.revoke", recording_id)
            audit.append(conn, replace(entry, detail={"lease": lease}))
        click.echo(f"{lease}: revoked.")
    finally:
        base.close()
