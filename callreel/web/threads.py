"""Threads for blocking work, apart by kind: one kind that waits never holds up another.

The drivers and encoders below ``web`` block. Were all of them in one pool, forty requests that
wait for a render would stop every stream.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from starlette.concurrency import run_in_threadpool

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """Runs one kind of work.

    Args:
        name: Of the kind, as it shows in a list of threads.
        count: How many at once; more wait their turn. A thread is started when it is first needed.
    """

    def __init__(self, name: str, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What ``work`` gives, or raises. Cancelled, it does not stop what runs already."""
        return await self.begin(work, *args, **kwargs)

    def begin(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """As ``run``; done even where the loop is stopped right after this returns."""
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._pool, functools.partial(work, *args, **kwargs))


async def begun(work: Callable[[], Future[T]], *, blocks: bool) -> T:
    """What a future comes to.

    Args:
        work: Begins it; what it raises is raised.
        blocks: Whether that may take a while: then a thread does it.
    """
    future = await run_in_threadpool(work) if blocks else work()
    return await asyncio.wrap_future(future)
