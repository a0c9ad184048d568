"""Sites and their settings, and the datasources that feed them.

Who reaches a site wholly may change it; who reaches a group of it sees its name and no more of it.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace

from sqlalchemy import Connection

from callreel.access.policy import Action
from callreel.audio.fill import fill_of
from callreel.db import changes, directory, entries, key_presses
from callreel.db.database import Database
from callreel.db.directory import Site
from callreel.db.entries import Datasource
from callreel.errors import BadRequest, Conflict, NotFound
from callreel.flows.acts import (
    Act,
    Values,
    require_limit,
    require_name,
    require_place_name,
    require_scope,
    require_unchanged,
)
from callreel.model import Clock, Fill, Principal, Scope
from callreel.wording import to_translate, worded
from callreel.zones import zone_named


class Sites:
    """Lists and changes sites. Every change is in the audit log."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    def sites(self, who: Principal) -> tuple[Site, ...]:
        """The sites of which somebody reaches anything, by name.

        Raises:
            Forbidden: An integrator sees no directory.
        """
        scope = require_scope(who, Action.SEE_DIRECTORY)
        with self._db.read() as conn:
            seen = entries.sites_in_sight(conn, scope)
            return tuple(each for each in directory.list_sites(conn) if each.id in seen)

    def site(self, who: Principal, site: str) -> Site:
        """One site, by id or name.

        Raises:
            Forbidden: An integrator sees no directory.
            NotFound: There is none within sight.
        """
        scope = require_scope(who, Action.SEE_DIRECTORY)
        with self._db.read() as conn:
            return _find(conn, site, entries.sites_in_sight(conn, scope))

    def add(
        self, who: Principal, site_id: str, name: str | None = None, *, address: str | None = None
    ) -> Site:
        """Make a site with default settings.

        Raises:
            Forbidden: Not an administrator who reaches everything.
            BadRequest: Id or name cannot be used.
            Conflict: There is one already.
        """
        act = Act(who, self._clock(), address)
        act.require_everything()
        site_id = require_place_name(site_id, to_translate("site id"))
        name = require_place_name(name or site_id)
        with self._db.write() as conn:
            changes.hold_order(conn)
            if any(site_id == each.id for each in directory.list_sites(conn)):
                raise Conflict(
                    worded("There is a site %(site_id)s already.", site_id=repr(site_id))
                )
            _require_free(conn, site_id, name)
            site = directory.ensure_site(conn, site_id, name)
            act.tell(conn, "site.add", site_id, before=None, after=site_values(site))
        return site

    def change(
        self,
        who: Principal,
        wanted: Site,
        *,
        seen: Site | None = None,
        address: str | None = None,
    ) -> Site:
        """Change the settings of a site.

        Args:
            who: Who changes it.
            wanted: The site as it shall be; its id tells which one it is.
            seen: The site as it was when it was looked at; None where nobody looked.
            address: Where the request came from.

        Raises:
            Forbidden: Not an administrator.
            NotFound: There is no such site that this administrator reaches wholly.
            BadRequest: A setting cannot be so; the message names it.
            Conflict: It was changed meanwhile, or another site has this name.
        """
        act = Act(who, self._clock(), address)
        scope = act.scope
        wanted = _checked(wanted)
        with self._db.write() as conn:
            changes.hold_order(conn)
            before = _find(conn, wanted.id, _own(conn, scope))
            require_unchanged(None if seen is None else site_values(seen), site_values(before))
            if wanted == before:
                return before
            if wanted.name != before.name:
                require_place_name(wanted.name)
                _require_free(conn, wanted.id, wanted.name)
            if wanted.default_voicelocation != before.default_voicelocation:
                _require_place(conn, wanted.default_voicelocation, scope)
            directory.set_site(conn, wanted)
            told = (site_values(before), site_values(wanted))
            act.tell(conn, "site.set", wanted.id, before=told[0], after=told[1])
        return wanted

    def datasources(
        self, who: Principal, *, limit: int = 100, after: str | None = None
    ) -> tuple[tuple[Datasource, ...], str | None]:
        """A page of the datasources of sites within reach, by id, and the cursor of the next.

        Raises:
            Forbidden: An integrator sees no directory.
            BadRequest: ``limit`` is out of range, or the cursor not one of ours.
        """
        scope = require_scope(who, Action.SEE_DIRECTORY)
        with self._db.read() as conn:
            wanted = entries.Filter()
            return entries.page(conn, Datasource, scope, wanted, require_limit(limit), after)

    def set_datasource(
        self,
        who: Principal,
        wanted: Datasource,
        *,
        seen: Datasource | None = None,
        address: str | None = None,
    ) -> Datasource:
        """Say which site a datasource feeds; made known where it is new.

        What came in stays with the site that it came to, so that no call changes hands and no
        signal loses its call: only a datasource without calls can be moved.

        Args:
            who: Who changes it.
            wanted: The datasource and its site.
            seen: What it was when it was looked at; None where nobody looked.
            address: Where the request came from.

        Raises:
            Forbidden: Not an administrator.
            NotFound: No such site, or a datasource of a site that is not reached wholly.
            BadRequest: The id cannot be used.
            Conflict: It has calls, or it was changed meanwhile.
        """
        act = Act(who, self._clock(), address)
        scope = act.scope
        if wanted.id != require_name(wanted.id, "datasource"):
            raise BadRequest(to_translate("datasource: no blanks at the ends."))
        with self._db.write() as conn:
            changes.hold_order(conn)
            _find(conn, wanted.site_id, _own(conn, scope))
            everywhere = Scope(everything=True)
            before = entries.find(conn, Datasource, everywhere, wanted.id)
            if before is None:
                require_unchanged(None if seen is None else asdict(seen), {"site_id": None})
                entries.add_datasource(conn, wanted)
                act.tell(conn, "datasource.add", wanted.id, before=None, after=asdict(wanted))
                return wanted
            if before.site_id not in _own(conn, scope):
                raise NotFound(worded("There is no datasource %(id)s.", id=repr(wanted.id)))
            require_unchanged(None if seen is None else asdict(seen), asdict(before))
            if before == wanted:
                return before
            used = entries.uses(conn, before)
            if used is not None:
                raise Conflict(
                    worded(
                        "Datasource %(id)s cannot be moved: %(used)s, and they stay with "
                        "their site %(site_id)s.",
                        id=wanted.id,
                        used=used,
                        site_id=before.site_id,
                    )
                )
            entries.move_datasource(conn, wanted)
            act.tell(conn, "datasource.set", wanted.id, before=asdict(before), after=asdict(wanted))
        return wanted


