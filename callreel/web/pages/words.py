"""Words, times and lengths as a visitor reads them: language, time zone, nothing else.

Every sentence stands in a template or in a call of ``gettext`` here in English; a translation is a
``.po`` file beside the templates, read as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_time
from babel.messages.catalog import Catalog as BabelCatalog
from babel.messages.catalog import Message
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

LANGUAGES = {"en": "English", "de": "Deutsch"}
"""What pages can be read in, each by its own name."""
CATALOGS = Path(__file__).parent.parent / "locale"


class Catalog:
    """The sentences of one language.

    Args:
        language: A key of LANGUAGES.
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self.locale = Locale.parse("en_GB" if language == "en" else language)
        self._said: dict[str, str | list[str]] = {}
        path = CATALOGS / f"{language}.po"
        if path.exists():
            with path.open("rb") as file:
                found = read_po(file, locale=language)
                self._read(found)

    def _read(self, found: BabelCatalog) -> None:
        messages = cast("Iterable[Message]", found)
        for message in messages:
            if message.id and message.string and not message.fuzzy:
                key = message.id if isinstance(message.id, str) else message.id[0]
                said = message.string
                self._said[key] = said if isinstance(said, str) else list(said)

    def gettext(self, sentence: str) -> str:
        """A sentence; as it is where there is no translation."""
        said = self._said.get(sentence, sentence)
        return said if isinstance(said, str) else said[0]

    def ngettext(self, one: str, many: str, count: float) -> str:
        """A sentence about a number of things."""
        said = self._said.get(one)
        forms = said if isinstance(said, list) else [one, many]
        return forms[int(count != 1)]


@cache
def catalog(language: str) -> Catalog:
    """The catalog of a language, read once."""
    return Catalog(language)


def language_of(accepted: str) -> str:
    """The language that an ``Accept-Language`` header asks for first, of those there are."""
    for part in accepted.lower().split(","):
        tag = part.partition(";")[0].strip().partition("-")[0]
        if tag in LANGUAGES:
            return tag
    return "en"


@dataclass(frozen=True, slots=True)
class Words:
    """How one visitor reads: language and time zone."""

    catalog: Catalog
    zone: ZoneInfo

    def moment(self, unix_millis: int) -> datetime:
        """An instant in the visitor's time zone."""
        return datetime.fromtimestamp(unix_millis / 1000, self.zone)

    def clock(self, unix_millis: int) -> str:
        """``16:17:16``."""
        return str(format_time(self.moment(unix_millis), "HH:mm:ss", locale=self.catalog.locale))

    def day(self, unix_millis: int) -> str:
        """``20 Nov``; with the year where it is another than this one."""
        moment = self.moment(unix_millis)
        this_year = datetime.now(self.zone).year == moment.year
        return str(format_date(moment, "d MMM" if this_year else "d MMM y", self.catalog.locale))

    def full(self, unix_millis: int) -> str:
        """``Friday 20 November 2026, 16:17:16``."""
        moment = self.moment(unix_millis)
        date = format_date(moment, "EEEE d MMMM y", locale=self.catalog.locale)
        return f"{date}, {self.clock(unix_millis)}"

    def short(self, unix_millis: int) -> str:
        """``Fri 20 Nov, 16:00``."""
        moment = self.moment(unix_millis)
        date = format_date(moment, "EEE d MMM", locale=self.catalog.locale)
        return f"{date}, {moment:%H:%M}"

    def minute(self, unix_millis: int) -> str:
        """``2026-11-20T16:17``, as addresses have it."""
        return f"{self.moment(unix_millis):%Y-%m-%dT%H:%M}"

    def number(self, value: float) -> str:
        """``1,030,000``."""
        return str(format_decimal(value, locale=self.catalog.locale))


def length(seconds: float | None) -> str:
    """``3:00``, ``1:02:03``; a dash for None. Rounded down, as clocks do."""
    if seconds is None:
        return "\N{EN DASH}"
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    if hours:
        return f"{hours}:{rest // 60:02}:{rest % 60:02}"
    return f"{rest // 60}:{rest % 60:02}"
