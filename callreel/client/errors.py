"""Every error that the client raises.

    ClientError
    ├── BadRequest               the server cannot understand what was asked; it says which part
    ├── AuthenticationRefused    no login, or a wrong one
    ├── AccessRefused            the login is good but may not do this
    ├── NotFound                 no such thing, or not within reach of this login
    │   └── NotRecorded          there is such a call, and nothing was recorded of it
    ├── NotReady                 the call still runs or its file still grows; has retry_after_s
    ├── Gone                     deleted by retention
    ├── Unplayable               the stored sound cannot be decoded; the message holds the reason
    ├── ServerUnavailable        no answer, or "not now"; retry_after_s where the server named it
    │   ├── Unreachable          no connection could be made
    │   └── ServerFault          the server failed; its log knows why
    ├── DeadlineExceeded         there was no time left to finish
    ├── BrokenTransfer           length or hash of what came is not what was announced
    ├── BadAnswer                an answer that is no Callreel server's
    └── NotSaved                 the file cannot be written here

What a refusal means and how to mend it is a matter of its class; ``code`` is what the server called
it, for programs that must tell more apart.
"""

from __future__ import annotations


class ClientError(Exception):
    """Root of the tree.

    Args:
        message: One sentence for a person.
        code: The stable code that the server gave; empty where none came.
    """

    retry_after_s: float | None = None
    """After how many seconds it is worth asking again; None where the server did not say."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class BadRequest(ClientError):
    """The server cannot understand what was asked; the message names the part."""


class AuthenticationRefused(ClientError):
    """There was no login, or a wrong one."""


class AccessRefused(ClientError):
    """The login is good but may not do this."""


class NotFound(ClientError):
    """There is no such thing, or it is not within reach of this login: nobody can tell which."""


class NotRecorded(NotFound):
    """There is such a call, and nothing was recorded of it."""


class _Later(ClientError):
    def __init__(self, message: str, *, code: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class NotReady(_Later):
    """The call still runs, or its file still grows."""


class Gone(ClientError):
    """It was here and was deleted by retention."""


class Unplayable(ClientError):
    """The stored sound cannot be decoded; the message holds the reason."""


class ServerUnavailable(_Later):
    """Nobody answers at this address, or the server says "not now"."""


class Unreachable(ServerUnavailable):
    """No connection could be made: wrong address, not started, or a certificate not trusted."""


class ServerFault(ServerUnavailable):
    """The server failed, and asking again will not help; its log knows why."""


class DeadlineExceeded(ClientError):
    """There was no time left to finish."""


class BrokenTransfer(ClientError):
    """What came is not what was announced.

    Args:
        message: One sentence for a person.
        what: ``length`` or ``hash``.
    """

    def __init__(self, message: str, *, what: str) -> None:
        super().__init__(message)
        self.what = what


class BadAnswer(ClientError):
    """An answer that does not keep to the contract: not a Callreel server, or something between."""


class NotSaved(ClientError):
    """The file cannot be written where it was asked for."""
