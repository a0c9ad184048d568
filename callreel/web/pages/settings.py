"""Settings: sites and how they mask, web users and their keys, where recordings are kept."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from callreel.access.policy import Action
from callreel.audio.fill import fill_of
from callreel.db.directory import Site, Voicelocation
from callreel.db.entries import Group
from callreel.errors import BadRequest, Conflict, Forbidden, Unauthenticated
from callreel.flows.acts import EVERYTHING
from callreel.flows.directory import Directory
from callreel.flows.people import People, Rights
from callreel.flows.places import Places
from callreel.flows.sites import Sites
from callreel.model import DEFAULT_FILL, Principal, Role, Scope
from callreel.web.pages.page import Pages, Visitor, form
from callreel.web.pages.shown_once import Secret, ShownOnce
from callreel.web.session import address_of
from callreel.wording import to_translate, worded

PAGE = 100
MOST_GROUPS = 500
FILLS = ("tone", "silence", "file")
KEY_PRESSES = ("off", "list", "apply")


class SettingsPages:
    """Pages about what an administrator sets."""

    def __init__(
        self, pages: Pages, sites: Sites, people: People, places: Places, directory: Directory
    ) -> None:
        self._pages = pages
        self._sites = sites
        self._people = people
        self._places = places
        self._directory = directory
        self._secrets = ShownOnce()

    async def settings(self, request: Request, visitor: Visitor) -> Response:
        """``GET /settings``: the sites, and the way to the rest."""
        who = visitor.signed_in.principal
        return self._pages.page(
            "settings.html",
            request,
            visitor,
            sites=await run_in_threadpool(self._sites.sites, who),
            may_change=visitor.may(Action.ADMINISTER),
        )

    async def site(self, request: Request, visitor: Visitor) -> Response:
        """``GET`` and ``POST /settings/sites/{site}``: how one site masks and keeps."""
        who = visitor.signed_in.principal
        site = await run_in_threadpool(self._sites.site, who, request.path_params["site"])
        if request.method == "POST":
            fields = await form(request)
            if fields.get("seen") != seen_of(site):
                raise Conflict(
                    to_translate("Somebody else changed this site meanwhile; load the page again.")
                )
            wanted = wanted_site(site, fields)
            address = address_of(request)
            await run_in_threadpool(self._sites.change, who, wanted, seen=site, address=address)
            return RedirectResponse("/settings", 303)
        return self._pages.page(
            "site.html",
            request,
            visitor,
            site=site,
            seen=seen_of(site),
            fills=FILLS,
            key_presses=KEY_PRESSES,
            may_change=visitor.may(Action.ADMINISTER),
        )

    async def add_site(self, request: Request, visitor: Visitor) -> Response:
        """``POST /settings/sites``."""
        fields = await form(request)
        site = await run_in_threadpool(
            self._sites.add,
            visitor.signed_in.principal,
            fields.get("id", ""),
            fields.get("name") or None,
            address=address_of(request),
        )
        return RedirectResponse(f"/settings/sites/{site.id}", 303)

    async def people(self, request: Request, visitor: Visitor) -> Response:
        """``GET`` and ``POST /settings/people``: web users and API keys."""
        who, session_id = visitor.signed_in.principal, visitor.signed_in.session_id
        if request.method == "POST":
            made = await run_in_threadpool(self._act, await form(request), who, address_of(request))
            if made is not None:
                self._secrets.keep(session_id, made)
            # A page that is loaded again must neither do it again nor show it again.
            return RedirectResponse("/settings/people", 303)
        asked = request.query_params
        beginning, after = asked.get("q", ""), asked.get("after")
        page = await run_in_threadpool(
            self._people.page, who, beginning, limit=PAGE, after=after or None
        )
        groups = await run_in_threadpool(self._directory.groups, who, None, limit=MOST_GROUPS)
        sites = await run_in_threadpool(self._sites.sites, who)
        return self._pages.page(
            "people.html",
            request,
            visitor,
            page=page,
            keys=await run_in_threadpool(self._people.keys, who),
            # What is only asked after shows nothing.
            shown=self._secrets.take(session_id) if request.method == "GET" else (),
            q=beginning,
            sites=sites,
            seen={each.id: seen_of(Rights(each.role, each.reach)) for each in page.items},
            reach={each.id: reach_words(each.reach, sites, groups.items) for each in page.items},
            roles_known=tuple(role.value for role in Role),
            may_change=visitor.may(Action.ADMINISTER),
        )

    def _act(self, fields: dict[str, str], who: Principal, address: str | None) -> Secret | None:
        """Do what a form asks; gives a secret that is to be shown once, where one was made."""
        people, user = self._people, fields.get("user", "")
        match fields.get("do", ""):
            case "add":
                added = people.add(who, user.strip(), self._rights(who, fields), address=address)
                return Secret(added.person.username, added.password or "")
            case "change":
                self._change(who, user, fields, address)
            case "enable" | "disable" as verb:
                people.set_enabled(who, user, enabled=verb == "enable", address=address)
            case "password":
                known = people.person(who, user)
                if known.id == who.web_user_id:
                    # It ends every session, and no page could show it any more.
                    raise Conflict(to_translate("Your own password is changed under Preferences."))
                fresh = people.new_password(who, known.id, address=address)
                return Secret(known.username, fresh or "")
            case "key":
                key = people.add_key(who, user, fields.get("label", ""), address=address)
                return Secret(people.person(who, user).username, key.secret)
            case "revoke":
                people.revoke_key(who, fields.get("key", ""), address=address)
            case _:
                raise BadRequest(
                    to_translate("do: add, change, enable, disable, password, key or revoke.")
                )
        return None

    def _change(
        self, who: Principal, user: str, fields: dict[str, str], address: str | None
    ) -> None:
        """Change role and reach; what was not touched is not read as text.

        Names may be others by now, and then mean other places.
        """
        person = self._people.person(who, user)
        seen = Rights(person.role, person.reach)
        if fields.get("seen") != seen_of(seen):
            raise Conflict(
                to_translate("Somebody else changed this user meanwhile; load the page again.")
            )
        if fields.get("reach") == fields.get("seen_reach"):
            wanted = replace(self._rights(who, {**fields, "reach": ""}), reach=person.reach)
        else:
            wanted = self._rights(who, fields)
        self._people.change(who, user, wanted, seen=seen, address=address)

    def _rights(self, who: Principal, fields: dict[str, str]) -> Rights:
        """Role and reach of a form; the reach as people write it.

        Raises:
            BadRequest: There is no such role, site or group; it is named.
        """
        if fields.get("role") not in {role.value for role in Role}:
            raise BadRequest(worded("role: must be one of %(known)s.", known=", ".join(Role)))
        sites = {name: site.id for site in self._sites.sites(who) for name in (site.id, site.name)}
        reached: set[str] = set()
        groups: set[str] = set()
        everything = False
        for piece in filter(None, map(str.strip, fields.get("reach", "").split(","))):
            site, slash, group = piece.partition("/")
            if piece == EVERYTHING:
                if EVERYTHING in sites:
                    raise BadRequest(
                        to_translate("reach: a site is named 'everything'; give it another name.")
                    )
                everything = True
            elif site not in sites:
                known = ", ".join(each.name for each in self._sites.sites(who))
                raise BadRequest(
                    worded(
                        "reach: there is no site %(site)s; known are %(known)s.",
                        site=repr(site[:60]),
                        known=known,
                    )
                )
            elif slash:
                groups.add(self._directory.find(who, Group, sites[site], group).id)
            else:
                reached.add(sites[site])
        return Rights(
            Role(fields["role"]), Scope(everything, frozenset(reached), frozenset(groups))
        )

    async def places(self, request: Request, visitor: Visitor) -> Response:
        """``GET`` and ``POST /settings/places``: stores, and voicelocations with their Echo."""
        who = visitor.signed_in.principal
        if request.method == "POST":
            fields, address = await form(request), address_of(request)
            await run_in_threadpool(self._place, fields, who, address)
            return RedirectResponse("/settings/places", 303)
        return self._pages.page(
            "places.html",
            request,
            visitor,
            stores=await run_in_threadpool(self._places.stores, who),
            voicelocations=await run_in_threadpool(self._places.voicelocations, who),
        )

    def _place(self, fields: dict[str, str], who: Principal, address: str | None) -> None:
        match fields.get("do", ""):
            case "store":
                path = Path(fields.get("path", ""))
                self._places.add_store(who, fields.get("id", ""), path, address=address)
            case "voicelocation":
                self._places.add_voicelocation(who, _voicelocation(fields, ""), address=address)
            case "change":
                self._places.change_voicelocation(
                    who,
                    _voicelocation(fields, ""),
                    seen=_voicelocation(fields, "seen_"),
                    address=address,
                )
            case _:
                raise BadRequest(to_translate("do: must be store, voicelocation or change."))

    async def password(self, request: Request, visitor: Visitor) -> Response:
        """``POST /preferences/password``: one's own; every session ends, this one too."""
        fields = await form(request)
        try:
            await run_in_threadpool(
                self._people.change_own_password,
                visitor.signed_in.principal,
                fields.get("old", ""),
                fields.get("new", ""),
                address=address_of(request),
            )
        except Unauthenticated as told:
            # Their session is good: to be sent to sign in would not tell them what was wrong.
            raise Forbidden(told.message) from None
        return RedirectResponse("/login", 303)


