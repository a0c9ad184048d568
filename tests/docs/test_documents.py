"""The documents name everything that can be set, typed, answered or asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest

from callreel.cli.main import main
from callreel.cli.options import EXIT_CODES
from callreel.errors import CallreelError, ConfigurationError
from callreel.settings import SECTIONS
from tools.check_links import broken_links, documents, headings

ROOT = Path(__file__).parents[2]


def text_of(name: str) -> str:
    """One document."""
    return (ROOT / name).read_text(encoding="utf-8")


def commands(group: click.Group, path: str) -> Iterator[str]:
    """Every command below a group, as it is typed."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}"


def client_errors(kind: type[CallreelError]) -> Iterator[type[CallreelError]]:
    """A class of errors and all that are more special, as far as a client may meet them."""
    if kind.__module__ == "callreel.errors" and kind is not ConfigurationError:
        yield kind
        for special in kind.__subclasses__():
            yield from client_errors(special)


@pytest.mark.parametrize(
    "setting", [f"{name}.{field.name}" for name, kind in SECTIONS.items() for field in fields(kind)]
)
def test_every_setting_is_explained(setting: str) -> None:
    """docs/operations.md names each as `section.key`."""
    assert f"`{setting}`" in text_of("docs/operations.md")


@pytest.mark.parametrize("command", list(commands(main, "callreel")))
def test_every_command_is_explained(command: str) -> None:
    """A document shows each as it is typed."""
    assert any(command in path.read_text(encoding="utf-8") for path in ROOT.glob("docs/*.md"))


@pytest.mark.parametrize("code", sorted({kind.code for kind in client_errors(CallreelError)}))
def test_every_error_code_is_explained(code: str) -> None:
    """docs/api.md names each code that a client may meet."""
    assert f"`{code}`" in text_of("docs/api.md")


@pytest.mark.parametrize("code", sorted({0, 1, *EXIT_CODES.values()}))
def test_every_exit_code_is_explained(code: int) -> None:
    """docs/operations.md has a row for each."""
    assert f"| {code} |" in text_of("docs/operations.md")


def test_every_link_leads_somewhere() -> None:
    """Files and headings that our documents link to are there."""
    assert list(broken_links(ROOT)) == []
    assert len(documents(ROOT)) > 5


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    """The check itself: a missing file and a missing heading are told, code is left alone."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "there.md").write_text("# Some Heading, here\n")
    (tmp_path / "a.md").write_text(
        "[good](docs/there.md#some-heading-here) [bad](docs/gone.md) [worse](docs/there.md#no)\n"
        "[web](https://example.org/x) `[code](nowhere.md)`\n"
    )
    assert list(broken_links(tmp_path)) == [
        "a.md: docs/gone.md: there is no such file",
        "a.md: docs/there.md#no: there is no such heading",
    ]
    assert headings(tmp_path / "docs" / "there.md") == {"some-heading-here"}
