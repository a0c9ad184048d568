"""The cache of renders: once for all who ask, private, bounded, and never half."""

from __future__ import annotations

import stat
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from callreel.audio.rendered import RenderCache, Tick
from callreel.errors import Unavailable, Unplayable
from tests.audio.writing.sounds import ArraySource, opened, spec, voice, whole


class Renders:
    """A render that counts, waits where told and fails where told."""

    def __init__(self, data: bytes = b"sound" * 10) -> None:
        self.data = data
        self.count = 0
        self.gate = threading.Event()
        self.gate.set()
        self.began = threading.Event()
        self.error: Exception | None = None
        self.heeds = True

    def __call__(self, path: Path, tick: Tick) -> list[int]:
        """Writes the data in pieces of five bytes."""
        self.count += 1
        self.began.set()
        while not self.gate.wait(0.005):
            if self.heeds:
                tick()
        if self.error is not None:
            raise self.error
        path.write_bytes(self.data)
        return list(range(5, len(self.data), 5))


@pytest.fixture
def renders() -> Renders:
    """One that succeeds."""
    return Renders()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., RenderCache]]:
    """Makes caches over one folder, and closes them."""
    caches: list[RenderCache] = []

    def made(limit_bytes: int = 10**6, wait_s: float = 20.0) -> RenderCache:
        caches.append(RenderCache(tmp_path / "renders", limit_bytes, wait_s))
        return caches[-1]

    yield made
    for cache in caches:
        cache.close()


def names(tmp_path: Path) -> list[str]:
    """What lies in the folder."""
    return sorted(path.name for path in (tmp_path / "renders").iterdir())


def test_a_render_is_made_once_and_read_again(
    make: Callable[..., RenderCache], renders: Renders
) -> None:
    """The second who asks, and HEAD, find it there."""
    cache = make()
    assert cache.size_if_ready("r/1") is None
    assert renders.count == 0
    assert whole(cache.get("r/1", renders)) == renders.data
    assert whole(cache.get("r/1", renders)) == renders.data
    assert cache.size_if_ready("r/1") == len(renders.data)
    assert renders.count == 1


def test_all_who_ask_at_once_share_one_render(
    make: Callable[..., RenderCache], renders: Renders
) -> None:
    """Single flight for each identity; others run beside it."""
    cache = make()
    renders.gate.clear()
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(lambda: whole(cache.get("r/1", renders))) for _ in range(8)]
        renders.began.wait(20)
        other = Renders(b"other")
        assert whole(cache.get("r/2", other)) == b"other"
        renders.gate.set()
        assert {job.result() for job in asked} == {renders.data}
    assert renders.count == 1


def test_who_has_waited_long_enough_is_sent_away_and_the_render_goes_on(
    make: Callable[..., RenderCache], renders: Renders
) -> None:
    """503 with Retry-After, and it is there for the next."""
    cache = make(wait_s=0.05)
    renders.gate.clear()
    with pytest.raises(Unavailable) as refused:
        cache.get("r/1", renders)
    assert refused.value.retry_after_s == 5
    assert cache.size_if_ready("r/1") is None
    renders.gate.set()
    until(lambda: cache.size_if_ready("r/1") is not None)
    assert whole(cache.get("r/1", renders)) == renders.data
    assert renders.count == 1


def until(condition: Callable[[], bool]) -> None:
    """Waits for something that another thread does."""
    deadline = time.monotonic() + 20
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it did not come to pass")
        time.sleep(0.002)


def test_a_failure_reaches_everybody_and_is_not_kept(
    make: Callable[..., RenderCache], renders: Renders, tmp_path: Path
) -> None:
    """The next who asks tries again; nothing half is left."""
    cache = make()
    renders.error = Unplayable("broken")
    renders.gate.clear()
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(cache.get, "r/1", renders) for _ in range(4)]
        renders.began.wait(20)
        time.sleep(0.05)
        renders.gate.set()
        assert [type(job.exception()) for job in asked] == [Unplayable] * 4
    assert names(tmp_path) == []
    renders.error = None
    assert whole(cache.get("r/1", renders)) == renders.data


def test_a_full_disk_is_unavailable_not_a_fault(
    make: Callable[..., RenderCache], renders: Renders, tmp_path: Path
) -> None:
    """What the operating system says goes to the log."""
    renders.error = OSError(28, "No space left on device")
    with pytest.raises(Unavailable) as refused:
        make().get("r/1", renders)
    assert "space" in str(refused.value.fields["why"])
    assert "space" not in refused.value.message
    assert names(tmp_path) == []


def test_renders_are_ours_alone(
    make: Callable[..., RenderCache], renders: Renders, tmp_path: Path
) -> None:
    """Folder 0700, files 0600; names tell nothing of the recording."""
    make().get("secret-id/1", renders).close()
    folder = tmp_path / "renders"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "secret" not in file.name