def _voicelocation(fields: dict[str, str], prefix: str) -> Voicelocation:
    return Voicelocation(
        fields.get("id", ""),
        fields.get(f"{prefix}echo_url") or None,
        fields.get(f"{prefix}store_id", ""),
    )


def reach_words(reach: Scope, sites: Sequence[Site], groups: Sequence[Group]) -> str:
    """A reach as a form takes it; ids where there is no name."""
    names = {site.id: site.name for site in sites}
    of_groups = {each.id: f"{names.get(each.site_id, each.site_id)}/{each.name}" for each in groups}
    parts = [EVERYTHING] if reach.everything else []
    parts += sorted(names.get(each, each) for each in reach.site_ids)
    parts += sorted(of_groups.get(each, each) for each in reach.group_ids)
    return ", ".join(parts)


def seen_of(what: Site | Rights) -> str:
    """What a form was made from; another where it was changed since."""
    if isinstance(what, Rights):
        reach = what.reach
        parts = (what.role, reach.everything, sorted(reach.site_ids), sorted(reach.group_ids))
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
    return hashlib.sha256(repr(what).encode()).hexdigest()[:16]


def wanted_site(site: Site, fields: dict[str, str]) -> Site:
    """A site as a form wants it.

    Raises:
        BadRequest: A field is no number; it is named. What is out of range the flow refuses.
    """
    kind = fields.get("fill_kind", site.fill.kind)
    fill = site.fill
    if kind != "file":
        hz, dbfs = _number(fields, "fill_hz"), _number(fields, "fill_dbfs")
        fill = fill_of(
            kind,
            DEFAULT_FILL.hz if hz is None else hz,
            DEFAULT_FILL.dbfs if dbfs is None else dbfs,
        )
    elif site.fill.kind != "file":
        raise BadRequest(to_translate("fill: a file is set with callreel site set --fill-file."))
    retention = _number(fields, "retention_days")
    return replace(
        site,
        name=fields.get("name", site.name),
        timezone=fields.get("timezone", site.timezone),
        pad_s=_required(fields, "pad_s"),
        settle_s=_required(fields, "settle_s"),
        max_span_s=_number(fields, "max_span_s"),
        burn_in_after_s=_number(fields, "burn_in_after_s"),
        retention_days=_whole("retention_days", retention),
        key_presses=fields.get("key_presses", site.key_presses),
        default_voicelocation=fields.get("default_voicelocation") or None,
        fill=fill,
    )


def _required(fields: dict[str, str], name: str) -> float:
    found = _number(fields, name)
    if found is None:
        raise BadRequest(worded("%(name)s: must be given.", name=name))
    return found


def _number(fields: dict[str, str], name: str) -> float | None:
    text = fields.get(name, "").strip()
    if not text:
        return None
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise BadRequest(
            worded("%(name)s: %(text)s is not a number.", name=name, text=repr(text[:40]))
        )
    return found


def _whole(name: str, found: float | None) -> int | None:
    if found is None:
        return None
    if found != int(found):
        raise BadRequest(worded("%(name)s: must be a whole number.", name=name))
    return int(found)
