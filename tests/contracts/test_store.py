"""What every Store must do, run over each implementation, and what only the local ones do."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callreel.store.base import ObjectMissing, ObjectUnreadable, Store
from callreel.store.local import InPlaceStore, LocalStore

HOSTILE_NAMES = [
    "",
    ".",
    "..",
    "../secret",
    "a/../../secret",
    "/etc/hostname",
    "a//b",
    "%2e%2e/secret",
    "..\\secret",
    "C:\\secret",
    "\\\\host\\share",
    "nul\0byte",
    "trailing. ",
    "CON",
    "-rf",
    "evil.wav|id",
    "x" * 300,
    "e\u0301.wav",
    "\ud800",
    "link",
    "linked/secret",
    "pipe",
    "folder",
]


def _filled(kind: str, root: Path, contents: bytes) -> tuple[Store, str]:
    root.mkdir(exist_ok=True)
    if kind == "local":
        store: Store = LocalStore(root)
        return store, store.put(io.BytesIO(contents)).key
    if kind == "local read-only":
        key = LocalStore(root).put(io.BytesIO(contents)).key
        return LocalStore(root, read_only=True), key
    (root / "2026").mkdir(exist_ok=True)
    (root / "2026" / "call.wav").write_bytes(contents)
    return InPlaceStore(root), "2026/call.wav"


@pytest.fixture(params=["local", "local read-only", "in place"])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[bytes], tuple[Store, str]]:
    """Make a store of one kind that holds one object."""
    return lambda contents: _filled(request.param, tmp_path / "root", contents)


def test_an_object_reads_back_at_any_offset(
    filled: Callable[[bytes], tuple[Store, str]],
) -> None:
    """``read_at`` gives exactly the bytes asked for, and fewer only at the end."""
    contents = bytes(range(256)) * 40
    store, key = filled(contents)
    handle = store.open(key)
    assert handle.size == len(contents)
    assert handle.read_at(0, handle.size) == contents
    assert handle.read_at(100, 7) == contents[100:107]
    assert handle.read_at(len(contents) - 3, 50) == contents[-3:]
    assert handle.read_at(len(contents), 1) == b""
    handle.close()


def test_closing_twice_is_allowed_and_reading_later_is_an_error(
    filled: Callable[[bytes], tuple[Store, str]],
) -> None:
    """A closed handle never reads from a file that took over its number."""
    store, key = filled(b"sound")
    handle = store.open(key)
    handle.close()
    handle.close()
    with pytest.raises(ObjectUnreadable):
        handle.read_at(0, 1)


def test_threads_may_share_a_handle(filled: Callable[[bytes], tuple[Store, str]]) -> None:
    """Positioned reads of several threads do not disturb each other."""
    contents = os.urandom(64 * 1024)
    store, key = filled(contents)
    handle = store.open(key)
    wrong: list[int] = []

    def read(offset: int) -> None:
        for _ in range(50):
            if handle.read_at(offset, 512) != contents[offset : offset + 512]:
                wrong.append(offset)

    threads = [threading.Thread(target=read, args=(offset,)) for offset in (0, 999, 40_000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    handle.close()
    assert wrong == []


def test_keys_lists_every_object_and_nothing_else(
    filled: Callable[[bytes], tuple[Store, str]], tmp_path: Path
) -> None:
    """Links are no objects."""
    store, key = filled(b"sound")
    (tmp_path / "root" / "link.wav").symlink_to("/etc/hostname")
    assert list(store.keys()) == [key]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_key_is_missing(
    filled: Callable[[bytes], tuple[Store, str]], tmp_path: Path, name: str
) -> None:
    """No name reaches a file outside, a link, a folder or a pipe (T29, T47)."""
    store, _ = filled(b"sound")
    root = tmp_path / "root"
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "secret").write_bytes(b"secret")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "linked").symlink_to(tmp_path / "out")
    (root / "folder").mkdir()
    os.mkfifo(root / "pipe")
    with pytest.raises(ObjectMissing):
        store.open(name)


@given(name=st.text(alphabet=st.sampled_from("./\\%2eab\0:"), max_size=24))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_made_up_key_leaves_the_root(
    filled: Callable[[bytes], tuple[Store, str]], name: str
) -> None:
    """Whatever the name, it opens nothing that was not put there."""
    store, _ = filled(b"sound")
    with pytest.raises(ObjectMissing):
        store.open(name)


def test_a_read_only_store_takes_nothing(tmp_path: Path) -> None:
    """``put`` and ``delete`` are refused, and the object stays."""
    for kind in ("local read-only", "in place"):
        store, key = _filled(kind, tmp_path / kind, b"sound")
        assert store.read_only
        with pytest.raises(ObjectUnreadable, match="read-only"):
            store.put(io.BytesIO(b"new"))
        with pytest.raises(ObjectUnreadable, match="read-only"):
            store.delete(key)
        store.open(key).close()


def test_a_store_whose_folder_is_away_says_so(tmp_path: Path) -> None:
    """An unmounted disk is not the same as a deleted recording."""
    key = LocalStore(_made(tmp_path / "there")).put(io.BytesIO(b"sound")).key
    for store, name in (
        (LocalStore(tmp_path / "away"), key),
        (InPlaceStore(tmp_path / "away"), "a.wav"),
    ):
        with pytest.raises(ObjectUnreadable) as caught:
            store.open(name)
        assert caught.value.retry


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_put_tells_size_and_hash_and_is_private(tmp_path: Path) -> None:
    """Files 0600, folders 0700, and the hash is of the bytes as they came."""
    store = LocalStore(tmp_path)
    info = store.put(io.BytesIO(b"sound"))
    assert info.size_bytes == 5
    assert info.sha256 == hashlib.sha256(b"sound").hexdigest()
    path = tmp_path / info.key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700


def test_putting_the_same_twice_keeps_the_one_file(tmp_path: Path) -> None:
    """What is there is compared, not written again."""
    store = LocalStore(tmp_path)
    first = store.put(io.BytesIO(b"sound"))
    inode = (tmp_path / first.key).stat().st_ino
    assert store.put(io.BytesIO(b"sound")) == first
    assert (tmp_path / first.key).stat().st_ino == inode
    assert list((tmp_path / "incoming").iterdir()) == []


def test_a_damaged_copy_is_replaced_by_the_next_put(tmp_path: Path) -> None:
    """Bit rot under a name is mended when the same bytes come again."""
    store = LocalStore(tmp_path)
    info = store.put(io.BytesIO(b"sound"))
    (tmp_path / info.key).write_bytes(b"bound")
    store.put(io.BytesIO(b"sound"))
    assert (tmp_path / info.key).read_bytes() == b"sound"


def test_what_a_killed_process_left_is_swept_and_what_is_in_use_is_not(tmp_path: Path) -> None:
    """A file under ``incoming`` is removed unless somebody holds its lock."""
    (tmp_path / "incoming").mkdir()
    left = tmp_path / "incoming" / "left"
    left.write_bytes(b"half")
    inside = threading.Event()
    go_on = threading.Event()

    class Slow(io.RawIOBase):
        """Gives one chunk, then waits."""

        def read(self, size: int = -1, /) -> bytes:
            """A chunk, once; then nothing, when allowed."""
            if inside.is_set():
                go_on.wait(10)
                return b""
            inside.set()
            return b"slow"

    writer = threading.Thread(target=lambda: LocalStore(tmp_path).put(Slow()))  # type: ignore[arg-type]  # a raw reader is enough
    writer.start()
    assert inside.wait(10)
    LocalStore(tmp_path).put(io.BytesIO(b"other"))
    assert not left.exists()
    assert len(list((tmp_path / "incoming").iterdir())) == 1
    go_on.set()
    writer.join()
    handle = LocalStore(tmp_path).open(LocalStore(tmp_path).put(io.BytesIO(b"slow")).key)
    assert handle.read_at(0, 10) == b"slow"
    handle.close()


@pytest.mark.parametrize(
    ("code", "says", "retry"),
    [
        (errno.ENOSPC, "full", True),
        (errno.EROFS, "read-only", False),
        (errno.EACCES, "denied", False),
        (errno.EIO, "error", False),
    ],
)
@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_a_failing_disk_stores_nothing_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int, says: str, retry: bool
) -> None:
    """After any failed step there is no object, no rest, and a reason (F3, F4)."""

    def fail(*_args: object, **_kwargs: object) -> int:
        raise OSError(code, os.strerror(code))

    store = LocalStore(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail)
        with pytest.raises(ObjectUnreadable, match=says) as caught:
            store.put(io.BytesIO(b"sound"))
    assert caught.value.retry is retry
    assert list(store.keys()) == []
    assert list((tmp_path / "incoming").iterdir()) == []


def test_delete_removes_for_good_and_twice_is_allowed(tmp_path: Path) -> None:
    """Deleting what is missing, or what was never a key, does nothing."""
    store = LocalStore(tmp_path)
    key = store.put(io.BytesIO(b"sound")).key
    store.delete(key)
    store.delete(key)
    store.delete("../x")
    with pytest.raises(ObjectMissing):
        store.open(key)


def test_opening_and_closing_leaks_no_descriptor(tmp_path: Path) -> None:
    """Also where it fails half way."""
    store = LocalStore(tmp_path)
    key = store.put(io.BytesIO(b"sound")).key
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        store.open(key).close()
        store.put(io.BytesIO(b"sound"))
        with pytest.raises(ObjectMissing):
            store.open("ab/cd/" + "abcd" + "0" * 60)
    assert len(os.listdir("/proc/self/fd")) == before
