"""Another language: German has every sentence, and pages in it have no other."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from zoneinfo import ZoneInfo

import jinja2
import pytest
from babel.messages.catalog import Catalog as BabelCatalog
from babel.messages.pofile import read_po
from jinja2 import nodes
from playwright.sync_api import Page

from callreel.model import UnixMillis
from callreel.periods import parse_period
from callreel.web.pages.page import TEMPLATES
from callreel.web.pages.words import CATALOGS, LANGUAGES, Words, catalog, length
from callreel.wording import counted, joined, to_translate, worded
from tests.pages.conftest import OpenWindow, keep_picture
from tests.pages.test_everywhere import AXE, address, violations
from tests.pages.town import PASSWORD, Town
from tools.translations import OWN, forms_of, in_python, in_template, missing, sentences, updated

OTHERS = sorted(LANGUAGES.keys() - {OWN})
PLACES = re.compile(r"%\([a-z_0-9]+\)[sd]")
SCRIPTS = sorted((TEMPLATES.parent / "static").glob("*.js"))
FRIDAY = UnixMillis(1_795_190_000_000)
"""2026-11-20, 16:53:20 in Berlin."""


def file_of(language: str) -> str:
    """The translations of a language as they are stored."""
    return (CATALOGS / f"{language}.po").read_text(encoding="utf-8")


def read(language: str) -> BabelCatalog:
    """The same, read."""
    return read_po(io.BytesIO(file_of(language).encode()), locale=language)


@pytest.mark.parametrize("language", OTHERS)
def test_every_sentence_is_translated(language: str) -> None:
    """Nothing is missing, empty, fuzzy or left over, and a run of the tool changes nothing."""
    text = file_of(language)
    assert missing(text) == []
    assert "fuzzy" not in text
    assert "#~" not in text
    assert updated(language, text) == text, "run `make translations`"
    stored = {(each.context, each.id) for each in read(language) if each.id}
    assert stored == sentences()
    assert len(stored) > 300


@pytest.mark.parametrize("language", OTHERS)
def test_translations_have_the_places_of_their_sentences(language: str) -> None:
    """As many values in every form, and nothing that is HTML: templates take them as they are."""
    for each in read(language):
        if not each.id:
            continue
        asked = [each.id] if isinstance(each.id, str) else list(each.id)
        allowed = {tuple(sorted(PLACES.findall(one))) for one in asked}
        for said in forms_of(each):
            assert tuple(sorted(PLACES.findall(said))) in allowed, said
            assert not set('<>&"') & set(said), said
            assert said == said.strip()
            assert said[-1:] in {".", ":", "…"} or asked[0][-1] not in {".", ":", "…"}, said


def test_a_new_sentence_is_asked_for_and_an_old_one_goes() -> None:
    """What is in the file and nowhere else is dropped; the rest stays as it was translated."""
    text = file_of("de")
    without = re.sub(r'msgid "Calls"\nmsgstr "Anrufe"\n\n', "", text)
    assert without != text
    assert missing(updated("de", without)) == ["Calls"]
    assert updated("de", text + '\nmsgid "Nobody says this"\nmsgstr "x"\n') == text
    assert len(missing(updated("de", ""))) == len(sentences())


def test_sentences_are_found_where_they_are_said() -> None:
    """In modules by the names of functions, also nested; in templates with their contexts."""
    python = "worded('%(a)s x', a=counted(n, 'one', 'many'), b=other('no')); Column('k', 'T', 'c')"
    assert set(in_python(python)) == {
        (None, "%(a)s x"),
        (None, ("one", "many")),
        (None, "T"),
    }
    template = b"{{ _('A %(b)s', b=1) }} {{ pgettext('c', 'D') }} {{ ngettext('e', 'f', n) }}"
    assert set(in_template(template)) == {(None, "A %(b)s"), ("c", "D"), (None, ("e", "f"))}


class Visible(HTMLParser):
    """What of a template people read: its texts, and attributes that are read out."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.stack: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Attributes."""
        self.stack.append(tag)
        read_out = {"title", "aria-label", "placeholder", "alt", "aria-valuetext"}
        self.found += [value or "" for name, value in attrs if name in read_out]

    def handle_endtag(self, tag: str) -> None:
        """The end of an element."""
        while tag in self.stack and self.stack.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Texts."""
        self.found.append(data)


OWN_NAMES = {"Callreel", "PDF", "MP3", "m"}
"""What is called the same in every language; 5m is how a length can be typed."""


def english_of(template: str) -> list[str]:
    """Visible words of a template that nobody can translate."""
    reader = Visible()
    # A class of the body, which nobody sees.
    template = re.sub(r"{% block layout %}\w*{% endblock %}", "", template)
    reader.feed(re.sub(r"{#.*?#}|{%.*?%}|{{.*?}}", "", template, flags=re.DOTALL))
    words = [word for text in reader.found for word in re.findall(r"[^\W\d_]+", text)]
    return [word for word in words if word not in OWN_NAMES]


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.stem)
def test_templates_have_no_words_of_their_own(path: Path) -> None:
    """Every word that is seen or read out stands in a call that translates."""
    text = path.read_text(encoding="utf-8")
    assert english_of(text) == []
    assert list(untranslated_constants(text)) == []


def test_words_in_a_template_are_found() -> None:
    """The check itself: a text, an attribute and a constant that is printed."""
    assert english_of("<p>Hello {{ _('you') }}</p>") == ["Hello"]
    assert english_of("<i title='Hello'>{% if x %}{{ x }}{% endif %}</i>") == ["Hello"]
    assert list(untranslated_constants("{{ 'Some Word' if x else _('Other') }}")) == ["Some Word"]
    assert list(untranslated_constants("{{ _(kind.title) }}")) == ["_() of what is no constant"]


def untranslated_constants(text: str) -> Iterator[str]:
    """Constants of a template's code that look like words for people, and misuse of ``_``."""
    environment = jinja2.Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    tree = environment.parse(text)
    said = set()
    for call in tree.find_all(nodes.Call):
        name = getattr(call.node, "name", "")
        if name in {"_", "gettext", "ngettext", "pgettext"}:
            said |= {id(each) for each in call.args}
            if not isinstance(call.args[0], nodes.Const):
                yield "_() of what is no constant"
    for constant in tree.find_all(nodes.Const):
        value = constant.value
        if id(constant) in said or not isinstance(value, str) or value in OWN_NAMES | KEYS:
            continue
        if re.search(r"^[A-Z][a-z]+|^[A-Za-z]+ [A-Za-z]{2,}", value):
            yield value


