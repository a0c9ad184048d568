"""Finds start and stop sequences among the keys that were typed, and forgets all other keys.

Nothing of this module leaves it but the instants of sequences: a card number may have been typed.
What cannot be understood masks more: a start counts wherever it stands, a stop only by itself.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from callreel.importers.heard import Heard, KeyRules
from callreel.model import UnixMillis

_Line = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Typed:
    """A sequence that was typed."""

    at: UnixMillis
    """Of its first key for a start, of its last for a stop, so that both are masked as well."""
    mute: bool
    heard: Heard
    """The key of that instant, for its file and leg."""
    is_open: bool = False
    """A stop behind which another key may still come: then it is none."""


class KeyLog:
    """The keys of all lines, in any order.

    Cost: memory for every key.
    """

    def __init__(self, rules: KeyRules) -> None:
        self._rules = rules
        self._presses: dict[_Line, list[tuple[int, Heard]]] = defaultdict(list)
        self._seen: set[tuple[_Line, UnixMillis, str, int]] = set()
        self._in_file: Counter[tuple[_Line, UnixMillis, str]] = Counter()

    def begin_file(self) -> None:
        """What comes next is another file; it may hold some of the same events again."""
        self._in_file.clear()

    def add(self, heard: Heard) -> None:
        """A key was typed; one that nobody knows still parts those around it."""
        line = heard.leg.about
        same = (line, heard.at, heard.key)
        # Where times are whole seconds, the same key twice in one second is two keys; else it is
        # one event that was written twice.
        number = self._in_file[same] if heard.at % 1000 == 0 else 0
        self._in_file[same] += 1
        if (*same, number) in self._seen:
            return
        self._seen.add((*same, number))
        self._presses[line].append((len(self._seen), heard))

    def sequences(self, now: UnixMillis) -> Iterator[Typed]:
        """Every sequence, line by line, each in order of time.

        Args:
            now: The time; a stop that is younger than the gap may still go on.
        """
        for numbered in self._presses.values():
            # Of one second, the first in the file is the first that was typed.
            numbered.sort(key=lambda each: (each[1].at, each[0]))
            yield from self._of_line([heard for _number, heard in numbered], now)

    def _of_line(self, presses: Sequence[Heard], now: UnixMillis) -> Iterator[Typed]:
        start, stop = self._rules.start, self._rules.stop
        for index, press in enumerate(presses):
            if self._is_typed(presses, index, start):
                yield Typed(press.at, mute=True, heard=press)
            last = index + len(stop) - 1
            if self._is_typed(presses, index, stop) and self._is_alone(presses, index, last):
                end = presses[last]
                is_last = last == len(presses) - 1
                is_open = is_last and now <= end.at + self._rules.gap_ms
                yield Typed(end.at, mute=False, heard=end, is_open=is_open)

    def _is_typed(self, presses: Sequence[Heard], first: int, wanted: str) -> bool:
        typed = presses[first : first + len(wanted)]
        return [press.key for press in typed] == list(wanted) and all(
            self._is_near(earlier, later) for earlier, later in pairwise(typed)
        )

    def _is_alone(self, presses: Sequence[Heard], first: int, last: int) -> bool:
        """Whether no other key is near; one before may be where the sequence begins a command.

        Numbers hold digits, so what begins with a star or a hash is not the rest of one.
        """
        if last + 1 < len(presses) and self._is_near(presses[last], presses[last + 1]):
            return False
        begins = presses[first].key in "*#"
        return begins or first == 0 or not self._is_near(presses[first - 1], presses[first])

    def _is_near(self, earlier: Heard, later: Heard) -> bool:
        return later.at - earlier.at <= self._rules.gap_ms
