"""Web users: who there is, what each may do and reach, how each signs in.

An administrator who reaches a part of the directory sees and changes those who reach no more than
that part, and gives no more than that part. Whoever is beyond looks absent.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from callreel.access.identity import (
    Verifier,
    hash_api_key,
    make_api_key,
)
from callreel.access.policy import Action
from callreel.db import users
from callreel.db.database import Database
from callreel.errors import BadRequest, NotFound, Unauthenticated
from callreel.flows.acts import (
    Act,
    Values,
    require_limit,
    require_scope,
    require_unchanged,
)
from callreel.flows.people_rules import require_giving, require_not_last, with_hash
from callreel.model import Clock, Principal, Role, Scope, WebUser, WebUserId
from callreel.wording import to_translate, worded

MAX_LABEL_CHARS = 128


@dataclass(frozen=True, slots=True)
class Person:
    """A web user as administrators see one; no hash, no secret."""

    id: WebUserId
    username: str
    role: Role
    reach: Scope
    disabled: bool


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """A stretch of the list."""

    items: tuple[Person, ...]
    next: str | None
    """The cursor of the next page; None at the end."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What a web user may do, and where."""

    role: Role
    reach: Scope


@dataclass(frozen=True, slots=True)
class Added:
    """A new web user."""

    person: Person
    password: str | None
    """Shown once; None where somebody chose it."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A new API key."""

    id: str
    secret: str
    """Shown once; only its hash is stored."""


