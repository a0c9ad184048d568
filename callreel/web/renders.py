"""Renders that programs ask after, instead of holding a request open. Source: contract.md 6.3."""

from __future__ import annotations

import asyncio

from callreel.errors import RenderGoesOn
from callreel.flows.issue import Issue
from callreel.model import AudioSpec, Principal, RecordingId, WebUserId
from callreel.web.threads import Threads

LOOK_S = 0.25
"""How long a request waits for a render that may be there already, or nearly."""
MAX_WAITING = 256

_Key = tuple[WebUserId, RecordingId, AudioSpec]


class Renders:
    """Remembers which renders were asked for, and how they ended until somebody asked.

    Args:
        issue: Has them made.
    """

    def __init__(self, issue: Issue) -> None:
        self._issue = issue
        self._threads = Threads("render-wait", 8)
        self._waiting: dict[_Key, asyncio.Future[None]] = {}

    async def require_done(
        self, principal: Principal, recording_id: RecordingId, spec: AudioSpec
    ) -> None:
        """Return if the output is rendered; if not, see that it will be.

        Raises:
            RenderGoesOn: Not yet.
            CallreelError: As ``Issue.prepare``; a render that failed in the meantime included.
        """
        key = (principal.web_user_id, recording_id, spec)
        job = self._waiting.get(key)
        if job is None:
            job = asyncio.ensure_future(
                self._threads.run(self._issue.prepare, principal, recording_id, spec)
            )
            self._remember(key, job)
        await asyncio.wait([job], timeout=LOOK_S)
        if not job.done():
            raise RenderGoesOn("The recording is being prepared in this format.", retry_after_s=2)
        self._waiting.pop(key, None)
        job.result()

    def _remember(self, key: _Key, job: asyncio.Future[None]) -> None:
        # An end that nobody asks after is taken note of, or Python warns of an error not looked at.
        job.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        self._waiting[key] = job
        while len(self._waiting) > MAX_WAITING:
            self._waiting.pop(next(iter(self._waiting)))
