"""Grant to signed text and back.

A token is ``base64url(body | mac)`` without padding. The body is: version (1 byte), key id (4),
then the fields of the grant, each number of fixed width and each text with its length in front.
The MAC is HMAC-SHA256 at full length over all of the body, under a key of the voicelocation.
Only the one canonical spelling of a token is accepted (threats.md T1-T3, T6).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import struct
from dataclasses import dataclass

from callreel.access.keys import KeyRing
from callreel.errors import TokenExpired, TokenRefused
from callreel.model import (
    AudioSpec,
    Grant,
    OutputChannels,
    RecordingId,
    UnixMillis,
    WebUserId,
)

VERSION = 1
LIFETIME_MS = 60_000
"""How long a token may start a request. Source: contract.md 3.2."""
MAX_AHEAD_MS = 5_000
"""How far in the future a token may be dated, for clocks that differ. Source: contract.md 3.2."""
MAC_BYTES = 32
TOKEN_ID_BYTES = 12
MAX_TOKEN_CHARS = 1024

_HEAD = struct.Struct(">B4s")
_FIXED = struct.Struct(f">qqI?{TOKEN_ID_BYTES}s")


@dataclass(frozen=True, slots=True)
class TokenLimits:
    """What a verifier accepts, whatever the signer wrote."""

    lifetime_ms: int = LIFETIME_MS
    """Cap on expiry minus issue, in milliseconds."""
    ahead_ms: int = MAX_AHEAD_MS
    """How far a token may be issued in the future, in milliseconds."""


def sign(grant: Grant, keys: KeyRing) -> str:
    """The token of a grant: URL-safe text."""
    kid = keys.active_kid
    key = keys.token_key(kid, grant.voicelocation)
    if key is None:
        raise AssertionError("the active key is always known")
    body = _HEAD.pack(VERSION, kid) + _FIXED.pack(
        grant.issued_at,
        grant.expires_at,
        grant.mask_revision,
        grant.single_use,
        bytes.fromhex(grant.token_id),
    )
    for text in (
        grant.voicelocation,
        grant.recording_id,
        grant.spec.format,
        grant.spec.channels.value,
        grant.web_user_id,
    ):
        encoded = text.encode()
        body += struct.pack(">H", len(encoded)) + encoded
    mac = hmac.digest(key, body, "sha256")
    return base64.urlsafe_b64encode(body + mac).rstrip(b"=").decode()


def verify(token: str, keys: KeyRing, now: UnixMillis, limits: TokenLimits | None = None) -> Grant:
    """The grant of a token, if it is ours, unaltered and within its time.

    Args:
        token: As it stood in the URL.
        keys: The ring, or the part of it that this node holds.
        now: The verifier's clock.
        limits: The verifier's own caps.

    Raises:
        TokenExpired: Ours, but its time is over.
        TokenRefused: Everything else; the reason is in the log fields only.
    """
    limits = limits or TokenLimits()
    body, mac = _split(token)
    grant, kid = _parse(body)
    key = keys.token_key(kid, grant.voicelocation)
    if key is None:
        raise TokenRefused("unknown key")
    if not hmac.compare_digest(hmac.digest(key, body, "sha256"), mac):
        raise TokenRefused("wrong signature")
    if not 0 < grant.expires_at - grant.issued_at <= limits.lifetime_ms:
        raise TokenRefused("lifetime over the cap")
    if grant.issued_at - now > limits.ahead_ms:
        raise TokenRefused("from the future")
    if now >= grant.expires_at:
        raise TokenExpired("This address was good for 60 seconds; ask for a new one.")
    return grant


def _split(token: str) -> tuple[bytes, bytes]:
    if len(token) > MAX_TOKEN_CHARS:
        raise TokenRefused("too long")
    try:
        raw = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), b"-_", True)
    except (binascii.Error, ValueError, UnicodeEncodeError):
        raise TokenRefused("not base64url") from None
    # The last character has unused bits that the decoder ignores; one spelling only (T2).
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != token:
        raise TokenRefused("not canonical")
    if len(raw) <= MAC_BYTES:
        raise TokenRefused("too short")
    return raw[:-MAC_BYTES], raw[-MAC_BYTES:]


def _parse(body: bytes) -> tuple[Grant, bytes]:
    # Pure reading of bytes with bounds; nothing is believed before the MAC was compared. The
    # location must be read first, since the key depends on it.
    try:
        version, kid = _HEAD.unpack_from(body)
        issued, expires, revision, single_use, token_id = _FIXED.unpack_from(body, _HEAD.size)
        texts, offset = [], _HEAD.size + _FIXED.size
        for _ in range(5):
            (length,) = struct.unpack_from(">H", body, offset)
            offset += 2 + length
            if offset > len(body):
                raise TokenRefused("cut short")
            texts.append(body[offset - length : offset].decode())
        if version != VERSION or offset != len(body):
            raise TokenRefused("another version or shape")
        location, recording, format_name, channels, user = texts
        spec = AudioSpec(format_name, OutputChannels(channels))
    except (struct.error, ValueError):
        raise TokenRefused("another shape") from None
    grant = Grant(
        voicelocation=location,
        recording_id=RecordingId(recording),
        spec=spec,
        web_user_id=WebUserId(user),
        mask_revision=revision,
        issued_at=UnixMillis(issued),
        expires_at=UnixMillis(expires),
        token_id=token_id.hex(),
        single_use=single_use,
    )
    return grant, kid
