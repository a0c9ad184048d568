"""``callreel fetch`` and ``callreel calls``. Options and exit codes: docs/clients.md."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, cast
from urllib.parse import quote

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from callreel.cli.fetched import note_revision, revision_of
from callreel.cli.listing import FORMS, print_calls
from callreel.cli.login import Login, login_options
from callreel.client import (
    CHANNELS,
    EXTENSIONS,
    AccessRefused,
    AuthenticationRefused,
    BadRequest,
    CallFilter,
    CallItem,
    Client,
    ClientError,
    Gone,
    NotFound,
    NotReady,
    NotSaved,
    Saved,
    ServerUnavailable,
    Unplayable,
    Unreachable,
)

EXIT_CODES: tuple[tuple[type[ClientError], int], ...] = (
    (BadRequest, 2),
    (ServerUnavailable, 3),
    (AuthenticationRefused, 4),
    (AccessRefused, 4),
    (NotFound, 5),
    (NotReady, 6),
    (Gone, 7),
    (Unplayable, 7),
)
"""First match wins; 1 for the rest, and where several calls end differently."""
ADVICE: tuple[tuple[type[ClientError], str], ...] = (
    (Unreachable, "Is it started? Check --url."),
    (AuthenticationRefused, "Check --user and CALLREEL_PASSWORD, or CALLREEL_API_KEY."),
    (AccessRefused, "Ask the administrator to allow it, or use another login."),
    (NotFound, "'callreel calls' lists those within your reach."),
    (NotReady, "Try again later, or give a longer --deadline."),
    (NotSaved, "Choose another place with -o, or make room."),
)
"""What to do about an error, where its own message leaves that open."""
ENDS_ALL = (ServerUnavailable, AuthenticationRefused, BadRequest)
"""What the next call would meet as well."""

EVERY_CALL = 50
"""How many calls a table shows unless told."""


@click.command("fetch")
@click.argument("calls", nargs=-1, required=True, metavar="CALL...")
@click.option(
    "-f", "--format", "audio_format", type=click.Choice(tuple(EXTENSIONS)), default="wav",
    show_default=True, help="Of the sound.",
)  # fmt: skip
@click.option(
    "-o", "--output", "folder", type=click.Path(path_type=Path), default=Path(),
    help="Folder to save in, made if missing; - writes the one recording to standard output.",
)  # fmt: skip
@click.option("--channel", type=click.Choice(CHANNELS), default="both", show_default=True)
@click.option("--force", is_flag=True, help="Replace files that are there.")
@click.option(
    "--deadline", "deadline_s", type=click.FloatRange(min=1), default=600, show_default=True,
    help="Seconds that one recording may take.",
)  # fmt: skip
@login_options
def fetch_command(
    calls: tuple[str, ...],
    audio_format: str,
    folder: Path,
    channel: str,
    *,
    force: bool,
    deadline_s: float,
    login: Login,
) -> None:
    """Save the recordings of CALLs, which are ids of calls or of recordings.

    They are saved as call-<id>.<extension>; what is printed can be given to sha256sum -c.
    """
    order = _Order(audio_format, channel, deadline_s, force=force)
    wanted = tuple(dict.fromkeys(calls))
    if str(folder) == "-":
        if len(wanted) > 1:
            raise click.UsageError("-o - writes one recording; give one CALL, or a folder.")
        with login.open() as client:
            _to_standard_output(client, wanted[0], order)
        return
    _make_folder(folder)
    with login.open() as client:
        sys.exit(_fetch_all(client, wanted, folder, order))


@click.command("calls")
@click.option("--since", "--from", "since", help="Started then or later, 2026-11-23T09:30+00:00.")
@click.option("--to", help="Started before then.")
@click.option("--party", help="A number on either side: whole, 0161* or *0192.")
@click.option("--ext", help="The extension, whole.")
@click.option("--dir", "direction", help="inbound, outbound, internal or unknown.")
@click.option("--datasource", help="The feed it came from.")
@click.option("--rec/--no-rec", default=None, help="With or without a recording.")
@click.option("--mask/--no-mask", default=None, help="With or without anything masked.")
@click.option(
    "--limit", type=click.IntRange(min=1),
    help=f"How many at the most; all of them in CSV and JSON, {EVERY_CALL} in a table.",
)  # fmt: skip
@click.option("--csv", "form", flag_value="csv", help="As the API's CSV.")
@click.option("--json", "form", flag_value="json", help="As the items of the API.")
@click.option("--table", "form", flag_value="table", default="table", help="For reading.")
@login_options
def calls_command(
    form: str,
    limit: int | None,
    direction: str | None,
    *,
    login: Login,
    **filters: str | bool | None,
) -> None:
    """List calls, newest first."""
    limit = limit or (EVERY_CALL if form == "table" else None)
    given = {**filters, "dir": direction}
    # Named by the options above, and typed by click.
    chosen = cast("CallFilter", {name: value for name, value in given.items() if value is not None})
    with login.open() as client:
        try:
            print_calls(FORMS[form], client.search(**chosen), limit)
        except ClientError as error:
            _fail(error, "calls")


@dataclass(frozen=True, slots=True)
class _Order:
    """How the recordings are wanted."""

    audio_format: str
    channel: str
    deadline_s: float
    force: bool


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.UsageError(
            f"-o {folder}: cannot be made or is no folder: {error.strerror}."
        ) from error


def _find(client: Client, named: str) -> CallItem | str:
    """The call of this id; where there is none, the id is taken for a recording's."""
    try:
        return client.call(named)
    except NotFound:
        return named


