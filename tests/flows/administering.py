"""People of every role and reach over a small directory, for tests of what they may change."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from callreel.db import audit, directory, entries
from callreel.db.database import Database
from callreel.db.entries import Channel, Datasource, DirectoryUser, Group
from callreel.flows.directory import Directory
from callreel.flows.places import Places
from callreel.flows.sites import Sites
from callreel.model import Principal, Role, Scope, UnixMillis, WebUserId
from tests.contracts.records import CallPlan, write_call

NOW = UnixMillis(1_790_000_000_000)
ALL = Scope(everything=True)


@dataclass
class Town:
    """Two sites, each with two groups, two users, a channel and a datasource; one has a call."""

    db: Database
    directory: Directory
    sites: Sites
    places: Places
    folder: Path

    def told(self) -> list[audit.AuditEntry]:
        """The whole audit log."""
        with self.db.read() as conn:
            return list(audit.entries(conn))

    def group(self, site: str, name: str = "Sales") -> Group:
        """A group that must be there."""
        with self.db.read() as conn:
            found = entries.named(conn, Group, site, name)
        assert found is not None
        return found

    def user(self, site: str, extension: str) -> DirectoryUser:
        """A directory user who must be there."""
        with self.db.read() as conn:
            found = entries.named(conn, DirectoryUser, site, extension)
        assert found is not None
        return found

    def channel(self, site: str, name: str = "T1") -> Channel:
        """A channel that must be there."""
        with self.db.read() as conn:
            found = entries.named(conn, Channel, site, name)
        assert found is not None
        return found


def who(role: Role = Role.ADMINISTRATOR, reach: Scope = ALL) -> Principal:
    """Somebody who signed in."""
    return Principal(WebUserId("w1"), "boss", role, reach, "session")


def of_sites(*site_ids: str) -> Scope:
    """A reach of whole sites."""
    return Scope(site_ids=frozenset(site_ids))


def of_groups(*groups: Group) -> Scope:
    """A reach of groups only."""
    return Scope(group_ids=frozenset(group.id for group in groups))


def make_town(database: Database, folder: Path) -> Town:
    """See ``Town``; extension 2104 of s1 has a call over T1, and nothing else has."""
    (folder / "data" / "store").mkdir(parents=True)
    with database.write() as conn:
        write_call(conn, CallPlan("c1", site="s1", channel="T1"))
        for site in ("s1", "s2"):
            directory.ensure_datasource(conn, site)
            directory.ensure_channel(conn, site, "T1")
            directory.ensure_channel(conn, site, "T2")
            directory.ensure_group(conn, site, "Empty")
            group = directory.ensure_group(conn, site, "Sales")
            for extension, name in (("2104", "Ann Example"), ("2105", "Bob Example")):
                directory.set_user(conn, site, extension, name=name, group_id=group)
        entries.add_datasource(conn, Datasource("spare", "s1"))

    def clock() -> UnixMillis:
        return NOW

    return Town(
        database,
        Directory(database, clock),
        Sites(database, clock),
        Places(database, clock, folder / "data"),
        folder,
    )
