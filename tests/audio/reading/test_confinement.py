"""The child that decodes files from outside: what it cannot do, and what happens when it breaks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from callreel.audio import flac as flac_stream
from callreel.audio.limits import ProbeLimits
from callreel.audio.probe_child import receive, send, serve
from callreel.audio.prober import Prober
from callreel.errors import Unavailable, Unplayable
from tests.audio.reading import clips

NOISE = clips.noise(8000)
MIB = 1 << 20


def flac() -> bytes:
    """A file that must be decoded."""
    return clips.sndfile(NOISE, 8000, "FLAC", "PCM_16")


def bomb(minutes: int) -> bytes:
    """FLAC of silence, 48 kHz stereo, that does not say how long it is: 200 to 1 and more."""
    minute = clips.sndfile(clips.noise(48000 * 60, 2, loud=0), 48000, "FLAC", "PCM_16")
    head = 4
    while True:
        last, size = minute[head] & 0x80, int.from_bytes(minute[head + 1 : head + 4], "big")
        head += 4 + size
        if last:
            break
    start = bytearray(minute[:head])
    start[21] &= 0xF0
    start[22:26] = bytes(4)
    # The first frame again and again, each with the number that it would have.
    before, rest = minute[head : head + 4], minute[head + 6 :]
    body = rest[: rest.index(before[:2]) - 2]
    frames = []
    for number in range(minutes * 60 * 48000 // 4096):
        header = before + chr(number).encode("utf-8", "surrogatepass")
        frame = header + bytes([flac_stream._crc8(header)]) + body
        frames.append(frame + flac_stream._crc16(frame).to_bytes(2, "big"))
    return bytes(start) + b"".join(frames)


def child_of(prober: Prober) -> int:
    """The process id of the child."""
    assert prober._child is not None
    return prober._child.pid


def test_the_child_can_open_nothing_write_nothing_and_grow_little() -> None:
    """The kernel refuses, whatever a decoder was talked into."""
    with Prober() as prober:
        prober.probe(clips.Bytes(flac()), "a.flac")
        proc = Path("/proc", str(child_of(prober)))
        limits = {}
        for line in (proc / "limits").read_text().splitlines()[1:]:
            limits[line[:25].strip()] = line[25:].split()[0]
        assert limits["Max open files"] == "0"
        assert limits["Max file size"] == "0"
        assert limits["Max core file size"] == "0"
        assert int(limits["Max address space"]) < 1024 * MIB
        assert int(limits["Max cpu time"]) <= ProbeLimits().cpu_s + 10
        kinds = {str(link.readlink()).partition(":")[0] for link in (proc / "fd").iterdir()}
        assert kinds == {"pipe", "/dev/null"}


def test_opening_fails_inside_the_confinement() -> None:
    """Reading, writing, connecting and starting a program: each refused by the kernel."""
    program = """
import socket, subprocess
from callreel.audio.limits import ProbeLimits
from callreel.audio.probe_child import _Confinement
confinement = _Confinement()
confinement.before_each(ProbeLimits())
for attempt in (
    lambda: open("/etc/hostname"),
    lambda: open("/dev/null", "w"),
    lambda: socket.socket(),
    lambda: subprocess.Popen(["true"]),
):
    try:
        attempt()
    except OSError as error:
        print(error.errno)