KEYS = {"Space", "Enter"}
"""As keyboards name them."""


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_have_no_words_of_their_own(path: Path) -> None:
    """What a script says comes from the page, as data attributes."""
    assert words_in(path.read_text(encoding="utf-8")) == []


def test_words_in_a_script_are_found() -> None:
    """The check itself."""
    assert words_in('say("No connection, trying again.")') == ["No connection, trying again."]
    assert words_in("button.title = 'Copied';") == ["Copied"]
    assert words_in('x.textContent = "copied"') == ["copied"]


def words_in(script: str) -> list[str]:
    """Texts of a script that look like words for people."""
    bare = re.sub(r"/\*.*?\*/|(?:^|\s)//[^\n]*", "", script, flags=re.DOTALL)
    texts = re.findall(r"\"([^\"\n]*)\"|'([^'\n]*)'|`([^`]*)`", bare)
    sentence = re.compile(r"[A-Za-z]+([,.;:!?…]? [A-Za-z]+)+[.!?…:]?|[A-Z][a-z]+[.!?…:]?")
    known = {"tr, body", "Enter", "Arrow"}
    found = [text for text in map("".join, texts) if sentence.fullmatch(text) and text not in known]
    shown = r"(?:textContent|innerText|title|ariaLabel|placeholder) = [\"'`]([a-z]+)[\"'`]"
    return found + re.findall(shown, bare)


