"""Sequences of keys: found whatever the order of the events, and never by mistake for less."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callreel.errors import BadInput
from callreel.importers.heard import Heard, KeyRules, LegNames
from callreel.importers.key_presses import KeyLog
from callreel.model import UnixMillis
from tests.counts import repeated

LATE = UnixMillis(10_000_000)
Press = tuple[int, str, str]
"""Instant in ms, key, line."""


def heard(press: Press) -> Heard:
    """A press as an importer tells of it."""
    return Heard("f:1", UnixMillis(press[0]), LegNames(press[2]), key=press[1])


def found(
    presses: list[Press], rules: KeyRules | None = None, now: int = LATE
) -> list[tuple[int, bool, bool]]:
    """Instants of sequences, on or off, and whether they may go on."""
    log = KeyLog(rules or KeyRules())
    for press in presses:
        log.add(heard(press))
    return sorted((each.at, each.mute, each.is_open) for each in log.sequences(UnixMillis(now)))


def typed(keys: str, first: int = 1001, gap: int = 300, line: str = "a") -> list[Press]:
    """Keys one after the other."""
    return [(first + n * gap, key, line) for n, key in enumerate(keys)]


def test_a_start_begins_with_its_first_key_and_a_stop_ends_with_its_last() -> None:
    """So the keys themselves are masked."""
    assert found([*typed("*5"), *typed("*6", 20_001)]) == [
        (1001, True, False),
        (20_301, False, False),
    ]


def test_keys_that_are_typed_too_slowly_are_no_sequence() -> None:
    """Three seconds are near enough, a millisecond more is not."""
    assert found(typed("*5", gap=3000)) == [(1001, True, False)]
    assert found(typed("*5", gap=3001)) == []
    assert found(typed("*6", gap=3001)) == []


@pytest.mark.parametrize("keys", ["*", "5", "5*", "*75", "*4"])
def test_half_a_sequence_is_none(keys: str) -> None:
    """Nor is one with another key within, or in another order."""
    assert found(typed(keys)) == []


def test_keys_of_two_lines_are_no_sequence() -> None:
    """However near they are."""
    assert found([(1001, "*", "a"), (1101, "5", "b")]) == []
    both = [*typed("*5"), *typed("*5", 1101, line="b")]
    assert found(both) == [(1001, True, False), (1101, True, False)]


@pytest.mark.parametrize("keys", ["12*5", "*5492", "**5", "4*52"])
def test_a_start_counts_inside_a_longer_number(keys: str) -> None:
    """More is masked, never less."""
    assert [mute for _, mute, _ in found(typed(keys))] == [True]


@pytest.mark.parametrize("keys", ["*67", "*6*", "*60163296", "7*66"])
def test_a_stop_does_not_count_where_the_number_goes_on(keys: str) -> None:
    """Somebody dialled ``*67…``; what was said meanwhile stays masked."""
    assert found(typed(keys)) == []


def test_a_stop_counts_behind_a_number() -> None:
    """No number holds a star, so the card number that was typed before is over."""
    assert found(typed("0163296*6")) == [(3401, False, False)]


def test_a_stop_of_digits_counts_only_by_itself() -> None:
    """Digits are part of any number."""
    rules = KeyRules("55", "66")
    assert found(typed("66"), rules) == [(1301, False, False)]
    assert found(typed("466"), rules) == []
    assert found(typed("664"), rules) == []
    assert found(typed("666"), rules) == []
    assert [mute for _, mute, _ in found(typed("4551"), rules)] == [True]


def test_a_stop_that_may_still_go_on_waits() -> None:
    """Until the gap is over by our clock; a start never waits."""
    assert found(typed("*6"), now=1301 + 3000) == [(1301, False, True)]
    assert found(typed("*6"), now=1301 + 3001) == [(1301, False, False)]
    assert found(typed("*5"), now=1301) == [(1001, True, False)]


def test_a_key_that_nobody_knows_parts_a_sequence() -> None:
    """An event whose digit cannot be read is a key all the same."""
    assert found([(1001, "*", "a"), (1101, "", "a"), (1201, "6", "a")]) == []
    assert found([*typed("*6"), (1401, "", "a")]) == []


def test_the_same_event_in_two_files_is_one_key() -> None:
    """A log and the copy of it; else ``*6`` would be ``**66``."""
    log = KeyLog(KeyRules())
    for _file in range(2):
        log.begin_file()
        for press in typed("*6"):
            log.add(heard(press))
    assert [each.mute for each in log.sequences(LATE)] == [False]


def test_the_same_key_twice_in_a_second_is_two_where_times_are_whole_seconds() -> None:
    """Two files of those seconds still hold two keys, not four."""
    log = KeyLog(KeyRules(start="55", stop="66"))
    for _file in range(2):
        log.begin_file()
        for _key in range(2):
            log.add(heard((7000, "6", "a")))
    assert [each.mute for each in log.sequences(LATE)] == [False]


def test_keys_of_one_second_are_in_the_order_of_the_file() -> None:
    """Nothing else tells it."""
    assert found([(7000, "*", "a"), (7000, "6", "a")]) == [(7000, False, False)]
    assert found([(7000, "6", "a"), (7000, "*", "a")]) == []


@pytest.mark.parametrize(
    ("start", "stop"),
    [("", "*6"), ("*5", ""), ("*5", "*5"), ("*", "*6"), ("*51", "5"), ("x", "y"), ("1" * 9, "2")],
)
def test_sequences_that_cannot_be_told_apart_are_refused(start: str, stop: str) -> None:
    """Or that no telephone can send."""
    with pytest.raises(BadInput, match="sequence"):
        KeyRules(start, stop)


def test_a_key_is_not_shown_by_what_holds_it() -> None:
    """A log of an object, or a failing assertion, must not tell it."""
    press = replace(heard((1001, "7", "a")), origin="x", at=UnixMillis(1), leg=LegNames("z"))
    assert "7" not in repr(press)
    assert "7" not in str(press)


PRESSES = st.lists(
    st.tuples(st.integers(1, 8000).map(lambda n: n * 7 + 3), st.sampled_from("*56"), st.just("a"))
    | st.tuples(
        st.integers(1, 8000).map(lambda n: n * 7 + 3), st.sampled_from("*569"), st.just("b")
    ),
    max_size=30,
    unique_by=lambda press: (press[0], press[2]),
)


@given(presses=PRESSES, data=st.data())
@repeated(named=5000, usual=300)
def test_the_order_of_the_events_changes_nothing(presses: list[Press], data: st.DataObject) -> None:
    """Files come rotated, merged and written by several threads."""
    assert found(data.draw(st.permutations(presses))) == found(presses)


@given(presses=PRESSES)
@repeated(named=5000, usual=300)
def test_sequences_are_what_a_plain_search_finds(presses: list[Press]) -> None:
    """The rule, written out for two keys: a start anywhere, a stop with nothing behind it."""
    wanted = []
    for line in "ab":
        keys = sorted(press for press in presses if press[2] == line)
        for n in range(len(keys) - 1):
            (first, key, _), (second, other, _) = keys[n], keys[n + 1]
            if second - first > 3000 or key != "*":
                continue
            if other == "5":
                wanted.append((first, True, False))
            if other == "6" and all(later - second > 3000 for later, _, _ in keys[n + 2 : n + 3]):
                wanted.append((second, False, False))
    assert found(presses) == sorted(wanted)
