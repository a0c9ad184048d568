"""Charts as SVG: well-formed, the same without a style sheet, dead whatever a name holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from defusedxml import ElementTree

from callreel.documents import charts
from callreel.documents.charts import COLOURS, Ranked, Series

SVG = "{http://www.w3.org/2000/svg}"
SHAPES = {"rect", "circle", "polyline", "text", "path"}
HOSTILE = (
    "</title><script>alert(1)</script>",
    '" onload="alert(1)',
    "'/><image href=x onerror=alert(1)>",
    "&lt;script&gt;",
    "]]><!--",
    "<![CDATA[<script>]]>",
    "a\x00b\x1bc\ud800d\ufffe",
    "\u202egnp.exe",
    "W" * 5000,
    "",
)
Draw = Callable[[str], str]
DRAWN: dict[str, Draw] = {
    "stacked_bars": lambda name: charts.stacked_bars(
        name, [name, "b"], [Series(name, "in", [1, 2]), Series(name, "abandoned", [0, 3])]
    ),
    "lines": lambda name: charts.lines(name, [name, "b"], [Series(name, "accent", [1.5, 2])]),
    "histogram": lambda name: charts.histogram(
        name, [name, "b"], Series(name, "abandoned", [4, 2]), (name, 1.5)
    ),
    "ranked_bars": lambda name: charts.ranked_bars(name, [Ranked(name, 3, name)]),
    "grid": lambda name: charts.grid(name, [name], [name, "b"], [[1, 200]]),
}


@pytest.mark.parametrize("chart", DRAWN)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_stays_a_text(chart: str, name: str) -> None:
    """No element and no attribute comes of it, and what was drawn is XML."""
    root = ElementTree.fromstring(DRAWN[chart](name))
    harmless = ElementTree.fromstring(DRAWN[chart]("name"))
    names = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert names <= SHAPES | {"svg", "title"}
    for element in root.iter():
        assert not any(key.startswith("on") or "href" in key for key in element.attrib)
    # A long name leaves room for fewer labels.
    assert {(each.tag, *sorted(each.attrib)) for each in root.iter()} == {
        (each.tag, *sorted(each.attrib)) for each in harmless.iter()
    }


@pytest.mark.parametrize("chart", DRAWN)
def test_every_shape_has_a_colour_and_a_class(chart: str) -> None:
    """The colour for paper, the class for a page; the whole has a name for who hears it."""
    root = ElementTree.fromstring(DRAWN[chart]("Calls & talk"))
    assert root.get("role") == "img"
    assert root.get("aria-label") == "Calls & talk"
    assert root.find(f"{SVG}title").text == "Calls & talk"
    shapes = [each for each in root.iter() if each.tag.removeprefix(SVG) in SHAPES]
    assert shapes
    for shape in shapes:
        kind = shape.get("class").partition("-")[2]
        assert COLOURS[kind] in {shape.get("fill"), shape.get("stroke")}
        assert shape.get("fill")


def rects(svg: str, kind: str) -> list[dict[str, str]]:
    """The bars of one kind, without the small ones of the legend."""
    root = ElementTree.fromstring(svg)
    found = [each.attrib for each in root.iter(f"{SVG}rect") if each.get("class") == f"c-{kind}"]
    return [each for each in found if (each["width"], each["height"]) != ("10", "10")]


def test_bars_are_as_high_as_their_numbers() -> None:
    """Twice the number is twice the height; parts stand on each other."""
    svg = charts.stacked_bars(
        "x", ["a", "b"], [Series("In", "in", [10, 20]), Series("Out", "out", [5, 0])]
    )
    low, high = rects(svg, "in")
    assert float(high["height"]) == pytest.approx(2 * float(low["height"]), abs=0.2)
    (above,) = rects(svg, "out")
    bottom = float(above["y"]) + float(above["height"])
    assert bottom == pytest.approx(float(low["y"]), abs=0.2)


def test_the_darkest_cell_is_the_largest() -> None:
    """And each holds its number."""
    svg = charts.grid("x", ["a"], ["1", "2", "3"], [[0, 50, 100]])
    assert [each["fill-opacity"] for each in rects(svg, "accent")] == ["0.04", "0.52", "1.00"]
    assert ">50</text>" in svg
    assert ">100</text>" in svg


def test_the_target_stands_where_it_is() -> None:
    """Between the bars before it and behind it, and at the edge where it is beyond all."""
    for target, between in ((0.0, 0.0), (1.0, 0.5), (99.0, 1.0)):
        svg = charts.histogram("x", ["a", "b"], Series("n", "in", [1, 1]), ("Target", target))
        (line,) = rects(svg, "accent")
        left = 56 + between * (charts.WIDTH - 56 - 12)
        assert float(line["x"]) == pytest.approx(left - 1, abs=0.1)


@pytest.mark.parametrize("most", [0, 0.4, 1, 7, 1_000_000, 1e15])
def test_a_chart_of_any_size_has_a_few_rules(most: float) -> None:
    """Nothing is divided by nothing, and nobody has to count lines."""
    svg = charts.lines("x", ["a"], [Series("n", "accent", [most])])
    assert 2 <= len(rects(svg, "rule")) <= 7
    assert "nan" not in svg
    assert "inf" not in svg


def test_charts_of_nothing_are_charts() -> None:
    """No bars, no labels, still an image."""
    for svg in (
        charts.stacked_bars("x", [], []),
        charts.lines("x", [], [Series("n", "in", [])]),
        charts.histogram("x", [], Series("n", "in", [])),
        charts.ranked_bars("x", []),
        charts.grid("x", [], [], []),
    ):
        assert ElementTree.fromstring(svg).get("role") == "img"
