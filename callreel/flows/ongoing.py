"""Calls in progress: told by a switch or a program, shown until they end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from callreel.access.policy import Action, scope_for
from callreel.db import directory, ongoing
from callreel.db.call_filter import CallFilter
from callreel.db.database import Database
from callreel.db.ongoing import LegNews, LegState, OngoingLeg
from callreel.errors import BadRequest, NotFound
from callreel.model import Clock, Direction, Principal, UnixMillis

MAX_AHEAD_MS = 86_400_000
"""As of signals from a switch: a clock that is fast is not fast by more than a day."""
MAX_NAME = 200
"""Characters of a name or number."""


@dataclass(frozen=True, slots=True)
class OngoingCall:
    """One conversation that goes on, of one leg or several."""

    datasource: str
    id: str
    """Of the conversation, as the switch has it."""
    site_name: str
    state: LegState
    direction: Direction
    from_number: str
    to_number: str
    caller_name: str
    extension: str | None
    agent_name: str | None
    group_name: str | None
    started_at: UnixMillis
    answered_at: UnixMillis | None
    """When the one who is shown answered; None while nobody did."""


class Ongoing:
    """Takes what is told of calls in progress, and shows them.

    Args:
        db: Where they are kept.
        clock: What time it is.
        age_ms: How long a leg is shown without any news of it.
    """

    def __init__(self, db: Database, clock: Clock, *, age_ms: int = ongoing.AGE_MS) -> None:
        self._db = db
        self._clock = clock
        self._age_ms = age_ms

    def tell(self, principal: Principal, news: LegNews) -> None:
        """Keep what was told of one leg; it is on the disk afterwards.

        It is news and no act: nothing is masked or deleted because of it, and it is not in the
        audit log.

        Raises:
            BadRequest: A name is too long or cannot be one, or its time cannot be true.
            NotFound: No such datasource within this user's reach.
            Unavailable: It could not be stored.
        """
        now = self._clock()
        _require_storable(news, now, self._age_ms)
        with self._db.write() as conn:
            site_id = _site_of(conn, principal, news.datasource)
            ongoing.tell(conn, site_id, news, now, age_ms=self._age_ms)

    def is_over(self, news: LegNews) -> bool:
        """Whether news are so old that ``tell`` refuses them."""
        return news.at <= self._clock() - self._age_ms

    def seen(self, principal: Principal, wanted: CallFilter) -> tuple[OngoingCall, ...]:
        """Calls in progress within this user's sight that a filter finds, newest first.

        Raises:
            Unavailable: The database is away.
        """
        scope = scope_for(principal, Action.SEE_CALLS)
        with self._db.read() as conn:
            legs = ongoing.going_on(conn, scope, wanted, self._clock(), age_ms=self._age_ms)
        conversations: dict[tuple[str, str], list[OngoingLeg]] = {}
        for leg in legs:
            conversations.setdefault((leg.datasource, leg.linked_id), []).append(leg)
        return tuple(_call(each) for each in reversed(conversations.values()))


def _call(legs: Sequence[OngoingLeg]) -> OngoingCall:
    """What is shown of a conversation: who called whom first, and who speaks now."""
    first = legs[0]
    # A queue is answered by the switch long before anybody speaks: an agent's leg tells more.
    agents = [leg for leg in legs if leg.extension]
    busy = [leg for leg in agents if leg.state is not LegState.RINGING]
    shown = (busy or agents or legs)[-1]
    known = next((leg for leg in legs if leg.direction is not Direction.UNKNOWN), first)
    return OngoingCall(
        datasource=first.datasource,
        id=first.linked_id,
        site_name=first.site_name,
        state=shown.state,
        direction=known.direction,
        from_number=first.from_number or shown.from_number,
        to_number=first.to_number or shown.to_number,
        caller_name=next((leg.caller_name for leg in legs if leg.caller_name), ""),
        extension=shown.extension,
        agent_name=shown.agent_name,
        group_name=shown.group_name,
        started_at=first.started_at,
        answered_at=shown.answered_at,
    )


def _require_storable(news: LegNews, now: UnixMillis, age_ms: int) -> None:
    for name in (
        "datasource", "unique_id", "linked_id", "from_number", "to_number", "caller_name",
        "extension",
    ):  # fmt: skip
        text = getattr(news, name)
        if text is not None and (len(text) > MAX_NAME or not text.isprintable()):
            raise BadRequest(f"{name}: longer than {MAX_NAME} characters, or cannot be printed.")
    if not news.datasource or not news.unique_id:
        raise BadRequest("datasource, unique_id: are missing.")
    if not now - age_ms < news.at <= now + MAX_AHEAD_MS:
        raise BadRequest(
            f"at: more than {age_ms / 3_600_000:g} h ago, or more than a day ahead of this server."
        )


def _site_of(conn: Connection, principal: Principal, datasource: str) -> str:
    scope = scope_for(principal, Action.SIGNAL)
    if scope.everything:
        return directory.ensure_datasource(conn, datasource).id
    site_id = directory.site_of_datasource(conn, datasource)
    if site_id is None or site_id not in scope.site_ids:
        raise NotFound("There is no such datasource, or it is not within your reach.")
    return site_id
