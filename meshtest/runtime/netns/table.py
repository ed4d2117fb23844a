"""The processes of a sandbox and how far each has come."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from meshtest.runtime.netns.processes import Output, Process
    from meshtest.runtime.netns.starting import Probe


class Refused(Exception):  # noqa: N818 - never seen outside: it becomes the `error` of an answer
    """Raised when a request cannot be fulfilled; its text is meant for people."""


class ProcessTable:
    """Every child of the supervisor that still runs, and what those that are not ready yet are asked."""

    def __init__(self) -> None:
        self.watch: Callable[[Output], None] = lambda _: None
        self._running: dict[int, Process] = {}
        self._probes: list[tuple[Process, Probe]] = []

    def add(self, process: Process, probe: Probe | None = None) -> Process:
        """Take a process in; without a probe it is ready because it runs."""
        self._running[process.pid] = process
        for output in process.outputs:
            self.watch(output)
        if probe is not None:
            process.ready, process.lacking = False, probe.lacking
            self._probes.append((process, probe))
        return process

    def ended(self, pid: int, status: int) -> Process | None:
        """Note the end of a child; None for an orphan that only PID 1 was left to collect."""
        process = self._running.pop(pid, None)
        if process is not None:
            process.status = status
        return process

    @property
    def polls(self) -> bool:
        """Whether somebody has to be asked again soon."""
        return bool(self._probes)

    def advance(self) -> None:
        """Ask whoever is not ready yet."""
        waiting = []
        for process, probe in self._probes:
            process.ready = process.status is None and probe.ready()
            if process.ready or process.status is not None:
                probe.close()
            else:
                waiting.append((process, probe))
        self._probes = waiting


def all_ready(processes: Collection[Process]) -> bool:
    """Whether all are; one that ended instead is an error that shows its last lines."""
    for process in processes:
        if process.status is not None:
            raise Refused(process.report())
    return all(process.ready for process in processes)
