"""Where recordings are kept and who serves them: stores and voicelocations.

They belong to every site, so only an administrator who reaches everything sees stores and changes
either.
"""

from __future__ import annotations

import os
import re
from dataclasses import asdict
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sqlalchemy import Connection

from callreel.access.policy import Action
from callreel.db import changes, directory
from callreel.db.database import Database
from callreel.db.directory import StorePlace, Voicelocation
from callreel.errors import BadRequest, Conflict, NotFound
from callreel.flows.acts import Act, require_name, require_scope, require_unchanged
from callreel.model import Clock, Principal
from callreel.wire import is_plain_origin
from callreel.wording import to_translate, worded

_STORE_ID = re.compile(r"[0-9a-z][0-9a-z_-]{0,31}", re.ASCII)


class Places:
    """Lists and changes stores and voicelocations. Every change is in the audit log.

    Args:
        db: Where they are kept.
        clock: What time it is.
        data_dir: The data folder; addresses of stores may begin there.
    """

    def __init__(self, db: Database, clock: Clock, data_dir: Path) -> None:
        self._db = db
        self._clock = clock
        self._data_dir = data_dir

    def stores(self, who: Principal) -> tuple[StorePlace, ...]:
        """Every store, by id.

        Raises:
            Forbidden: Not an administrator who reaches everything.
        """
        Act(who, self._clock()).require_everything()
        with self._db.read() as conn:
            return directory.list_stores(conn)

    def add_store(
        self, who: Principal, store_id: str, path: Path, *, address: str | None = None
    ) -> StorePlace:
        """Add a folder on this machine as a store.

        Args:
            who: Who adds it.
            store_id: Up to 32 small letters, digits, ``-`` and ``_``.
            path: The folder: absolute, there, empty, ours to write, apart from the data folder and
                from every other store.
            address: Where the request came from.

        Raises:
            Forbidden: Not an administrator who reaches everything.
            BadRequest: Id or folder cannot be used; the message says why.
            Conflict: There is a store of this id.
        """
        act = Act(who, self._clock(), address)
        act.require_everything()
        if _STORE_ID.fullmatch(store_id) is None:
            raise BadRequest(to_translate("store id: 1 to 32 small letters, digits, '-' and '_'."))
        folder = _usable(path)
        with self._db.write() as conn:
            changes.hold_order(conn)
            self._require_apart(conn, folder)
            if directory.find_store(conn, store_id) is not None:
                raise Conflict(
                    worded("There is a store %(store_id)s already.", store_id=repr(store_id))
                )
            store = StorePlace(store_id, folder.as_uri(), read_only=False)
            directory.ensure_store(conn, store_id, store.uri, read_only=False)
            act.tell(conn, "store.add", store_id, before=None, after=asdict(store))
        return store

    def _require_apart(self, conn: Connection, folder: Path) -> None:
        others = [(to_translate("the data folder"), self._data_dir.resolve())]
        for store in directory.list_stores(conn):
            parts = urlsplit(store.uri)
            if parts.scheme == "file":
                place = (self._data_dir / unquote(parts.path)).resolve()
                others.append((worded("store %(name)s", name=store.id), place))
        for name, other in others:
            if folder.is_relative_to(other) or other.is_relative_to(folder):
                raise BadRequest(
                    worded(
                        "path: a store lies apart from %(name)s, neither in nor around it.",
                        name=name,
                    )
                )

    def voicelocations(self, who: Principal) -> tuple[Voicelocation, ...]:
        """Every voicelocation, by id: a site chooses one of them.

        Raises:
            Forbidden: Not an administrator.
        """
        require_scope(who, Action.ADMINISTER)
        with self._db.read() as conn:
            return directory.list_voicelocations(conn)

    def add_voicelocation(
        self, who: Principal, wanted: Voicelocation, *, address: str | None = None
    ) -> Voicelocation:
        """Make a voicelocation known before its first recording.

        Raises:
            Forbidden: Not an administrator who reaches everything.
            BadRequest: The id or the address of its Echo cannot be used, or its store is not ours.
            NotFound: There is no such store.
            Conflict: There is one of this id.
        """
        act = Act(who, self._clock(), address)
        act.require_everything()
        if wanted.id != require_name(wanted.id, "voicelocation"):
            raise BadRequest(to_translate("voicelocation: no blanks at the ends."))
        _require_origin(wanted)
        with self._db.write() as conn:
            changes.hold_order(conn)
            _require_writable(conn, wanted.store_id)
            if directory.find_voicelocation(conn, wanted.id) is not None:
                raise Conflict(
                    worded("There is a voicelocation %(id)s already.", id=repr(wanted.id))
                )
            directory.ensure_voicelocation(conn, wanted.id, wanted.store_id, wanted.echo_url)
            act.tell(conn, "voicelocation.add", wanted.id, before=None, after=asdict(wanted))
        return wanted

    def change_voicelocation(
        self,
        who: Principal,
        wanted: Voicelocation,
        *,
        seen: Voicelocation | None = None,
        address: str | None = None,
    ) -> Voicelocation:
        """Change who serves a voicelocation, or where its new recordings go.

        What is stored stays where it is, and is served from there.

        Args:
            who: Who changes it.
            wanted: As it shall be; its id tells which one it is.
            seen: As it was when it was looked at; None where nobody looked.
            address: Where the request came from.

        Raises:
            Forbidden: Not an administrator who reaches everything.
            BadRequest: The address of its Echo cannot be used, or its store is not ours to write.
            NotFound: There is no such voicelocation, or no such store.
            Conflict: It was changed meanwhile.
        """
        act = Act(who, self._clock(), address)
        act.require_everything()
        _require_origin(wanted)
        with self._db.write() as conn:
            changes.hold_order(conn)
            before = directory.find_voicelocation(conn, wanted.id)
            if before is None:
                raise NotFound(worded("There is no voicelocation %(id)s.", id=repr(wanted.id)))
            require_unchanged(None if seen is None else asdict(seen), asdict(before))
            if wanted == before:
                return before
            if wanted.store_id != before.store_id:
                _require_writable(conn, wanted.store_id)
            directory.set_voicelocation(conn, wanted)
            told = (asdict(before), asdict(wanted))
            act.tell(conn, "voicelocation.set", wanted.id, before=told[0], after=told[1])
        return wanted


def _require_origin(wanted: Voicelocation) -> None:
    if wanted.echo_url is not None and not is_plain_origin(wanted.echo_url):
        raise BadRequest(
            worded(
                "echo_url: %(echo_url)s is not an address such as https://echo.example",
                echo_url=repr(wanted.echo_url),
            )
        )


def _require_writable(conn: Connection, store_id: str) -> None:
    found = directory.find_store(conn, store_id)
    if found is None:
        raise NotFound(worded("There is no store %(store_id)s.", store_id=repr(store_id)))
    if found[1]:
        raise BadRequest(
            worded(
                "store_id: store %(store_id)s is a folder of somebody else's.", store_id=store_id
            )
        )


def _usable(path: Path) -> Path:
    """A folder that can be a store, without links on the way to it."""
    if not path.is_absolute():
        raise BadRequest(to_translate("path: give the whole path of a folder, from the root."))
    try:
        folder = path.resolve(strict=True)
        entries = list(folder.iterdir())
    except (OSError, ValueError):
        raise BadRequest(
            to_translate("path: there is no folder here that this program can read.")
        ) from None
    if entries:
        raise BadRequest(to_translate("path: the folder of a new store must be empty."))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadRequest(to_translate("path: this program may not write into the folder."))
    return folder
