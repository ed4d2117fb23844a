"""Readiness probes of users' applications: a pod gets traffic only while its probe succeeds, as in a cluster.

    probe ─ every period, from inside the pod ─► so many in a row ─► ready or not ─► the mesh's endpoints

As the kubelet has it: nobody is ready before its first success, a startup probe comes first, and who is not ready may
be probed more often than every period.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshtest.errors import RuntimeFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from meshtest.mesh.model import Pod
    from meshtest.mesh.probes import Probe

    Probed = tuple[Pod, Probe | None, Probe | None]
    """A pod, its readiness and its startup probe."""

_IMPATIENT = 0.2
"""Seconds between probes of who is not ready, at most."""
_AT_ONCE = 8


@dataclass(slots=True, kw_only=True)
class _Watched:
    """One pod, and what its probes said."""

    pod: Pod
    readiness: Probe | None
    startup: Probe | None
    due: float
    ready: bool = False
    busy: bool = False
    in_row: int = 0
    """So many results like the last one."""
    succeeded: bool = False
    said: str = "not probed yet"

    @property
    def probe(self) -> Probe:
        """The one whose turn it is."""
        found = self.startup or self.readiness
        assert found is not None  # noqa: S101 - else nobody watches it
        return found

    def note(self, problem: str, now: float) -> None:
        """Take a result: what is wrong, or nothing."""
        probe, well = self.probe, not problem
        self.in_row = self.in_row + 1 if well == self.succeeded else 1
        self.succeeded, self.said, self.busy = well, problem, False
        if well and self.in_row >= probe.successes and self.startup is not None:
            self.startup, self.in_row, self.succeeded = None, 0, False
            self.ready = self.readiness is None
            self.due = now
            return
        if well and self.in_row >= probe.successes:
            self.ready = True
        elif not well and self.in_row >= probe.failures:
            self.ready = False
        self.due = now + (probe.period if self.ready else min(probe.period, _IMPATIENT))

    @property
    def over(self) -> bool:
        """Whether nothing is left to ask."""
        return self.startup is None and self.readiness is None

    def words(self) -> str:
        """What keeps it from being ready."""
        name = "startup" if self.startup is not None else "readiness"
        return f"{self.pod.key}: its {name} probe ({self.probe.words}) fails: {self.said}"


class Readiness:
    """The probes of one mesh. `tell` is called when other pods are ready than those that the mesh was built with."""

    def __init__(self, ask: Callable[[Pod, Probe], str], tell: Callable[[], None]) -> None:
        self.flips = 0
        """How many times it was called."""
        self._ask = ask
        self._tell = tell
        self._told: frozenset[str] = frozenset()
        """Who is not ready, as the mesh knows it."""
        self._watched: dict[str, _Watched] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._pool: ThreadPoolExecutor | None = None

    def not_ready(self, probed: Iterable[Probed]) -> frozenset[str]:
        """Which of these pods are not ready: whoever is not known to be."""
        with self._changed:
            return frozenset(
                pod.key
                for pod, *_ in probed
                if (known := self._watched.get(pod.key)) is None
                or not pod.goes_on(known.pod)
                or not known.ready
            )

    def watch(self, probed: Mapping[str, Probed]) -> None:
        """Probe exactly these from now on; the pods bear what the mesh knows of them."""
        now = time.monotonic()
        with self._changed:
            self._told = frozenset(key for key, (pod, *_) in probed.items() if not pod.ready)
            before, self._watched = self._watched, {}
            for key, (pod, readiness, startup) in probed.items():
                first = startup or readiness
                delay = first.initial_delay if first else 0.0
                known = before.get(key)
                self._watched[key] = (
                    known
                    if known is not None and pod.goes_on(known.pod)
                    else _Watched(pod=pod, readiness=readiness, startup=startup, due=now + delay)
                )
            self._changed.notify_all()
        if probed and self._thread is None:
            self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="meshtest-probe")
            self._thread = threading.Thread(target=self._run, name="meshtest-readiness", daemon=True)
            self._thread.start()

    def wait(self, keys: Iterable[str], timeout: float) -> None:
        """Return when these are ready, and the mesh knows; raises RuntimeFailure with what keeps them from it."""
        wanted = set(keys)
        with self._changed:
            late = [one for key in wanted if (one := self._watched.get(key))]
            patience = timeout + max((one.probe.initial_delay for one in late if not one.over), default=0.0)
            done = self._changed.wait_for(
                lambda: self._failure is not None or not wanted & (self._told & self._watched.keys()),
                patience,
            )
            words = [one.words() for one in late if not one.ready]
        self.check()
        if not done:
            raise RuntimeFailure("\n".join([f"after {patience:g} s: not ready:", *words]))

    def check(self) -> None:
        """Raise what went wrong while the mesh was told, once."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Probe nobody any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                stale = self._failure is None and self._stale()
                if not stale:
                    self._changed.wait(self._begin_due())
            if stale:
                self._let_know()

    def _begin_due(self) -> float | None:
        """Begin the probes whose time has come; seconds to the next one."""
        now = time.monotonic()
        waiting = [one for one in self._watched.values() if not one.busy and not one.over]
        for one in waiting:
            if one.due <= now:
                one.busy = True
                self._submit(one)
        return min((one.due - now for one in waiting if not one.busy), default=None)

    def _stale(self) -> bool:
        """Whether the mesh knows something else than the probes say."""
        return self._told != frozenset(key for key, one in self._watched.items() if not one.ready)

    def _let_know(self) -> None:
        try:
            self._tell()
        except BaseException as exc:  # noqa: BLE001 - raised again in the thread that uses the mesh
            self._failure = exc
        with self._changed:
            self.flips += 1
            self._changed.notify_all()

    def _submit(self, one: _Watched) -> None:
        assert self._pool is not None  # noqa: S101 - made with the thread that submits
        self._pool.submit(self._probe, one)

    def _probe(self, one: _Watched) -> None:
        try:
            problem = self._ask(one.pod, one.probe)
        except RuntimeFailure as exc:
            problem = str(exc)
        except BaseException as exc:  # noqa: BLE001 - raised again in the thread that uses the mesh
            problem, self._failure = str(exc), exc
        with self._changed:
            one.note(problem, time.monotonic())
            self._changed.notify_all()
