"""What a demo folder remembers: which demo it holds, whether it is finished, and the logins."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from callreel.errors import ConfigurationError
from callreel.model import UnixMillis

PLAN_FILE = "demo-plan.json"
LISTING_FILE = "demo.json"
_LAST_LISTING_FILE = "demo-last.json"
_LOCK_FILE = "demo.lock"


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """Enough to plan the same calls again."""

    seed: int
    built_at: UnixMillis
    """The calls lie in the thirty days before."""
    complete: bool = False


def read_plan(data_dir: Path) -> DemoPlan | None:
    """The plan of a folder; None where no demo was begun.

    Raises:
        ConfigurationError: It is damaged.
    """
    path = data_dir / PLAN_FILE
    try:
        return DemoPlan(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error}); remove {data_dir} and run the demo again."
        ) from error


def is_complete(data_dir: Path) -> bool:
    """Whether a folder holds a demo that was built to its end.

    Raises: as ``read_plan``.
    """
    plan = read_plan(data_dir)
    return plan is not None and plan.complete


def write_plan(data_dir: Path, plan: DemoPlan) -> None:
    """Remember a plan, durably."""
    write_private(data_dir / PLAN_FILE, asdict(plan))


def write_private(path: Path, document: object) -> None:
    """Put a document in place of a file, whole and readable by the owner alone.

    Raises:
        ConfigurationError: The folder cannot be written.
    """
    beside = path.with_name(f"{path.name}.new")
    try:
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise ConfigurationError(f"Cannot write {path}: {error.strerror}.") from error


def known_passwords(data_dir: Path) -> dict[str, str]:
    """User name to password, as the last listing told; empty where none is left."""
    for name in (LISTING_FILE, _LAST_LISTING_FILE):
        try:
            listing = json.loads((data_dir / name).read_text(encoding="utf-8"))
            return {user["username"]: user["password"] for user in listing["web_users"]}
        except (OSError, ValueError, KeyError, TypeError):
            # Passwords that are lost are made anew; nothing else hangs on this file.
            continue
    return {}


def put_listing_aside(data_dir: Path) -> None:
    """Make ``demo.json`` disappear until the server answers again; its passwords are kept."""
    listing = data_dir / LISTING_FILE
    if listing.exists():
        listing.replace(data_dir / _LAST_LISTING_FILE)


def write_listing(data_dir: Path, listing: object) -> None:
    """Write ``demo.json``: its presence says that the server answers."""
    write_private(data_dir / LISTING_FILE, listing)
    (data_dir / _LAST_LISTING_FILE).unlink(missing_ok=True)


@contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Hold the folder for this process.

    Raises:
        ConfigurationError: Another process has it.
    """
    with (data_dir / _LOCK_FILE).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"A demo is running on {data_dir} already; stop it, or give DATA another folder."
            ) from None
        yield
