"""Tokens: what is accepted, to the second, and that nothing altered ever is."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from callreel.access.keys import KeyRing, TokenSecret
from callreel.access.tokens import LIFETIME_MS, TokenLimits, sign, verify
from callreel.errors import TokenExpired, TokenRefused
from callreel.model import (
    AudioSpec,
    Grant,
    OutputChannels,
    RecordingId,
    UnixMillis,
    WebUserId,
)
from tests.counts import Shown, repeated

NOW = UnixMillis(1_790_000_000_000)
SECRET = bytes(range(32))
KEYS = KeyRing(SECRET, [TokenSecret(b"\x01\x02\x03\x04", bytes(range(32, 64)), True)])
GRANT = Grant(
    voicelocation="4",
    recording_id=RecordingId("rabcdefghijklmnopqrstuvwxyz"),
    spec=AudioSpec("mp3", OutputChannels.LEFT),
    web_user_id=WebUserId("u1"),
    mask_revision=7,
    issued_at=NOW,
    expires_at=UnixMillis(NOW + LIFETIME_MS),
    token_id="00112233445566778899aabb",
    single_use=True,
)
TOKEN = sign(GRANT, KEYS)


def test_a_token_gives_back_its_grant() -> None:
    """Every field survives the way through text."""
    assert verify(TOKEN, KEYS, NOW) == GRANT


@pytest.mark.parametrize("age_ms", [-5_000, -4_000, -1_000, 0, 1, 59_000, 59_999])
def test_a_token_is_accepted_within_its_time(age_ms: int) -> None:
    """Accepted while -5 s <= now - issued < 60 s (contract.md 3.2)."""
    assert verify(TOKEN, KEYS, UnixMillis(NOW + age_ms)) == GRANT


@pytest.mark.parametrize("age_ms", [60_000, 60_001, 61_000, 86_400_000])
def test_a_late_token_is_expired(age_ms: int) -> None:
    """From the 60th second on it is expired, and says so."""
    with pytest.raises(TokenExpired):
        verify(TOKEN, KEYS, UnixMillis(NOW + age_ms))


@pytest.mark.parametrize("age_ms", [-5_001, -6_000, -1_200_000])
def test_a_token_from_the_future_is_refused(age_ms: int) -> None:
    """More than five seconds ahead is refused like a forged one."""
    with pytest.raises(TokenRefused) as refused:
        verify(TOKEN, KEYS, UnixMillis(NOW + age_ms))
    assert refused.value.fields["why"] == "from the future"


def test_a_signer_cannot_grant_more_than_the_verifier_allows() -> None:
    """The verifier has its own cap on lifetime (T3)."""
    endless = sign(replace(GRANT, expires_at=UnixMillis(2**62)), KEYS)
    with pytest.raises(TokenRefused, match="not valid"):
        verify(endless, KEYS, NOW)
    backwards = sign(replace(GRANT, expires_at=NOW), KEYS)
    with pytest.raises(TokenRefused):
        verify(backwards, KEYS, NOW)
    with pytest.raises(TokenRefused):
        verify(TOKEN, KEYS, NOW, TokenLimits(lifetime_ms=30_000))


def test_a_key_of_another_ring_opens_nothing() -> None:
    """Unknown key ids and other secrets under the same id are refused."""
    other_id = KeyRing(SECRET, [TokenSecret(b"\x09\x02\x03\x04", bytes(range(32, 64)), True)])
    other_secret = KeyRing(SECRET, [TokenSecret(b"\x01\x02\x03\x04", bytes(range(33, 65)), True)])
    for ring in (other_id, other_secret):
        with pytest.raises(TokenRefused):
            verify(TOKEN, ring, NOW)


def test_the_key_of_one_location_signs_for_no_other() -> None:
    """A token that claims another voicelocation does not verify under that one's key (T6)."""
    raw = bytearray(base64.urlsafe_b64decode(TOKEN + "=" * (-len(TOKEN) % 4)))
    raw[raw.index(b"\x00\x014") + 2] = ord("5")
    moved = base64.urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode()
    with pytest.raises(TokenRefused) as refused:
        verify(moved, KEYS, NOW)
    assert refused.value.fields["why"] == "wrong signature"


def test_every_flipped_bit_is_refused() -> None:
    """There is no bit of a token that does not matter."""
    raw = base64.urlsafe_b64decode(TOKEN + "=" * (-len(TOKEN) % 4))
    for position in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[position // 8] ^= 1 << (position % 8)
        text = base64.urlsafe_b64encode(bytes(flipped)).rstrip(b"=").decode()
        with pytest.raises(TokenRefused):
            verify(text, KEYS, NOW)


def test_other_spellings_of_the_same_bytes_are_refused() -> None:
    """Unused bits of the last character and padding make no second token (T2)."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    grants = [replace(GRANT, web_user_id=WebUserId("u" * size)) for size in (1, 2, 3)]
    for grant in grants:
        token = sign(grant, KEYS)
        assert verify(token, KEYS, NOW) == grant
        others = [token + "=" * (-len(token) % 4 or 4), token + "\n", " " + token]
        others += [token[:-1] + char for char in alphabet if char != token[-1]]
        for other in others:
            with pytest.raises(TokenRefused):
                verify(other, KEYS, NOW)


def test_no_mutated_token_is_accepted(shown: Shown) -> None:
    """Characters changed, dropped, doubled, swapped or invented: never accepted (T1)."""

    @repeated(named=10_000, usual=10_000)
    @given(st.data())
    def refused(data: st.DataObject) -> None:
        mutated = _mutated(data)
        assume(mutated != TOKEN)
        with pytest.raises(TokenRefused):
            verify(mutated, KEYS, NOW)
        shown.one("mutated tokens refused")

    refused()


def _mutated(data: st.DataObject) -> str:
    chars = list(TOKEN)
    for _ in range(data.draw(st.integers(1, 4))):
        where = data.draw(st.integers(0, len(chars) - 1))
        how = data.draw(st.sampled_from(["change", "drop", "double", "swap", "insert"]))
        if how == "change":
            chars[where] = data.draw(st.characters(codec="utf-8"))
        elif how == "drop":
            del chars[where]
        elif how == "double":
            chars.insert(where, chars[where])
        elif how == "swap":
            chars[where], chars[-1] = chars[-1], chars[where]
        else:
            chars.insert(where, data.draw(st.sampled_from(list("AZaz09-_=%/."))))
    return "".join(chars)