def test_what_was_used_longest_ago_goes_first(
    make: Callable[..., RenderCache], renders: Renders, tmp_path: Path
) -> None:
    """The limit holds footers too; who reads a dropped one reads on."""
    one = make(10**6)
    one.get("a/1", renders).close()
    (size,) = [path.stat().st_size for path in (tmp_path / "renders").iterdir()]
    cache = make(2 * size)
    cache.get("b/1", renders).close()
    reading = cache.get("a/1", renders)
    cache.get("c/1", renders).close()
    assert cache.size_if_ready("b/1") is None
    assert cache.size_if_ready("a/1") == len(renders.data)
    cache.get("d/1", renders).close()
    cache.get("e/1", renders).close()
    assert cache.size_if_ready("a/1") is None
    assert whole(reading) == renders.data
    assert len(names(tmp_path)) == 2


def test_a_render_larger_than_the_limit_is_still_served(
    make: Callable[..., RenderCache], renders: Renders, tmp_path: Path
) -> None:
    """It stays until the next is made."""
    cache = make(1)
    assert whole(cache.get("a/1", renders)) == renders.data
    assert whole(cache.get("b/1", renders)) == renders.data
    assert len(names(tmp_path)) == 1


def test_renders_outlive_the_process_and_leftovers_do_not(
    make: Callable[..., RenderCache], renders: Renders, tmp_path: Path
) -> None:
    """What a crash left half done is removed; what it left whole is used."""
    make().get("a/1", renders).close()
    (tmp_path / "renders" / "0123.part").write_bytes(b"half")
    cache = make()
    assert len(names(tmp_path)) == 1
    assert whole(cache.get("a/1", renders)) == renders.data
    assert renders.count == 1


@pytest.mark.parametrize("cut", [0, 1, 10, 60])
def test_a_torn_file_is_made_again(
    make: Callable[..., RenderCache], renders: Renders, tmp_path: Path, cut: int
) -> None:
    """Its footer is missing or does not fit."""
    make().get("a/1", renders).close()
    (file,) = (tmp_path / "renders").iterdir()
    file.write_bytes(file.read_bytes()[:cut])
    cache = make()
    assert cache.size_if_ready("a/1") is None
    assert whole(cache.get("a/1", renders)) == renders.data
    assert renders.count == 2


def test_a_forgotten_recording_leaves_nothing(
    make: Callable[..., RenderCache], renders: Renders, tmp_path: Path
) -> None:
    """Every output of it, also the one that is being made; others stay."""
    cache = make()
    for identity in ("a/1-flac", "a/1-m4a", "ab/1-flac"):
        cache.get(identity, renders).close()
    slow = Renders()
    slow.heeds = False
    slow.gate.clear()
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(cache.get, "a/1-webm", slow)
        slow.began.wait(20)
        cache.forget("a")
        slow.gate.set()
        assert isinstance(asked.exception(), Unavailable)
    assert cache.size_if_ready("ab/1-flac") == len(renders.data)
    assert len(names(tmp_path)) == 1


def test_closing_ends_what_runs_and_what_waits(
    make: Callable[..., RenderCache], tmp_path: Path
) -> None:
    """A stop of the server does not wait for long renders, and leaves nothing half."""
    # Another cache of this process may have workers of its own.
    known = set(threading.enumerate())
    cache = make()
    slow = [Renders() for _ in range(4)]
    for render in slow:
        render.gate.clear()
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(cache.get, f"r/{n}", render) for n, render in enumerate(slow)]
        until(lambda: len(cache._jobs) == 4 and sum(render.count for render in slow) == 2)
        cache.close()
        # Those that waited for a worker never began.
        assert sum(render.count for render in slow) == 2
        left = set(threading.enumerate()) - known
        assert not [thread.name for thread in left if thread.name.startswith("render_")]
        assert [type(job.exception()) for job in asked] == [Unavailable] * 4
    with pytest.raises(Unavailable):
        cache.get("r/9", Renders())
    assert names(tmp_path) == []


def test_a_render_that_goes_on_has_its_source_to_itself(make: Callable[..., RenderCache]) -> None:
    """Who was sent away closes nothing; the render closes its source when it is done."""
    source = ArraySource(voice(16000, 1), 8000)
    source.gate.clear()
    cache = make(wait_s=0.05)
    with pytest.raises(Unavailable):
        opened(source, (), spec("flac"), cache)
    assert source.closed == 0
    source.gate.set()
    until(lambda: source.closed == 1)
    until(lambda: cache._jobs == {})
    again = ArraySource(voice(16000, 1), 8000)
    opened(again, (), spec("flac"), cache).close()
    assert again.reads == []
