"""What a report is, what it may be asked, and what its kinds build it from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from callreel.access.policy import Action
from callreel.db.reports import Chosen
from callreel.documents.cells import Cell
from callreel.documents.shown import length
from callreel.documents.tables import Column, Table
from callreel.errors import BadRequest
from callreel.model import Direction, UnixMillis
from callreel.periods import Period
from callreel.wording import Wording, counted, to_translate, worded

TOTAL = to_translate("Total")
NO_CALLS = to_translate("No calls")
DIRECTIONS = {
    Direction.INBOUND: to_translate("inbound"),
    Direction.OUTBOUND: to_translate("outbound"),
    Direction.INTERNAL: to_translate("internal"),
    Direction.UNKNOWN: to_translate("unknown"),
}
MAX_ROWS = 10_000
"""Of one report. Source: threats.md T36."""
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

Link = Mapping[str, str | int]
"""Which calls a number counts. Keys, all of which hold: ``since`` and ``until`` (instants, the
second is not in it), ``dir`` (a Direction), ``state`` (a Disposition), ``site`` and ``grp`` (ids of
the directory), ``ext`` (with its ``site``: one agent), ``party`` (a number), ``rec``, ``mask`` and
``proposed`` (``yes``), ``time`` (``09:00-09:30``, what a clock in ``zone`` showed as the call
began), ``outside`` (``yes``: no internal ones), ``weekday``
(0 to 6, Monday is 0; in ``zone``), ``during`` (an instant at which it was in
progress), ``call`` (its id)."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that a report may be asked."""

    name: str
    meaning: str
    example: str


@dataclass(frozen=True, slots=True)
class Question:
    """A report as it was asked for, within what somebody may see."""

    period: Period
    zone: ZoneInfo
    chosen: Chosen
    now: UnixMillis
    facts: tuple[tuple[str, str], ...]
    """Scope and filters in words."""
    base: Link
    """What every link of it holds."""
    limit: int
    """Rows of a ranking."""
    target_s: int
    """How long a caller should wait at the most, in seconds."""
    say: Callable[[str], str] = str
    """Writes the texts of a picture; what others sent stays as it is."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table with the calls behind its numbers."""

    cells: tuple[Cell, ...]
    links: Mapping[str, Link] = field(default_factory=dict)
    """By key of the column; a number without calls of its own is not in it."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a kind of report found."""

    columns: tuple[Column, ...]
    rows: Sequence[Row]
    total: Row | None
    headline: str
    """The main number, in words."""
    chart: str | None
    """SVG; None where there is nothing to draw."""
    period: Period | None = None
    """What was counted, where that is another period than was asked for."""


@dataclass(frozen=True, slots=True)
class Report:
    """A report that was made."""

    kind: str
    title: str
    period: Period
    """What was counted."""
    zone: ZoneInfo
    table: Table
    """Its rows are a tuple and may be read again and again."""
    links: tuple[Mapping[str, Link], ...]
    """For each row, by key of the column, which calls a number counts."""
    total_links: Mapping[str, Link]
    headline: str
    """The main number, in words."""
    chart: str | None
    """SVG; None where there is nothing to draw."""

    @property
    def is_empty(self) -> bool:
        """Whether it has no rows: a schedule may then send nothing."""
        return not self.links


Make = Callable[[Connection, Question], Content]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of report."""

    slug: str
    title: str
    description: str
    make: Make
    parameters: tuple[Parameter, ...]
    """What it may be asked."""
    period: str = "7d"
    """Where none is asked for."""
    max_days: int = 366
    """How long a period may be."""
    action: Action = Action.SEE_CALLS
    """Who may have it, and about which part of the directory."""


PLACES = (
    Parameter("period", "What time it is about.", "7d"),
    Parameter("from", "Its beginning, instead of a period.", "2026-11-01"),
    Parameter("to", "Its last day, with from.", "2026-11-15"),
    Parameter("zone", "The time zone that it is told in.", "Europe/London"),
    Parameter("site", "Only what belongs to this site: id or name.", "Manchester"),
    Parameter("group", "Only this group: id, or site and name.", "Manchester/Sales"),
)
CALLS = (
    *PLACES,
    Parameter("agent", "Only calls of this person: id, extension or name.", "2104"),
    Parameter("dir", "Only calls in this direction.", "inbound"),
)
LIMIT = Parameter("limit", "How many rows at the most, 1 to 1000.", "50")
TARGET = Parameter("target", "Within how many seconds calls should be answered.", "20")


def require_rows(rows: Sequence[Row]) -> Sequence[Row]:
    """Refuse a report that is too long.

    Raises:
        BadRequest: It has more than MAX_ROWS rows.
    """
    if len(rows) > MAX_ROWS:
        raise too_long()
    return rows


def too_long() -> BadRequest:
    """The error for a report of too many rows."""
    return BadRequest(
        worded(
            "The report has more than %(most)s rows; choose a shorter period.", most=str(MAX_ROWS)
        )
    )


def linked(base: Link, **more: str | int) -> Link:
    """A link that narrows another; ``direction`` is the key ``dir``."""
    if "direction" in more:
        more["dir"] = more.pop("direction")
    return {**base, **more}


def percentile(waits: Counter[int], share: float) -> int | None:
    """The wait within which a share of the calls had waited (nearest rank); None for no calls.

    Args:
        waits: How many calls waited for how many seconds.
        share: More than 0, up to 1.
    """
    total = sum(waits.values())
    if not total:
        return None
    # As a whole number of hundredths: 0.9 of 10 must not become the tenth.
    rank = -(-total * round(share * 100) // 100)
    passed = 0
    for wait in sorted(waits):
        passed += waits[wait]
        if passed >= rank:
            break
    return wait


def share(part: int, whole: int) -> float | None:
    """A part of a whole, 0 to 1; None where there is no whole."""
    return part / whole if whole else None


def seconds(millis: int) -> float:
    """Milliseconds as seconds."""
    return millis / 1000


def calls_in_all(number: int) -> Wording:
    """``1 call``, ``1,200 calls``."""
    return counted(number, "%(num)s call", "%(num)s calls")


def talk_in_all(calls: int, talk_ms: int) -> Wording:
    """How many calls, and how much talk."""
    talk = length(seconds(talk_ms))
    return worded("%(calls)s, %(talk)s of talk", calls=calls_in_all(calls), talk=talk)


def summed(waits: Iterable[Counter[int]]) -> Counter[int]:
    """Waits of several slots together."""
    total: Counter[int] = Counter()
    for each in waits:
        total.update(each)
    return total