def _fetch_all(client: Client, wanted: Sequence[str], folder: Path, order: _Order) -> int:
    """Save what can be saved; gives the exit code."""
    failures: list[int] = []
    saved = 0
    with _bar() as bar:
        for named in wanted:
            path = folder / f"call-{quote(named, safe='')}{EXTENSIONS[order.audio_format]}"
            try:
                found = _find(client, named)
                kept = path.exists() and not order.force
                if kept and _is_current(client, found, path, order):
                    _tell_kept(path)
                else:
                    fetched = _fetch_one(client, found, path, order, bar)
                    note_revision(path, fetched.mask_revision)
                    _tell_saved(fetched)
                saved += 1
            except ClientError as error:
                _tell_failed(error, named)
                failures.append(_exit_code(error))
                if isinstance(error, ENDS_ALL):
                    return failures[-1]
    if saved and failures:
        click.echo(f"callreel: {saved} of {len(wanted)} are there.", err=True)
    same = set(failures)
    return 0 if not failures else (same.pop() if len(same) == 1 and not saved else 1)


def _fetch_one(
    client: Client, found: CallItem | str, path: Path, order: _Order, bar: Progress
) -> Saved:
    task = bar.add_task(path.name, total=None)
    try:
        return client.fetch(
            found,
            path,
            order.audio_format,
            order.channel,
            deadline_s=order.deadline_s,
            progress=lambda count, total: bar.update(task, completed=count, total=total),
        )
    finally:
        bar.remove_task(task)


def _is_current(client: Client, found: CallItem | str, path: Path, order: _Order) -> bool:
    """Whether a file that is there may be what would be fetched; False where its mask is older.

    A file of ours is always whole; one of another tool, channel or format has another size.
    """
    token = client.token(found, order.audio_format, order.channel)
    noted = revision_of(path)
    if noted is not None and noted != token.mask_revision:
        click.echo(f"callreel: {path}: its mask changed since; it is fetched again.", err=True)
        return False
    if token.size_bytes is not None and path.stat().st_size != token.size_bytes:
        raise NotSaved(
            f"{path} is there and is not this recording in this form; --force replaces it."
        )
    return True


def _to_standard_output(client: Client, named: str, order: _Order) -> None:
    # By way of a file: what has been written out could not be taken back for another revision.
    with tempfile.TemporaryDirectory(prefix="callreel-") as folder, _bar() as bar:
        try:
            saved = _fetch_one(client, _find(client, named), Path(folder) / "sound", order, bar)
        except ClientError as error:
            _fail(error, named)
        with saved.path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)


def _exit_code(error: ClientError) -> int:
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)


def _fail(error: ClientError, named: str) -> NoReturn:
    _tell_failed(error, named)
    sys.exit(_exit_code(error))


def _tell_failed(error: ClientError, named: str) -> None:
    advice = next((f" {text}" for kind, text in ADVICE if isinstance(error, kind)), "")
    click.echo(f"callreel: {named}: {error.message}{advice}", err=True)


def _tell_saved(saved: Saved) -> None:
    click.echo(f"{saved.sha256}  {saved.path}")


def _tell_kept(path: Path) -> None:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise NotSaved(f"{path} is there and cannot be read: {error.strerror}.") from error
    click.echo(f"{digest}  {path}")
    click.echo(f"callreel: {path} was there already and is kept; --force replaces it.", err=True)


@contextmanager
def _bar() -> Iterator[Progress]:
    """A bar on a terminal; elsewhere nothing."""
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    ) as bar:
        yield bar
