"""Errors to answers: every class of ours, as text and as a problem, and what nobody expected."""

from __future__ import annotations

import inspect

import pytest
from starlette.testclient import TestClient
from structlog.typing import EventDict

from callreel import errors
from callreel.errors import CallreelError
from callreel.web.problems import status_of
from tests.fakes import all_errors
from tests.web.stage import Backstage

VOICE = "/voice.wav?cmd=getvmsg&datasource=3&recordingid=a&voicelocation=4"
TOKENS = "/api/v1/recordings/rec-1/tokens"

STATUS = {
    "CallreelError": 500,
    "BadRequest": 400,
    "UnknownFormat": 400,
    "FormatNeedsExtra": 400,
    "BadInput": 400,
    "TooSlow": 400,
    "Unauthenticated": 401,
    "Forbidden": 403,
    "TokenRefused": 403,
    "NotFound": 404,
    "NotReady": 409,
    "Conflict": 409,
    "Gone": 410,
    "RecordingDeleted": 410,
    "TokenExpired": 410,
    "TokenUsed": 410,
    "TicketExpired": 410,
    "TicketUsed": 410,
    "RangeNotSatisfiable": 416,
    "Unplayable": 422,
    "TooManyRequests": 429,
    "Unavailable": 503,
    "RenderGoesOn": 503,
    "MaskChanged": 503,
    "ConfigurationError": 500,
    "DatabaseNewer": 500,
}
OURS = [kind for kind in all_errors() if kind.__module__ == errors.__name__]


def make(kind: type[CallreelError]) -> CallreelError:
    """An error of a class, with a message and a wait where it takes them."""
    given = {"message": "A sentence for people.", "retry_after_s": 7, "why": "a secret", "size": 9}
    wanted = inspect.signature(kind.__init__).parameters
    return kind(**{name: value for name, value in given.items() if name in wanted})  # type: ignore[arg-type]


def test_every_error_of_ours_has_its_status() -> None:
    """A new class must be given one here, and thought about."""
    assert {kind.__name__: status_of(make(kind))[0] for kind in OURS} == STATUS


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_an_error_reads_well_both_ways(
    known: TestClient, backstage: Backstage, kind: type[CallreelError]
) -> None:
    """``code: sentence`` for old programs, the same code and sentence in a problem document."""
    error = backstage.issue.error = make(kind)
    status = STATUS[kind.__name__]
    plain, problem = known.get(VOICE), known.post(TOKENS)
    assert plain.status_code == problem.status_code == problem.json()["status"] == status
    assert plain.headers["content-type"] == "text/plain; charset=utf-8"
    assert problem.headers["content-type"] == "application/problem+json"
    assert set(problem.json()) == {"type", "title", "status", "detail", "code"}
    if status == 500:
        assert plain.text.startswith("internal_error: Something went wrong here; its number")
        assert error.message not in plain.text + problem.text
        return
    assert plain.text == f"{error.code}: {error.message}"
    assert (problem.json()["code"], problem.json()["detail"]) == (error.code, error.message)
    wait = None if error.retry_after_s is None else str(error.retry_after_s)
    assert plain.headers.get("retry-after") == problem.headers.get("retry-after") == wait
    assert ("www-authenticate" in plain.headers) == (status == 401)
    assert "a secret" not in plain.text + problem.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", VOICE),
        ("GET", "/signal.js?cat=4&type=1&objtype=user&objid=1"),
        ("GET", "/api/v1/calls"),
        ("POST", TOKENS),
    ],
)
def test_what_nobody_expected_is_told_by_a_number(
    known: TestClient, backstage: Backstage, logs: list[EventDict], method: str, path: str
) -> None:
    """The number finds the whole in the log; the answer tells nothing else (threats.md T51)."""
    surprise = RuntimeError("/var/secret/path")
    backstage.issue.error = backstage.signals.error = backstage.browse.error = surprise
    answer = known.request(method, path)
    assert answer.status_code == 500
    assert "secret" not in answer.text + str(answer.headers)
    (entry,) = [each for each in logs if each["event"] == "unexpected"]
    assert entry["error_id"] in answer.text
    assert entry["exc_info"] is surprise


def test_what_clients_do_not_see_is_in_the_log(
    known: TestClient, backstage: Backstage, logs: list[EventDict]
) -> None:
    """The fields of an error, by names that cannot clash with the log's own."""
    backstage.issue.error = errors.NotFound("There is no such recording.", code="x", event="y")
    known.get(VOICE)
    (entry,) = [each for each in logs if each["event"] == "refused"]
    assert entry["code"] == "not_found"
    assert (entry["about_code"], entry["about_event"]) == ("x", "y")
