"""Jobs as their owner knows them: asked for, looked at, cancelled, fetched.

``job_worker.py`` does them.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from callreel.access.policy import scope_for
from callreel.db import audit, jobs
from callreel.db.database import Database
from callreel.db.jobs import Job, JobState
from callreel.errors import BadRequest, Forbidden, Gone, NotFound, NotReady, TooManyRequests
from callreel.flows.making import Kind, Parameters, covers, require_scope
from callreel.model import Clock, Principal
from callreel.wording import to_translate, worded

MAX_OPEN = 5
"""Jobs of one user that wait or run."""
MAX_LISTED = 100
MAX_PARAMETER_CHARS = 20_000
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_TYPES = {".csv": "text/csv; charset=utf-8", ".xlsx": _XLSX, ".pdf": "application/pdf"}


@dataclass(frozen=True, slots=True)
class JobFile:
    """The file of a job that is done."""

    path: Path
    name: str
    """What people get; safe in a header."""
    size_bytes: int
    media_type: str


def folder_of(root: Path, job: Job) -> Path:
    """Where the worker that holds a job writes."""
    return root / f"{job.id}.{job.claimed_by}"


class Jobs:
    """Answers for jobs, each to its owner.

    Args:
        db: Where they are kept.
        kinds: What can be asked for, by name.
        folder: Where their files are.
        clock: What time it is.
    """

    def __init__(self, db: Database, kinds: Mapping[str, Kind], folder: Path, clock: Clock) -> None:
        self._db = db
        self._kinds = kinds
        self._folder = folder
        self._clock = clock

    def submit(
        self, principal: Principal, kind: str, parameters: Parameters, *, address: str | None
    ) -> Job:
        """Ask for a file; it is made as soon as a worker is free.

        Args:
            principal: Who asks, and who may fetch it.
            kind: The name of a kind.
            parameters: What the kind wants to know.
            address: Where the request came from; None for the command line.

        Raises:
            BadRequest: There is no such kind, or a parameter is wrong.
            Forbidden: They may not see anything of what it would hold.
            TooManyRequests: Too many jobs of theirs wait.
        """
        maker = self._kind(kind)
        require_scope(principal, maker.action)
        checked = maker.checked(parameters)
        if len(jobs.as_json(checked)) > MAX_PARAMETER_CHARS:
            raise BadRequest(to_translate("parameters: they are too long."))
        now = self._clock()
        with self._db.write() as conn:
            if jobs.count_open(conn, principal.web_user_id) >= MAX_OPEN:
                raise TooManyRequests(
                    worded(
                        "%(most)s of your jobs are not done; wait for one, or cancel one.",
                        most=str(MAX_OPEN),
                    ),
                    retry_after_s=30,
                )
            job = jobs.add(conn, kind, principal.web_user_id, checked, now)
            detail = {"kind": kind, "parameters": checked}
            entry = audit.AuditEntry(
                now, principal.username, "job.submit", job.id, "allowed", detail, address
            )
            audit.append(conn, entry)
        return job

    def own(self, principal: Principal) -> tuple[Job, ...]:
        """The jobs of a user, newest first; the last hundred."""
        with self._db.read() as conn:
            return jobs.of_user(conn, principal.web_user_id, MAX_LISTED)

    def one(self, principal: Principal, job_id: str) -> Job:
        """One job.

        Raises:
            NotFound: There is none, or it is somebody else's, or it is older than a week.
        """
        with self._db.read() as conn:
            job = jobs.find(conn, job_id)
        if job is None or job.web_user_id != principal.web_user_id:
            raise NotFound(to_translate("There is no such job."))
        return job

    def cancel(self, principal: Principal, job_id: str) -> Job:
        """End a job; its worker stops within a second. One that ended stays as it is.

        Raises:
            NotFound: As ``one``.
        """
        job = self.one(principal, job_id)
        with self._db.write() as conn:
            jobs.cancel(conn, job.id, to_translate("It was cancelled."), self._clock())
        return self.one(principal, job_id)

    def file(self, principal: Principal, job_id: str, *, address: str | None) -> JobFile:
        """The file of a job; written into the audit log before it is given out.

        Raises:
            NotFound: As ``one``, or the job made no file.
            NotReady: It waits or runs.
            Forbidden: They may not see any more what is in it.
            Gone: It is too old, or its file is not there.
        """
        job = self.one(principal, job_id)
        if job.state in {JobState.WAITING, JobState.RUNNING}:
            raise NotReady(to_translate("This job is not done."), retry_after_s=2)
        if job.state is not JobState.DONE or job.file_name is None:
            raise NotFound(to_translate("This job made no file."))
        now = self._clock()
        if job.expires_at <= now:
            raise Gone(
                to_translate("The file of this job was erased after a week; ask for it again.")
            )
        scope = scope_for(principal, self._kind(job.kind).action)
        if job.reach is None or not covers(scope, job.reach):
            self._audit(principal, job, Forbidden.code, address)
            raise Forbidden(
                to_translate(
                    "What you may see has changed since this file was made; ask for it again."
                )
            )
        path = folder_of(self._folder, job) / job.file_name
        if not path.is_file():
            raise Gone(
                to_translate(
                    "The file of this job is not on this server any more; ask for it again."
                )
            )
        self._audit(principal, job, "allowed", address)
        suffix = path.suffix.lower()
        media_type = _TYPES.get(suffix) or mimetypes.types_map.get(suffix)
        return JobFile(
            path, job.file_name, job.size_bytes or 0, media_type or "application/octet-stream"
        )

    def _audit(self, principal: Principal, job: Job, decision: str, address: str | None) -> None:
        detail = {"kind": job.kind, "file": job.file_name, "rows": job.done_count}
        entry = audit.AuditEntry(
            self._clock(), principal.username, "job.download", job.id, decision, detail, address
        )
        with self._db.write() as conn:
            audit.append(conn, entry)

    def _kind(self, name: str) -> Kind:
        found = self._kinds.get(name)
        if found is None:
            raise BadRequest(
                worded(
                    "kind: there is no %(name)s; known: %(known)s.",
                    name=repr(name),
                    known=", ".join(sorted(self._kinds)),
                )
            )
        return found
