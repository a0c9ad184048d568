"""Step two: status, headers, ranges and conditions of Echo. Source: contract.md section 3."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from callreel.errors import (
    CallreelError,
    NotReady,
    RecordingDeleted,
    RenderGoesOn,
    TokenExpired,
    TokenRefused,
    TokenUsed,
    Unauthenticated,
    Unavailable,
    Unplayable,
)
from tests.web.stage import Backstage, Live, wait_until

WHOLE = bytes(range(256)) * 40
N = len(WHOLE)


@pytest.fixture
def echo(live_echo: Live) -> Iterator[httpx2.Client]:
    """A client of Echo on a real socket."""
    with httpx2.Client(base_url=live_echo.url, trust_env=False) as client:
        yield client


def test_a_get_sends_the_whole_with_its_length(echo: httpx2.Client, backstage: Backstage) -> None:
    """200 and the headers of 3.3, nothing more."""
    answer = echo.get("/v/a-token")
    assert (answer.status_code, answer.content) == (200, WHOLE)
    headers = dict(answer.headers)
    assert headers.pop("date")
    assert headers == {
        "content-type": "audio/wav",
        "content-disposition": 'inline; filename="call-rec-1.wav"',
        "content-length": str(N),
        "accept-ranges": "bytes",
        "etag": '"a-tag"',
        "cache-control": "private, no-store",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "cross-origin",
    }
    assert backstage.deliver.asked == [("a-token", False)]
    assert backstage.deliver.starts == 1
    wait_until(lambda: backstage.deliver.deliveries[0].closed_with == N)


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=1000-", 1000, N),
        ("bytes=-500", N - 500, N),
        ("bytes=-99999", 0, N),
        (f"bytes={N - 1}-99999", N - 1, N),
        ("bytes=0-", 0, N),
    ],
)
def test_one_range_is_honoured(
    echo: httpx2.Client, backstage: Backstage, header: str, start: int, stop: int
) -> None:
    """206, its place in the whole, its length, the same tag."""
    answer = echo.get("/v/t", headers={"Range": header})
    assert (answer.status_code, answer.content) == (206, WHOLE[start:stop])
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{N}"
    assert answer.headers["content-length"] == str(stop - start)
    assert answer.headers["etag"] == '"a-tag"'
    wait_until(lambda: backstage.deliver.deliveries[0].closed_with == stop - start)


@pytest.mark.parametrize(
    "header", ["bytes=0-1,5-6", "bytes=5-3", "bytes=x-y", "lines=0-1", "bytes", "bytes=-"]
)
def test_several_ranges_and_nonsense_get_the_whole(echo: httpx2.Client, header: str) -> None:
    """200, never a multipart answer."""
    answer = echo.get("/v/t", headers={"Range": header})
    assert (answer.status_code, answer.content) == (200, WHOLE)
    assert "content-range" not in answer.headers


@pytest.mark.parametrize("header", [f"bytes={N}-", "bytes=999999-1000000", "bytes=-0"])
def test_a_range_behind_the_end_is_told_the_size(
    echo: httpx2.Client, backstage: Backstage, header: str
) -> None:
    """416, nothing was listened to, and the slot is free again."""
    answer = echo.get("/v/t", headers={"Range": header})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{N}"
    assert answer.text.startswith("range_not_satisfiable: ")
    wait_until(lambda: backstage.deliver.open_now == 0)
    assert backstage.deliver.starts == 0


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ('"a-tag"', 206),
        ('"old"', 200),
        ('W/"a-tag"', 200),
        ("Tue, 24 Nov 2026 06:00:00 GMT", 200),
    ],
)
def test_a_range_of_other_bytes_gets_the_whole(
    echo: httpx2.Client, condition: str, status: int
) -> None:
    """If-Range with an old tag, or a date, which is never good enough (3.3)."""
    answer = echo.get("/v/t", headers={"Range": "bytes=5-9", "If-Range": condition})
    assert answer.status_code == status
    assert answer.content == (WHOLE[5:10] if status == 206 else WHOLE)


def test_known_bytes_are_not_sent_again(echo: httpx2.Client, backstage: Backstage) -> None:
    """304 with the tag and without a body; nothing was listened to."""
    answer = echo.get("/v/t", headers={"If-None-Match": '"a-tag"', "Range": "bytes=0-1"})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == '"a-tag"'
    wait_until(lambda: backstage.deliver.open_now == 0)
    assert backstage.deliver.starts == 0
    assert echo.get("/v/t", headers={"If-None-Match": '"old"'}).status_code == 200


def test_other_bytes_than_wanted_are_not_sent(echo: httpx2.Client, backstage: Backstage) -> None:
    """412: somebody resumes what has changed."""
    answer = echo.get("/v/t", headers={"If-Match": '"old"'})
    assert (answer.status_code, answer.content) == (412, b"")
    assert echo.get("/v/t", headers={"If-Match": '"a-tag"'}).status_code == 200
    assert backstage.deliver.starts == 1


def test_head_agrees_with_get(echo: httpx2.Client, backstage: Backstage) -> None:
    """The same status and headers, no body, no sound opened; a range is of GET alone."""
    backstage.deliver.head_size = N
    got, head = echo.get("/v/t"), echo.head("/v/t", headers={"Range": "bytes=0-5"})
    got.headers.pop("date")
    head.headers.pop("date")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == got.headers
    assert backstage.deliver.asked == [("t", False), ("t", True)]
    wait_until(lambda: backstage.deliver.open_now == 0)
    assert backstage.deliver.starts == 1


def test_head_without_a_known_size_leaves_the_length_out(echo: httpx2.Client) -> None:
    """FLAC, AAC and WebM before their render (3.3); the connection stays in step."""
    head = echo.head("/v/t")
    assert head.status_code == 200
    assert "content-length" not in head.headers
    assert "transfer-encoding" not in head.headers
    assert echo.get("/v/t").content == WHOLE


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (TokenRefused("forged"), 403, "token_refused: This address is not valid."),
        (TokenRefused("user disabled"), 403, "token_refused: This address is not valid."),
        (TokenExpired("Too old."), 410, "token_expired: Too old."),
        (TokenUsed("Used."), 410, "token_used: Used."),
        (RecordingDeleted("Deleted."), 410, "recording_deleted: Deleted."),
        (NotReady("Still running.", retry_after_s=9), 409, "not_ready: Still running."),
        (Unplayable("No sound in it."), 422, "unplayable: No sound in it."),
        (Unavailable("No spans.", retry_after_s=9), 503, "unavailable: No spans."),
        (RenderGoesOn("Soon.", retry_after_s=9), 503, "rendering: Soon."),
        (Unauthenticated("Who are you?"), 403, "forbidden: This address is not valid."),
        (RuntimeError("boom"), 500, "internal_error: Something went wrong here; its number"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
@pytest.mark.parametrize("where", ["open", "start", "stream"])
def test_a_refusal_is_one_line_wherever_it_comes_from(
    echo: httpx2.Client, backstage: Backstage, error: Exception, status: int, said: str, where: str
) -> None:
    """Opening, burning a token, or the first part: always before a status was sent (3.2)."""
    if where == "open":
        backstage.deliver.error = error
    elif where == "start":
        backstage.deliver.start_error = error
    else:
        backstage.deliver.fail_at, backstage.deliver.stream_error = 0, error
    answer = echo.get("/v/t")
    assert answer.status_code == status
    assert answer.text.startswith(said)
    wait = getattr(error, "retry_after_s", None)
    assert answer.headers.get("retry-after") == (None if wait is None else str(wait))
    assert answer.headers["cache-control"] == "private, no-store"
    wait_until(lambda: backstage.deliver.open_now == 0)


@pytest.mark.parametrize("authorization", [None, "Basic aW5lczp4", "Bearer x"])
@pytest.mark.parametrize("path", ["/v/t", "/v/", "/v", "/", "/x", "/v/a/b", "/voice.wav"])
@pytest.mark.parametrize("error", [None, TokenRefused("forged"), Unauthenticated("x")])
def test_echo_never_asks_for_credentials_and_never_redirects(
    echo: httpx2.Client,
    backstage: Backstage,
    path: str,
    authorization: str | None,
    error: CallreelError | None,
) -> None:
    """A .NET client would answer with the user's password (3.1, threats.md T12)."""
    backstage.deliver.error = error
    headers = {} if authorization is None else {"Authorization": authorization}
    for method in ("GET", "HEAD", "POST"):
        answer = echo.request(method, path, headers=headers, follow_redirects=False)
        assert answer.status_code != 401
        assert not 300 <= answer.status_code < 400
        assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/v", "/v/", "/v/a/b", "/V/t", "/x", "/voice.wav", "/v/t/"])
