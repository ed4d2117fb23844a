"""Which port a connection comes from: every port of a pod in turn.

The kernel would take the same one again for another address at once. A redirect makes both connections alike, so the
kernel would rename the second, and the sidecar's log would tell of a caller that nobody knows.
"""

from __future__ import annotations

import errno
import itertools
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

_RANGE = range(32768, 61000)
"""Linux's own, `net.ipv4.ip_local_port_range`."""
_TRIES = 64


class SourcePorts:
    """The turns of one process; each pod has its own."""

    def __init__(self) -> None:
        self._turns: dict[str, itertools.cycle[int]] = {}

    def bind(self, sock: socket.socket, caller: str) -> None:
        """Bind to the next free port of the pod; where none is found soon, leave the choice to the kernel."""
        turns = self._turns.get(caller) or self._turns.setdefault(caller, _from_anywhere())
        for port in itertools.islice(turns, _TRIES):
            try:
                sock.bind(("", port))
            except OSError as exc:
                if exc.errno != errno.EADDRINUSE:
                    raise
            else:
                return


def _from_anywhere() -> itertools.cycle[int]:
    start = random.randrange(len(_RANGE))  # noqa: S311 - no secret
    return itertools.cycle([*_RANGE[start:], *_RANGE[:start]])
