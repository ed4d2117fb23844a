"""What became of one request, as the driver's protocols hand it on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from meshtest.traffic.model import Outcome

Headers = tuple[tuple[bytes, bytes], ...]


class Reply(NamedTuple):
    """The caller's side of an exchange; a NamedTuple, since one is made per request of a load."""

    outcome: Outcome
    status: int | None = None
    headers: Headers = ()
    body: bytes = b""
    protocol: str = ""
    error: str = ""
    local: str = ""
    remote: str = ""
    grpc_status: int | None = None
    trailers: Headers = ()
    messages: tuple[bytes, ...] = ()
    certificate: str = ""
    redirects: tuple[str, ...] = ()


class Failed(Exception):  # noqa: N818 - an outcome on its way up, caught where the Reply is made
    """Raised when a request cannot go on; never leaves the driver."""

    def __init__(self, outcome: Outcome, error: str, *, body: bytes = b"") -> None:
        self.outcome = outcome
        self.error = error
        self.body = body
        super().__init__(error)


class Trail:
    """What is known of the connection of a request while it is still under way."""

    __slots__ = ("certificate", "local", "protocol", "remote")

    def __init__(self) -> None:
        self.local = ""
        self.remote = ""
        self.protocol = ""
        self.certificate = ""

    def reply(self, outcome: Outcome, error: str = "", *, body: bytes = b"") -> Reply:
        """A reply that is not a response."""
        return Reply(
            outcome,
            body=body,
            protocol=self.protocol,
            error=error,
            local=self.local,
            remote=self.remote,
            certificate=self.certificate,
        )


def cause(exc: BaseException | None) -> str:
    """The text of the operating system or of OpenSSL, without Python's own."""
    if exc is None:
        return "closed by the peer"
    reason = getattr(exc, "reason", None)
    if isinstance(reason, str):  # ssl.SSLError
        why = str(getattr(exc, "verify_message", "")).rstrip(
            "."
        )  # of certificates: which of many reasons it was
        return f"{reason.replace('_', ' ').lower()}{f': {why}' if why else ''}"
    number = getattr(exc, "errno", None)
    return os.strerror(number) if number else str(exc) or type(exc).__name__
