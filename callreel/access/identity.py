"""Credentials to Principal: the one verifier behind Basic and API keys.

A .NET client authenticates on every request and a password hash costs 20 ms and 19 MiB, so verified
credentials are remembered for a minute, keyed by a secret of the process. What is remembered is
checked against the user's row each time: a disabled user or a changed password counts at once.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from callreel.errors import TooManyRequests, Unauthenticated
from callreel.model import Principal, WebUser, WebUserId
from callreel.wording import to_translate

REMEMBER_S = 60.0
REMEMBER_ENTRIES = 4096
MIN_PASSWORD_CHARS = 15
"""For a password that is the only factor. Source: NIST SP 800-63B-4."""
MAX_PASSWORD_CHARS = 1024
API_KEY_PREFIX = "crk_"

# OWASP's second choice for Argon2id: 19 MiB, two passes, one lane. Source: delivery.md 2.8.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


class UserRecords(Protocol):
    """Where web users are kept. Each call is one short look-up."""

    @property
    def is_at_hand(self) -> bool:
        """Whether a look-up by id takes microseconds; else it may wait for another machine."""

    def by_name(self, username: str) -> WebUser | None:
        """The user of this name, upper and lower case alike; None where there is none."""

    def by_id(self, web_user_id: WebUserId) -> WebUser | None:
        """The user of this id."""

    def by_api_key(self, key_hash: str) -> WebUser | None:
        """The user whose living API key has this hash."""

    def rehashed(self, user: WebUser, password_hash: str) -> None:
        """Keep a stronger hash of the same password."""

    def refused(self, user: WebUser | None, address: str | None) -> None:
        """Write down that somebody gave wrong credentials; for no user that there is: None."""


def hash_password(password: str) -> str:
    """An Argon2id hash, 20 ms.

    Raises:
        ValueError: Shorter than 15 or longer than 1024 characters.
    """
    if not MIN_PASSWORD_CHARS <= len(password) <= MAX_PASSWORD_CHARS:
        raise ValueError(f"a password has {MIN_PASSWORD_CHARS} to {MAX_PASSWORD_CHARS} characters")
    return _HASHER.hash(password)


def make_password() -> str:
    """A random password of 24 characters that can be read out."""
    return secrets.token_urlsafe(18)


def make_api_key() -> str:
    """A new API key; only its hash is stored."""
    return API_KEY_PREFIX + secrets.token_urlsafe(32)


def hash_api_key(secret: str) -> str:
    """What is stored of an API key: it has 256 random bits, so one fast hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class VerifierLimits:
    """How much guessing and hashing is allowed."""

    hashes_at_once: int = max(1, os.cpu_count() or 1)
    hashes_waiting: int = 64
    failures_per_account: float = 20.0
    """Failed logins for one name from one address before it must wait."""
    failures_per_address: float = 200.0
    half_life_s: float = 60.0
    """After so long half of the failures are forgotten: nobody is locked out for good."""


