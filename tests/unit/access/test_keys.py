"""The key file: made once, refused when others can read it, and one key for each use."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from callreel.access.keys import KeyRing, TokenSecret, create_key_file, load_key_file
from callreel.errors import ConfigurationError
from callreel.model import Party, RecordingId, Span

SECRET = bytes(range(32))
RING = KeyRing(SECRET, [TokenSecret(b"abcd", SECRET, True)])


def test_a_new_key_file_is_private_and_never_overwritten(tmp_path: Path) -> None:
    """Only the owner reads it; a second attempt is refused."""
    path = tmp_path / "keys.json"
    create_key_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(load_key_file(path).active_kid) == 4
    with pytest.raises(ConfigurationError, match="never overwritten"):
        create_key_file(path)


def test_two_installations_share_no_key(tmp_path: Path) -> None:
    """Keys are random."""
    for name in ("a", "b"):
        create_key_file(tmp_path / name)
    a, b = load_key_file(tmp_path / "a"), load_key_file(tmp_path / "b")
    assert a.etag("x") != b.etag("x")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda d: d["tokens"].clear(), "active"),
        (lambda d: d["tokens"][0].update(active=False), "active"),
        (lambda d: d["tokens"][0].update(kid="00"), "active"),
        (lambda d: d["tokens"][0].update(secret="c2hvcnQ="), "damaged"),
        (lambda d: d.update(root="A" * 43 + "="), "damaged"),
        (lambda d: d.pop("root"), "damaged"),
    ],
)
def test_a_damaged_or_weak_key_file_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], complaint: str
) -> None:
    """No key, a short key or a placeholder: nothing is served with it."""
    path = tmp_path / "keys.json"
    create_key_file(path)
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigurationError, match=complaint):
        load_key_file(path)


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """And the message says what to run."""
    path = tmp_path / "keys.json"
    create_key_file(path)
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        load_key_file(path)


def test_missing_keys_say_what_to_run(tmp_path: Path) -> None:
    """The first thing a newcomer meets without 'init'."""
    with pytest.raises(ConfigurationError, match="callreel init"):
        load_key_file(tmp_path / "keys.json")


def test_each_location_and_use_has_its_own_key() -> None:
    """What was made for one use is nothing in another."""
    keys = {RING.token_key(b"abcd", location) for location in ("1", "2", "")}
    assert len(keys) == 3
    assert None not in keys
    assert RING.token_key(b"zzzz", "1") is None
    assert RING.etag("a", "bc") != RING.etag("ab", "c")


def test_the_seal_depends_on_every_part_of_the_mask_but_not_on_order() -> None:
    """A row changed by hand, a dropped row and an old revision are all noticed."""
    spans = [Span(1.0, 2.0), Span(3.0, 4.0, Party.LEFT)]
    seal = RING.seal_mask(RecordingId("r1"), 3, spans)
    assert RING.seal_mask(RecordingId("r1"), 3, spans[::-1]) == seal
    others = [
        RING.seal_mask(RecordingId("r2"), 3, spans),
        RING.seal_mask(RecordingId("r1"), 4, spans),
        RING.seal_mask(RecordingId("r1"), 3, spans[:1]),
        RING.seal_mask(RecordingId("r1"), 3, [Span(1.0, 2.0), Span(3.0, 4.0, Party.RIGHT)]),
        RING.seal_mask(RecordingId("r1"), 3, [Span(1.0, 2.0000001), spans[1]]),
    ]
    assert seal not in others
