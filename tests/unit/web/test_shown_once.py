"""Secrets that wait for the one page that shows them."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

from callreel.web.pages.shown_once import KEPT_S, Secret, ShownOnce


class Waiting:
    """What is to be called later, and after how long."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, seconds: float, call: Callable[[], None]) -> None:
        """Remember it."""
        self.calls.append((seconds, call))


def test_a_secret_is_taken_once_by_the_session_that_made_it() -> None:
    """Nobody else gets it, and nobody gets it twice."""
    once = ShownOnce(Waiting())
    once.keep("mine", Secret("ann", "first"))
    assert once.take("another") == ()
    assert once.take("mine") == (Secret("ann", "first"),)
    assert once.take("mine") == ()


def test_two_forms_that_were_sent_at_once_lose_nothing() -> None:
    """The page that comes first shows both."""
    once = ShownOnce(Waiting())
    once.keep("mine", Secret("ann", "first"))
    once.keep("mine", Secret("bob", "second"))
    assert [each.text for each in once.take("mine")] == ["first", "second"]


def test_after_a_minute_a_secret_is_forgotten_and_no_other() -> None:
    """Each by itself, also one of a session that has a newer one."""
    waiting = Waiting()
    once = ShownOnce(waiting)
    once.keep("mine", Secret("ann", "first"))
    once.keep("mine", Secret("bob", "second"))
    assert [seconds for seconds, _ in waiting.calls] == [KEPT_S, KEPT_S] == [60.0, 60.0]
    waiting.calls[0][1]()
    assert [each.text for each in once.take("mine")] == ["second"]
    waiting.calls[1][1]()
    once.keep("mine", Secret("ann", "third"))
    waiting.calls[0][1]()
    assert [each.text for each in once.take("mine")] == ["third"]


def test_what_was_shown_is_held_by_nobody() -> None:
    """Neither by what waits for the minute to pass."""
    waiting = Waiting()
    once = ShownOnce(waiting)
    once.keep("mine", Secret("ann", "first"))
    seen = weakref.ref(once.take("mine")[0])
    gc.collect()
    assert seen() is None


def test_a_secret_is_not_told_by_accident() -> None:
    """A log that prints it prints whose it is."""
    assert "first" not in repr(Secret("ann", "first"))
