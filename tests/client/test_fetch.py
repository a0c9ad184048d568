"""Recordings are saved whole, of one revision, or not at all."""

from __future__ import annotations

import base64
import hashlib
import stat
import time
from functools import partial
from pathlib import Path

import pytest

from callreel import client as front
from callreel.client import Client, ClientError
from tests.client.scripted import (
    SOUND,
    Handler,
    Scripted,
    Step,
    hang_up,
    redirect,
    refuse,
    refuse_plain,
    reply,
    silence,
)

SHA256 = hashlib.sha256(SOUND).hexdigest()


def _only(path: Path) -> None:
    """Nothing else is left in the folder."""
    assert list(path.parent.iterdir()) == [path]


def test_a_recording_is_saved_whole(client: Client, tmp_path: Path) -> None:
    """Every byte, and what it is: size, hash, type, and what the server calls it."""
    path = tmp_path / "call.wav"
    saved = client.fetch("r1", path)
    assert path.read_bytes() == SOUND
    assert saved == front.Saved(path, len(SOUND), SHA256, "audio/wav", '"revision-1"', 1)
    _only(path)


def test_a_call_can_be_given_for_its_recording(client: Client, tmp_path: Path) -> None:
    """What a search found is fetched without looking ids up."""
    call = next(client.search())
    assert client.fetch(call, tmp_path / "call.wav").sha256 == SHA256


def test_a_call_without_recording_has_nothing_to_fetch(
    server: Scripted, client: Client, tmp_path: Path
) -> None:
    """An abandoned call, for one; the server is not even asked for a token."""
    call = next(client.search())
    call["recording_id"] = None
    with pytest.raises(front.NotRecorded):
        client.fetch(call, tmp_path / "call.wav")
    assert server.tokens == 0


def test_the_file_is_readable_by_its_owner_alone(client: Client, tmp_path: Path) -> None:
    """What people said on the telephone is nobody else's on this machine."""
    client.fetch("r1", tmp_path / "call.wav")
    assert stat.S_IMODE((tmp_path / "call.wav").stat().st_mode) == 0o600


def test_echo_never_sees_a_login(server: Scripted, client: Client, tmp_path: Path) -> None:
    """Neither at first nor when resuming. Source: contract.md 3.1."""
    server.echo_steps.append(server.cut(100_000))
    client.fetch("r1", tmp_path / "call.wav")
    assert len(server.echo_seen) == 2
    for seen in server.echo_seen:
        assert not {"authorization", "cookie", "proxy-authorization"} & seen.headers.keys()


def test_progress_is_told(client: Client, tmp_path: Path) -> None:
    """So far and of how many, ending with all."""
    told: list[tuple[int, int]] = []
    client.fetch("r1", tmp_path / "call.wav", progress=lambda *both: told.append(both))
    assert told == sorted(told)
    assert told[-1] == (len(SOUND), len(SOUND))


def test_a_cut_transfer_is_resumed_where_it_broke(
    server: Scripted, client: Client, tmp_path: Path
) -> None:
    """The rest is asked for under the ETag of the beginning; both make the whole."""
    server.echo_steps.extend([server.cut(100_000), server.cut(50_000)])
    assert client.fetch("r1", tmp_path / "call.wav").sha256 == SHA256
    second, third = (seen.headers for seen in server.echo_seen[1:])
    assert (second["range"], second["if-range"]) == ("bytes=100000-", '"revision-1"')
    assert third["range"] == "bytes=150000-"
    assert server.tokens == 1


def test_another_revision_starts_anew(server: Scripted, client: Client, tmp_path: Path) -> None:
    """A mask arrived in between: nothing of the unmasked beginning is kept."""
    masked = bytes(len(SOUND))

    def cut_and_mask(handler: Handler) -> None:
        server.cut(100_000)(handler)
        server.sound, server.etag = masked, '"revision-2"'

    server.echo_steps.append(cut_and_mask)
    saved = client.fetch("r1", tmp_path / "call.wav")
    assert (tmp_path / "call.wav").read_bytes() == masked
    assert saved.sha256 == hashlib.sha256(masked).hexdigest()
    assert saved.etag == '"revision-2"'


def test_a_part_of_another_revision_is_never_joined(
    server: Scripted, client: Client, tmp_path: Path
) -> None:
    """Even a server that ignores If-Range cannot make the client mix two revisions."""

    def part_of_another(handler: Handler) -> None:
        size = len(SOUND)
        headers = {"ETag": '"revision-2"', "Content-Range": f"bytes 100000-{size - 1}/{size}"}
        handler.answer(206, bytes(size - 100_000), "audio/wav", headers)

    server.echo_steps.extend([server.cut(100_000), part_of_another])
    assert client.fetch("r1", tmp_path / "call.wav").sha256 == SHA256
    assert "range" not in server.echo_seen[2].headers


