"""The address of Call View: read strictly, written in one clean form."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callreel.db.call_filter import CallFilter
from callreel.db.terms import Field, Term
from callreel.errors import BadRequest
from callreel.model import Direction, Disposition, UnixMillis
from callreel.web.pages.filters import COLUMNS, NAMES, View, read_view
from callreel.web.pages.words import Words, catalog

NOW = UnixMillis(1_795_500_000_000)
WORDS = Words(catalog("en"), ZoneInfo("Europe/London"))


def read(query: str) -> View:
    """The view of an address."""
    return read_view(query, NOW, WORDS)


@pytest.mark.parametrize(
    ("typed", "terms"),
    [
        ("", []),
        ("priya", [Term(Field.ANY, "priya")]),
        ("0161 496 0192", [Term(Field.ANY, "01614960192")]),
        ("0161* priya", [Term(Field.ANY, "0161*"), Term(Field.ANY, "priya")]),
        ("+44 161", [Term(Field.ANY, "+44161")]),
        ("*0192 0161", [Term(Field.ANY, "*01920161")]),
        ('agent:"Priya Nair"', [Term(Field.AGENT, "Priya Nair")]),
        ("-grp:sales", [Term(Field.GRP, "sales", wanted=False)]),
        ("-priya", [Term(Field.ANY, "priya", wanted=False)]),
        ("AGENT:x", [Term(Field.AGENT, "x")]),
        ("o'neill", [Term(Field.ANY, "o'neill")]),
        ("a#b", [Term(Field.ANY, "a#b")]),
        ("back\\slash", [Term(Field.ANY, "back\\slash")]),
        ("-", [Term(Field.ANY, "-")]),
    ],
)
def test_what_is_typed_means(typed: str, terms: list[Term]) -> None:
    """Words, numbers however they are spaced, fields, what is left out."""
    from urllib.parse import urlencode  # noqa: PLC0415  # only here

    assert list(read(urlencode({"q": typed})).filter.terms) == terms


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90.0), ("1:30", 90.0), ("5m", 300.0), ("1h", 3600.0), ("30s", 30.0)],
)
def test_lengths(text: str, seconds: float) -> None:
    """As people write them."""
    assert read(f"min={text}").filter.at_least_s == seconds


@pytest.mark.parametrize(
    "query",
    [
        "min=1:30m", "min=-5", "max=a", "dir=left", "rec=maybe", "time=09:00-10:00",
        "since=7d&time=10:00-09:00", "since=7d&weekday=7", "during=soon", "cols=", "cols=a,b",
        "q=%22open", "q=x%00y", "before=nonsense&sort=odd", "since=7d&from=2026-11-01", "%ff=1",
        "from=1971&to=9990&time=09:00-10:00",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(query: str) -> None:
    """By name; ``cols=`` alone is as if it were not there."""
    if query == "cols=":
        assert read(query).columns == COLUMNS
        return
    with pytest.raises(BadRequest):
        read(query)


_TEXTS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12)


@given(st.dictionaries(st.sampled_from(["site", "grp", "ext", "agent", "party"]), _TEXTS))
def test_a_clean_address_reads_as_itself(values: dict[str, str]) -> None:
    """Cleaning twice changes nothing, and no filter is lost on the way."""
    from urllib.parse import urlencode  # noqa: PLC0415  # only here

    view = read(urlencode(values))
    again = read(view.query())
    assert again.query() == view.query()
    assert again.filter == view.filter
    assert set(view.values) == set(values)


def test_the_order_of_a_clean_address_is_always_the_same() -> None:
    """Two people with one filter have one address; blanks and the page fall out."""
    mixed = read("note=yes&q=+&dir=in&before=abc&since=7d")
    assert mixed.query() == "since=7d&dir=in&note=yes"
    assert mixed.query(before=mixed.cursor).endswith("&before=abc")
    assert mixed.without("since", "7d") == "dir=in&note=yes"
    assert mixed.query(dir=None, state="busy") == "since=7d&state=busy&note=yes"
    assert set(NAMES) >= set(mixed.values)


def test_what_is_given_twice_may_be_either() -> None:
    """Of places, people, directions and outcomes; twice the same is once."""
    view = read("grp=a&dir=out&grp=b&grp=a&agent=x&state=busy&state=failed&grp=")
    assert view.query() == "dir=out&state=busy&state=failed&grp=a&grp=b&agent=x"
    assert view.filter == CallFilter(
        direction=Direction.OUTBOUND,
        terms=(Term(Field.AGENT, "x"),),
        either=(
            (CallFilter(disposition=Disposition.BUSY), CallFilter(disposition=Disposition.FAILED)),
            (CallFilter(group_id="a"), CallFilter(group_id="b")),
        ),
    )
    assert view.without("grp", "a") == "dir=out&state=busy&state=failed&grp=b&agent=x"
    assert view.query(grp="c", state=None) == "dir=out&grp=c&agent=x"
    for query in ("dir=in&dir=up", "rec=yes&rec=no", "since=7d&since=today"):
        with pytest.raises(BadRequest):
            read(query)


def test_live_is_where_new_calls_would_be() -> None:
    """Newest first, on the first page."""
    assert read("dir=in").is_live
    assert not read("sort=oldest").is_live
    assert not read("before=abc").is_live


def test_a_bar_leads_to_its_own_minutes() -> None:
    """From the first minute to the last, in the visitor's time zone."""
    hour = UnixMillis(1_795_496_400_000)
    view = read(read("dir=in&since=7d").during(hour, hour + 3_600_000, WORDS))
    assert view.filter.since == hour
    assert view.filter.until == hour + 3_600_000
    assert view.values["dir"] == "in"


