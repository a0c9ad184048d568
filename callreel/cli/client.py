"""``callreel calls`` and ``callreel fetch``: the client library, for people and scripts."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from callreel.cli.options import plain_errors
from callreel.client import (
    AuthenticationRefused,
    BadAnswer,
    Client,
    ClientError,
    DeadlineExceeded,
    Gone,
    NotFound,
    NotReady,
    ServerUnavailable,
    Unplayable,
)
from callreel.wire import CallItem

EXIT_CODES: tuple[tuple[type[ClientError], int], ...] = (
    (ServerUnavailable, 3),
    (DeadlineExceeded, 3),
    (BadAnswer, 3),
    (AuthenticationRefused, 4),
    (NotFound, 5),
    (NotReady, 6),
    (Gone, 7),
    (Unplayable, 7),
)
"""From error to exit code, first match wins; 1 for the rest. ``docs/clients.md`` repeats it."""

EXTENSIONS = {"wav-ulaw": "wav", "wav-alaw": "wav"}
"""Formats whose file names end in something else than their own name."""

Command = Callable[..., None]


def _server_options(command: Command) -> Command:
    """Where the server is and who asks: options, environment, or the data folder of a demo."""

    @click.option("--url", envvar="CALLREEL_URL", help="Address of the web application.")
    @click.option("--user", "username", envvar="CALLREEL_USER", help="User name.")
    @click.option(
        "--data",
        "data_dir",
        envvar="CALLREEL_DATA",
        type=click.Path(file_okay=False, path_type=Path),
        help="Take address (and a demo's login) from this data folder.",
    )
    @wraps(command)
    @plain_errors
    def run(url: str | None, username: str | None, data_dir: Path | None, **rest: object) -> None:
        try:
            with _client(url, username, data_dir) as client:
                command(client=client, **rest)
        except ClientError as error:
            _fail(error)

    return run


@contextmanager
def _client(url: str | None, username: str | None, data_dir: Path | None) -> Iterator[Client]:
    demo, running = _listing(data_dir, "demo.json"), _listing(data_dir, "server.json")
    address = url or demo.get("base_url") or running.get("base_url")
    if not isinstance(address, str):
        raise click.UsageError("Where is the server? Give --url, CALLREEL_URL or --data.")
    api_key = os.environ.get("CALLREEL_API_KEY")
    if api_key and not username:
        with Client(address, api_key=api_key) as client:
            yield client
        return
    password = os.environ.get("CALLREEL_PASSWORD")
    if not username:
        username, password = _demo_login(demo)
    if not username:
        raise click.UsageError("Who asks? Give --user, or CALLREEL_API_KEY in the environment.")
    if password is None:
        password = click.prompt(f"Password of {username}", hide_input=True, err=True)
    with Client(address, username=username, password=password) as client:
        yield client


def _listing(data_dir: Path | None, name: str) -> dict[str, object]:
    """A file that a server left in its data folder; empty where it did not."""
    if data_dir is None:
        return {}
    try:
        parsed = json.loads((data_dir / name).read_text())
    except (OSError, ValueError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _demo_login(demo: dict[str, object]) -> tuple[str | None, str | None]:
    """The integrator of a demo: its password is no secret."""
    logins = demo.get("web_users")
    for login in logins if isinstance(logins, list) else []:
        if login.get("role") == "integrator":
            return str(login["username"]), str(login["password"])
    return None, None


def _exit_code(error: ClientError) -> int:
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)


def _fail(error: ClientError) -> NoReturn:
    click.echo(f"callreel: {error}", err=True)
    sys.exit(_exit_code(error))


@click.command("calls")
@click.option("--since", help="Started at this time or later (ISO 8601).")
@click.option("--to", help="Started before this time.")
@click.option("--party", help="A number on either side: whole, 0161*, *0192.")
@click.option("--ext", help="The extension.")
@click.option("--dir", "dir_", type=click.Choice(["inbound", "outbound", "internal", "unknown"]))
@click.option("--datasource", help="The feed.")
@click.option("--rec", type=click.Choice(["yes", "no"]), help="With or without a recording.")
@click.option("--mask", type=click.Choice(["yes", "no"]), help="With or without a masked span.")
@click.option("--most", type=click.IntRange(min=1), help="How many at the most.")
@click.option("--csv", "kind", flag_value="csv", help="As CSV.")
@click.option("--json", "kind", flag_value="json", help="As JSON lines.")
@_server_options
def calls_command(*, client: Client, kind: str | None, most: int | None, **filters: object) -> None:
    """List calls within your reach, newest first."""
    chosen = {name: str(value) for name, value in filters.items() if value is not None}
    items = _counted(client.search(**chosen), most)
    if kind == "json":
        for item in items:
            click.echo(json.dumps(item))
    elif kind == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(CallItem.__annotations__)
        for item in items:
            writer.writerow(_cells(item))
    else:
        _print_table(items)


def _counted(items: Iterator[CallItem], most: int | None) -> Iterator[CallItem]:
    """The first ones, with a line on a terminal that tells how many there are so far."""
    console = Console(stderr=True)
    with console.status("asking for calls") as status:
        for number, item in enumerate(items, 1):
            status.update(f"{number} calls")
            yield item
            if number == most:
                return


def _cells(item: CallItem) -> list[str]:
    values = dict(item) | {"masked_spans": json.dumps(item["masked_spans"])}
    return ["" if values[name] is None else str(values[name]) for name in CallItem.__annotations__]


def _print_table(items: Iterable[CallItem]) -> None:
    table = Table("id", "started", "s", "direction", "from", "to", "ext", "recorded", "masked")
    for item in items:
        table.add_row(
            item["id"],
            item["started_at"],
            f"{item['duration_s']:.0f}",
            item["direction"],
            item["from"],
            item["to"],
            item["extension"] or "",
            "yes" if item["recording_id"] else "",
            str(len(item["masked_spans"]) or ""),
        )
    Console(width=None if sys.stdout.isatty() else 160).print(table)


@click.command("fetch")
@click.argument("calls", nargs=-1, required=True, metavar="CALL...")
@click.option(
    "-f",
    "--format",
    "format_name",
    default="wav",
    help="wav, wav-ulaw, wav-alaw, mp3, opus, flac, m4a or webm.",
)
@click.option("--channel", type=click.Choice(["both", "left", "right", "mix"]), default="both")
@click.option("-o", "--output", default=".", help="Folder to save into; - is standard output.")
@click.option("--deadline", type=float, default=300.0, help="Seconds for each recording.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@_server_options
def fetch_command(
    *,
    client: Client,
    calls: tuple[str, ...],
    format_name: str,
    channel: str,
    output: str,
    deadline: float,
    force: bool,
) -> None:
    """Save the recordings of CALLs (ids of calls or of recordings), masked as they must be.

    Exit codes: 0 all saved; 1 several failed, or something else; 2 wrong usage; 3 no answer in
    time; 4 login refused; 5 not found; 6 not ready yet; 7 deleted or unplayable.
    """
    if output == "-" and len(calls) != 1:
        raise click.UsageError("Only one recording fits into standard output.")
    folder = Path(tempfile.mkdtemp()) if output == "-" else Path(output)
    failures: list[ClientError] = []
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise click.UsageError(f"Cannot write into {folder}: {error.strerror}.") from None
        with _bar() as bar:
            for name in calls:
                try:
                    _fetch_one(client, name, folder, format_name, channel, deadline, force, bar)
                except ClientError as error:
                    click.echo(f"callreel: {name}: {error}", err=True)
                    failures.append(error)
                except OSError as error:
                    raise click.UsageError(
                        f"Cannot write into {folder}: {error.strerror}."
                    ) from None
        if output == "-" and not failures:
            with next(folder.iterdir()).open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
    finally:
        if output == "-":
            shutil.rmtree(folder)
    if failures:
        sys.exit(_exit_code(failures[0]) if len({_exit_code(f) for f in failures}) == 1 else 1)


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )


def _fetch_one(
    client: Client,
    name: str,
    folder: Path,
    format_name: str,
    channel: str,
    deadline_s: float,
    force: bool,
    bar: Progress,
) -> None:
    recording_id = _recording_of(client, name)
    target = folder / f"call-{name}.{EXTENSIONS.get(format_name, format_name)}"
    if target.exists() and not force:
        click.echo(f"{target}: is there already; --force replaces it.", err=True)
        return
    task = bar.add_task(target.name, total=None)
    fetched = client.fetch(
        recording_id,
        target,
        format=format_name,
        channel=channel,
        deadline_s=deadline_s,
        progress=lambda done, total: bar.update(task, completed=done, total=total),
    )
    click.echo(f"{fetched.path}\t{fetched.size_bytes} bytes\tsha256 {fetched.sha256}", err=True)


def _recording_of(client: Client, name: str) -> str:
    """The recording of a call; what is no call is taken for a recording's own id."""
    try:
        item = client.call(name)
    except NotFound:
        return name
    if item["recording_id"] is None:
        raise NotFound("this call was not recorded.", code="not_recorded", status=404)
    return item["recording_id"]
