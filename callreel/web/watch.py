"""Answers whose reader takes nothing just now: a mask that arrives meanwhile ends them.

Each part is checked when it is made, and then may wait long for a reader that paused. One look at
the database, four times a second, serves all who wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

import structlog

from callreel.errors import MaskChanged
from callreel.flows.delivery import Delivery
from callreel.web.threads import Threads

log = structlog.get_logger("callreel.watch")

MOST_LOOK_S = 1.0
"""A look that takes longer says nothing in time: then nobody knows."""
LOOK_S = 0.25
"""Between two looks; whoever takes what is sent within this time is not looked after."""


class MaskWatch:
    """Ends what waits for a reader when its mask changed.

    Args:
        changed: Which of some deliveries may not go on.
    """

    def __init__(self, changed: Callable[[Collection[Delivery]], Collection[Delivery]]) -> None:
        self._changed = changed
        self._threads = Threads("mask-watch", 1)
        self._waiting: dict[Delivery, asyncio.Future[None]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def over(self, delivery: Delivery, sending: Awaitable[None]) -> None:
        """Wait for ``sending``, unless the mask of the delivery changes before.

        Raises:
            MaskChanged: It changed, or nobody knows; ``sending`` was cancelled.
        """
        sent = asyncio.ensure_future(sending)
        try:
            await asyncio.wait([sent], timeout=LOOK_S)
            if not sent.done():
                await asyncio.wait(
                    [sent, self._wait_for_change(delivery)], return_when=asyncio.FIRST_COMPLETED
                )
            if not sent.done():
                raise MaskChanged("A mask of this recording has changed; fetch it again.")
            sent.result()
        finally:
            sent.cancel()
            self._waiting.pop(delivery, None)

    def _wait_for_change(self, delivery: Delivery) -> asyncio.Future[None]:
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[delivery] = waiting
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return waiting

    async def _look(self) -> None:
        try:
            await self._look_on()
        finally:
            # Where nobody looks on any more, nobody may wait on.
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_result(None)

    async def _look_on(self) -> None:
        while self._waiting:
            asked = dict(self._waiting)
            try:
                async with asyncio.timeout(MOST_LOOK_S):
                    changed = await self._threads.run(self._changed, asked.keys())
            except Exception as error:  # noqa: BLE001  # nobody knows now what must not be heard
                log.error("masks unknown", why=repr(error)[:200])  # noqa: TRY400  # no trace: it may hold sound
                changed = asked.keys()
            for delivery in changed:
                if not asked[delivery].done():
                    asked[delivery].set_result(None)
            await asyncio.sleep(LOOK_S)
