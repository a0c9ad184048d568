"""Folders of files that are made for somebody: one that is allowed for schedules, one for work."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from callreel.errors import BadRequest, ConfigurationError
from callreel.flows.making import sync
from callreel.wording import to_translate, worded

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}[A-Za-z0-9_-]|[A-Za-z0-9]", re.ASCII)
_CLAIMED = re.compile(r"([js][0-9a-f]{16})\.([0-9a-f]{16})", re.ASCII)


def checked_folder(name: str) -> str:
    """The name of one folder, which leads nowhere else.

    Raises:
        BadRequest: It is not one.
    """
    if not _NAME.fullmatch(name):
        raise BadRequest(
            worded(
                "folder: %(name)s is not the name of a folder: letters, digits, "
                "blanks, dots, hyphens and underscores, beginning with a letter or "
                "a digit.",
                name=repr(name[:80]),
            )
        )
    return name


def put_into(allowed: str, folder: str, name: str, source: Path) -> Path:
    """Copy a file into a folder below the one that is allowed; whole, or not at all.

    Raises:
        ConfigurationError: No folder is allowed, or it is not there.
        BadRequest: The folder is a link to somewhere else.
        OSError: It cannot be written.
    """
    if not allowed:
        raise ConfigurationError(to_translate("schedules.folder: no folder is allowed; set one."))
    root = Path(allowed)
    if not root.is_dir():
        # Not made here: where it is missing, a share is not mounted.
        raise ConfigurationError(
            worded("schedules.folder: there is no folder %(root)s.", root=str(root))
        )
    target = root / checked_folder(folder)
    target.mkdir(mode=0o750, exist_ok=True)
    if target.resolve() != root.resolve() / folder:
        raise BadRequest(
            worded("folder: %(folder)s is a link to somewhere else.", folder=repr(folder))
        )
    fresh, final = target / f".{name}.new", target / name
    try:
        fresh.unlink(missing_ok=True)
        with source.open("rb") as reader, fresh.open("xb") as writer:
            shutil.copyfileobj(reader, writer)
        fresh.chmod(0o640)
        sync(fresh)
        fresh.replace(final)
        sync(final)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    return final


def claimed_folders(root: Path, letter: str) -> list[tuple[Path, tuple[str, str]]]:
    """Folders of work: where each is, whose it is, under which claim."""
    there = list(root.iterdir()) if root.is_dir() else []
    named = [(each, _CLAIMED.fullmatch(each.name)) for each in there]
    return [(each, (m[1], m[2])) for each, m in named if m and m[1].startswith(letter)]
