"""Reports: each a kind, a period and filters, within what somebody may see.

What is asked comes as texts, as an address or a command gives it, and is read strictly: what is not
known is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from callreel.access.policy import Action, may, scope_for
from callreel.db import named
from callreel.db.call_filter import CallFilter
from callreel.db.database import Database
from callreel.db.reports import Chosen
from callreel.documents.tables import Table
from callreel.errors import BadRequest, NotFound
from callreel.flows.report_kinds import lines, masking, people, times
from callreel.flows.report_kinds.shape import (
    CALLS,
    DAY_MS,
    DIRECTIONS,
    LIMIT,
    PLACES,
    TARGET,
    Kind,
    Link,
    Question,
    Report,
    require_rows,
)
from callreel.model import Clock, Direction, Principal, Scope
from callreel.periods import parse_period
from callreel.wording import joined, to_translate, worded
from callreel.zones import zone_named, zone_names

LIMIT_S = 60.0
"""Where nobody says otherwise. Source: threats.md T36."""
DEFAULT_LIMIT, MAX_LIMIT = 50, 1000
PERIOD = to_translate("Period")
DEFAULT_TARGET_S, MAX_TARGET_S = 20, 3600

KINDS: tuple[Kind, ...] = (
    Kind(
        "call-analysis",
        "Call analysis",
        "Calls by half hour of the day, and how long callers waited.",
        times.analysis,
        CALLS,
    ),
    Kind(
        "abandoned",
        "Abandoned calls",
        "Callers who hung up before anybody answered: when, and after how long.",
        times.abandoned,
        (*CALLS, TARGET),
    ),
    Kind(
        "busy-hours",
        "Busy hours",
        "Calls by weekday and hour.",
        times.busy_hours,
        CALLS,
        period="30d",
    ),
    Kind(
        "busy-channels",
        "Busy channels",
        "The most lines to the outside in use at once, by hour, or by day of more than eight days.",
        lines.busy_lines,
        CALLS,
    ),
    Kind("agents", "Agents", "Calls and talk of each person.", people.agents, CALLS),
    Kind("groups", "Groups", "Calls and talk of each group.", people.groups, CALLS),
    Kind(
        "top-calls",
        "Top calls",
        "The calls with most talk.",
        people.top_calls,
        (*CALLS, LIMIT),
        period="30d",
    ),
    Kind(
        "top-numbers",
        "Top numbers",
        "The numbers outside with most calls.",
        people.top_numbers,
        (*CALLS, LIMIT),
        period="30d",
    ),
    Kind(
        "year-on-year",
        "Year on year",
        "Calls by month, of the year that the period ends in and of the year before.",
        times.year_on_year,
        CALLS,
        period="this-year",
    ),
    Kind(
        "masking",
        "Masking",
        "Masked calls and masked sound by week.",
        masking.masking,
        CALLS,
        period="30d",
    ),
    Kind(
        "masking-exceptions",
        "Masking: what waits for a person",
        "Signals without partner or call that nobody settled, and proposed masks.",
        masking.exceptions,
        PLACES,
        period="30d",
        action=Action.REVIEW,
    ),
    Kind(
        "playback-audit",
        "Playback audit",
        "Who listened to what, when and from where.",
        masking.playback,
        PLACES,
        max_days=92,
        action=Action.READ_LISTENING,
    ),
)


class Reports:
    """Makes reports.

    Args:
        db: Where calls are.
        clock: What time it is.
        limit_s: How long one may take.
    """

    def __init__(self, db: Database, clock: Clock, *, limit_s: float = LIMIT_S) -> None:
        self._db = db
        self._clock = clock
        self._limit_s = limit_s

    def kinds(self, principal: Principal) -> tuple[Kind, ...]:
        """The reports that somebody may have."""
        return tuple(kind for kind in KINDS if may(principal, kind.action))

    def make(
        self,
        principal: Principal,
        slug: str,
        asked: Mapping[str, str],
        say: Callable[[str], str] = str,
    ) -> Report:
        """Make one report.

        Args:
            principal: Who asks; it counts what this user may see and nothing else.
            slug: Which kind.
            asked: The parameters of the kind by name, as typed; without them its own period, and
                the time zone of the sites where they have one in common, else UTC.
            say: Writes the texts of its picture in the language of who looks.

        Raises:
            NotFound: No such kind, or not for this user.
            BadRequest: A parameter is unknown or cannot be read, names a site, group or person that
                is not there or not this user's, the period is too long, or there are too many rows.
            Unavailable: The database is away.

        Cost: one transaction, from one moment; a pass or two over the calls of the period.
        """
        kind = next((each for each in self.kinds(principal) if each.slug == slug), None)
        if kind is None:
            known = ", ".join(each.slug for each in self.kinds(principal))
            raise NotFound(
                worded(
                    "There is no report %(slug)s; there are: %(known)s.",
                    slug=repr(slug[:40]),
                    known=known,
                )
            )
        known_names = [parameter.name for parameter in kind.parameters]
        for name in asked:
            if name not in known_names:
                told = ", ".join(known_names)
                raise BadRequest(
                    worded(
                        "%(name)s is not a parameter of %(slug)s; known: %(told)s.",
                        name=repr(name[:40]),
                        slug=slug,
                        told=told,
                    )
                )
        with self._db.read_within(self._limit_s) as conn:
            question = replace(
                self._question(conn, kind, scope_for(principal, kind.action), asked), say=say
            )
            content = kind.make(conn, question)
        period = content.period or question.period
        rows = require_rows(content.rows)
        total = content.total if rows else None
        table = Table(
            title=kind.title,
            facts=((PERIOD, period.words), *question.facts),
            columns=content.columns,
            rows=tuple(row.cells for row in rows),
            total=None if total is None else total.cells,
        )
        return Report(
            kind=kind.slug,
            title=kind.title,
            period=period,
            zone=question.zone,
            table=table,
            links=tuple(row.links for row in rows),
            total_links={} if total is None else total.links,
            headline=content.headline,
            chart=content.chart if rows else None,
        )

    def _question(
        self, conn: Connection, kind: Kind, scope: Scope, asked: Mapping[str, str]
    ) -> Question:
        narrowed = _narrowed(conn, scope, asked)
        zone = _zone(asked, named.timezones(conn, narrowed.scope))
        now = self._clock()
        period = parse_period(_period_text(kind, asked), now, zone)
        # An hour more, as clocks may have gone back.
        if period.until - period.since > kind.max_days * DAY_MS + DAY_MS // 24:
            raise BadRequest(
                worded(
                    "period: %(period)s is more than the %(most)s days that %(slug)s can be about.",
                    period=_period_text(kind, asked)[:60],
                    most=kind.max_days,
                    slug=kind.slug,
                )
            )
        base: dict[str, str | int] = {"since": period.since, "until": period.until}
        direction = None
        filters = list(narrowed.filters)
        if "dir" in asked:
            direction = _direction(asked["dir"])
            base["dir"] = direction.value
            filters.append(worded("direction %(name)s", name=DIRECTIONS[direction]))
        wanted = CallFilter(direction=direction)
        facts = (
            (to_translate("Scope"), named.words(conn, scope)),
            (to_translate("Filters"), joined(filters) if filters else to_translate("none")),
        )
        return Question(
            period=period,
            zone=zone,
            chosen=Chosen(narrowed.scope, period.since, period.until, wanted, narrowed.user_ids),
            now=now,
            facts=facts,
            base={**base, **narrowed.link},
            limit=_number(asked, "limit", DEFAULT_LIMIT, MAX_LIMIT),
            target_s=_number(asked, "target", DEFAULT_TARGET_S, MAX_TARGET_S),
        )


@dataclass(frozen=True, slots=True)
class _Narrowed:
    """A scope with the places that were asked for."""

    scope: Scope
    user_ids: frozenset[str] | None
    link: Link
    filters: tuple[str, ...]


def _narrowed(conn: Connection, scope: Scope, asked: Mapping[str, str]) -> _Narrowed:
    link: dict[str, str | int] = {}
    filters: list[str] = []
    user_ids = None
    if "site" in asked:
        site = named.find_site(conn, scope, asked["site"])
        scope = named.within_site(conn, scope, site.id)
        link["site"] = site.id
        filters.append(worded("site %(name)s", name=site.name))
    if "group" in asked:
        group = named.find_group(conn, scope, asked["group"])
        scope = Scope(group_ids=frozenset({group.id}))
        link["grp"] = group.id
        filters.append(worded("group %(name)s", name=group.name))
    if "agent" in asked:
        user = named.find_user(conn, scope, asked["agent"])
        user_ids = frozenset({user.id})
        link |= {"site": user.site_id, "ext": user.extension}
        filters.append(worded("agent %(name)s", name=user.name))
    return _Narrowed(scope, user_ids, link, tuple(filters))


def _period_text(kind: Kind, asked: Mapping[str, str]) -> str:
    if "from" in asked or "to" in asked:
        if "period" in asked:
            raise BadRequest(to_translate("period: goes without from and to."))
        if "from" not in asked:
            raise BadRequest(to_translate("to: goes with from."))
        return f"{asked['from']}..{asked.get('to', '')}"
    return asked.get("period", kind.period)


def _zone(asked: Mapping[str, str], of_sites: frozenset[str]) -> ZoneInfo:
    if "zone" in asked:
        return zone_named(asked["zone"])
    # A site may be older than the rule about its zone.
    common = of_sites & zone_names() if len(of_sites) == 1 else ()
    return ZoneInfo(next(iter(common), "UTC"))


def _direction(text: str) -> Direction:
    try:
        return Direction(text.lower())
    except ValueError:
        raise BadRequest(
            worded("dir: must be one of %(known)s.", known=", ".join(Direction))
        ) from None


def _number(asked: Mapping[str, str], name: str, otherwise: int, most: int) -> int:
    text = asked.get(name)
    if text is None:
        return otherwise
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= most):
        raise BadRequest(
            worded("%(name)s: must be a number from 1 to %(most)s.", name=name, most=str(most))
        )
    return int(text)