"""
    ended = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout.split() == ["24"] * 4


def test_a_list_of_files_makes_nobody_open_its_neighbour(tmp_path: Path) -> None:
    """An ffconcat text named .wav beside the file that it names: refused, and nothing opened."""
    (tmp_path / "victim.wav").write_bytes(clips.wav(NOISE.tobytes()))
    names = []
    for extension in ("wav", "mp3", "ogg", "flac", "gsm", "g722", "ulaw"):
        name = tmp_path / f"list.{extension}"
        name.write_bytes(b"ffconcat version 1.0\nfile victim.wav\n")
        names.append(name)
    opened: list[str] = []
    watching = True

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event in {"open", "socket.connect"}:
            opened.append(str(arguments[0]))

    with Prober() as prober:
        prober.probe(clips.Bytes(flac()), "a.flac")
        files = [clips.Bytes(name.read_bytes()) for name in names]
        sys.addaudithook(hook)
        try:
            for name, file in zip(names, files, strict=True):
                with pytest.raises(Unplayable, match="a list of files for ffmpeg"):
                    prober.probe(file, name.name)
        finally:
            watching = False
    assert opened == []


def test_memory_stays_bounded_over_hostile_files() -> None:
    """An hour of silence and a picture of megabytes leave the child under 64 MiB."""
    with Prober() as prober:
        silence = clips.sndfile(clips.noise(8000 * 3600, loud=0), 8000, "FLAC", "PCM_16")
        assert prober.probe(clips.Bytes(silence), "a.flac").frames == 8000 * 3600
        tagged = b"ID3\4\0\0\0\x7f\x7f\x7f" + bytes(127 << 14 | 127 << 7 | 127)
        mp3 = clips.lame(clips.noise(8000 * 60), 8000)
        prober.probe(clips.Bytes(tagged + mp3), "a.mp3")
        with pytest.raises(Unplayable, match="far more sound"):
            prober.probe(clips.Bytes(bomb(60)), "a.flac")
        status = Path("/proc", str(child_of(prober)), "status").read_text()
        peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
        assert int(peak) * 1024 < 64 * MIB


def test_a_bomb_that_tells_its_length_is_refused_unread() -> None:
    """The promise alone is too much, so nothing is decoded."""
    data = bytearray(bomb(1))
    data[22:26] = (48000 * 3600 * 6).to_bytes(4, "big")
    started = time.monotonic()
    with Prober() as prober, pytest.raises(Unplayable, match="far more sound"):
        prober.probe(clips.Bytes(bytes(data)), "a.flac")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (ProbeLimits(cpu_s=0, decoded_ratio=10**6), "too much work"),
        (ProbeLimits(wall_s=0.7, decoded_ratio=10**6), "took too long"),
        (ProbeLimits(memory_bytes=0), "memory|cannot be decoded"),
        (ProbeLimits(sound_s=60), "more than 0.0166667 hours"),
    ],
)
def test_each_limit_stops_a_file_and_spares_the_next(limits: ProbeLimits, words: str) -> None:
    """A file that is too much is unplayable; the prober goes on with a new child."""
    with Prober(limits) as prober:
        with pytest.raises(Unplayable, match=words) as caught:
            prober.probe(clips.Bytes(bomb(200)), "a.flac")
        assert caught.value.message.endswith(".")
        prober._limits = ProbeLimits()
        assert prober.probe(clips.Bytes(flac()), "a.flac").frames == 8000


class Meddling(clips.Bytes):
    """A file that does something to the prober the first time, or each time, that it is read."""

    def __init__(self, data: bytes, meddle: Callable[[], None], *, times: int) -> None:
        super().__init__(data)
        self.meddle = meddle
        self.times = times

    def read_at(self, offset: int, length: int) -> bytes:
        """Meddle, then read; the parser's own two looks at the file are left alone."""
        if self.reads >= 2 and self.times:
            self.times -= 1
            self.meddle()
        return super().read_at(offset, length)


def test_a_file_that_breaks_a_fresh_child_is_unplayable() -> None:
    """A crash of the decoder is a reason, not a crash of the server."""
    with Prober() as prober:

        def kill() -> None:
            os.kill(child_of(prober), signal.SIGSEGV)

        with pytest.raises(Unplayable, match="broke down over the file") as caught:
            prober.probe(Meddling(flac(), kill, times=9), "a.flac")
        assert caught.value.fields == {"code": -signal.SIGSEGV}
        assert prober.probe(clips.Bytes(flac()), "a.flac").frames == 8000


def test_a_file_is_not_blamed_for_what_an_earlier_one_did() -> None:
    """A child that has seen other files and breaks is replaced, and the file gets a second try."""
    with Prober() as prober:
        prober.probe(clips.Bytes(flac()), "a.flac")
        first = child_of(prober)
        broken = Meddling(flac(), lambda: os.kill(first, signal.SIGKILL), times=1)
        assert prober.probe(broken, "a.flac").frames == 8000
        assert child_of(prober) != first


def test_a_failing_store_is_no_fault_of_the_file() -> None:
    """The store's error comes out as it is, and the next file gets its own answers."""

    def fail() -> None:
        raise ConnectionError("the store is away")

    with Prober() as prober:
        with pytest.raises(ConnectionError, match="away"):
            prober.probe(Meddling(flac(), fail, times=1), "a.flac")
        assert prober.probe(clips.Bytes(flac()), "a.flac").frames == 8000


def test_pcm_and_g711_need_no_child() -> None:
    """Most recordings are WAV, and a large import should not wait for a process."""
    with Prober() as prober:
        for name in ("a.ulaw", "a.alaw", "a.sln", "a.g722"):
            prober.probe(clips.Bytes(NOISE.tobytes()), name)
        prober.probe(clips.Bytes(clips.wav(NOISE.tobytes())), "a.wav")
        assert prober._child is None


