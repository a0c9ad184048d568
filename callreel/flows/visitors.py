"""How somebody wants pages: language, time zone, colours, keys."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from zoneinfo import ZoneInfo

from callreel.access.policy import Action, scope_for
from callreel.db import preferences
from callreel.db.database import Database
from callreel.errors import BadRequest
from callreel.model import Principal
from callreel.wording import worded
from callreel.zones import zone_named, zone_names

THEMES = ("auto", "light", "dark")
UTC = "UTC"


@dataclass(frozen=True, slots=True)
class Preferences:
    """What somebody chose; what they left open follows the browser or the sites they see."""

    zone: ZoneInfo
    language: str = ""
    """Empty: as the browser says."""
    theme: str = "auto"
    single_keys: bool = True


@dataclass(frozen=True, slots=True)
class Chosen:
    """Preferences as they are kept."""

    language: str = ""
    theme: str = "auto"
    single_keys: bool = True
    timezone: str = ""
    """Empty: that of the sites within sight."""


class Visitors:
    """Keeps preferences."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def preferences(self, principal: Principal) -> Preferences:
        """How somebody wants pages.

        Raises:
            Unavailable: The database is away.
        """
        with self._db.read() as conn:
            chosen = _read(preferences.of(conn, principal.web_user_id))
            zones: Sequence[str] = [chosen.timezone]
            if chosen.timezone not in zone_names():
                # Of several sites one zone would be wrong for some: then it is UTC for all.
                scope = scope_for(principal, Action.SEE_CALLS)
                zones = preferences.zones_of(conn, scope)
        # A site may be older than the rule about its zone.
        zone = zones[0] if len(zones) == 1 and zones[0] in zone_names() else UTC
        return Preferences(ZoneInfo(zone), chosen.language, chosen.theme, chosen.single_keys)

    def chosen(self, principal: Principal) -> Chosen:
        """What somebody chose."""
        with self._db.read() as conn:
            return _read(preferences.of(conn, principal.web_user_id))

    def choose(self, principal: Principal, chosen: Chosen) -> None:
        """Keep what somebody chose.

        Raises:
            BadRequest: There is no such theme or time zone.
        """
        if chosen.theme not in THEMES:
            raise BadRequest(worded("theme: must be one of %(known)s.", known=", ".join(THEMES)))
        if chosen.timezone:
            zone_named(chosen.timezone, "timezone")
        with self._db.write() as conn:
            preferences.put(conn, principal.web_user_id, json.dumps(asdict(chosen)))


def _read(text: str | None) -> Chosen:
    known = json.loads(text) if text else {}
    return Chosen(**{name: known[name] for name in Chosen.__slots__ if name in known})
