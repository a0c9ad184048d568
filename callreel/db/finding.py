"""What every token and every answer of sound asks for first: by the driver, see ``lookup``."""

from __future__ import annotations

from functools import lru_cache

from callreel.db import calls, directory, users
from callreel.db.database import Database
from callreel.db.lookup import Lookup
from callreel.db.rows import FILL, recording_of_rows
from callreel.model import Recording, RecordingId, Scope, WebUser, WebUserId


class Finder:
    """Finds recordings, users and addresses as they are now.

    Args:
        db: Where they are.

    Every method raises as ``Database.read``.
    """

    def __init__(self, db: Database) -> None:
        self._fill = db.prepared(FILL)
        self._user = db.prepared(users.BY_ID)
        self._echo_url = db.prepared(directory.ECHO_URL)
        self._mask_revision = db.prepared(calls.MASK_REVISION)

        @lru_cache(maxsize=calls.SCOPES)
        def by_id(scope: Scope) -> Lookup:
            return db.prepared(calls.recording_by_id(scope))

        @lru_cache(maxsize=calls.SCOPES)
        def by_names(scope: Scope) -> Lookup:
            return db.prepared(calls.recording_by_names(scope))

        self._by_id, self._by_names = by_id, by_names

    def recording(self, scope: Scope, recording_id: RecordingId) -> Recording | None:
        """As ``calls.find_recording``."""
        found = self._by_id(scope)(recording_id=recording_id)
        return recording_of_rows(found, lambda datasource: self._fill(datasource=datasource))

    def recording_by_names(
        self, scope: Scope, datasource: str, voicelocation: str, voicefilename: str
    ) -> Recording | None:
        """As ``calls.find_recording_by_names``."""
        found = self._by_names(scope)(
            datasource=datasource, voicelocation=voicelocation, voicefilename=voicefilename
        )
        return recording_of_rows(found, lambda datasource: self._fill(datasource=datasource))

    def mask_revision(self, recording_id: RecordingId) -> int | None:
        """As ``calls.mask_revision``."""
        found = self._mask_revision(recording_id=recording_id)
        return found[0]["mask_revision"] if found else None

    def user(self, web_user_id: WebUserId) -> WebUser | None:
        """As ``users.by_id``."""
        return users.user_of_rows(self._user(web_user_id=web_user_id))

    def echo_url(self, voicelocation: str) -> str | None:
        """As ``directory.echo_url``."""
        found = self._echo_url(voicelocation=voicelocation)
        return found[0]["echo_url"] if found else None
