"""The ``callreel`` command: every group of subcommands in one list."""

from __future__ import annotations

import click

from callreel import __version__
from callreel.cli.burn import burn_in_command, hold_group, mask_group
from callreel.cli.client import calls_command, fetch_command
from callreel.cli.demo import demo_command
from callreel.cli.directory import channel_group, datasource_group, extension_group, group_group
from callreel.cli.export import export_command
from callreel.cli.imports import import_group, watch_command
from callreel.cli.leases import lease_group
from callreel.cli.live import live_command
from callreel.cli.places import store_group, voicelocation_group
from callreel.cli.prove import prove_command
from callreel.cli.report import report_command
from callreel.cli.retention import retention_group
from callreel.cli.schedules import jobs_command, schedule_group
from callreel.cli.serve import serve_command
from callreel.cli.setup import init_command, migrate_command
from callreel.cli.sites import site_group
from callreel.cli.users import key_group, user_group

COMMANDS: tuple[click.Command, ...] = (
    init_command,
    serve_command,
    migrate_command,
    user_group,
    key_group,
    site_group,
    datasource_group,
    group_group,
    extension_group,
    channel_group,
    voicelocation_group,
    store_group,
    import_group,
    watch_command,
    live_command,
    calls_command,
    fetch_command,
    prove_command,
    export_command,
    report_command,
    burn_in_command,
    hold_group,
    mask_group,
    lease_group,
    jobs_command,
    schedule_group,
    retention_group,
    demo_command,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="callreel")
def main() -> None:
    """Find, serve and protect recordings of telephone calls."""


for _command in COMMANDS:
    main.add_command(_command)