def test_german_dates_and_numbers() -> None:
    """In the order, and with the points, that German has; lengths are as they were."""
    words = Words(catalog("de"), ZoneInfo("Europe/Berlin"))
    assert words.day(FRIDAY) == "20. Nov." or words.day(FRIDAY) == "20. Nov. 2026"
    assert words.full(FRIDAY) == "Freitag, 20. November 2026, 16:53:20"
    assert words.short(FRIDAY) == "Fr., 20. Nov., 16:53"
    assert words.clock(FRIDAY) == "16:53:20"
    assert words.number(1_030_000) == "1.030.000"
    assert words.catalog.share(0.1234) == "12,3\N{NO-BREAK SPACE}%"
    assert length(3723) == "1:02:03"


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("7d", "14.–20. Nov. 2026"),  # noqa: RUF001  # as German writes it
        ("today", "Freitag, 20. November 2026"),
        ("2026-11", "November 2026"),
        ("2026", "2026"),
        ("2026-11-23T09:00..2026-11-23T12:30", "23. Nov. 2026, 09:00 – 23. Nov. 2026, 12:30"),  # noqa: RUF001
    ],
)
def test_german_periods(typed: str, told: str) -> None:
    """A period in words that a German reads; in English as it was read."""
    zone = ZoneInfo("Europe/Berlin")
    period = parse_period(typed, FRIDAY, zone)
    german = re.sub(r"[\u2009\u202f]", " ", Words(catalog("de"), zone).period(period))
    assert german == told.replace("\u2009", " ")
    assert Words(catalog("en"), zone).period(period) == period.words


def test_what_was_said_in_english_is_said_in_german() -> None:
    """Sentences with values, numbers of things, lists; English is what it always was."""
    german = catalog("de")
    many = counted(1200, "%(num)s call", "%(num)s calls")
    one = counted(1, "%(num)s call", "%(num)s calls")
    assert [many, one] == ["1,200 calls", "1 call"]
    assert german.translated(many) == "1.200 Anrufe"
    assert german.translated(one) == "1 Anruf"
    told = worded("%(calls)s, %(talk)s of talk", calls=many, talk="1:00")
    assert told == "1,200 calls, 1:00 of talk"
    assert german.translated(told) == "1.200 Anrufe, 1:00 Gesprächsdauer"
    assert german.translated(joined([to_translate("none"), "100 %"])) == "keine, 100 %"
    assert german.translated("100 % of a <b>text</b>") == "100 % of a <b>text</b>"
    assert german.worded("Calls") == "Calls", "what others sent stays as it is"


def test_forms_for_numbers_are_those_of_the_language() -> None:
    """One is one, none is many; without a translation the English forms hold."""
    german = catalog("de")
    assert [german.ngettext("call", "calls", count) for count in (0, 1, 2)] == [
        "Anrufe", "Anruf", "Anrufe",
    ]  # fmt: skip
    assert [german.ngettext("sheep!", "sheep!!", count) for count in (1, 2)] == [
        "sheep!", "sheep!!",
    ]  # fmt: skip


SEEN = """() => {
  const found = [document.title];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    if (!parent.closest("script, style, datalist, noscript"))
      found.push(walker.currentNode.data.replace(/\\s+/g, " ").trim());
  }
  for (const one of document.body.querySelectorAll("*"))
    for (const name of ["title", "aria-label", "placeholder", "alt"])
      if (one.hasAttribute(name)) found.push(one.getAttribute(name).trim());
  return found.filter(text => text);
}"""
"""Every text of a page, hidden menus and dialogs included."""


def english_sentences(language: str) -> list[re.Pattern[str]]:
    """Every sentence that is another in this language, as a pattern of what it looks like."""
    found = []
    for each in read(language):
        ids = [each.id] if isinstance(each.id, str) else list(each.id)
        for sentence, said in zip(ids, forms_of(each), strict=False):
            if not sentence or sentence == said:
                continue
            bare = PLACES.sub("", sentence)
            if sentence != bare and len(re.findall(r"[A-Za-z]+", bare)) == 0:
                continue
            parts = [re.escape(part) for part in PLACES.split(sentence)]
            found.append(re.compile(".+".join(parts) + "[:,]?"))
    return found


def english_on(page: Page) -> list[str]:
    """Texts of a page that should have been translated."""
    patterns = english_sentences("de")
    texts = [re.sub(r" · Callreel$", "", text) for text in page.evaluate(SEEN)]
    assert len(texts) > 3
    return [text for text in texts if any(each.fullmatch(text) for each in patterns)]


