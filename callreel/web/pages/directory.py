"""The directory: extensions, groups, lines. Seen by most, changed by administrators."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from callreel.db.entries import DirectoryUser, Filter, Group
from callreel.errors import BadRequest
from callreel.flows.directory import Directory
from callreel.flows.sites import Sites
from callreel.model import Principal
from callreel.web.pages.page import Pages, Visitor, form
from callreel.web.session import address_of
from callreel.wording import to_translate, worded

PAGE, MOST = 100, 500
TABS = ("extensions", "groups", "channels")


class DirectoryPages:
    """Pages about the directory."""

    def __init__(self, pages: Pages, directory: Directory, sites: Sites) -> None:
        self._pages = pages
        self._directory = directory
        self._sites = sites

    async def directory(self, request: Request, visitor: Visitor) -> Response:
        """``GET`` and ``POST /directory/{tab}?q=&site=&after=``."""
        tab = request.path_params.get("tab", TABS[0])
        if tab not in TABS:
            raise BadRequest(
                worded(
                    "There is no list %(tab)s; known are %(known)s.",
                    tab=repr(tab[:40]),
                    known=", ".join(TABS),
                )
            )
        if request.method == "POST":
            return await self._change(request, visitor, tab)
        asked = request.query_params
        wanted = Filter(asked.get("q") or None, asked.get("site") or None)
        look = {
            "extensions": self._directory.users,
            "groups": self._directory.groups,
            "channels": self._directory.channels,
        }[tab]
        who, after = visitor.signed_in.principal, asked.get("after") or None
        page = await run_in_threadpool(look, who, wanted, limit=PAGE, after=after)
        groups = await run_in_threadpool(self._groups, who) if tab == "extensions" else ()
        return self._pages.page(
            "directory.html",
            request,
            visitor,
            tab=tab,
            tabs=TABS,
            page=page,
            groups=groups,
            sites=await run_in_threadpool(self._sites.sites, who),
            q=asked.get("q", ""),
            site=asked.get("site", ""),
        )

    def _groups(self, who: Principal) -> tuple[Group, ...]:
        """Every group within reach: a form that offers some of them would take the others away."""
        found: tuple[Group, ...] = ()
        after: str | None = None
        while True:
            page = self._directory.groups(who, None, limit=MOST, after=after)
            found, after = (*found, *page.items), page.next
            if after is None:
                return found

    async def _change(self, request: Request, visitor: Visitor, tab: str) -> Response:
        """Add, save or remove one entry."""
        fields = await form(request)
        who, address = visitor.signed_in.principal, address_of(request)
        await run_in_threadpool(self._do, tab, fields, who, address)
        return RedirectResponse(f"/directory/{tab}", 303)

    def _do(self, tab: str, fields: dict[str, str], who: Principal, address: str | None) -> None:
        known = self._directory
        site, name, entry = (fields.get(each, "") for each in ("site", "name", "id"))
        match (tab, fields.get("do", "")):
            case ("extensions", "add"):
                wanted = DirectoryUser(
                    "", site, fields.get("group") or None, fields.get("extension", ""), name
                )
                known.add_user(who, wanted, address=address)
            case ("extensions", "save"):
                extension = fields.get("extension", "")
                group, before = fields.get("group") or None, fields.get("seen_group") or None
                known.change_user(
                    who,
                    DirectoryUser(entry, site, group, extension, name),
                    seen=DirectoryUser(entry, site, before, extension, fields.get("seen_name", "")),
                    address=address,
                )
            case ("extensions", "remove"):
                known.remove_user(who, entry, address=address)
            case ("groups", "add"):
                known.add_group(who, site, name, address=address)
            case ("groups", "save"):
                seen = fields.get("seen_name")
                known.rename_group(who, entry, name, seen=seen, address=address)
            case ("groups", "remove"):
                known.remove_group(who, entry, address=address)
            case ("channels", "add"):
                known.add_channel(who, site, name, address=address)
            case ("channels", "remove"):
                known.remove_channel(who, entry, address=address)
            case _:
                raise BadRequest(to_translate("do: must be add, save or remove."))
