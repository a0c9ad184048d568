"""Texts that remember how they were made, also in a database."""

from __future__ import annotations

import pytest

from callreel.errors import BadRequest
from callreel.web.pages.words import catalog
from callreel.wording import counted, joined, restored, stored, to_translate, worded

FORMED = [
    to_translate("There is no such job."),
    worded("%(name)s: given more than once.", name="q"),
    worded("%(name)s: given more than once.", name="100 % 'of' \"it\" ü \x1b %(name)s"),
    counted(1, "%(num)s row.", "%(num)s rows."),
    counted(2500, "%(num)s row.", "%(num)s rows."),
    joined([counted(3, "%(num)s row.", "%(num)s rows."), "as it is", to_translate("none")], " "),
]


@pytest.mark.parametrize("text", FORMED)
def test_what_was_stored_is_said_in_any_language(text: str) -> None:
    """The same English, and the same German."""
    back = restored(stored(text))
    assert back == text
    assert catalog("de").translated(back) == catalog("de").translated(text)
    assert catalog("de").translated(back) != text


@pytest.mark.parametrize(
    "text", ["", "It is as it was.", "{", '{"sentence":', '{"sentence":"x"}', "100 %", "%(a)s"]
)
def test_plain_texts_stay_what_they_are(text: str) -> None:
    """Also those that look as if we had stored them, and those of before."""
    assert restored(stored(text)) == text
    if not text.startswith('{"sentence":'):
        assert stored(text) == text


def test_an_error_is_english_for_programs_and_keeps_its_parts() -> None:
    """What the API and the log say is what it always was."""
    told = BadRequest(worded("%(name)s: must be given.", name="q"))
    assert str(told) == told.message == "q: must be given."
    assert catalog("de").translated(told.message) == "q: muss angegeben werden."
