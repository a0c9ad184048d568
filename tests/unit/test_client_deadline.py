"""Waits of the client, by a clock of the test's own."""

from __future__ import annotations

import pytest

from callreel.client import DeadlineExceeded, ServerUnavailable
from callreel.client.deadline import Deadline


class _Clock:
    """Time passes only in sleep."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(round(seconds, 3))


def test_pauses_double_up_to_a_longest_one() -> None:
    """Where the server does not say how long: soon at first, then ever later."""
    clock = _Clock()
    deadline = Deadline(100, clock, clock.sleep)
    for tries in range(1, 8):
        deadline.pause_or_raise(ServerUnavailable("away"), tries)
    assert clock.pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


@pytest.mark.parametrize(("named", "kept"), [(0, 0.2), (3, 3), (7, 7)])
def test_what_the_server_names_is_kept_to(named: float, kept: float) -> None:
    """But never so that it is asked without any pause."""
    clock = _Clock()
    fault = ServerUnavailable("busy", retry_after_s=named)
    Deadline(100, clock, clock.sleep).pause_or_raise(fault, 5)
    assert clock.pauses == [kept]


def test_a_pause_that_would_outlast_the_deadline_is_the_fault_itself() -> None:
    """At once, without waiting for nothing."""
    clock = _Clock()
    fault = ServerUnavailable("busy", retry_after_s=10)
    with pytest.raises(ServerUnavailable) as caught:
        Deadline(10, clock, clock.sleep).pause_or_raise(fault, 1)
    assert (caught.value, clock.pauses) == (fault, [])


def test_a_deadline_passes_to_the_moment() -> None:
    """Until then there is time, from then on none."""
    clock = _Clock()
    deadline = Deadline(10, clock, clock.sleep)
    clock.now += 9.999
    deadline.require()
    clock.now += 0.001
    with pytest.raises(DeadlineExceeded, match="10 s"):
        deadline.require()