@pytest.mark.parametrize("etag", ['W/"weak"', None])
def test_without_a_strong_etag_a_cut_transfer_starts_anew(
    server: Scripted, client: Client, tmp_path: Path, etag: str | None
) -> None:
    """Only a strong one says that two answers are of the same bytes (RFC 9110, 13.1.5)."""

    def cut(handler: Handler) -> None:
        headers = {} if etag is None else {"ETag": etag}
        handler.head(200, len(SOUND), "audio/wav", headers)
        handler.wfile.write(SOUND[:1000])
        handler.hang_up()

    server.echo_steps.append(cut)
    assert client.fetch("r1", tmp_path / "call.wav").sha256 == SHA256
    assert "range" not in server.echo_seen[1].headers


def test_an_expired_token_is_renewed_and_the_transfer_goes_on(
    server: Scripted, client: Client, tmp_path: Path
) -> None:
    """410 in the middle: a fresh token, and the rest as if nothing had been."""

    def cut_and_expire(handler: Handler) -> None:
        server.expired.add("t1")
        server.cut(200_000)(handler)

    server.echo_steps.append(cut_and_expire)
    assert client.fetch("r1", tmp_path / "call.wav").sha256 == SHA256
    assert [seen.path for seen in server.echo_seen] == ["/v/t1", "/v/t1", "/v/t2"]
    assert server.echo_seen[2].headers["range"] == "bytes=200000-"


def test_tokens_that_are_too_old_at_once_tell_of_clocks(
    server: Scripted, client: Client, tmp_path: Path
) -> None:
    """Asking for ever more tokens would not help anybody."""
    server.expired.update(f"t{number}" for number in range(1, 9))
    with pytest.raises(front.ServerFault, match="clocks"):
        client.fetch("r1", tmp_path / "call.wav")
    assert server.tokens == 2


@pytest.mark.parametrize("where", ["web", "echo"])
@pytest.mark.parametrize(("status", "code"), [(503, "unavailable"), (429, "too_many_requests"),
                                              (409, "not_ready")])  # fmt: skip
def test_a_busy_server_is_waited_for(
    server: Scripted, client: Client, tmp_path: Path, where: str, status: int, code: str
) -> None:
    """As long as Retry-After says, on either port."""
    steps = server.web_steps if where == "web" else server.echo_steps
    steps.append(refuse(status, code, Retry_After="1"))
    began = time.monotonic()
    assert client.fetch("r1", tmp_path / "call.wav").sha256 == SHA256
    assert time.monotonic() - began >= 1


def test_a_call_that_runs_for_longer_is_told_at_once(
    server: Scripted, client: Client, tmp_path: Path
) -> None:
    """Waiting beyond the deadline is not begun; the error is what the server said."""
    server.web_steps.append(refuse(409, "not_ready", "The call still runs.", Retry_After="3600"))
    with pytest.raises(front.NotReady, match="still runs") as caught:
        client.fetch("r1", tmp_path / "call.wav", deadline_s=2)
    assert caught.value.retry_after_s == 3600


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (refuse_plain(410, "recording_deleted"), front.Gone),
        (refuse_plain(422, "unplayable"), front.Unplayable),
        (refuse_plain(403, "token_refused"), front.AccessRefused),
        (refuse_plain(500, "internal_error"), front.ServerFault),
        (reply(b"", 404, "text/plain"), front.BadAnswer),
        (reply(b"<html>a portal</html>", 200, "text/html"), front.BadAnswer),
        (reply(SOUND, 200, "audio/wav", Content_Encoding="gzip"), front.BadAnswer),
    ],
)
def test_a_refusal_leaves_no_file(
    server: Scripted, client: Client, tmp_path: Path, step: Step, expected: type[ClientError]
) -> None:
    """What cannot be had is an error at once, with nothing half made."""
    server.echo_steps.append(step)
    with pytest.raises(expected):
        client.fetch("r1", tmp_path / "call.wav")
    assert list(tmp_path.iterdir()) == []
    assert len(server.echo_seen) == 1


def test_a_redirect_of_echo_is_never_followed(
    server: Scripted, client: Client, tmp_path: Path
) -> None:
    """The token would be handed to another address."""
    server.echo_steps.append(redirect(f"{server.base_url}/elsewhere"))
    with pytest.raises(front.BadAnswer, match="final address"):
        client.fetch("r1", tmp_path / "call.wav")
    assert not any(seen.path == "/elsewhere" for seen in server.web_seen)


def test_an_answer_without_length_is_not_trusted(
    server: Scripted, client: Client, tmp_path: Path
) -> None:
    """A cut could not be told from the end."""

    def endless(handler: Handler) -> None:
        handler.head(200, None, "audio/wav", {"Connection": "close"})
        handler.wfile.write(SOUND[:1000])
        handler.close_connection = True

    server.echo_steps.append(endless)
    with pytest.raises(front.BadAnswer, match="how long"):
        client.fetch("r1", tmp_path / "call.wav")


def test_another_length_than_the_token_announced_is_an_error(
    server: Scripted, client: Client, tmp_path: Path
) -> None:
    """Once it may be a recording that was just replaced; twice, somebody is cutting."""
    server.size_bytes = len(SOUND) + 1
    with pytest.raises(front.BrokenTransfer) as caught:
        client.fetch("r1", tmp_path / "call.wav")
    assert caught.value.what == "length"
    assert (server.tokens, list(tmp_path.iterdir())) == (2, [])


