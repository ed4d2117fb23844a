"""One thread that reads the access logs of all sidecars of a sandbox to their very end."""

from __future__ import annotations

import os
import selectors
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_READ = 1 << 18
_KEY_SIZE = 1024


class AccessLogs:
    """Receives a descriptor per sidecar and hands on what comes out of it: `on_access(pod key, bytes)`.

    The supervisor holds the other end of every pipe, so they end when it does, after the last byte.
    """

    def __init__(self, descriptors: socket.socket, on_access: Callable[[str, bytes], None]) -> None:
        self._on_access = on_access
        self._selector = selectors.DefaultSelector()
        self._descriptors = descriptors
        self._selector.register(descriptors, selectors.EVENT_READ, self._receive)
        self._thread = threading.Thread(target=self._run, name="meshtest-access-logs", daemon=True)
        self._thread.start()

    def join(self, timeout: float) -> None:
        """Wait until everything has been read; the sandbox must have ended."""
        self._thread.join(timeout)

    def _run(self) -> None:
        while self._selector.get_map():
            for key, _ in self._selector.select():
                key.data()
        self._selector.close()

    def _receive(self) -> None:
        try:
            name, received, _, _ = socket.recv_fds(self._descriptors, _KEY_SIZE, 1)
        except OSError:
            name, received = b"", []
        if not received:
            self._selector.unregister(self._descriptors)
            self._descriptors.close()
            return
        pod, descriptor = name.decode(), received[0]
        self._selector.register(descriptor, selectors.EVENT_READ, lambda: self._read(pod, descriptor))

    def _read(self, pod: str, descriptor: int) -> None:
        found = os.read(descriptor, _READ)
        if found:
            self._on_access(pod, found)
            return
        self._selector.unregister(descriptor)
        os.close(descriptor)
