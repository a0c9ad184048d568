"""Calls counted as they are written, by site, quarter of an hour, direction and how they ended.

Triggers keep the counts, so that whatever writes a call, they agree with the calls of the same
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