def test_a_length_that_nobody_knew_before_is_no_error(
    server: Scripted, client: Client, tmp_path: Path
) -> None:
    """FLAC, AAC and WebM have none until they were made once. Source: contract.md 6.3."""
    server.size_bytes = None
    assert client.fetch("r1", tmp_path / "call.flac", "flac").sha256 == SHA256


def test_a_part_that_was_not_asked_for_is_dropped(
    server: Scripted, client: Client, tmp_path: Path
) -> None:
    """It would be joined at the wrong place."""

    def wrong_place(handler: Handler) -> None:
        size = len(SOUND)
        headers = {"ETag": server.etag, "Content-Range": f"bytes 0-{size - 1}/{size}"}
        handler.answer(206, SOUND, "audio/wav", headers)

    server.echo_steps.extend([server.cut(1000), wrong_place])
    assert client.fetch("r1", tmp_path / "call.wav").sha256 == SHA256


def test_a_hash_that_the_server_names_is_compared(
    server: Scripted, client: Client, tmp_path: Path
) -> None:
    """Today none is named; where one is (RFC 9530), it must be that of what was saved."""
    digest = base64.b64encode(hashlib.sha256(SOUND).digest()).decode()
    server.sound_headers["Repr-Digest"] = f"md5=:AA==:, sha-256=:{digest}:"
    client.fetch("r1", tmp_path / "good.wav")
    server.sound = bytes(len(SOUND))
    with pytest.raises(front.BrokenTransfer) as caught:
        client.fetch("r1", tmp_path / "bad.wav")
    assert caught.value.what == "hash"
    _only(tmp_path / "good.wav")


def test_damage_once_is_mended_by_fetching_again(
    server: Scripted, client: Client, tmp_path: Path
) -> None:
    """The second answer is whole, so that is what is saved."""
    digest = base64.b64encode(hashlib.sha256(SOUND).digest()).decode()
    headers = {"ETag": server.etag, "Repr_Digest": f"sha-256=:{digest}:"}
    server.echo_steps.append(reply(bytes(len(SOUND)), 200, "audio/wav", **headers))
    assert client.fetch("r1", tmp_path / "call.wav").sha256 == SHA256


def test_a_slow_server_meets_the_deadline(server: Scripted, client: Client, tmp_path: Path) -> None:
    """Bytes that trickle in keep no program waiting for ever."""
    server.echo_steps.append(partial(server.send_sound, most=len(SOUND), pause_s=0.4))
    began = time.monotonic()
    with pytest.raises(front.DeadlineExceeded):
        client.fetch("r1", tmp_path / "call.wav", deadline_s=1)
    assert time.monotonic() - began < 3
    assert list(tmp_path.iterdir()) == []


def test_a_silent_server_meets_the_deadline(
    server: Scripted, client: Client, tmp_path: Path
) -> None:
    """Silence is as good as trickling."""
    server.echo_steps.append(silence(1.5))
    with pytest.raises(front.DeadlineExceeded):
        client.fetch("r1", tmp_path / "call.wav", deadline_s=0.5)


def test_a_server_that_brings_nothing_new_is_given_up(
    server: Scripted, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stored file that cannot be read on is cut at the same place every time."""
    monkeypatch.setattr("callreel.client.deadline.LONGEST_PAUSE_S", 0.2)
    server.echo_steps.append(server.cut(1000))
    server.echo_steps.extend([hang_up] * 20)
    with pytest.raises(front.ServerUnavailable, match="broke off"):
        client.fetch("r1", tmp_path / "call.wav")
    assert 5 < len(server.echo_seen) < 10


def test_an_echo_that_never_answered_is_told_at_once(
    server: Scripted, client: Client, tmp_path: Path
) -> None:
    """A wrong address of Echo is the likeliest cause, so the message holds it."""
    server.web_steps.append(reply(server.token() | {"url": "http://127.0.0.1:9/v/t1"}))
    with pytest.raises(front.Unreachable, match=r"127\.0\.0\.1:9"):
        client.fetch("r1", tmp_path / "call.wav")


def test_a_file_that_is_there_is_replaced_only_by_a_whole_one(
    server: Scripted, client: Client, tmp_path: Path
) -> None:
    """Until then the old one stays as it was."""
    path = tmp_path / "call.wav"
    path.write_bytes(b"old")
    server.echo_steps.append(refuse_plain(410, "recording_deleted"))
    with pytest.raises(front.Gone):
        client.fetch("r1", path)
    assert path.read_bytes() == b"old"
    client.fetch("r1", path)
    assert path.read_bytes() == SOUND


@pytest.mark.parametrize("name", ["missing/call.wav", "folder"])
def test_a_place_that_cannot_be_written_is_told_before_anything_is_fetched(
    server: Scripted, client: Client, tmp_path: Path, name: str
) -> None:
    """No token is spent on it."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(front.NotSaved, match="Cannot save"):
        client.fetch("r1", tmp_path / name)
    assert server.web_seen == []
