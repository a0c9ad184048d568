"""Words, times and lengths as a visitor reads them: language, time zone, nothing else.

Every sentence stands in a template or in a call of ``gettext`` here in English; a translation is a
``.po`` file beside the templates, read as it is.
"""

from __future__ import annotations

import gettext
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_interval, format_skeleton, format_time
from babel.messages.catalog import Catalog as BabelCatalog
from babel.messages.catalog import Message
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

from callreel.periods import Period
from callreel.wording import Wording

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
        self._said: dict[tuple[str | None, str], list[str]] = {}
        self._form: Callable[[int], int] = _english_form
        path = CATALOGS / f"{language}.po"
        if path.exists():
            with path.open("rb") as file:
                self._read(read_po(file, locale=language))

    def _read(self, found: BabelCatalog) -> None:
        self._form = gettext.c2py(found.plural_expr)
        for message in cast("Iterable[Message]", found):
            said = message.string or ""
            forms = [said] if isinstance(said, str) else list(said)
            if message.id and all(forms) and not message.fuzzy:
                key = message.id if isinstance(message.id, str) else message.id[0]
                self._said[message.context, key] = forms

    def gettext(self, sentence: str) -> str:
        """A sentence; as it is where there is no translation."""
        return self._said.get((None, sentence), [sentence])[0]

    def pgettext(self, context: str, sentence: str) -> str:
        """A sentence that means several things; the context says which."""
        return self._said.get((context, sentence), [sentence])[0]

    def ngettext(self, one: str, many: str, count: float) -> str:
        """A sentence about a number of things."""
        forms = self._said.get((None, one))
        if forms is None or len(forms) == 1:
            return one if count == 1 else many
        return forms[self._form(int(count))]

    def translated(self, text: str) -> str:
        """A text that is looked up rather than written in a template; safe for what others sent.

        ``_()`` in a template is for sentences that stand there: it takes what it is given for HTML.
        """
        if not isinstance(text, Wording):
            return self.gettext(text)
        if text.many is None:
            said = self.gettext(text.sentence)
        else:
            said = self.ngettext(text.sentence, text.many, text.number)
        values = {
            name: self.number(value) if isinstance(value, int) else self.worded(value)
            for name, value in text.values.items()
        }
        return said % values if values else said

    def worded(self, text: str) -> str:
        """A text of ours in this language; what others sent stays as it is."""
        return self.translated(text) if isinstance(text, Wording) else text

    def number(self, value: float) -> str:
        """``1,030,000``."""
        return str(format_decimal(value, locale=self.locale))

    def share(self, value: float) -> str:
        """A share from 0 to 1: ``12.3%``."""
        number = format_decimal(value * 100, "#,##0.0", locale=self.locale)
        sign: str = self.locale.percent_formats[None].suffix[1]
        return f"{number}{sign}"


def _english_form(count: int) -> int:
    return int(count != 1)


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
        if datetime.now(self.zone).year == moment.year:
            return self._date(moment, "d MMM", "MMMd")
        return self._date(moment, "d MMM y", "yMMMd")

    def full(self, unix_millis: int) -> str:
        """``Friday 20 November 2026, 16:17:16``."""
        moment = self.moment(unix_millis)
        pattern = "EEEE d MMMM y" if self.catalog.language == "en" else "full"
        date = format_date(moment, pattern, locale=self.catalog.locale)
        return f"{date}, {self.clock(unix_millis)}"

    def short(self, unix_millis: int) -> str:
        """``Fri 20 Nov, 16:00``."""
        moment = self.moment(unix_millis)
        return f"{self._date(moment, 'EEE d MMM', 'MMMEd')}, {moment:%H:%M}"

    def period(self, period: Period, zone: ZoneInfo | None = None) -> str:
        """A stretch of time: ``the last 7 days, 17 to 23 November 2026``.

        Args:
            period: As it was read.
            zone: Where it was read; without one in the visitor's.
        """
        if self.catalog.language == "en":
            return period.words
        zone = zone or self.zone
        first = datetime.fromtimestamp(period.since / 1000, zone)
        behind = datetime.fromtimestamp(period.until / 1000, zone)
        if {(each.hour, each.minute, each.second) for each in (first, behind)} != {(0, 0, 0)}:
            ends = [f"{self._date(each, '', 'yMMMd')}, {each:%H:%M}" for each in (first, behind)]
            return " \N{EN DASH} ".join(ends)
        last = behind - timedelta(days=1)
        locale = self.catalog.locale
        if first.date() == last.date():
            return str(format_date(first, "full", locale))
        if first.day == 1 and behind.day == 1 and first.year == last.year:
            if first.month == last.month:
                return self._date(first, "", "yMMMM")
            if (first.month, last.month) == (1, 12):
                return str(first.year)
        return str(format_interval(first.date(), last.date(), "yMMMd", locale=locale))

    def _date(self, moment: datetime, english: str, skeleton: str) -> str:
        """A date in the order and with the points of the language."""
        locale = self.catalog.locale
        if self.catalog.language == "en":
            return str(format_date(moment, english, locale))
        return str(format_skeleton(skeleton, moment, locale=locale))

    def minute(self, unix_millis: int) -> str:
        """``2026-11-20T16:17+00:00``, as addresses have it: the same for everybody."""
        return self.moment(unix_millis).isoformat(timespec="minutes")

    def number(self, value: float) -> str:
        """``1,030,000``."""
        return self.catalog.number(value)


def length(seconds: float | None) -> str:
    """``3:00``, ``1:02:03``; a dash for None. Rounded down, as clocks do."""
    if seconds is None:
        return "\N{EN DASH}"
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    if hours:
        return f"{hours}:{rest // 60:02}:{rest % 60:02}"
    return f"{rest // 60}:{rest % 60:02}"