def test_one_child_serves_many_files_and_threads() -> None:
    """Files queue for the child; nobody gets another's answer."""
    found: dict[int, int] = {}
    with Prober() as prober:

        def probe(frames: int) -> None:
            data = clips.sndfile(NOISE[:frames], 8000, "FLAC", "PCM_16")
            found[frames] = prober.probe(clips.Bytes(data), "a.flac").frames

        probe(8000)
        pid = child_of(prober)
        threads = [threading.Thread(target=probe, args=(100 * n,)) for n in range(1, 30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert child_of(prober) == pid
    assert found == {frames: frames for frames in found}
    assert len(found) == 30


def test_closing_leaves_no_process_and_no_descriptor() -> None:
    """Opened and closed ten times, broken and whole: everything is given back."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    pids = []
    for number in range(10):
        prober = Prober()
        prober.probe(clips.Bytes(flac()), "a.flac")
        pids.append(child_of(prober))
        if number % 2:
            os.kill(pids[-1], signal.SIGKILL)
        prober.close()
        prober.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert not [pid for pid in pids if Path("/proc", str(pid)).exists()]


def test_a_child_that_cannot_start_is_no_fault_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is marked unplayable because the machine is out of processes."""
    with Prober() as prober:
        for program in ("/nonexistent/python", "/bin/false"):
            monkeypatch.setattr(sys, "executable", program)
            with pytest.raises(Unavailable, match="decodes files"):
                prober.probe(clips.Bytes(flac()), "a.flac")
        monkeypatch.undo()
        assert prober.probe(clips.Bytes(flac()), "a.flac").frames == 8000


@pytest.mark.parametrize(
    "answer",
    [
        (b"F", b"not json"),
        (b"F", b'{"codec": "flac"}'),
        (b"F", b'{"codec":"flac","container":"flac","rate_hz":"x","channels":1,"frames":1}'),
        (b"F", b'{"codec":"flac","container":"flac","rate_hz":8000,"channels":99,"frames":1}'),
        (b"F", b'{"codec":"flac","container":"flac","rate_hz":8000,"channels":1,"frames":1e99}'),
        (b"R", b"short"),
        (b"U", b"{"),
    ],
)
def test_a_child_that_was_taken_over_is_not_believed(
    answer: tuple[bytes, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nonsense makes the file unplayable; it never becomes facts."""
    program = tmp_path / "child"
    letter, body = answer
    program.write_text(
        f"#!{sys.executable} -I\n"
        "import sys\n"
        "from callreel.audio.probe_child import receive, send\n"
        "send(1, b'H', b'')\n"
        "receive(0)\n"
        f"send(1, {letter!r}, {body!r})\n"
    )
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    with Prober() as prober, pytest.raises(Unplayable, match=r"broke down|99 channels|12 hours"):
        prober.probe(clips.Bytes(flac()), "a.flac")


def test_messages_of_any_length_pass_and_endless_ones_do_not() -> None:
    """The side that reads sets the bound."""
    near, far = os.pipe()
    try:
        send(far, b"D", b"abc")
        assert receive(near) == (b"D", b"abc")
        os.write(far, b"D\xff\xff\xff\xff")
        with pytest.raises(EOFError):
            receive(near)
    finally:
        os.close(near)
        os.close(far)


def test_the_child_answers_and_ends_with_its_input() -> None:
    """What runs in the child, run here: ready, a reason, the end."""
    to_child, from_here = os.pipe()
    to_here, from_child = os.pipe()
    limits: list[ProbeLimits] = []
    thread = threading.Thread(target=serve, args=(to_child, from_child, limits.append))
    thread.start()
    try:
        assert receive(to_here) == (b"H", b"")
        job = (
            b'{"facts":{"codec":"flac","container":"flac","rate_hz":0,"channels":0,"frames":0,'
            b'"data_size":4},"size":4,"limits":{"sound_s":5}}'
        )
        send(from_here, b"P", job)
        letter, _ = receive(to_here)
        while letter == b"R":
            send(from_here, b"D", b"fLaC")
            letter, body = receive(to_here)
        assert (letter, body) == (b"U", b'"The FLAC sound in the file cannot be decoded."')
        assert limits == [ProbeLimits(sound_s=5)]
    finally:
        os.close(from_here)
        thread.join()
        for descriptor in (to_child, to_here, from_child):
            os.close(descriptor)
