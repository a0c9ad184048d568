"""Events are read while they are written: files that grow and are rotated, pipes, sockets."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue

import pytest

from callreel.errors import BadInput
from callreel.importers.event_lines import read_lines
from callreel.importers.tail import Tail

Lines = Queue[tuple[str | None, bool] | None]
"""What was read, and whether it had its end; None at the end of all."""


@contextmanager
def reading(path: Path, *, follow: bool = True) -> Iterator[tuple[Lines, threading.Event]]:
    """Somebody who reads lines until told to stop."""
    lines: Lines = Queue()
    stop = threading.Event()

    def read() -> None:
        for line in read_lines(Tail(path, stop, follow=follow)):
            lines.put((line.text, line.ended))
        lines.put(None)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield lines, stop
    finally:
        stop.set()
        reader.join(10)
        assert not reader.is_alive()


def add(path: Path, text: str) -> None:
    """Write at the end of a file."""
    with path.open("a") as file:
        file.write(text)


def test_a_line_is_read_when_its_end_is_there(tmp_path: Path) -> None:
    """However long it takes; half of one is told only where nobody will write the rest."""
    path = tmp_path / "log"
    path.write_text("one\ntw")
    with reading(path) as (lines, stop):
        assert lines.get(timeout=10) == ("one", True)
        with pytest.raises(Empty):
            lines.get(timeout=0.6)
        add(path, "o\nthr")
        assert lines.get(timeout=10) == ("two", True)
        stop.set()
        assert lines.get(timeout=10) == ("thr", False)
        assert lines.get(timeout=10) is None


def test_the_next_file_of_a_rotated_log_is_read_on(tmp_path: Path) -> None:
    """What was written last into the old one comes first, and no two lines become one."""
    path = tmp_path / "log"
    path.write_text("one\n")
    with reading(path) as (lines, _):
        assert lines.get(timeout=10) == ("one", True)
        old = path.rename(tmp_path / "log.1")
        add(old, "two\nthr")
        assert lines.get(timeout=10) == ("two", True)
        path.write_text("four\n")
        assert [lines.get(timeout=10) for _ in range(2)] == [("thr", True), ("four", True)]
        add(path, "five\n")
        assert lines.get(timeout=10) == ("five", True)


def test_a_log_that_is_cut_is_read_from_its_beginning(tmp_path: Path) -> None:
    """As a rotation does that copies."""
    path = tmp_path / "log"
    path.write_text("one\ntwo\n")
    with reading(path) as (lines, _):
        assert [lines.get(timeout=10) for _ in range(2)] == [("one", True), ("two", True)]
        shutil.copy(path, tmp_path / "log.1")
        os.truncate(path, 0)
        add(path, "3\n")
        assert lines.get(timeout=10) == ("3", True)


def test_without_being_told_to_follow_a_file_ends_where_it_ends(tmp_path: Path) -> None:
    """As a capture of yesterday does."""
    path = tmp_path / "log"
    path.write_text("one\n")
    with reading(path, follow=False) as (lines, _):
        assert [lines.get(timeout=10) for _ in range(2)] == [("one", True), None]


def test_a_named_pipe_waits_for_who_writes_and_ends_with_them(tmp_path: Path) -> None:
    """It can be stopped before anybody came."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with reading(path) as (lines, stop):
        with pytest.raises(Empty):
            lines.get(timeout=0.6)
        stop.set()
        assert lines.get(timeout=10) is None
    with reading(path) as (lines, _):
        with path.open("w") as file:
            print("one", file=file, flush=True)
            assert lines.get(timeout=10) == ("one", True)
        assert lines.get(timeout=10) is None


@pytest.mark.parametrize("name", ["missing", "."])
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    """A file that is not there, a folder."""
    path = tmp_path / name
    with pytest.raises(BadInput, match=f"cannot read {path}: "):
        list(read_lines(Tail(path, threading.Event(), follow=True)))