def sign_in(page: Page, username: str = "otto") -> None:
    """By the form, whatever its language."""
    page.goto("/login")
    page.locator("input[name=username]").fill(username)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("button.main").click()
    page.wait_for_url("**/calls")


GERMAN_PAGES = {
    "/calls": "Anrufe",
    "/calls?q=zebra&since=7d": "Kein Anruf passt",
    "/calls?cols=started,direction,outcome,rang,talk,flags": "Klingeldauer",
    "/calls/LONG": "Was geschah",
    "/calls/FIRST": "Dieser Anruf wurde nicht aufgezeichnet.",
    "/calls/nothing": "Nicht gefunden",
    "/reports": "Stoßzeiten",
    "/reports/call-analysis": "Gesprächsdauer",
    "/reports/busy-hours": "Montag",
    "/reports/agents": "Gesamt",
    "/reports/top-calls": "eingehend",
    "/reports/top-numbers": "Rufnummer",
    "/reports/masking": "Maskierter Ton",
    "/reports/busy-channels": "belegt",
    "/reports/year-on-year": "November",
    "/schedules": "Zeitpläne",
    "/jobs": "Dateien",
    "/preferences": "Einstellungen",
}


@pytest.mark.parametrize("path", GERMAN_PAGES)
def test_a_german_browser_gets_german_pages(window: OpenWindow, town: Town, path: str) -> None:
    """No sentence of the English pages is on them."""
    page = window(None, locale="de-DE")
    sign_in(page, "carla")
    page.goto(address(path, town))
    keep_picture(page, "de-" + re.sub(r"\W+", "-", path).strip("-"))
    assert page.locator("html").get_attribute("lang") == "de"
    assert GERMAN_PAGES[path] in page.locator("main").inner_text()
    assert english_on(page) == []


def test_the_login_is_in_the_language_of_the_browser(window: OpenWindow) -> None:
    """Also what it says about a wrong password."""
    page = window(None, locale="de-DE")
    page.goto("/login")
    assert page.locator("html").get_attribute("lang") == "de"
    assert english_on(page) == []
    page.get_by_label("Benutzername").fill("carla")
    page.get_by_label("Kennwort").fill("wrong password entirely")
    page.get_by_role("button", name="Anmelden").click()
    told = "Der Benutzername oder das Kennwort ist falsch."
    assert page.get_by_role("alert").inner_text() == told


def test_whoever_prefers_german_gets_it(window: OpenWindow) -> None:
    """Whatever the browser asks for, and until another is chosen."""
    page = window("otto")
    assert page.locator("html").get_attribute("lang") == "en"
    page.goto("/preferences")
    page.get_by_label("Language").select_option("de")
    page.get_by_role("button", name="Save").click()
    page.get_by_label("Sprache").wait_for()
    try:
        assert page.locator("html").get_attribute("lang") == "de"
        assert english_on(page) == []
        page.goto("/calls")
        assert english_on(page) == []
    finally:
        page.goto("/preferences")
        page.locator("select[name=language]").select_option("")
        page.locator("form.fields button.main").click()
    page.get_by_label("Language").wait_for()
    assert page.locator("html").get_attribute("lang") == "en"


def test_a_file_is_made_and_told_of_in_german(window: OpenWindow, town: Town) -> None:
    """From the button to the page of the job."""
    page = window(None, locale="de-DE")
    sign_in(page, "carla")
    page.goto("/calls?state=abandoned")
    page.get_by_text("Exportieren", exact=True).click()
    page.get_by_role("button", name="CSV für Programme").click()
    page.wait_for_url("**/jobs/*")
    assert english_on(page) == []
    while town.serving.office.worker.once():
        pass
    page.get_by_role("link", name="Herunterladen").wait_for()
    assert english_on(page) == []


@pytest.mark.parametrize("path", ["/calls", "/calls/LONG"])
def test_everybody_can_read_it_in_german(window: OpenWindow, town: Town, path: str) -> None:
    """Axe finds nothing, and a narrow window scrolls one way with the longer words."""
    page = window(None, locale="de-DE", bypass_csp=True)
    sign_in(page)
    page.goto(address(path, town))
    page.evaluate(AXE)
    assert violations(page) == []
    page.set_viewport_size({"width": 320, "height": 640})
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) <= 0
