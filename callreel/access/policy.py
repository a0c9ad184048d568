"""Who may do what: person and action to a Scope. The only file that decides it.

"May she hear this recording" is "find this recording within her scope for hearing", so a list and a
single check cannot differ, and a refusal looks like absence.
"""

from __future__ import annotations

from enum import StrEnum

from callreel.model import Principal, Role, Scope, WebUserId


class Action(StrEnum):
    """What somebody wants to do; ``object:verb``."""

    SEE_CALLS = "calls:see"
    HEAR = "recordings:hear"
    SIGNAL = "signals:send"
    REVIEW = "signals:review"
    MASK = "masks:add"
    NARROW = "masks:narrow"
    HOLD = "recordings:hold"
    NOTE = "notes:write"
    READ_LISTENING = "listening:read"
    SEE_DIRECTORY = "directory:see"
    SEE_PEOPLE = "people:see"
    ADMINISTER = "directory:administer"


_EVERYONE = frozenset(Role)
_MAY: dict[Action, frozenset[Role]] = {
    Action.SEE_CALLS: _EVERYONE,
    # An auditor reads who listened, and does not listen.
    Action.HEAR: _EVERYONE - {Role.AUDITOR},
    Action.SIGNAL: _EVERYONE - {Role.AUDITOR},
    Action.REVIEW: _EVERYONE - {Role.INTEGRATOR},
    Action.MASK: _EVERYONE - {Role.AUDITOR},
    # Masking less is the one act that lets out what was held back.
    Action.NARROW: frozenset({Role.ADMINISTRATOR, Role.COMPLIANCE}),
    Action.HOLD: frozenset({Role.ADMINISTRATOR, Role.COMPLIANCE}),
    Action.NOTE: frozenset({Role.ADMINISTRATOR, Role.COMPLIANCE, Role.SUPERVISOR}),
    # Who listened to what is for those who answer for it, not for those who listen.
    Action.READ_LISTENING: frozenset({Role.ADMINISTRATOR, Role.COMPLIANCE, Role.AUDITOR}),
    # A program names what it means by extension; it has no use for a list of everybody.
    Action.SEE_DIRECTORY: _EVERYONE - {Role.INTEGRATOR},
    Action.SEE_PEOPLE: frozenset({Role.ADMINISTRATOR, Role.AUDITOR}),
    Action.ADMINISTER: frozenset({Role.ADMINISTRATOR}),
}

NOTHING = Scope()
COMMAND = Principal(
    WebUserId("command"), "command", Role.ADMINISTRATOR, Scope(everything=True), "command"
)
"""Whoever has the command line of the machine: no password of ours could keep them from the data.
No web user can have this name."""


def scope_for(principal: Principal, action: Action) -> Scope:
    """The part of the directory in which ``principal`` may do ``action``; NOTHING where it may not.

    An action that is missing from the table is allowed to nobody.
    """
    return principal.reach if may(principal, action) else NOTHING


def may(principal: Principal, action: Action) -> bool:
    """Whether a role may do this at all, wherever its reach is; for menus, never for an answer."""
    return principal.role in _MAY.get(action, frozenset())
