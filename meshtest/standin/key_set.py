"""Plays a server of keys (JWKS): whatever is asked for, the key set comes; `?delay=1s` and `/status/503` work, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.standin.service import Service

if TYPE_CHECKING:
    from meshtest.standin.facts import Decision, Received


class KeySetServer(Service):
    """Notes who asked."""

    def describe(self, received: Received, decision: Decision) -> bytes:
        """The key set itself."""
        self.notes.append(
            {"path": received.path, "host": received.host, "peer": received.connection.peer,
             "status": decision.status}
        )  # fmt: skip
        return self.config.key_set.encode()
