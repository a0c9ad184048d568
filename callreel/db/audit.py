"""The audit log: who asked, what was decided and why, what was sent. Rows are only ever added."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from callreel.db.schema import audit
from callreel.model import UnixMillis

_INSERT = insert(audit)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One row."""

    at: UnixMillis
    actor: str
    """A user name, or ``command`` for the command line."""
    action: str
    """``object.verb``, such as ``token.issue``."""
    object_id: str
    decision: str
    """``allowed``, or the code of the refusal."""
    detail: Mapping[str, object]
    """What else is worth knowing; JSON values."""
    address: str | None
    """Where it came from; None for the command line."""


def command_entry(at: UnixMillis, action: str, object_id: str) -> AuditEntry:
    """What somebody with the command line did."""
    return AuditEntry(at, "command", action, object_id, "allowed", {}, None)


def append(conn: Connection, entry: AuditEntry) -> None:
    """Add a row, within the transaction of what it tells of."""
    append_all(conn, [entry])


def append_all(conn: Connection, entries: Sequence[AuditEntry]) -> None:
    """Add rows, in their order."""
    rows = [
        {
            "at": entry.at,
            "actor": entry.actor,
            "action": entry.action,
            "object_id": entry.object_id,
            "decision": entry.decision,
            "detail": json.dumps(entry.detail, sort_keys=True),
            "address": entry.address,
        }
        for entry in entries
    ]
    conn.execute(_INSERT, rows)


def entries(conn: Connection, *, object_id: str | None = None) -> tuple[AuditEntry, ...]:
    """Rows in the order they were added; about one object where it is named."""
    query = select(audit).order_by(audit.c.seq)
    if object_id is not None:
        query = query.where(audit.c.object_id == object_id)
    return tuple(
        AuditEntry(
            at=UnixMillis(row.at),
            actor=row.actor,
            action=row.action,
            object_id=row.object_id,
            decision=row.decision,
            detail=json.loads(row.detail),
            address=row.address,
        )
        for row in conn.execute(query)
    )
