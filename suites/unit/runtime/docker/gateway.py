"""A Docker daemon somewhere else, for tests: TCP on loopback before the real one's socket, with troubles to order.

    meshtest ── tcp://127.0.0.1:port ──► Gateway ──► the daemon's socket

Nothing of this machine can be mounted through it that the daemon would not have there, as with any remote daemon.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_REQUEST = re.compile(rb"(GET|POST|PUT|DELETE|HEAD) (\S+) HTTP/1\.1\r\n")


@dataclass
class Trouble:
    """What the daemon answers instead of doing it, from the `after`-th such request on."""

    request: str
    status: int
    message: str
    after: int = 0
    seen: int = 0


@dataclass
class Gateway:
    """Carries connections until it is cut."""

    path: str
    troubles: list[Trouble] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    until: Callable[[list[str]], bool] = lambda _: False
    """Whether the daemon ends now, by what it was asked so far."""

    def __post_init__(self) -> None:
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def order(self, request: str, status: int, message: str, *, after: int = 0) -> None:
        """Have a kind of request fail."""
        self.troubles.append(Trouble(request, status, message, after))

    def cut(self) -> None:
        """From now on there is no daemon."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        with self._lock:
            open_, self._open = self._open, set()
        for one in open_:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                daemon = socket.socket(socket.AF_UNIX)
                daemon.connect(self.path)
                with self._lock:
                    self._open |= {client, daemon}
                threading.Thread(target=self._carry, args=(client, daemon, True), daemon=True).start()
                threading.Thread(target=self._carry, args=(daemon, client, False), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, outward: bool) -> None:  # noqa: FBT001 - a thread's
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                refused = self._refusal(data) if outward else None
                if refused is not None:
                    source.sendall(refused)
                    break
                sink.sendall(data)
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)
        if outward:
            return
        for one in (source, sink):
            with self._lock:
                self._open.discard(one)
            one.close()

    def _refusal(self, data: bytes) -> bytes | None:
        head = _REQUEST.match(data)
        if head is None:
            return None
        asked = f"{head[1].decode()} {head[2].decode()}"
        self.requests.append(asked)
        if self.until(self.requests):
            self.cut()
        for trouble in self.troubles:
            if re.search(trouble.request, asked):
                trouble.seen += 1
                if trouble.seen > trouble.after:
                    body = json.dumps({"message": trouble.message}).encode()
                    start = f"HTTP/1.1 {trouble.status} Trouble\r\nContent-Type: application/json\r\n"
                    return f"{start}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        return None
