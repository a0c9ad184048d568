"""English texts that remember how they were made, so that a page can say them in another language.

Here they are plain English and equal to it, so that files, commands and logs need to know nothing.
``tools/translations.py`` finds every sentence by the names of the functions below.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Self

Value = str | int


class Wording(str):
    """A text in English with the sentence and the values that it was made of.

    Args:
        sentence: With a place such as ``%(name)s`` for each value.
        many: The same for more than one of ``count``; None where nothing is counted.
        count: What is counted.
        values: Numbers are written as the language writes them; wordings are translated.
    """

    __slots__ = ("many", "number", "sentence", "values")
    sentence: str
    many: str | None
    number: int
    values: dict[str, Value]

    def __new__(
        cls,
        sentence: str,
        many: str | None = None,
        count: int = 1,
        values: dict[str, Value] | None = None,
    ) -> Self:
        """The text in English."""
        chosen = sentence if many is None or count == 1 else many
        said = {name: in_english(value) for name, value in (values or {}).items()}
        made = super().__new__(cls, chosen % said if said else chosen)
        made.sentence, made.many, made.number, made.values = sentence, many, count, values or {}
        return made


def to_translate(sentence: str) -> Wording:
    """A text that is the same whenever it is said."""
    return Wording(sentence)


def worded(sentence: str, **values: Value) -> Wording:
    """A sentence with values in it: ``worded("%(calls)s in %(year)s", calls=…, year=…)``."""
    return Wording(sentence, values=dict(values))


def counted(count: int, one: str, many: str) -> Wording:
    """A number and what it counts, at ``%(num)s``: ``1 call``, ``1,200 calls``."""
    return Wording(one, many, count, {"num": count})


def in_english(value: Value) -> str:
    """A value as an English sentence has it."""
    return f"{value:,}" if isinstance(value, int) else value


def joined(parts: Sequence[str], between: str = ", ") -> Wording:
    """Texts with a comma between each two; those that are wordings are translated."""
    values: dict[str, Value] = {str(number): part for number, part in enumerate(parts)}
    return Wording(between.join(f"%({name})s" for name in values), values=values)


_STORED = '{"sentence":'


def stored(text: str) -> str:
    """A text as a database keeps it: what one was made of, so that a page can translate it later.

    Plain texts stay as they are.
    """
    if not isinstance(text, Wording):
        if not text.startswith(_STORED):
            return text
        # Of others, and made to look as ours.
        text = joined([text])
    return json.dumps(_parts(text), ensure_ascii=False, separators=(",", ":"))


def restored(text: str) -> str:
    """What was stored; also what was before there were wordings."""
    return _of_parts(json.loads(text)) if text.startswith(_STORED) else text


def _parts(text: Wording) -> dict[str, object]:
    values = {
        name: _parts(value) if isinstance(value, Wording) else value
        for name, value in text.values.items()
    }
    return {"sentence": text.sentence, "many": text.many, "count": text.number, "values": values}


def _of_parts(parts: dict[str, Any]) -> Wording:
    values = {
        name: _of_parts(value) if isinstance(value, dict) else value
        for name, value in parts["values"].items()
    }
    return Wording(parts["sentence"], parts["many"], parts["count"], values)
