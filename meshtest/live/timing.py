"""Things that are done at set times after the traffic began, in a thread of their own."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Event = tuple[float, "Callable[[], None]"]
"""Seconds after the start, and what is done then; events of one time are done in their order."""


class Clock:
    """Runs at most once. What failed stops the rest, and is raised by `stop`."""

    def __init__(self) -> None:
        self.began: float | None = None
        """Epoch seconds; None: not yet."""
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def start(self, at: float, events: Sequence[Event]) -> None:
        """Count from `at`, in epoch seconds."""
        self.began = at
        if events:
            ordered = sorted(events, key=lambda event: event[0])
            self._thread = threading.Thread(target=self._run, args=(at, ordered), name="meshtest-clock")
            self._thread.start()

    def stop(self) -> None:
        """Do nothing more; returns when what was under way is done. Idempotent."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        self.check()

    def check(self) -> None:
        """Raise what went wrong, once."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _run(self, at: float, events: Sequence[Event]) -> None:
        lag = time.monotonic() - time.time()  # later steps of the wall clock are no concern of ours
        try:
            for offset, act in events:
                if self._stopped.wait(max(0.0, at + lag + offset - time.monotonic())):
                    return
                act()
        except BaseException as exc:  # noqa: BLE001 - raised again in the thread that sends
            self._failure = exc
