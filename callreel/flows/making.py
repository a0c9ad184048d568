"""What makes a file for somebody: the plug that jobs and schedules share.

A kind of file is made in the name of a web user whose rights are read again while it is made, since
hours may lie between asking and making.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from callreel.access.policy import NOTHING, Action, scope_for
from callreel.db import users
from callreel.db.database import Database
from callreel.errors import Forbidden
from callreel.model import Principal, Scope, UnixMillis, WebUserId
from callreel.wording import to_translate, worded

Parameters = Mapping[str, object]
"""What a kind is told; JSON values by name."""

_DISK_IS_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True)
class Order:
    """One file that is to be made."""

    parameters: Parameters
    """As ``Kind.checked`` gave them."""
    folder: Path
    """Where to write; its owner's alone, erased where the making fails."""
    at: UnixMillis
    """What ``yesterday`` counts from."""
    principal: Callable[[], Principal]
    """Whose file it is, as the database knows them now; ask again for each stretch of rows.

    Raises Forbidden where they may not see any more what they might when it began.
    """
    heed: Callable[[int, int | None], None]
    """Tells how many rows are written, of how many if that is known; call it often.

    What it raises must be let through: nobody waits for the file any more.
    """


@dataclass(frozen=True, slots=True)
class Made:
    """A file that was made."""

    path: Path
    """In the folder of the order; its name is the one that people get."""
    rows: int
    """How much is in it; 0 where it holds nothing but titles."""
    title: str
    """What it is, in words, on one line."""


class Kind(Protocol):
    """A kind of file."""

    @property
    def action(self) -> Action:
        """What somebody must be allowed to do to get it."""

    def checked(self, parameters: Parameters) -> Parameters:
        """The parameters with all that was left out.

        Raises:
            BadRequest: One is missing, unknown or wrong; the message names it.
        """

    def make(self, order: Order) -> Made:
        """Make it.

        Raises:
            CallreelError: It cannot be made; the message says what to do.
            OSError: It cannot be written.
        """


def principal_now(db: Database, web_user_id: WebUserId) -> Principal:
    """A web user as the database knows them now.

    Raises:
        Forbidden: They are gone or disabled.
        Unavailable: The database is away.
    """
    with db.read() as conn:
        user = users.by_id(conn, web_user_id)
    if user is None or user.disabled:
        raise Forbidden(to_translate("This was asked for by a user who is disabled now."))
    return Principal(user.id, user.username, user.role, user.reach, "job")


def require_scope(principal: Principal, action: Action) -> Scope:
    """Where somebody may do something.

    Raises:
        Forbidden: Nowhere.
    """
    scope = scope_for(principal, action)
    if scope == NOTHING:
        raise Forbidden(to_translate("This user may not see what is asked for."))
    return scope


def covers(now: Scope, then: Scope) -> bool:
    """Whether somebody still reaches all that they reached."""
    if now.everything or then.everything:
        return now.everything
    return then.site_ids <= now.site_ids and then.group_ids <= now.group_ids


def sync(path: Path) -> None:
    """Have a file and its name on the disk."""
    for each in (path, path.parent):
        descriptor = os.open(each, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def why_not_written(error: OSError) -> str:
    """What happened to a file, and what to do."""
    if error.errno in _DISK_IS_FULL:
        return to_translate(
            "The disk that holds the data folder is full. "
            "Have space made there, or ask for less, then start it again."
        )
    return worded(
        "The file could not be written: %(why)s. Have it mended, then start it again.",
        why=str(error.strerror),
    )
