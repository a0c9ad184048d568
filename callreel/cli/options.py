"""What every command shares: the data folder, the way errors reach a person, exit codes."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from callreel.bootstrap import Base, open_base
from callreel.errors import (
    BadRequest,
    CallreelError,
    ConfigurationError,
    Conflict,
    NotFound,
    Unavailable,
)
from callreel.settings import Settings, load_settings

EXIT_CODES: dict[type[CallreelError], int] = {
    ConfigurationError: 2,
    BadRequest: 2,
    Conflict: 2,
    NotFound: 5,
    Unavailable: 3,
}
"""From error to exit code, first match wins; 1 for the rest. ``docs/operations.md`` repeats it."""

P = ParamSpec("P")
R = TypeVar("R")


class _Folder(click.Path):
    """A folder with a name: an empty one is a shell variable that was not set."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401  # as click has it
        """The path."""
        if not os.fspath(value):
            self.fail("it is empty; name the data folder.", param, ctx)
        return super().convert(value, param, ctx)


data_option = click.option(
    "--data",
    "data_dir",
    envvar="CALLREEL_DATA",
    required=True,
    type=_Folder(file_okay=False, path_type=Path),
    help="The data folder (or CALLREEL_DATA).",
)


def plain_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn an error of ours into lines on standard error and a documented exit code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except CallreelError as error:
            for line in (*error.message.splitlines(), *_why(error)):
                click.echo(f"callreel: {line}", err=True)
            codes = (code for kind, code in EXIT_CODES.items() if isinstance(error, kind))
            sys.exit(next(codes, 1))
        except OSError as error:
            # What was told to be stored is; what could not be told is a full disk, or a pipe.
            place = f"{error.filename}: " if error.filename else "writing what is told: "
            with contextlib.suppress(OSError):
                click.echo(f"callreel: {place}{error.strerror}.", err=True)
            sys.exit(1)

    return run


def _why(error: CallreelError) -> tuple[str, ...]:
    """What the database or the disk said: whoever has the command line may know it."""
    why = error.fields.get("why") if isinstance(error, Unavailable) else None
    return (f"it said: {why}",) if isinstance(why, str) and why else ()


def settings_of(
    data_dir: Path, overrides: Mapping[str, Mapping[str, object]] | None = None
) -> Settings:
    """The settings of a data folder that exists.

    Raises:
        ConfigurationError: There is no such folder, or a setting is wrong.
    """
    if not data_dir.is_dir():
        raise ConfigurationError(
            f"There is no data folder at {data_dir}. Run 'callreel init --data {data_dir}' first."
        )
    return load_settings(data_dir, os.environ, overrides)


@contextlib.contextmanager
def opened(data_dir: Path) -> Iterator[Base]:
    """What every command needs of a data folder, closed afterwards.

    Raises:
        ConfigurationError, Unavailable: as ``bootstrap.open_base``.
    """
    base = open_base(settings_of(data_dir))
    try:
        yield base
    finally:
        base.close()
