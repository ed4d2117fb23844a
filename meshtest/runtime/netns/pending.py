"""Requests of pytest's process whose answer has to wait."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = dict[str, Any]
Request = dict[str, Any]
_NEVER = float("inf")


class Pending:
    """A request that waits: `done` gives the answer once there is one; `late` is called at the deadline."""

    def __init__(
        self,
        done: Callable[[], Answer | None],
        *,
        within: float = _NEVER,
        late: Callable[[], None] | None = None,
    ) -> None:
        self.ticket = 0
        self.deadline = time.monotonic() + within
        self._done = done
        self._late = late

    def poll(self) -> Answer | None:
        """Ask for the answer."""
        if self._late is not None and time.monotonic() >= self.deadline:
            late, self._late, self.deadline = self._late, None, _NEVER
            late()
        return self._done()