def test_each_of_two_hours_that_a_clock_shows_alike_has_its_own_address() -> None:
    """At 01:00 UTC on 25 October 2026 it is one o'clock in London for the second time."""
    second = UnixMillis(1_792_890_000_000)
    for hour in (UnixMillis(second - 3_600_000), second):
        view = read(read("").during(hour, hour + 3_600_000, WORDS))
        assert (view.filter.since, view.filter.until) == (hour, hour + 3_600_000)


@pytest.mark.parametrize(
    "query", ["from=2026-11-01&to=2026-11-02", "since=7d&time=09:00-10:00", "since=7d&weekday=0"]
)
def test_an_address_means_the_same_in_every_time_zone(query: str) -> None:
    """The zone in which somebody asked goes along."""
    elsewhere = Words(catalog("en"), ZoneInfo("Asia/Kolkata"))
    mine = read(query)
    assert mine.values["zone"] == "Europe/London"
    theirs = read_view(mine.query(), NOW, elsewhere)
    assert theirs.filter == mine.filter
    assert theirs.query() == mine.query()
    assert read_view(query, NOW, elsewhere).filter != mine.filter
    for nowhere in ("Nowhere", "localtime"):
        with pytest.raises(BadRequest, match="zone"):
            read(f"{query}&zone={nowhere}")


@pytest.mark.parametrize(
    ("query", "is_live"),
    [
        ("", True),
        ("since=today", True),
        ("since=yesterday", False),
        ("from=2026-10-01&to=2026-10-02", False),
        ("from=2026-10-01", True),
        ("sort=oldest", False),
        ("during=1795451316129", False),
    ],
)
def test_what_is_over_does_not_live(query: str, *, is_live: bool) -> None:
    """Nothing comes in on top of a day that is past, and the page must not say so."""
    assert read(query).is_live == is_live


@pytest.mark.parametrize(
    ("query", "clean"),
    [
        ("since=30d&zone=Europe/London", "since=30d"),
        ("since=30d&zone=Asia/Kolkata", "since=30d&zone=Asia%2FKolkata"),
        ("from=2026-11-01", "from=2026-11-01&zone=Europe%2FLondon"),
    ],
)
def test_an_address_names_a_zone_where_it_must(query: str, clean: str) -> None:
    """Not the reader's own over a period that has a name."""
    assert read(query).query() == clean