def test_an_unknown_path_is_a_bare_404(echo: httpx2.Client, path: str) -> None:
    """Nothing to read in it (3.2)."""
    answer = echo.get(path)
    assert (answer.status_code, answer.content) == (404, b"")
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_are_a_bare_405(
    echo: httpx2.Client, backstage: Backstage, method: str
) -> None:
    """Nothing is opened for them."""
    answer = echo.request(method, "/v/t")
    assert (answer.status_code, answer.content) == (405, b"")
    assert answer.headers["allow"] == "GET, HEAD"
    assert backstage.deliver.asked == []


def test_a_token_has_one_spelling(echo: httpx2.Client, backstage: Backstage) -> None:
    """What was escaped reaches the verifier escaped, and is no token of ours (threats.md T2)."""
    echo.get("/v/%41bc?and=more")
    assert backstage.deliver.asked == [("%41bc", False)]


def test_nothing_of_a_request_comes_back(echo: httpx2.Client) -> None:
    """Neither in headers nor in the body of a refusal (threats.md T10)."""
    mark = "q7zq7z"
    for path in (f"/v/{mark}", f"/{mark}"):
        answer = echo.get(path, headers={"User-Agent": mark, "Origin": mark, "X-Request-Id": mark})
        assert mark not in str(answer.headers)
