"""Groups, users and channels of the directory: who is behind an extension, and who belongs where.

Which group a user is in decides who may hear their calls, so each change is an administrator's,
lies within reach before and after, and is in the audit log.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from sqlalchemy import Connection

from callreel.access.policy import Action
from callreel.db import changes, directory, entries
from callreel.db.database import Database
from callreel.db.entries import Channel, DirectoryUser, Entry, Filter, Group
from callreel.errors import BadRequest, Conflict, NotFound
from callreel.flows.acts import (
    Act,
    require_limit,
    require_name,
    require_place_name,
    require_scope,
    require_unchanged,
)
from callreel.flows.directory_rules import require_group, require_site, taken
from callreel.model import Clock, Principal, Scope
from callreel.wording import to_translate, worded

MAX_EXTENSION_CHARS = 64
_WORDS: dict[type, str] = {
    Group: to_translate("group"),
    DirectoryUser: to_translate("extension"),
    Channel: to_translate("channel"),
}


@dataclass(frozen=True, slots=True)
class GroupPage:
    """A stretch of the list of groups."""

    items: tuple[Group, ...]
    members: dict[str, int]
    """From the id of a group to how many users it has; empty groups are left out."""
    next: str | None
    """The cursor of the next page; None at the end."""


@dataclass(frozen=True, slots=True)
class UserPage:
    """A stretch of the list of directory users."""

    items: tuple[DirectoryUser, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class ChannelPage:
    """A stretch of the list of channels."""

    items: tuple[Channel, ...]
    next: str | None


class Directory:
    """Lists and changes groups, directory users and channels."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    def groups(
        self,
        who: Principal,
        wanted: Filter | None = None,
        *,
        limit: int = 100,
        after: str | None = None,
    ) -> GroupPage:
        """Groups within reach, by name.

        Raises:
            Forbidden: An integrator sees no directory.
            BadRequest: ``limit`` is out of range, or the cursor not one of ours.
        """
        with self._db.read() as conn:
            items, following = _page(conn, Group, who, wanted, limit, after)
            members = entries.members(conn, require_scope(who, Action.SEE_DIRECTORY))
        return GroupPage(items, members, following)

    def users(
        self,
        who: Principal,
        wanted: Filter | None = None,
        *,
        limit: int = 100,
        after: str | None = None,
    ) -> UserPage:
        """Directory users within reach, by name; found by name or extension.

        Raises: as ``groups``.
        """
        with self._db.read() as conn:
            return UserPage(*_page(conn, DirectoryUser, who, wanted, limit, after))

    def channels(
        self,
        who: Principal,
        wanted: Filter | None = None,
        *,
        limit: int = 100,
        after: str | None = None,
    ) -> ChannelPage:
        """Channels of sites within reach, by name.

        Raises: as ``groups``.
        """
        with self._db.read() as conn:
            return ChannelPage(*_page(conn, Channel, who, wanted, limit, after))

    def find(self, who: Principal, kind: type[Entry], site_id: str, name: str) -> Entry:
        """The group or channel of a name of a site, or the user of an extension.

        Raises:
            Forbidden: An integrator sees no directory.
            NotFound: There is none within reach.
        """
        scope = require_scope(who, Action.SEE_DIRECTORY)
        with self._db.read() as conn:
            found = entries.named(conn, kind, site_id, name)
            if found is None or entries.find(conn, kind, scope, found.id) is None:
                raise NotFound(
                    worded(
                        "There is no %(words)s %(name)s in %(site_id)s.",
                        words=_WORDS[kind],
                        name=repr(name),
                        site_id=site_id,
                    )
                )
            return found

    def add_group(
        self, who: Principal, site_id: str, name: str, *, address: str | None = None
    ) -> Group:
        """Make a group in a site.

        Raises:
            Forbidden: Not an administrator.
            NotFound: There is no such site that is reached wholly.
            BadRequest: The name cannot be used.
            Conflict: The site has a group of this name.
        """
        act = Act(who, self._clock(), address)
        scope = act.scope
        name = _group_name(name)
        with self._db.write() as conn:
            changes.hold_order(conn)
            require_site(conn, scope, site_id)
            if entries.named(conn, Group, site_id, name) is not None:
                raise taken(Group, name, site_id)
            group = Group(directory.ensure_group(conn, site_id, name), site_id, name)
            act.tell(conn, "group.add", group.id, before=None, after=asdict(group))
        return group

    def rename_group(
        self,
        who: Principal,
        group_id: str,
        name: str,
        *,
        seen: str | None = None,
        address: str | None = None,
    ) -> Group:
        """Give a group another name; who reaches it goes on reaching it.

        Args:
            who: Who renames it.
            group_id: Which.
            name: The new name.
            seen: The name it had when it was looked at; None where nobody looked.
            address: Where the request came from.

        Raises:
            Forbidden: Not an administrator.
            NotFound: There is no such group of a site that is reached wholly.
            BadRequest: The name cannot be used.
            Conflict: It was renamed meanwhile, or the site has a group of this name.
        """
        act = Act(who, self._clock(), address)
        scope = act.scope
        name = _group_name(name)
        with self._db.write() as conn:
            changes.hold_order(conn)
            before = _find_own(conn, Group, scope, group_id)
            require_unchanged(None if seen is None else {"name": seen}, {"name": before.name})
            if name == before.name:
                return before
            if entries.named(conn, Group, before.site_id, name) is not None:
                raise taken(Group, name, before.site_id)
            entries.rename_group(conn, group_id, name)
            after = replace(before, name=name)
            act.tell(conn, "group.rename", group_id, before=asdict(before), after=asdict(after))
        return after

    def remove_group(self, who: Principal, group_id: str, *, address: str | None = None) -> None:
        """Remove a group that nobody is in and nobody reaches.

        Raises:
            Forbidden: Not an administrator.
            NotFound: There is no such group of a site that is reached wholly.
            Conflict: It is not empty, or web users reach it.
        """
        self._remove(who, Group, "group.remove", group_id, address)

    def add_user(
        self, who: Principal, wanted: DirectoryUser, *, address: str | None = None
    ) -> DirectoryUser:
        """Name who is behind an extension before its first call.

        Args:
            who: Who adds.
            wanted: The user; the id is made here, whatever it says.
            address: Where the request came from.

        Raises:
            Forbidden: Not an administrator.
            NotFound: There is no such site that is reached wholly, or no such group in it.
            BadRequest: Extension or name cannot be used.
            Conflict: The site has this extension.
        """
        act = Act(who, self._clock(), address)
        scope = act.scope
        extension = require_name(wanted.extension, "extension")
        name = require_name(wanted.name or extension)
        if len(extension) > MAX_EXTENSION_CHARS or extension != wanted.extension:
            raise BadRequest(
                worded(
                    "extension: 1 to %(most)s characters, no blanks around.",
                    most=str(MAX_EXTENSION_CHARS),
                )
            )
        with self._db.write() as conn:
            changes.hold_order(conn)
            require_site(conn, scope, wanted.site_id)
            require_group(conn, scope, wanted.site_id, wanted.group_id)
            if entries.named(conn, DirectoryUser, wanted.site_id, extension) is not None:
                raise taken(DirectoryUser, extension, wanted.site_id)
            user_id = directory.set_user(
                conn, wanted.site_id, extension, name=name, group_id=wanted.group_id
            )
            user = replace(wanted, id=user_id, extension=extension, name=name)
            act.tell(conn, "extension.add", user_id, before=None, after=asdict(user))
        return user

    def change_user(
        self,
        who: Principal,
        wanted: DirectoryUser,
        *,
        seen: DirectoryUser | None = None,
        address: str | None = None,
    ) -> DirectoryUser:
        """Change the name or the group of a directory user; site and extension stay.

        Args:
            who: Who changes it.
            wanted: The user as it shall be; its id tells which one it is.
            seen: The user as it was when it was looked at; None where nobody looked.
            address: Where the request came from.

        Raises:
            Forbidden: Not an administrator.
            NotFound: There is no such user within reach, or no such group in their site.
            BadRequest: The name cannot be used, or site or extension would change.
            Conflict: It was changed meanwhile.
        """
        act = Act(who, self._clock(), address)
        scope = act.scope
        wanted = replace(wanted, name=require_name(wanted.name))
        with self._db.write() as conn:
            changes.hold_order(conn)
            before = entries.find(conn, DirectoryUser, scope, wanted.id)
            if before is None:
                raise NotFound(to_translate("There is no such user of the directory."))
            require_unchanged(None if seen is None else asdict(seen), asdict(before))
            if (wanted.site_id, wanted.extension) != (before.site_id, before.extension):
                raise BadRequest(
                    to_translate(
                        "extension: calls are found by it; add another one, and leave this one."
                    )
                )
            if wanted.group_id != before.group_id:
                require_group(conn, scope, wanted.site_id, wanted.group_id)
            if wanted == before:
                return before
            entries.change_user(conn, wanted)
            act.tell(conn, "extension.set", wanted.id, before=asdict(before), after=asdict(wanted))
        return wanted

    def remove_user(self, who: Principal, user_id: str, *, address: str | None = None) -> None:
        """Remove a directory user who has neither calls nor signals.

        Raises:
            Forbidden: Not an administrator.
            NotFound: There is no such user of a site that is reached wholly.
            Conflict: There are calls or signals of theirs.
        """
        self._remove(who, DirectoryUser, "extension.remove", user_id, address)

    def add_channel(
        self, who: Principal, site_id: str, name: str, *, address: str | None = None
    ) -> Channel:
        """Make a channel known before its first call, so that signals can name it.

        Raises: as ``add_group``.
        """
        act = Act(who, self._clock(), address)
        scope = act.scope
        if name != require_name(name):
            raise BadRequest(to_translate("name: no blanks at the ends; the switch has none."))
        with self._db.write() as conn:
            changes.hold_order(conn)
            require_site(conn, scope, site_id)
            if entries.named(conn, Channel, site_id, name) is not None:
                raise taken(Channel, name, site_id)
            channel = Channel(str(directory.ensure_channel(conn, site_id, name)), site_id, name)
            act.tell(conn, "channel.add", channel.id, before=None, after=asdict(channel))
        return channel

    def remove_channel(
        self, who: Principal, channel_id: str, *, address: str | None = None
    ) -> None:
        """Remove a channel that no call and no signal names.

        Raises:
            Forbidden: Not an administrator.
            NotFound: There is no such channel of a site that is reached wholly.
            Conflict: Calls or signals name it.
        """
        self._remove(who, Channel, "channel.remove", channel_id, address)

    def _remove(
        self,
        who: Principal,
        kind: type[Group | DirectoryUser | Channel],
        action: str,
        entry_id: str,
        address: str | None,
    ) -> None:
        act = Act(who, self._clock(), address)
        scope = act.scope
        with self._db.write() as conn:
            changes.hold_order(conn)
            before = _find_own(conn, kind, scope, entry_id)
            used = entries.uses(conn, before)
            if used is not None:
                raise Conflict(
                    worded("%(name)s cannot be removed: %(used)s.", name=before.name, used=used)
                )
            entries.remove(conn, before)
            act.tell(conn, action, entry_id, before=asdict(before), after=None)


def _page(  # what, whose, which, how much
    conn: Connection,
    kind: type[Entry],
    who: Principal,
    wanted: Filter | None,
    limit: int,
    after: str | None,
) -> tuple[tuple[Entry, ...], str | None]:
    scope = require_scope(who, Action.SEE_DIRECTORY)
    return entries.page(conn, kind, scope, wanted or Filter(), require_limit(limit), after)


def _find_own(conn: Connection, kind: type[Entry], scope: Scope, entry_id: str) -> Entry:
    """An entry of a site that is reached wholly."""
    wholly = replace(scope, group_ids=frozenset())
    found = entries.find(conn, kind, wholly, entry_id)
    if found is None:
        raise NotFound(to_translate("There is no such entry in the directory."))
    return found


def _group_name(name: str) -> str:
    return require_place_name(name, "group")
