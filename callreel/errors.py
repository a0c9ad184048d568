"""Every error that Callreel raises on purpose.

A stable code, a sentence that is safe to show to a client, and fields for the log. Nothing here
knows HTTP: ``web/problems.py`` holds the one table from these classes to a status, ``cli`` the one
to an exit code.

    CallreelError
    ├── BadRequest                what the caller sent cannot be understood
    │   ├── UnknownFormat         an output format that does not exist, or is not in this family
    │   ├── FormatNeedsExtra      a format whose optional library is not installed
    │   ├── BadInput              a file, row or mapping to import cannot be read
    │   └── TooSlow               what was asked of the calls took longer than it may
    ├── Unauthenticated           no credentials, or wrong ones
    ├── Forbidden                 known, but may not do this
    │   └── TokenRefused          forged, altered, from the future, for another node, user disabled
    ├── NotFound                  does not exist, or is not yours: the two look alike on purpose
    ├── NotReady                  call still running or file still growing; has retry_after_s
    ├── Gone                      was here, is not any more
    │   ├── RecordingDeleted      deleted by retention
    │   ├── TokenExpired          more than its 60 seconds old
    │   ├── TokenUsed             a single-use token, used before
    │   ├── TicketExpired         the link of an integrator, more than its 60 seconds old
    │   └── TicketUsed            such a link, used as often as it may be
    ├── Unplayable                the stored sound cannot be decoded; the reason found at ingest
    ├── RangeNotSatisfiable       a byte range behind the end; has size
    ├── Conflict                  contradicts what is stored
    ├── TooManyRequests           has retry_after_s
    ├── Unavailable               database, store, spans, key or a render is away; has retry_after_s
    │   ├── RenderGoesOn          a render is being made: asking again will find it
    │   └── MaskChanged           a mask arrived while sound was sent: the answer is broken off
    └── ConfigurationError        the installation is wrong; names what to mend
        └── DatabaseNewer         the database was written by a newer Callreel
"""

from __future__ import annotations


class CallreelError(Exception):
    """Root of the tree.

    Args:
        message: One sentence, safe for clients: no path, SQL, or name of somebody else's object.
        fields: Details for the log only.
    """

    code: str = "internal_error"
    retry_after_s: int | None = None

    def __init__(self, message: str, **fields: object) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields


class BadRequest(CallreelError):
    """The caller sent something that cannot be understood; the message names the parameter."""

    code = "bad_request"


class UnknownFormat(BadRequest):
    """An output format that does not exist or is outside the family of the extension."""

    code = "unknown_format"


class FormatNeedsExtra(BadRequest):
    """An output format whose optional library is not installed; the message names the extra."""

    code = "format_not_installed"


class BadInput(BadRequest):
    """A file, row or mapping given to an import cannot be read; the message says what to mend."""

    code = "bad_input"


class TooSlow(BadRequest):
    """What was asked of the calls took longer than it may; ask for less of them."""


class Unauthenticated(CallreelError):
    """No credentials, or wrong ones."""

    code = "unauthenticated"


class Forbidden(CallreelError):
    """The caller is known but may not do this."""

    code = "forbidden"


class TokenRefused(Forbidden):
    """A token that opens nothing: forged, altered, too early, for another node, user disabled.

    The message is the same for all of them; ``fields["why"]`` differs in the log.

    Source: contract.md 3.2.
    """

    code = "token_refused"

    def __init__(self, why: str) -> None:
        super().__init__("This address is not valid.", why=why)


class NotFound(CallreelError):
    """There is no such thing, or it is not the caller's; nobody outside can tell which."""

    code = "not_found"


class NotReady(CallreelError):
    """The call still runs, or the file still grows."""

    code = "not_ready"

    def __init__(self, message: str, *, retry_after_s: int, **fields: object) -> None:
        super().__init__(message, **fields)
        self.retry_after_s = max(1, retry_after_s)


class Gone(CallreelError):
    """It was here and is not any more."""

    code = "gone"


class RecordingDeleted(Gone):
    """Deleted by retention."""

    code = "recording_deleted"


class TokenExpired(Gone):
    """The token is older than its lifetime."""

    code = "token_expired"


class TokenUsed(Gone):
    """A single-use token that has been used."""

    code = "token_used"


class TicketExpired(Gone):
    """The ticket of an integrator's link is older than its lifetime."""

    code = "ticket_expired"


class TicketUsed(Gone):
    """The ticket of an integrator's link has been used as often as it may be."""

    code = "ticket_used"


class Unplayable(CallreelError):
    """The stored sound cannot be decoded; the message holds the reason found at ingest."""

    code = "unplayable"


class RangeNotSatisfiable(CallreelError):
    """A byte range that starts behind the end.

    Args:
        size: Size of the whole, in bytes.
    """

    code = "range_not_satisfiable"

    def __init__(self, size: int) -> None:
        super().__init__("The requested byte range starts behind the end.", size=size)
        self.size = size


class Conflict(CallreelError):
    """What was asked contradicts what is stored."""

    code = "conflict"


class TooManyRequests(CallreelError):
    """The caller should slow down."""

    code = "too_many_requests"

    def __init__(self, message: str, *, retry_after_s: int, **fields: object) -> None:
        super().__init__(message, **fields)
        self.retry_after_s = max(1, retry_after_s)


class Unavailable(CallreelError):
    """Something that is needed is away: database, store, spans, key, or a render is not done."""

    code = "unavailable"

    def __init__(self, message: str, *, retry_after_s: int = 5, **fields: object) -> None:
        super().__init__(message, **fields)
        self.retry_after_s = max(1, retry_after_s)


class RenderGoesOn(Unavailable):
    """The output is being rendered and goes on being so; asking again will find it."""

    code = "rendering"


class MaskChanged(Unavailable):
    """A mask of this recording changed while it was being sent.

    What follows would be of another revision, so the answer is broken off and never joined.
    """

    code = "mask_changed"


class ConfigurationError(CallreelError):
    """The installation is wrong; the message names what to mend and how."""

    code = "configuration"


class DatabaseNewer(ConfigurationError):
    """The database was written by a newer Callreel; this one must not touch it."""

    code = "database_newer"
