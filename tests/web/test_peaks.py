"""Peaks as JSON: what is read, what is answered, and that nobody keeps it."""

from __future__ import annotations

import math

import pytest
from starlette.testclient import TestClient

from callreel.errors import (
    CallreelError,
    MaskChanged,
    NotFound,
    NotReady,
    RecordingDeleted,
    RenderGoesOn,
    Unplayable,
)
from callreel.flows.peaks import Stretch
from callreel.model import SourceFacts
from tests.web.stage import USERNAME, Backstage

PEAKS = "/api/v1/recordings/rec-1/peaks"
BODY = {
    "recording_id": "rec-1",
    "mask_revision": 3,
    "duration_s": 0.0875,
    "rate_hz": 8000,
    "frames": 700,
    "channels": 2,
    "from_s": 0.0,
    "to_s": 0.0875,
    "frames_per_point": 256,
    "peaks": [
        {"channel": "left", "min": [-128, 0, -1], "max": [127, -1, 0]},
        {"channel": "right", "min": [-3, 0, -2], "max": [2, -1, 1]},
    ],
    "masked_spans": [{"start_s": 0.01, "end_s": 0.02, "channel": "left"}],
}
TAG = '"of-three"'


def test_peaks_are_whole_numbers_for_each_channel(known: TestClient, backstage: Backstage) -> None:
    """With all that is needed to draw them; nothing on the way keeps them."""
    answer = known.get(PEAKS)
    assert (answer.status_code, answer.json()) == (200, BODY)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers.get_list("cache-control") == ["private, no-store"]
    assert answer.headers["etag"] == TAG
    assert backstage.peaks.asked == [(USERNAME, "rec-1", Stretch(0.0, math.inf, 1000))]


def test_one_channel_has_no_name(known: TestClient, backstage: Backstage) -> None:
    """It is everybody's."""
    backstage.peaks.facts = SourceFacts("ulaw", "wav", rate_hz=8000, channels=1, frames=700)
    told = known.get(PEAKS).json()
    assert told["channels"] == 1
    assert told["peaks"] == [{"channel": None, "min": [-128, 0, -1], "max": [127, -1, 0]}]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("from_s=1.5&to_s=60&points=4000", Stretch(1.5, 60.0, 4000)),
        ("to_s=0.001", Stretch(to_s=0.001)),
        ("points=1", Stretch(points=1)),
        ("from_s=999999999", Stretch(from_s=999_999_999.0)),
    ],
)
def test_a_stretch_is_chosen(
    known: TestClient, backstage: Backstage, query: str, wanted: Stretch
) -> None:
    """Each of the three alone or together."""
    assert known.get(f"{PEAKS}?{query}").status_code == 200
    assert backstage.peaks.asked == [(USERNAME, "rec-1", wanted)]


SECONDS = "must be a number of seconds such as 12.5."
COUNT = "must be a number from 1 to 4000."


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("from=1", "'from' is not a parameter here; known: from_s, to_s, points."),
        ("from_s=-1", f"from_s: {SECONDS}"),
        ("from_s=", f"from_s: {SECONDS}"),
        ("from_s=nan", f"from_s: {SECONDS}"),
        ("from_s=1e3", f"from_s: {SECONDS}"),
        ("from_s=1_000", f"from_s: {SECONDS}"),
        ("from_s=%D9%A3", f"from_s: {SECONDS}"),
        ("to_s=inf", f"to_s: {SECONDS}"),
        ("to_s=1,5", f"to_s: {SECONDS}"),
        ("to_s=10000000000", f"to_s: {SECONDS}"),
        ("to_s=0", "to_s: must be more than from_s."),
        ("from_s=2&to_s=2", "to_s: must be more than from_s."),
        ("points=0", f"points: {COUNT}"),
        ("points=4001", f"points: {COUNT}"),
        ("points=2.5", f"points: {COUNT}"),
        ("points=1&points=2", "points: given more than once."),
    ],
)
def test_a_wrong_or_unknown_parameter_is_named(
    known: TestClient, backstage: Backstage, query: str, said: str
) -> None:
    """400 as a problem document; nothing is looked up."""
    answer = known.get(f"{PEAKS}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert answer.json()["detail"] == said
    assert backstage.peaks.asked == []


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (NotFound("There is no such recording."), 404, None),
        (NotReady("Only just now.", retry_after_s=7), 409, "7"),
        (RecordingDeleted("Deleted."), 410, None),
        (Unplayable("Torn."), 422, None),
        (MaskChanged("Ask again."), 503, "5"),
        (RenderGoesOn("Ask again.", retry_after_s=4), 503, "4"),
    ],
)
def test_what_is_refused_is_told(
    known: TestClient,
    backstage: Backstage,
    error: CallreelError,
    status: int,
    retry_after: str | None,
) -> None:
    """As everywhere in the API; no tag comes with it."""
    backstage.peaks.error = error
    answer = known.get(PEAKS)
    assert (answer.status_code, answer.json()["code"]) == (status, error.code)
    assert answer.headers.get("retry-after") == retry_after
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" not in answer.headers


@pytest.mark.parametrize(
    ("header", "tags", "status"),
    [
        ("If-None-Match", TAG, 304),
        ("If-None-Match", f'"of-two", W/{TAG}', 304),
        ("If-None-Match", '"of-two"', 200),
        ("If-Match", TAG, 200),
        ("If-Match", '"of-two"', 412),
    ],
)
def test_a_page_that_draws_piece_by_piece_keeps_to_one_revision(
    known: TestClient, header: str, tags: str, status: int
) -> None:
    """What it has need not come again; what is of another mask is refused."""
    answer = known.get(PEAKS, headers={header: tags})
    assert answer.status_code == status
    assert answer.headers["etag"] == TAG
    assert answer.headers["cache-control"] == "private, no-store"
    assert (answer.content == b"") == (status != 200)


def test_only_who_is_known_may_look(web: TestClient, backstage: Backstage) -> None:
    """A challenge before anything is looked up; HEAD is as GET."""
    assert web.get(PEAKS).status_code == 401
    assert backstage.peaks.asked == []
    assert web.post(PEAKS).headers["allow"] == "GET, HEAD"
