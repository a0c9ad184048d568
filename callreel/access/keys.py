"""The key file: one root secret and a ring of token secrets, and the keys derived from them.

Every use has a key of its own (HKDF label), so that what was made for one is nothing in another.
The file is the only secret of an installation: without it nothing is served.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
import secrets
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from callreel.errors import ConfigurationError
from callreel.model import RecordingId, Span

SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class TokenSecret:
    """One secret of the ring."""

    kid: bytes
    """4 bytes that name it in a token."""
    secret: bytes
    """32 bytes."""
    active: bool
    """Whether new tokens are signed with it; the others are only accepted."""


class KeyRing:
    """All keys of an installation, derived once and kept in memory."""

    def __init__(self, root: bytes, ring: Sequence[TokenSecret]) -> None:
        self._ring = {secret.kid: secret for secret in ring}
        self._active = next(secret for secret in ring if secret.active)
        self._location_keys: dict[tuple[bytes, str], bytes] = {}
        self._etag_key = _derive(root, "etag")
        self._seal_key = _derive(root, "mask-seal")
        self._source_key = _derive(root, "source-commitment")
        self._proof_key = _derive(root, "proof")

    @property
    def active_kid(self) -> bytes:
        """The id of the secret that signs new tokens."""
        return self._active.kid

    def token_key(self, kid: bytes, voicelocation: str) -> bytes | None:
        """The signing key of one voicelocation; None where the ring does not know ``kid``.

        An Echo node of another location can be given its own derived keys only, so that a stolen
        node mints tokens for nobody else.
        """
        known = self._ring.get(kid)
        if known is None:
            return None
        key = self._location_keys.get((kid, voicelocation))
        if key is None:
            key = _derive(known.secret, f"echo-play/{voicelocation}")
            # Bounded: a location comes out of a token before the token is verified.
            if len(self._location_keys) < 1024:
                self._location_keys[kid, voicelocation] = key
        return key

    def etag(self, *parts: str | int) -> str:
        """A strong entity tag over the identity of an output, keyed so that it tells nothing.

        Source: contract.md 3.4.
        """
        return f'"{_mac_of_few(self._etag_key, parts)[:32]}"'

    def seal_mask(self, recording_id: RecordingId, revision: int, spans: Sequence[Span]) -> str:
        """A MAC over the active spans of a recording at one revision.

        Whoever changes a span row by hand cannot make it, so the recording is refused, not served.
        """
        parts: list[str | int] = [recording_id, revision]
        for span in sorted(spans, key=lambda s: (s.start_s, s.end_s, s.channel or "")):
            parts += [span.start_s.hex(), span.end_s.hex(), span.channel or ""]
        return _mac_of_few(self._seal_key, tuple(parts))

    def commit_source(self, sha256: str) -> str:
        """A keyed commitment to stored bytes: it proves later which they were, and tells nothing.

        A plain hash would let somebody who holds the rest of a recording try out what is masked.
        """
        return _mac(self._source_key, [sha256])

    def sign_proof(self, text: str) -> str:
        """A MAC over a report, so that a changed one is found out."""
        return _mac(self._proof_key, [text])


def _derive(secret: bytes, label: str) -> bytes:
    kdf = HKDF(
        algorithm=hashes.SHA256(), length=32, salt=None, info=f"callreel v1 {label}".encode()
    )
    return kdf.derive(secret)


@lru_cache(maxsize=4096)
def _mac_of_few(key: bytes, parts: tuple[str | int, ...]) -> str:
    # Asked for again with every range of the same output.
    return _mac(key, parts)


def _mac(key: bytes, parts: Sequence[str | int]) -> str:
    # JSON keeps the borders between parts; joining with a separator would not.
    return hmac.digest(key, json.dumps(list(parts)).encode(), "sha256").hex()


def create_key_file(path: Path) -> None:
    """Make a new key file that only its owner can read; an existing one is left alone.

    Raises:
        ConfigurationError: It exists already, or the folder cannot be written.
    """
    document = {
        "version": 1,
        "root": base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode(),
        "tokens": [
            {
                "kid": secrets.token_hex(4),
                "secret": base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode(),
                "active": True,
            }
        ],
    }
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                json.dump(document, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            # A link fails where the name is taken: keys are never overwritten.
            os.link(beside, path)
        finally:
            beside.unlink()
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except FileExistsError:
        raise ConfigurationError(f"{path} exists already; keys are never overwritten.") from None
    except OSError as error:
        raise ConfigurationError(f"Cannot write {path}: {error.strerror}.") from error


def load_key_file(path: Path) -> KeyRing:
    """Read the key file.

    Raises:
        ConfigurationError: Missing, readable by others, damaged, or with a short key.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        raise ConfigurationError(
            f"There are no keys at {path}. Run 'callreel init --data {path.parent}' first."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"Cannot read the keys at {path}: {error}.") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError(f"{path} can be read by others; run 'chmod 600 {path}'.")
    try:
        document = json.loads(text)
        ring = [
            TokenSecret(
                kid=bytes.fromhex(entry["kid"]),
                secret=_secret(entry["secret"]),
                active=bool(entry["active"]),
            )
            for entry in document["tokens"]
        ]
        root = _secret(document["root"])
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise ConfigurationError(
            f"The key file {path} is damaged ({error}); restore it from your backup."
        ) from error
    if [len(entry.kid) for entry in ring] != [4] * len(ring) or not any(e.active for e in ring):
        raise ConfigurationError(f"The key file {path} has no usable active token secret.")
    return KeyRing(root, ring)


def _secret(text: str) -> bytes:
    secret = base64.b64decode(text, validate=True)
    if len(secret) < SECRET_BYTES or len(set(secret)) < 8:
        raise ValueError("a key is shorter than 32 bytes or a placeholder")
    return secret