class People:
    """Lists and changes web users. Every change is in the audit log.

    Args:
        db: Where they are kept.
        clock: What time it is.
        verifier: Checks the old password of whoever changes their own.
    """

    def __init__(self, db: Database, clock: Clock, verifier: Verifier) -> None:
        self._db = db
        self._clock = clock
        self._verifier = verifier

    def page(
        self, who: Principal, beginning: str = "", *, limit: int = 100, after: str | None = None
    ) -> PeoplePage:
        """Web users by name, of those within reach.

        Args:
            who: Who asks.
            beginning: Of the name; empty for all.
            limit: How many at the most.
            after: ``next`` of the page before.

        Raises:
            Forbidden: Neither administrator nor auditor.
            BadRequest: ``limit`` is out of range, or the cursor not one of ours.
        """
        scope = require_scope(who, Action.SEE_PEOPLE)
        with self._db.read() as conn:
            found = users.page(conn, scope, beginning, require_limit(limit), after)
        return PeoplePage(tuple(_person(each) for each in found.items), found.next)

    def person(self, who: Principal, user: str) -> Person:
        """One web user, by id or by name.

        Raises:
            Forbidden: Neither administrator nor auditor.
            NotFound: There is none within reach.
        """
        scope = require_scope(who, Action.SEE_PEOPLE)
        with self._db.read() as conn:
            return _person(_find(conn, scope, user))

    def add(
        self,
        who: Principal,
        username: str,
        rights: Rights,
        *,
        password: str | None = None,
        address: str | None = None,
    ) -> Added:
        """Add a web user.

        Args:
            who: Who adds.
            username: Of the new user.
            rights: What the new user may do, and where.
            password: Chosen by somebody; None makes one.
            address: Where the request came from.

        Raises:
            Forbidden: Not an administrator, or the reach is beyond one's own.
            BadRequest: The name or the password cannot be used.
            Conflict: The name is taken.
            NotFound: There is no such site or group.
        """
        act = Act(who, self._clock(), address)
        scope = act.scope
        chosen, hashed = with_hash(password)
        with self._db.write() as conn:
            require_giving(conn, rights.reach, scope)
            user_id = users.add_user(conn, username, rights.role, hashed, rights.reach, act.at)
            person = Person(user_id, username, rights.role, rights.reach, disabled=False)
            act.tell(conn, "user.add", user_id, before=None, after=_values(person))
        return Added(person, None if password is not None else chosen)

    def change(
        self,
        who: Principal,
        user: str,
        wanted: Rights,
        *,
        seen: Rights | None = None,
        address: str | None = None,
    ) -> Person:
        """Change what a web user may do, and where. A new role ends their sessions.

        Args:
            who: Who changes it.
            user: Id or name.
            wanted: What they shall have.
            seen: What they had when it was looked at; None where nobody looked.
            address: Where the request came from.

        Raises:
            Forbidden: Not an administrator, or the reach is beyond one's own.
            NotFound: There is no such user within reach, or no such site or group.
            Conflict: It was changed meanwhile, or nobody would be left who administers everything.
        """
        act = Act(who, self._clock(), address)
        scope = act.scope
        with self._db.write() as conn:
            chiefs = users.chiefs(conn)
            stored = _find(conn, scope, user)
            before = _person(stored)
            require_unchanged(
                None if seen is None else _rights(seen), _rights(Rights(before.role, before.reach))
            )
            require_giving(conn, wanted.reach, scope)
            after = Person(before.id, before.username, wanted.role, wanted.reach, before.disabled)
            if after == before:
                return before
            if not (wanted.role is Role.ADMINISTRATOR and wanted.reach.everything):
                require_not_last(stored, chiefs)
            users.set_role(conn, stored.id, wanted.role)
            users.set_reach(conn, stored.id, wanted.reach)
            act.tell(conn, "user.change", stored.id, before=_values(before), after=_values(after))
        return after

    def set_enabled(
        self, who: Principal, user: str, *, enabled: bool, address: str | None = None
    ) -> Person:
        """Shut a web user out at once, sessions, keys and tokens included, or let them in again.

        Raises:
            Forbidden: Not an administrator.
            NotFound: There is no such user within reach.
            Conflict: Nobody would be left who administers everything.
        """
        act = Act(who, self._clock(), address)
        scope = act.scope
        with self._db.write() as conn:
            chiefs = users.chiefs(conn)
            stored = _find(conn, scope, user)
            before = _person(stored)
            if before.disabled is not enabled:
                return before
            if enabled:
                users.enable(conn, stored.username)
            else:
                require_not_last(stored, chiefs)
                users.disable(conn, stored.username, act.at)
            after = Person(before.id, before.username, before.role, before.reach, not enabled)
            action = "user.enable" if enabled else "user.disable"
            act.tell(conn, action, stored.id, before=_values(before), after=_values(after))
        return after

    def new_password(
        self,
        who: Principal,
        user: str,
        *,
        password: str | None = None,
        address: str | None = None,
    ) -> str | None:
        """Give a web user another password; the old one and every session end at once.

        Args:
            who: Who does it.
            user: Id or name.
            password: Chosen by somebody; None makes one.
            address: Where the request came from.

        Returns:
            The password that was made, to be shown once; None where somebody chose it.

        Raises:
            Forbidden: Not an administrator.
            NotFound: There is no such user within reach.
            BadRequest: The password cannot be used.
        """
        act = Act(who, self._clock(), address)
        scope = act.scope
        chosen, hashed = with_hash(password)
        with self._db.write() as conn:
            stored = _find(conn, scope, user)
            self._set_password(conn, act, stored, hashed, own=False)
        return None if password is not None else chosen

    def change_own_password(
        self, who: Principal, old: str, new: str, *, address: str | None = None
    ) -> None:
        """Change one's own password; every session ends, this one as well.

        Raises:
            Unauthenticated: The old password is wrong.
            TooManyRequests: It was wrong too often.
            BadRequest: The new one cannot be used.
        """
        act = Act(who, self._clock(), address)
        verified = self._verifier.basic(who.username, old, address)
        if verified.web_user_id != who.web_user_id:
            raise Unauthenticated(to_translate("The user name or the password is wrong."))
        if new == old:
            raise BadRequest(to_translate("password: is the old one."))
        _, hashed = with_hash(new)
        with self._db.write() as conn:
            stored = users.by_id(conn, who.web_user_id)
            if stored is None or stored.disabled:
                raise Unauthenticated(to_translate("The user name or the password is wrong."))
            self._set_password(conn, act, stored, hashed, own=True)

    @staticmethod
    def _set_password(
        conn: Connection, act: Act, stored: WebUser, hashed: str, *, own: bool
    ) -> None:
        users.set_password(conn, stored.username, hashed)
        version = stored.password_version
        before: Values = {"username": stored.username, "password_version": version}
        after: Values = {**before, "password_version": version + 1, "own": own}
        act.tell(conn, "user.passwd", stored.id, before=before, after=after)

    def keys(self, who: Principal) -> tuple[users.ApiKey, ...]:
        """API keys of those within reach, oldest first; never a secret.

        Raises:
            Forbidden: Neither administrator nor auditor.
        """
        scope = require_scope(who, Action.SEE_PEOPLE)
        with self._db.read() as conn:
            return users.list_keys(conn, scope)

    def add_key(
        self, who: Principal, user: str, label: str, *, address: str | None = None
    ) -> NewKey:
        """Make an API key of a web user.

        Raises:
            Forbidden: Not an administrator.
            NotFound: There is no such user within reach.
            BadRequest: The label is too long or holds control characters.
        """
        act = Act(who, self._clock(), address)
        scope = act.scope
        if len(label) > MAX_LABEL_CHARS or not label.isprintable():
            raise BadRequest(
                worded(
                    "label: at most %(most)s characters, no control characters.",
                    most=str(MAX_LABEL_CHARS),
                )
            )
        secret = make_api_key()
        with self._db.write() as conn:
            stored = _find(conn, scope, user)
            key_id = users.add_key(conn, stored.username, hash_api_key(secret), label, act.at)
            after: Values = {"username": stored.username, "label": label}
            act.tell(conn, "key.add", key_id, before=None, after=after)
        return NewKey(key_id, secret)

    def revoke_key(self, who: Principal, key_id: str, *, address: str | None = None) -> None:
        """End an API key at once; harmless where it is ended.

        Raises:
            Forbidden: Not an administrator.
            NotFound: There is no such key of somebody within reach.
        """
        act = Act(who, self._clock(), address)
        scope = act.scope
        with self._db.write() as conn:
            key = users.find_key(conn, key_id)
            try:
                _find(conn, scope, key.username)
            except NotFound:
                raise NotFound(
                    worded("There is no API key %(key_id)s.", key_id=repr(key_id))
                ) from None
            if not key.disabled:
                users.revoke_key(conn, key_id, act.at)
                before: Values = {"username": key.username, "label": key.label}
                act.tell(conn, "key.revoke", key_id, before=before, after=None)


def _find(conn: Connection, scope: Scope, user: str) -> WebUser:
    found = users.by_id(conn, WebUserId(user)) or users.by_name(conn, user)
    if found is None or not users.is_reach_within(conn, found.reach, scope):
        raise NotFound(worded("There is no user %(user)s.", user=repr(user)))
    return found


def _person(user: WebUser) -> Person:
    return Person(user.id, user.username, user.role, user.reach, user.disabled)


def _rights(rights: Rights) -> Values:
    return {
        "role": rights.role.value,
        "everything": rights.reach.everything,
        "sites": sorted(rights.reach.site_ids),
        "groups": sorted(rights.reach.group_ids),
    }


def _values(person: Person) -> Values:
    return {
        "username": person.username,
        **_rights(Rights(person.role, person.reach)),
        "disabled": person.disabled,
    }
