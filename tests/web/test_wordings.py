"""What is refused is said in words that the pages can translate."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import callreel
from callreel import errors
from callreel.errors import BadInput, CallreelError, ConfigurationError

SOURCE = Path(callreel.__file__).parent
COMMAND = "only commands meet it, and they are in English"
PROGRAM = "only programs meet it: the API, Echo, the old programs (contract.md)"
FILE = "what was found wrong in a file when it came in; stored with the recording as it is"
LEFT = {
    "access/tokens.py": PROGRAM,
    "audio/decoders/ffmpeg.py": FILE,
    "audio/decoders/g722.py": FILE,
    "audio/decoders/sndfile.py": FILE,
    "audio/evidence.py": FILE,
    "audio/fill_file.py": COMMAND,
    "audio/mp3.py": FILE,
    "audio/probe.py": FILE,
    "audio/riff.py": FILE,
    "audio/sniff.py": FILE,
    "audio/wavformat.py": FILE,
    "cli/": COMMAND,
    "client/": COMMAND,
    "db/changes.py": PROGRAM,
    "db/signals.py": PROGRAM,
    "flows/burn.py": COMMAND,
    "flows/deliver.py": PROGRAM,
    "flows/export.py": COMMAND,
    "flows/keeper.py": COMMAND,
    "flows/key_presses.py": COMMAND,
    "flows/manifest.py": COMMAND,
    "flows/masking.py": PROGRAM,
    "flows/ongoing.py": PROGRAM,
    "flows/prove.py": COMMAND,
    "flows/settling.py": PROGRAM,
    "flows/signal.py": PROGRAM,
    "flows/ticket.py": PROGRAM,
    "web/accept.py": PROGRAM,
    "web/api.py": PROGRAM,
    "web/app.py": "said before anybody looked who asks, as one line without a page",
    "web/asked.py": PROGRAM,
    "web/legacy.py": PROGRAM,
    "web/masking.py": PROGRAM,
    "web/ongoing.py": PROGRAM,
    "web/parameters.py": PROGRAM,
    "web/query.py": PROGRAM,
    "web/renders.py": PROGRAM,
    "web/session.py": PROGRAM,
    "web/watch.py": PROGRAM,
}
"""Sentences that stay English on purpose: by module or folder, and why."""


def kinds(root: type[CallreelError]) -> Iterator[type[CallreelError]]:
    """Every class of errors that a person may be told of.

    Those about the installation are told by a number, those about files to import by a command.
    """
    if not issubclass(root, ConfigurationError | BadInput):
        yield root
        for each in root.__subclasses__():
            yield from kinds(each)


KINDS = {each.__name__ for each in kinds(CallreelError) if each.__module__ == errors.__name__}


def plain_sentences(text: str) -> list[str]:
    """Sentences of errors that are made of a plain text, which nobody can translate."""
    return [
        ast.unparse(node.args[0])
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") in KINDS
        and node.args
        and isinstance(node.args[0], ast.Constant | ast.JoinedStr | ast.BinOp)
    ]


def left(path: Path) -> list[str]:
    """Under which names a module is among those that are left."""
    name = path.relative_to(SOURCE).as_posix()
    return [each for each in LEFT if name == each or (each[-1] == "/" and name.startswith(each))]


@pytest.mark.parametrize(
    "path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.relative_to(SOURCE).as_posix()
)
def test_a_refusal_that_a_person_meets_can_be_translated(path: Path) -> None:
    """Unless its module is among those that are left on purpose."""
    if not left(path) and path.name != "errors.py":
        assert plain_sentences(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_in_english_is_there(name: str) -> None:
    """A reason for nothing would hide the next one."""
    paths = [path for path in sorted(SOURCE.rglob("*.py")) if name in left(path)]
    assert any(plain_sentences(path.read_text(encoding="utf-8")) for path in paths)


def test_a_plain_sentence_is_found() -> None:
    """The check itself: constants, values, and texts that are put together."""
    plain = 'raise BadRequest("a")\nraise NotFound(f"{b}")\nraise Conflict("c" + d, why=1)'
    assert len(plain_sentences(plain)) == 3
    assert plain_sentences('raise BadRequest(to_translate("a"))\nraise Gone(OVER)') == []
    assert {"BadRequest", "UnknownFormat", "TooManyRequests", "CallreelError"} <= KINDS
