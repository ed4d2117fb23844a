"""Plays a server of keys (JWKS): whatever is asked for, the key set comes; `?delay=1s` and `/status/503` work, too.

OpenID's discovery of an issuer leads to it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from meshtest.standin.service import Service

if TYPE_CHECKING:
    from meshtest.standin.facts import Decision, Received


_DISCOVERY = "/.well-known/openid-configuration"


class KeySetServer(Service):
    """Notes who asked."""

    def describe(self, received: Received, decision: Decision) -> bytes:
        """The key set itself."""
        self.notes.append(
            {"path": received.path, "host": received.host, "peer": received.connection.peer,
             "status": decision.status}
        )  # fmt: skip
        if received.path.partition("?")[0].endswith(_DISCOVERY):
            return json.dumps(_provider(received)).encode()
        return self.config.key_set.encode()


def _provider(received: Received) -> dict[str, str]:
    """What OpenID Connect Discovery says of a provider, as far as its keys need it."""
    scheme = "https" if received.connection.facts.get("sni") is not None else "http"
    issuer = f"{scheme}://{received.host}{received.path.partition(_DISCOVERY)[0]}"
    return {"issuer": issuer, "jwks_uri": f"{issuer}/keys"}
