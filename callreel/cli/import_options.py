"""What the commands that import share: options, the report, the summary, exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, tzinfo
from functools import wraps
from pathlib import Path
from typing import Any, TextIO
from zoneinfo import ZoneInfo

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from callreel.bootstrap import open_intake
from callreel.cli.options import data_option, settings_of
from callreel.errors import BadInput, ConfigurationError
from callreel.flows.entry import Result
from callreel.flows.intake import Intake
from callreel.importers.fields import read_direction, read_timezone
from callreel.importers.items import Items
from callreel.importers.run import Outcome, Summary, run_import
from callreel.importers.stability import Patience
from callreel.model import Direction

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
PATH = click.Path(exists=True, path_type=Path)

LOCAL_ZONE_FILE = Path("/etc/localtime")
"""Where an operating system says which zone it keeps."""

Command = Callable[..., None]


@dataclass(frozen=True, slots=True)
class ImportRun:
    """What every import was told, and how it tells what became of it."""

    data_dir: Path
    datasource: str
    voicelocation: str | None
    in_place: bool
    report: Path | None
    strict: bool
    actor: str = "command"
    """Who imports, in the audit log."""

    @contextmanager
    def intake(self) -> Iterator[Intake]:
        """The intake of this installation, open."""
        importing = open_intake(settings_of(self.data_dir))
        try:
            yield importing.intake
        finally:
            importing.close()

    def bring_in(self, items: Items, patience: Patience, total: int | None = None) -> None:
        """Import, tell, and exit as documented.

        Args:
            items: What the importer finds.
            patience: How long a file must have been left alone.
            total: How many items there are, if that is known.
        """
        with self.intake() as intake:
            self.show(run_import(items, intake, patience=patience, actor=self.actor), total)

    def show(
        self,
        outcomes: Iterator[Outcome],
        total: int | None = None,
        also: Callable[[], str] | None = None,
    ) -> None:
        """Tell of every outcome as it comes, and of all of them in one line at the end.

        Args:
            outcomes: What becomes of everything.
            total: How many there are, if that is known.
            also: What is told to people besides, when all is done.
        """
        summary = Summary()
        try:
            with ExitStack() as stack:
                report = None if self.report is None else stack.enter_context(_opened(self.report))
                progress = stack.enter_context(_progress())
                task = progress.add_task("importing", total=total)
                for outcome in outcomes:
                    summary.add(outcome)
                    progress.advance(task)
                    if report is not None:
                        report.write(outcome.as_json() + "\n")
                        report.flush()
                    if outcome.reason is not None:
                        progress.console.print(_line(outcome), markup=False, soft_wrap=True)
                    elif outcome.repaired is not None and outcome.result is not Result.SAME:
                        told = _printable(f"repaired: {outcome.origin}: {outcome.repaired}")
                        progress.console.print(told, markup=False, soft_wrap=True)
        except BaseException:
            # What was told so far is stored; whoever asks should know how far it came.
            click.echo(f"callreel: {summary.line()}; it ended early", err=True)
            raise
        if also is not None:
            click.echo(also(), err=True)
        click.echo(summary.line())
        if self.strict and summary.skipped:
            sys.exit(1)


def _line(outcome: Outcome) -> str:
    words = outcome.result.value
    if outcome.result not in {Result.WAITING, Result.SKIPPED}:
        words = "without sound" if outcome.sound_refused else "not playable"
    return _printable(f"{words}: {outcome.origin}: {outcome.reason}")


def _printable(text: str) -> str:
    # Names come from other people's records; they must not command a terminal.
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _opened(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"--report: cannot write {path}: {error.strerror}") from error


def _progress() -> Progress:
    """A bar on a terminal; elsewhere nothing but what is printed."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def import_options(command: Command) -> Command:
    """Give a command the options of every import, as one argument ``run``."""

    @wraps(command)
    def with_run(
        *,
        data_dir: Path,
        datasource: str,
        voicelocation: str | None,
        in_place: bool,
        report: Path | None,
        strict: bool,
        **others: Any,  # noqa: ANN401 - whatever else the command has, click checked it
    ) -> None:
        run = ImportRun(data_dir, datasource, voicelocation, in_place, report, strict)
        command(run=run, **others)

    for option in (
        *_REPORTING,
        click.option("--in-place", is_flag=True, help="Refer to files of sound; do not copy."),
        click.option("--voicelocation", help="Of the recordings; else the site's default."),
        *_FEED,
    ):
        with_run = option(with_run)
    return with_run


_REPORTING = (
    click.option("--strict", is_flag=True, help="Exit with 1 if anything was skipped."),
    click.option(
        "--report",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write what became of everything into this file, as JSON lines.",
    ),
)
_FEED = (
    click.option(
        "--datasource",
        default="1",
        show_default=True,
        help="The feed that calls belong to, where nothing else says it.",
    ),
    data_option,
)


