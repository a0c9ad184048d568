"""Answers that are kept under a key of the sender's, so that sending again does nothing again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from callreel.db import changes
from callreel.db.schema import idempotency_keys
from callreel.model import UnixMillis, WebUserId


@dataclass(frozen=True, slots=True)
class Kept:
    """What was asked, as a digest, and what was answered."""

    digest: str
    answer: Mapping[str, Any]
    """JSON values."""


def find(conn: Connection, web_user_id: WebUserId, key: str) -> Kept | None:
    """What was answered under a key; from here to the commit nobody else keeps one."""
    changes.hold_order(conn)
    row = conn.execute(
        select(idempotency_keys.c.digest, idempotency_keys.c.answer).where(
            idempotency_keys.c.web_user_id == web_user_id, idempotency_keys.c.key == key
        )
    ).first()
    return None if row is None else Kept(row.digest, json.loads(row.answer))


def keep(conn: Connection, web_user_id: WebUserId, key: str, kept: Kept, now: UnixMillis) -> None:
    """Keep an answer, within the transaction of what it tells of."""
    conn.execute(
        insert(idempotency_keys).values(
            web_user_id=web_user_id,
            key=key,
            digest=kept.digest,
            answer=json.dumps(kept.answer),
            created_at=now,
        )
    )


def forget_before(conn: Connection, moment: UnixMillis) -> None:
    """Remove what nobody sends again."""
    conn.execute(delete(idempotency_keys).where(idempotency_keys.c.created_at < moment))
