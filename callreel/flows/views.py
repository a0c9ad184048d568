"""Saved views: a name for a filter, for oneself, the team, or everyone."""

from __future__ import annotations

from callreel.db import audit, saved_views
from callreel.db.database import Database
from callreel.db.saved_views import Audience, SavedView
from callreel.errors import BadRequest, Forbidden, NotFound
from callreel.model import Clock, Principal, Role
from callreel.wording import to_translate, worded

MOST_CHARS = 60
MOST_OWN = 50


class SavedViews:
    """Keeps saved views."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    def seen(self, principal: Principal) -> tuple[SavedView, ...]:
        """What a user sees, oldest first."""
        with self._db.read() as conn:
            return saved_views.seen_by(conn, principal.web_user_id)

    def one(self, principal: Principal, view_id: str) -> SavedView:
        """One saved view.

        Raises:
            NotFound: There is none, or it is not for this user.
        """
        for view in self.seen(principal):
            if view.id == view_id:
                return view
        raise NotFound(to_translate("There is no such view, or it is not shared with you."))

    def save(
        self, principal: Principal, name: str, query: str, audience: str, address: str | None
    ) -> SavedView:
        """Save a view.

        Args:
            principal: Who saves.
            name: What it is called.
            query: Of the address of Call View, checked by whoever asks.
            audience: A value of ``Audience``.
            address: Where from.

        Raises:
            BadRequest: The name is empty or too long, or there is no such audience.
            Forbidden: Only administrators and compliance save for everyone.
        """
        told = " ".join(name.split())
        if not told or len(told) > MOST_CHARS or not told.isprintable():
            raise BadRequest(
                worded("name: must have 1 to %(most)s characters.", most=str(MOST_CHARS))
            )
        if audience not in {each.value for each in Audience}:
            raise BadRequest(
                worded("audience: must be one of %(known)s.", known=", ".join(Audience))
            )
        for_all = Audience(audience) is Audience.EVERYONE
        if for_all and principal.role not in {Role.ADMINISTRATOR, Role.COMPLIANCE}:
            raise Forbidden(
                to_translate("Administrators and compliance officers save views for everyone.")
            )
        own = [each for each in self.seen(principal) if each.web_user_id == principal.web_user_id]
        if len(own) >= MOST_OWN:
            raise BadRequest(
                worded("You have %(most)s views; remove one first.", most=str(MOST_OWN))
            )
        with self._db.write() as conn:
            view_id = saved_views.add(
                conn, told, query, Audience(audience), principal.web_user_id, self._clock()
            )
            audit.append(conn, self._entry(principal, "view.save", view_id, address))
        return self.one(principal, view_id)

    def remove(self, principal: Principal, view_id: str, address: str | None) -> None:
        """Forget a view.

        Raises:
            NotFound: as ``one``.
            Forbidden: It is somebody else's, and this user is no administrator.
        """
        view = self.one(principal, view_id)
        own = view.web_user_id == principal.web_user_id
        if not own and principal.role is not Role.ADMINISTRATOR:
            raise Forbidden(to_translate("Only who saved a view, or an administrator, removes it."))
        with self._db.write() as conn:
            saved_views.remove(conn, view_id)
            audit.append(conn, self._entry(principal, "view.remove", view_id, address))

    def _entry(
        self, principal: Principal, action: str, view_id: str, address: str | None
    ) -> audit.AuditEntry:
        return audit.AuditEntry(
            self._clock(), principal.username, action, view_id, "allowed", {}, address
        )
