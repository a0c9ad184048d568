"""What is known of calls without reading them: counts by quarter of an hour, names of callers.

Triggers keep both, so that whatever writes a call, they agree with the calls of the same
transaction. A quarter of an hour is what the offsets of all time zones are multiples of.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text

from callreel.db.schema import metadata

QUARTER_MS = 900_000

call_tallies = Table(
    "call_tallies",
    metadata,
    Column("site_id", Text, ForeignKey("sites.id"), primary_key=True),
    Column("quarter", BigInteger, primary_key=True),
    Column("direction", Text, primary_key=True),
    Column("disposition", Text, primary_key=True),
    Column("calls", BigInteger, nullable=False),
    Column("talk_ms", BigInteger, nullable=False),
    Index(None, "quarter"),
)

caller_names = Table(
    "caller_names",
    metadata,
    Column("name", Text, primary_key=True),
)
"""Every name of a caller once, so that a part of a name is looked for among names, not calls."""