def report_options(command: Command) -> Command:
    """Give a command that brings in no sound what it shares with imports, as ``run``."""

    @wraps(command)
    def with_run(
        *,
        data_dir: Path,
        datasource: str,
        report: Path | None,
        strict: bool,
        **others: Any,  # noqa: ANN401 - as above
    ) -> None:
        run = ImportRun(data_dir, datasource, None, in_place=False, report=report, strict=strict)
        command(run=run, **others)

    for option in (*_REPORTING, *_FEED):
        with_run = option(with_run)
    return with_run


def patience_options(command: Command) -> Command:
    """Give a command the options about files that may be growing, as one argument."""

    @wraps(command)
    def with_patience(*, stable_for: float, quiet_for: float, **others: Any) -> None:  # noqa: ANN401 - as above
        command(patience=Patience(stable_for, stable_for, quiet_for), **others)

    seconds = click.FloatRange(0)
    for option in (
        click.option(
            "--quiet-for",
            default=60.0,
            show_default=True,
            type=seconds,
            metavar="SECONDS",
            help="A file that is shorter than its header says must be left alone for so long.",
        ),
        click.option(
            "--stable-for",
            default=2.0,
            show_default=True,
            type=seconds,
            metavar="SECONDS",
            help="A file that does not say its length must be left alone for so long.",
        ),
    ):
        with_patience = option(with_patience)
    return with_patience


@dataclass(frozen=True, slots=True)
class Exchange:
    """What the records of an exchange do not say."""

    timezone: tzinfo
    internal_digits: int
    contexts: Mapping[str, Direction]


def exchange_options(command: Command) -> Command:
    """Give a command the questions about an exchange, as one argument ``exchange``."""

    @wraps(command)
    def with_exchange(
        *,
        zone: str | None,
        internal_digits: int,
        contexts: tuple[str, ...],
        **others: Any,  # noqa: ANN401 - as above
    ) -> None:
        exchange = Exchange(_asked_zone(zone), internal_digits, _directions(contexts))
        command(exchange=exchange, **others)

    for option in (
        click.option(
            "--context",
            "contexts",
            multiple=True,
            metavar="NAME=DIRECTION",
            help="Direction of the calls of one context of the dial plan; may be repeated.",
        ),
        click.option(
            "--internal-digits",
            default=6,
            show_default=True,
            type=click.IntRange(1, 15),
            help="A number of at most so many digits is an extension.",
        ),
        *_ZONE,
    ):
        with_exchange = option(with_exchange)
    return with_exchange


_ZONE = (
    click.option("--timezone", "zone", help="The zone of the records, like Europe/London."),
    click.option("--local", "zone", flag_value="local", help="They keep this machine's zone."),
    click.option("--utc", "zone", flag_value="UTC", help="They keep UTC."),
)


def zone_options(command: Command) -> Command:
    """Give a command the options about the zone of times, as one argument ``zone``."""
    for option in _ZONE:
        command = option(command)
    return command


def zone_of(zone: str) -> tzinfo:
    """A zone by what those options hold.

    Raises:
        BadInput: There is no such zone.
    """
    return _local_zone() if zone == "local" else read_timezone(zone)


def _asked_zone(zone: str | None) -> tzinfo:
    """The zone that the records keep; asks where somebody can answer, and never guesses.

    Raises:
        ConfigurationError: Nobody said it.
        BadInput: There is no such zone.
    """
    if zone is None and sys.stdin.isatty() and sys.stderr.isatty():
        zone = click.prompt("Which zone do the records keep (UTC, local, Europe/London ...)")
    if zone is None:
        raise ConfigurationError(
            "Which zone do the times of the records keep? Say --utc, --local or --timezone ZONE."
        )
    return zone_of(zone)


def _local_zone() -> tzinfo:
    name = os.environ.get("TZ", "").lstrip(":")
    if name:
        return read_timezone(name)
    try:
        with LOCAL_ZONE_FILE.open("rb") as file:
            return ZoneInfo.from_file(file)
    except FileNotFoundError:
        return UTC
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read the zone of this machine ({error}); say --timezone") from error


def _directions(contexts: Sequence[str]) -> dict[str, Direction]:
    found = {}
    for text in contexts:
        name, separator, direction = text.partition("=")
        if not separator or not name:
            raise BadInput(f"--context {text!r} is not of the form NAME=inbound")
        found[name] = read_direction(direction)
    return found


@dataclass(frozen=True, slots=True)
class Sidecars:
    """How side-cars are read."""

    timezone: tzinfo
    required: bool


def sidecar_options(command: Command) -> Command:
    """Give a command the questions about side-cars, as one argument ``sidecars``."""

    @wraps(command)
    def with_sidecars(*, zone: str, require_sidecar: bool, **others: Any) -> None:  # noqa: ANN401 - as above
        command(sidecars=Sidecars(read_timezone(zone), require_sidecar), **others)

    for option in (
        click.option(
            "--require-sidecar", is_flag=True, help="Sound without a side-car waits for it."
        ),
        click.option(
            "--timezone",
            "zone",
            default="UTC",
            show_default=True,
            help="Of a started_at in a side-car that has no offset.",
        ),
    ):
        with_sidecars = option(with_sidecars)
    return with_sidecars
