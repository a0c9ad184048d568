"""A token is asked for: who, which recording within their hearing, which output.

Then the audit row, then the token. Source: contract.md section 2 and 6.3.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from callreel.access.keys import KeyRing
from callreel.access.policy import Action, scope_for
from callreel.access.tokens import LIFETIME_MS, TOKEN_ID_BYTES, sign
from callreel.audio.formats import FORMATS, require_available
from callreel.db import audit
from callreel.db.database import Database
from callreel.db.finding import Finder
from callreel.db.journal import Journal
from callreel.errors import CallreelError, NotFound
from callreel.flows.sound import Sound
from callreel.model import (
    AudioSpec,
    Clock,
    Grant,
    Principal,
    Recording,
    RecordingId,
    Scope,
    Span,
    UnixMillis,
)

NO_SUCH_RECORDING = "There is no such recording."


@dataclass(frozen=True, slots=True)
class Issued:
    """A token and what it will fetch."""

    url: str
    expires_at: UnixMillis
    content_type: str
    duration_s: float
    size_bytes: int | None
    """None where the format has no arithmetic size and was not rendered yet."""
    masked_spans: tuple[Span, ...]
    mask_revision: int


class Issue:
    """Answers requests for tokens."""

    def __init__(
        self, db: Database, keys: KeyRing, sound: Sound, clock: Clock, default_echo_url: str
    ) -> None:
        self.blocks = not db.is_at_hand
        """Whether asking may wait for another machine; what it gives is waited for anyway."""
        self._finder = Finder(db)
        self._journal = Journal(db)
        self._keys = keys
        self._sound = sound
        self._clock = clock
        self._default_echo_url = default_echo_url

    def by_names(
        self,
        principal: Principal,
        *,
        datasource: str,
        voicelocation: str,
        voicefilename: str,
        spec: AudioSpec,
        address: str | None,
    ) -> Future[Issued]:
        """A token for the recording that the calls table names so; there once it is written down.

        Raises:
            NotFound: No such recording, or not within this user's hearing.
            NotReady, RecordingDeleted, Unplayable, FormatNeedsExtra, Unavailable: contract.md 2.7.
        """

        def find(scope: Scope) -> Recording | None:
            return self._finder.recording_by_names(scope, datasource, voicelocation, voicefilename)

        return self._issue(principal, find, spec, single_use=False, address=address)

    def by_id(
        self,
        principal: Principal,
        recording_id: RecordingId,
        spec: AudioSpec,
        *,
        single_use: bool = False,
        address: str | None,
    ) -> Future[Issued]:
        """A token for a recording by its id, as ``by_names``.

        Raises: as ``by_names``.
        """

        def find(scope: Scope) -> Recording | None:
            return self._finder.recording(scope, recording_id)

        return self._issue(principal, find, spec, single_use=single_use, address=address)

    def prepare(self, principal: Principal, recording_id: RecordingId, spec: AudioSpec) -> None:
        """See that the output exists: returns once it is rendered.

        Raises:
            Unavailable: The render goes on in the background; ask again.
            NotFound, NotReady, RecordingDeleted, Unplayable, FormatNeedsExtra: as ``by_names``.
        """
        recording = self._finder.recording(scope_for(principal, Action.HEAR), recording_id)
        if recording is None:
            raise NotFound(NO_SUCH_RECORDING)
        self._sound.open(recording, spec).close()

    def _issue(
        self,
        principal: Principal,
        find: Callable[[Scope], Recording | None],
        spec: AudioSpec,
        *,
        single_use: bool,
        address: str | None,
    ) -> Future[Issued]:
        recording = find(scope_for(principal, Action.HEAR))
        if recording is None:
            raise NotFound(NO_SUCH_RECORDING)
        try:
            facts = self._sound.require_servable(recording)
            require_available(spec.format)
            size = self._sound.size_of(recording, facts, spec)
        except CallreelError as refusal:
            refused = _entry(self._clock(), principal, recording, spec, refusal.code, address)
            return self._journal.later(refused, refusal)
        now = self._clock()
        grant = Grant(
            voicelocation=recording.voicelocation,
            recording_id=recording.id,
            spec=spec,
            web_user_id=principal.web_user_id,
            mask_revision=recording.mask_revision,
            issued_at=now,
            expires_at=UnixMillis(now + LIFETIME_MS),
            token_id=secrets.token_hex(TOKEN_ID_BYTES),
            single_use=single_use,
        )
        echo_url = self._finder.echo_url(recording.voicelocation) or self._default_echo_url
        issued = Issued(
            url=f"{echo_url.rstrip('/')}/v/{sign(grant, self._keys)}",
            expires_at=grant.expires_at,
            content_type=FORMATS[spec.format].media_type,
            duration_s=facts.duration_s,
            size_bytes=size,
            masked_spans=self._sound.shown_spans(recording, facts),
            mask_revision=recording.mask_revision,
        )
        # Nobody has the token before its row is durable.
        entry = _entry(now, principal, recording, spec, "allowed", address, grant.token_id)
        return self._journal.later(entry, issued)


def _entry(  # the columns of the row
    at: UnixMillis,
    principal: Principal,
    recording: Recording,
    spec: AudioSpec,
    decision: str,
    address: str | None,
    token_id: str | None = None,
) -> audit.AuditEntry:
    return audit.AuditEntry(
        at=at,
        actor=principal.username,
        action="token.issue",
        object_id=recording.id,
        decision=decision,
        detail={
            "format": spec.format,
            "channel": spec.channels.value,
            "mask_revision": recording.mask_revision,
            "via": principal.via,
            "token_id": token_id,
        },
        address=address,
    )
