"""The verifier: same answer and same work for every failure, and nothing outlives a disabling."""

from __future__ import annotations

from dataclasses import replace

import pytest
from argon2 import PasswordHasher

from callreel.access.identity import (
    Verifier,
    VerifierLimits,
    hash_api_key,
    hash_password,
    make_api_key,
    make_password,
)
from callreel.errors import TooManyRequests, Unauthenticated
from callreel.model import Role, Scope, WebUser, WebUserId

PASSWORD = "correct horse: battery"  # with a colon, which Basic allows
USER = WebUser(
    id=WebUserId("u1"),
    username="Ada",
    role=Role.SUPERVISOR,
    password_hash=hash_password(PASSWORD),
    password_version=1,
    disabled=False,
    reach=Scope(site_ids=frozenset({"s1"})),
)


class Records:
    """Users in a dictionary."""

    is_at_hand = True

    def __init__(self, user: WebUser) -> None:
        self.user = user
        self.key_hash = ""
        self.looked_up_by_name = 0

    def by_name(self, username: str) -> WebUser | None:
        """The one user there is."""
        self.looked_up_by_name += 1
        return self.user if username.casefold() == self.user.username.casefold() else None

    def by_id(self, web_user_id: WebUserId) -> WebUser | None:
        """The one user there is."""
        return self.user if web_user_id == self.user.id else None

    def by_api_key(self, key_hash: str) -> WebUser | None:
        """The user, if this is the key."""
        return self.user if key_hash == self.key_hash else None

    def rehashed(self, user: WebUser, password_hash: str) -> None:
        """Keep the new hash."""
        self.user = replace(user, password_hash=password_hash)

    def refused(self, user: WebUser | None, address: str | None) -> None:
        """Tests of the people look at what is written down."""


def test_the_right_password_gives_the_principal_with_its_reach() -> None:
    """Role and reach come from the stored user."""
    principal = Verifier(Records(USER)).basic("ada", PASSWORD, "192.0.2.1")
    assert (principal.username, principal.role) == ("Ada", Role.SUPERVISOR)
    assert principal.reach == Scope(site_ids=frozenset({"s1"}))


@pytest.mark.parametrize(
    ("name", "password"), [("Ada", "wrong"), ("nobody", PASSWORD), ("Ada", ""), ("", PASSWORD)]
)
def test_every_failure_reads_the_same(name: str, password: str) -> None:
    """Unknown name and wrong password cannot be told apart."""
    with pytest.raises(Unauthenticated, match=r"^The user name or the password is wrong\.$"):
        Verifier(Records(USER)).basic(name, password, None)


def test_a_disabled_user_is_refused_at_once_even_when_remembered() -> None:
    """What was verified a moment ago does not outlive a disabling (ASVS 8.3.2)."""
    records = Records(USER)
    verifier = Verifier(records)
    verifier.basic("Ada", PASSWORD, None)
    assert verifier.cached_basic("Ada", PASSWORD) is not None
    records.user = replace(USER, disabled=True)
    assert verifier.cached_basic("Ada", PASSWORD) is None
    with pytest.raises(Unauthenticated):
        verifier.basic("Ada", PASSWORD, None)


def test_a_changed_password_voids_what_was_remembered() -> None:
    """The old password stops working with the change."""
    records = Records(USER)
    verifier = Verifier(records)
    verifier.basic("Ada", PASSWORD, None)
    records.user = replace(
        USER, password_hash=hash_password("another long one!"), password_version=2
    )
    with pytest.raises(Unauthenticated):
        verifier.basic("Ada", PASSWORD, None)


def test_a_remembered_login_is_checked_again_after_a_minute() -> None:
    """The memory is short, and a hit needs no password hash and no look-up by name."""
    now = [0.0]
    records = Records(USER)
    verifier = Verifier(records, monotonic=lambda: now[0])
    verifier.basic("Ada", PASSWORD, None)
    verifier.basic("Ada", PASSWORD, None)
    assert records.looked_up_by_name == 1
    now[0] = 61.0
    assert verifier.cached_basic("Ada", PASSWORD) is None


def test_guessing_is_slowed_down_and_forgiven_with_time() -> None:
    """Failures of one name from one address lead to a wait, which ends by itself (T30)."""
    now = [0.0]
    limits = VerifierLimits(failures_per_account=3)
    verifier = Verifier(Records(USER), limits, monotonic=lambda: now[0])
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            verifier.basic("Ada", "wrong", "192.0.2.1")
    with pytest.raises(TooManyRequests) as slowed:
        verifier.basic("Ada", PASSWORD, "192.0.2.1")
    assert slowed.value.retry_after_s
    assert verifier.basic("Ada", PASSWORD, "192.0.2.2").username == "Ada"
    now[0] = 120.0
    assert verifier.basic("ada", PASSWORD, "192.0.2.1").username == "Ada"


def test_a_remembered_user_is_not_shut_out_by_somebody_elses_guesses() -> None:
    """Guessing at a name does not deny service to its owner."""
    verifier = Verifier(Records(USER), VerifierLimits(failures_per_account=2))
    verifier.basic("Ada", PASSWORD, "192.0.2.1")
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            verifier.basic("Ada", "wrong", "192.0.2.1")
    assert verifier.basic("Ada", PASSWORD, "192.0.2.1").username == "Ada"


def test_an_older_hash_is_made_stronger_at_login() -> None:
    """A hash of lower cost is replaced while the password is at hand."""
    weak = PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1).hash(PASSWORD)
    records = Records(replace(USER, password_hash=weak))
    Verifier(records).basic("Ada", PASSWORD, None)
    assert "m=19456,t=2,p=1" in records.user.password_hash


def test_an_api_key_works_until_it_is_unknown() -> None:
    """A key is looked up by its hash; another one, or a disabled user, is refused."""
    records = Records(USER)
    key = make_api_key()
    records.key_hash = hash_api_key(key)
    verifier = Verifier(records)
    assert verifier.api_key(key, None).via == "api_key"
    for wrong in (make_api_key(), key[:-1], "", key.removeprefix("crk_")):
        with pytest.raises(Unauthenticated):
            verifier.api_key(wrong, None)
    records.user = replace(USER, disabled=True)
    with pytest.raises(Unauthenticated):
        verifier.api_key(key, None)


def test_short_passwords_are_not_taken() -> None:
    """The only factor has fifteen characters or more."""
    with pytest.raises(ValueError, match="15"):
        hash_password("fourteen chars")
    assert len(make_password()) >= 15
