"""The supervisor's loop: waits for requests, for children and for what they write."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

from meshtest.runtime.netns.operations import Operations
from meshtest.runtime.netns.table import Refused

if TYPE_CHECKING:
    from typing import NoReturn

    from meshtest.runtime.netns.pending import Pending
    from meshtest.runtime.netns.processes import Output
    from meshtest.runtime.netns.site import Site
    from meshtest.runtime.netns.stream import FrameSocket

_POLL = 0.002


class Loop:
    """Waits for requests, for children and for what they write."""

    def __init__(self, control: FrameSocket, launcher: int, site: Site) -> None:
        self._control = control
        self._site = site
        self._operations = Operations(site)
        self._pending: list[Pending] = []
        self._selector = selectors.DefaultSelector()
        self._selector.register(control.socket, selectors.EVENT_READ, self._requests)
        self._selector.register(launcher, selectors.EVENT_READ, lambda: os._exit(1))
        self._listen_for_children()
        site.table.watch = self._watch
        site.watch_resolver = self._watch_resolver

    def serve(self, first: dict[str, Any]) -> NoReturn:
        """Run until the control socket ends; `first` is the request that came before there was a loop."""
        self._reap()  # whoever ended before this loop heard of its children
        self._begin(first)
        while True:
            events = self._selector.select(self._timeout())
            for key, _ in events:
                key.data()
            self._site.advance()
            self._answer_pending()

    def _timeout(self) -> float | None:
        if self._site.polls:
            return _POLL
        nearest = min((pending.deadline for pending in self._pending), default=float("inf"))
        return None if nearest == float("inf") else max(0.0, nearest - time.monotonic())

    def _listen_for_children(self) -> None:
        receiver, sender = socket.socketpair()
        for sock in (receiver, sender):
            sock.settimeout(0)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        self._wakeup = sender
        self._selector.register(receiver, selectors.EVENT_READ, lambda: self._hear(receiver))

    def _hear(self, receiver: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            receiver.recv(4096)
        self._reap()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            ended = self._site.ended(pid, status)
            if ended is not None:
                self._control.send({"event": "ended", "process": ended.name, "report": ended.report()})

    def _watch(self, output: Output) -> None:
        self._selector.register(output.descriptor, selectors.EVENT_READ, lambda: self._drain(output))

    def _drain(self, output: Output) -> None:
        output.read()
        if output.ended:
            self._selector.unregister(output.descriptor)
            os.close(output.descriptor)

    def _watch_resolver(self, resolver: FrameSocket) -> None:
        self._selector.register(resolver.socket, selectors.EVENT_READ, lambda: self._zone_known(resolver))

    def _zone_known(self, resolver: FrameSocket) -> None:
        if not resolver.receive():
            self._selector.unregister(resolver.socket)
        for frame in resolver.frames():
            self._site.zone_known(frame["id"], frame["hits"])

    def _requests(self) -> None:
        if not self._control.receive():
            os._exit(0)
        for frame in self._control.frames():
            self._begin(frame)

    def _begin(self, frame: dict[str, Any]) -> None:
        try:
            pending = self._operations.begin(frame)
        except Exception as exc:  # noqa: BLE001 - pytest's process raises it
            self._refuse(frame["id"], exc)
            return
        pending.ticket = frame["id"]
        self._pending.append(pending)

    def _answer_pending(self) -> None:
        waiting = []
        for pending in self._pending:
            try:
                answer = pending.poll()
            except Exception as exc:  # noqa: BLE001 - as above
                self._refuse(pending.ticket, exc)
                continue
            if answer is None:
                waiting.append(pending)
            else:
                self._control.send({"id": pending.ticket, **answer})
        self._pending = waiting

    def _refuse(self, ticket: int, exc: Exception) -> None:
        text = str(exc) if isinstance(exc, Refused) else f"{type(exc).__name__}: {exc}"
        self._control.send({"id": ticket, "error": {"kind": type(exc).__name__, "message": text}})
