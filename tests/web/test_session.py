"""Who asks: the challenge, Basic in both encodings, API keys. Source: contract.md 2.1 and 6.1."""

from __future__ import annotations

import base64
import dataclasses

import pytest
from starlette.testclient import TestClient

from tests.fakes import API_KEY
from tests.web.stage import LATIN_NAME, LATIN_PASSWORD, PASSWORD, USERNAME, Backstage

CHALLENGE = 'Basic realm="Callreel", charset="UTF-8"'
PLAIN = "/voice.wav?cmd=getvmsg&datasource=3&recordingid=a&voicelocation=4"
CALLS = "/api/v1/calls"


def basic(text: str, encoding: str = "utf-8") -> dict[str, str]:
    """The header of some credentials."""
    return {"Authorization": "Basic " + base64.b64encode(text.encode(encoding)).decode()}


@pytest.mark.parametrize("path", [PLAIN, CALLS, "/signal.js", "/api/v1/changes", "/api/v1/calls/x"])
def test_without_credentials_there_is_one_challenge(web: TestClient, path: str) -> None:
    """Basic and nothing else, or a .NET client would try what we do not have."""
    answer = web.get(path)
    assert answer.status_code == 401
    assert answer.headers.get_list("www-authenticate") == [CHALLENGE]


def test_a_challenge_is_no_failed_login(web: TestClient) -> None:
    """.NET asks without credentials first, every time: a thousand of these lock nobody out."""
    for _ in range(1000):
        assert web.get(PLAIN).status_code == 401
    assert web.get(PLAIN, headers=basic(f"{USERNAME}:{PASSWORD}")).status_code == 200


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_names_and_passwords_are_read_as_utf8_then_as_latin1(
    web: TestClient, backstage: Backstage, encoding: str
) -> None:
    """.NET Framework sends Latin-1 whatever the challenge says (threats.md T32)."""
    answer = web.get(PLAIN, headers=basic(f"{LATIN_NAME}:{LATIN_PASSWORD}", encoding))
    assert answer.status_code == 200
    assert backstage.issue.asked[0]["username"] == LATIN_NAME


@pytest.mark.parametrize(
    "value",
    [
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic " + base64.b64encode(b"no-colon").decode(),
        "Basic " + base64.b64encode(b"ines\0:x").decode(),
        "Basic " + base64.b64encode(b":").decode(),
        "Basic " + "A" * 9000,
        "Digest username=ines",
        "Negotiate AAAA",
        "Bearer",
        "Bearer wrong",
        "",
    ],
)
def test_a_header_that_says_nothing_useful_is_challenged(web: TestClient, value: str) -> None:
    """401 with the same challenge, never a 400 or 500."""
    answer = web.get(PLAIN, headers={"Authorization": value})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == CHALLENGE
    assert answer.text.startswith("unauthenticated: ")


def test_two_headers_are_none(web: TestClient) -> None:
    """Which one would count is anybody's guess, so neither does."""
    header = basic(f"{USERNAME}:{PASSWORD}")["Authorization"]
    answer = web.get(PLAIN, headers=[("Authorization", header), ("Authorization", header)])
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "credentials", [f"{USERNAME}:wrong", "nobody:wrong", f"{USERNAME}:", f"{USERNAME}:{PASSWORD}x"]
)
def test_wrong_credentials_look_alike(web: TestClient, credentials: str) -> None:
    """Unknown name and wrong password give one answer."""
    answer = web.get(PLAIN, headers=basic(credentials))
    assert answer.status_code == 401
    assert answer.text == "unauthenticated: The user name or the password is wrong."


def test_the_scheme_ignores_case(web: TestClient) -> None:
    """RFC 9110 says so."""
    header = basic(f"{USERNAME}:{PASSWORD}")["Authorization"].replace("Basic", "bASIC")
    assert web.get(PLAIN, headers={"Authorization": header}).status_code == 200


def test_an_api_key_opens_what_a_password_does(web: TestClient, backstage: Backstage) -> None:
    """Through the one verifier."""
    assert web.get(CALLS, headers={"Authorization": f"Bearer {API_KEY}"}).status_code == 200
    assert web.get(CALLS, headers={"Authorization": f"bearer  {API_KEY} "}).status_code == 200


def test_a_disabled_user_is_out_at_once(web: TestClient, backstage: Backstage) -> None:
    """Remembered credentials are checked against the user's row each time."""
    header = basic(f"{USERNAME}:{PASSWORD}")
    assert web.get(PLAIN, headers=header).status_code == 200
    user = backstage.users.users[USERNAME]
    backstage.users.users[USERNAME] = dataclasses.replace(user, disabled=True)
    try:
        assert web.get(PLAIN, headers=header).status_code == 401
    finally:
        backstage.users.users[USERNAME] = user


def test_too_many_failures_are_told_to_wait(web: TestClient) -> None:
    """429 with the time to wait, before another password is hashed."""
    answers = [web.get(PLAIN, headers=basic("nobody:wrong")) for _ in range(22)]
    assert answers[0].status_code == 401
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert answers[-1].text.startswith("too_many_requests: ")