class Verifier:
    """Checks credentials; safe from many threads."""

    def __init__(
        self,
        records: UserRecords,
        limits: VerifierLimits | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._records = records
        self.is_at_hand = records.is_at_hand
        """Whether ``cached_basic`` takes microseconds."""
        self._limits = limits or VerifierLimits()
        self._monotonic = monotonic
        self._secret = secrets.token_bytes(32)
        self._remembered: OrderedDict[bytes, tuple[WebUserId, int, float]] = OrderedDict()
        self._lock = threading.Lock()
        self._hashing = threading.Semaphore(self._limits.hashes_at_once)
        self._waiting = 0
        self._failures = _Failures(self._limits, monotonic)
        self._dummy_hash = _HASHER.hash(secrets.token_urlsafe(18))

    def basic(self, username: str, password: str, address: str | None) -> Principal:
        """Who this is, by name and password.

        Raises:
            Unauthenticated: Unknown name, wrong password or disabled user; all three look alike
                and take the same time.
            TooManyRequests: Too many failures, or too many passwords being checked.
        """
        known = self.cached_basic(username, password)
        if known is not None:
            return known
        self._failures.require_allowed(username, address)
        user = self._records.by_name(username)
        # An unknown name is checked against a hash as costly as a real one (T30).
        stored = user.password_hash if user is not None else self._dummy_hash
        matches = self._matches(stored, password[:MAX_PASSWORD_CHARS])
        if user is None or not matches or user.disabled:
            self._failures.add(username, address)
            self._records.refused(user, address)
            raise Unauthenticated(to_translate("The user name or the password is wrong."))
        if _HASHER.check_needs_rehash(user.password_hash):
            self._records.rehashed(user, _HASHER.hash(password))
        self._remember(username, password, user)
        return principal_of(user, "basic")

    def cached_basic(self, username: str, password: str) -> Principal | None:
        """The same from memory and one look-up by key; None where it must be checked anew."""
        fingerprint = self._fingerprint(username, password)
        with self._lock:
            entry = self._remembered.get(fingerprint)
        if entry is None or entry[2] < self._monotonic():
            return None
        user = self._records.by_id(entry[0])
        if user is None or user.disabled or user.password_version != entry[1]:
            return None
        return principal_of(user, "basic")

    def api_key(self, secret: str, address: str | None) -> Principal:
        """Who this is, by API key.

        Raises:
            Unauthenticated: No such living key, or its user is disabled.
            TooManyRequests: Too many failures from this address.
        """
        self._failures.require_allowed("", address)
        user = None
        if secret.startswith(API_KEY_PREFIX) and len(secret) < 256:
            user = self._records.by_api_key(hash_api_key(secret))
        if user is None or user.disabled:
            self._failures.add("", address)
            self._records.refused(user, address)
            raise Unauthenticated(to_translate("The API key is not known or was revoked."))
        return principal_of(user, "api_key")

    def _matches(self, stored: str, password: str) -> bool:
        with self._lock:
            if self._waiting >= self._limits.hashes_waiting:
                raise TooManyRequests(
                    to_translate("Too many logins are being checked; try again shortly."),
                    retry_after_s=2,
                )
            self._waiting += 1
        try:
            with self._hashing:
                return _HASHER.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False
        finally:
            with self._lock:
                self._waiting -= 1

    def _fingerprint(self, username: str, password: str) -> bytes:
        text = f"{len(username)}:{username}:{password}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._secret, digest_size=32).digest()

    def _remember(self, username: str, password: str, user: WebUser) -> None:
        until = self._monotonic() + REMEMBER_S
        with self._lock:
            fingerprint = self._fingerprint(username, password)
            self._remembered[fingerprint] = (user.id, user.password_version, until)
            self._remembered.move_to_end(fingerprint)
            while len(self._remembered) > REMEMBER_ENTRIES:
                self._remembered.popitem(last=False)


def principal_of(user: WebUser, via: str) -> Principal:
    """A user whose credentials were verified."""
    return Principal(user.id, user.username, user.role, user.reach, via)


class _Failures:
    """Counts failed logins with a slow decay, per name and address and per address."""

    def __init__(self, limits: VerifierLimits, monotonic: Callable[[], float]) -> None:
        self._limits = limits
        self._monotonic = monotonic
        self._scores: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def require_allowed(self, username: str, address: str | None) -> None:
        for key, limit in self._keys(username, address):
            excess = self._score(key) / limit
            if excess >= 1:
                raise TooManyRequests(
                    to_translate("Too many failed logins; try again later."),
                    retry_after_s=max(1, round(self._limits.half_life_s * (excess - 0.5) / 2)),
                )

    def add(self, username: str, address: str | None) -> None:
        now = self._monotonic()
        for key, _ in self._keys(username, address):
            score = self._score(key) + 1
            with self._lock:
                self._scores[key] = (score, now)
                self._scores.move_to_end(key)
                while len(self._scores) > 2 * REMEMBER_ENTRIES:
                    self._scores.popitem(last=False)

    def _keys(self, username: str, address: str | None) -> list[tuple[tuple[str, str], float]]:
        place = address or ""
        keys = [(("", place), self._limits.failures_per_address)]
        if username:
            keys.append(((username.casefold(), place), self._limits.failures_per_account))
        return keys

    def _score(self, key: tuple[str, str]) -> float:
        with self._lock:
            score, since = self._scores.get(key, (0.0, 0.0))
        half_lives = (self._monotonic() - since) / self._limits.half_life_s
        return float(score * 0.5**half_lives)
