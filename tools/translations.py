"""Bring the translations of the pages up to date with what the pages say.

Run it from the root of the repository with ``python -m tools.translations``. Each file in
``callreel/web/locale`` then has every sentence that there is, in order; what was translated stays,
what nobody says any more goes. Nothing else is in the files, so that a second run changes nothing.
"""

from __future__ import annotations

import ast
import io
import sys
from collections.abc import Iterator
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po
from jinja2.ext import babel_extract

from callreel.web.pages.words import CATALOGS, LANGUAGES

ROOT = Path(__file__).parents[1]
OWN = "en"
"""The language that the pages are written in."""

Sentence = tuple[str | None, str | tuple[str, str]]
"""What tells it from others that look the same, and itself; a pair for one and for many."""

_PLAIN: dict[str, tuple[int, ...]] = {
    "_": (0,),
    "gettext": (0,),
    "to_translate": (0,),
    "worded": (0,),
    "Column": (1,),
    "Kind": (1, 2),
}
"""Which arguments of a function or a class are sentences."""
_PLURAL = {"ngettext": (0, 1), "counted": (1, 2)}


def sentences() -> set[Sentence]:
    """Everything that pages say."""
    found = set()
    for path in sorted((ROOT / "callreel").rglob("*.py")):
        found |= set(in_python(path.read_text(encoding="utf-8")))
    for path in sorted((ROOT / "callreel/web/templates").glob("*.html")):
        found |= set(in_template(path.read_bytes()))
    return found


def in_python(text: str) -> Iterator[Sentence]:
    """The sentences of a module: constant arguments of the functions that are known here."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        said = [_constant(argument) for argument in node.args]
        for place in _PLAIN.get(name, ()):
            sentence = said[place] if place < len(said) else None
            if sentence:
                yield None, sentence
        if name in _PLURAL and len(said) > _PLURAL[name][1]:
            one, many = (said[place] for place in _PLURAL[name])
            if one and many:
                yield None, (one, many)
        if name == "pgettext" and len(said) > 1 and said[0] and said[1]:
            yield said[0], said[1]


def _constant(node: ast.expr) -> str | None:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, str) else None


def in_template(text: bytes) -> Iterator[Sentence]:
    """The sentences of a template.

    Raises:
        jinja2.TemplateSyntaxError: It is none.
    """
    keywords = ("_", "gettext", "ngettext", "pgettext")
    options = {"silent": "false", "trim_blocks": "true", "lstrip_blocks": "true"}
    for _, name, found, _ in babel_extract(io.BytesIO(text), keywords, (), options):
        parts = [found] if isinstance(found, str) else found or ()
        said = [each for each in parts if each]
        if name == "ngettext" and len(said) > 1:
            yield None, (said[0], said[1])
        elif name == "pgettext" and len(said) > 1:
            yield said[0], said[1]
        elif said:
            yield None, said[0]


def updated(language: str, text: str) -> str:
    """A file of translations with what is said now.

    Args:
        language: Its language, as LANGUAGES has it.
        text: What it holds; empty where there is none yet.
    """
    old = read_po(io.BytesIO(text.encode()), locale=language)
    made = Catalog(locale=Locale.parse(language), fuzzy=False)
    for context, sentence in sentences():
        first = sentence if isinstance(sentence, str) else sentence[0]
        before = old.get(first, context)
        said = before.string if before and not before.fuzzy else None
        if said is None or isinstance(said, str) is not isinstance(sentence, str):
            said = "" if isinstance(sentence, str) else ("",) * made.num_plurals
        made.add(sentence, said, context=context)
    file = io.BytesIO()
    write_po(file, made, width=100, no_location=True, omit_header=True, sort_output=True)
    header = (
        'msgid ""\n'
        'msgstr ""\n'
        f'"Language: {language}\\n"\n'
        '"Content-Type: text/plain; charset=utf-8\\n"\n'
        '"Content-Transfer-Encoding: 8bit\\n"\n'
        f'"Plural-Forms: {made.plural_forms}\\n"\n\n'
    )
    return header + file.getvalue().decode().strip() + "\n"


def missing(text: str) -> list[str]:
    """The sentences of a file that have no translation yet."""
    found = read_po(io.BytesIO(text.encode()))
    return [
        each.id if isinstance(each.id, str) else each.id[0]
        for each in found
        if each.id and not all(forms_of(each))
    ]


def forms_of(message: Message) -> list[str]:
    """A translation, or those for one and for many."""
    said = message.string or ""
    return [said] if isinstance(said, str) else [each or "" for each in said]


def main() -> int:
    """Write the files, and say what is left to translate.

    Returns:
        The exit code: 1 where something is.
    """
    left = 0
    CATALOGS.mkdir(exist_ok=True)
    for language in LANGUAGES:
        if language == OWN:
            continue
        path = CATALOGS / f"{language}.po"
        text = updated(language, path.read_text(encoding="utf-8") if path.exists() else "")
        path.write_text(text, encoding="utf-8")
        untold = missing(text)
        left += len(untold)
        lines = [f"{path.relative_to(ROOT)}: {len(untold)} of {len(sentences())} to translate"]
        print(*lines, *untold, sep="\n  ")  # noqa: T201  # this is its answer
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