def site_values(site: Site) -> Values:
    """A site as the audit log tells of it and as changes are compared; JSON values."""
    fill = asdict(site.fill)
    samples = fill.pop("samples")
    if samples:
        fill["sha256"] = hashlib.sha256(samples).hexdigest()
    values = {name: getattr(site, name) for name in Site.__dataclass_fields__ if name != "fill"}
    return {**values, "fill": fill}


def _own(conn: Connection, scope: Scope) -> frozenset[str]:
    """The sites that are reached wholly."""
    if scope.everything:
        return entries.sites_in_sight(conn, scope)
    return scope.site_ids


def _find(conn: Connection, site: str, among: frozenset[str]) -> Site:
    for each in directory.list_sites(conn):
        if each.id == site and site in among:
            return each
    named = [each for each in directory.list_sites(conn) if each.name == site and each.id in among]
    if len(named) != 1:
        known = ", ".join(sorted(among)) or to_translate("none yet")
        raise NotFound(
            worded("There is no one site %(site)s; known: %(known)s.", site=repr(site), known=known)
        )
    return named[0]


def _require_free(conn: Connection, site_id: str, name: str) -> None:
    if any(each.name == name and each.id != site_id for each in directory.list_sites(conn)):
        raise Conflict(worded("Another site is called %(name)s.", name=repr(name)))


def _require_place(conn: Connection, voicelocation: str | None, scope: Scope) -> None:
    """Make a voicelocation known; who reaches a part only takes one that is there."""
    place = voicelocation or directory.DEFAULT_VOICELOCATION
    if scope.everything:
        directory.ensure_voicelocation(conn, place, directory.DEFAULT_STORE)
    elif directory.find_voicelocation(conn, place) is None:
        raise BadRequest(
            worded("default_voicelocation: there is no voicelocation %(place)s.", place=repr(place))
        )


def _checked(wanted: Site) -> Site:
    """A site whose settings can be so; ``directory.set_site`` looks at the numbers.

    Raises:
        BadRequest: One cannot.
    """
    zone_named(wanted.timezone, "timezone")
    if wanted.key_presses not in key_presses.POLICIES:
        raise BadRequest(
            worded("key_presses: one of %(known)s.", known=", ".join(key_presses.POLICIES))
        )
    place = wanted.default_voicelocation
    return replace(
        wanted,
        name=require_name(wanted.name),
        default_voicelocation=None if place is None else require_name(place, "voicelocation"),
        fill=_checked_fill(wanted.fill),
    )


def _checked_fill(fill: Fill) -> Fill:
    return fill_of(fill.kind, fill.hz, fill.dbfs, fill.samples, fill.rate_hz)
