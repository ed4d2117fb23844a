"""Sockets inside a pod's network namespace.

setns(pod) ─ socket() ─ setns(back)      A socket stays in the namespace it was made in, whoever uses it.
"""

from __future__ import annotations

import ctypes
import os
import socket
from pathlib import Path

from meshtest.mesh.names import file_name

_CLONE_NEWNET = 0x40000000


class UnknownCaller(LookupError):  # noqa: N818 - `kind` of the error that goes back over the wire
    """Raised when the caller has no network namespace: no such pod runs."""


class Namespaces:
    """The pods' network namespaces, one file `NS_POD` each; without a folder it is always the current one."""

    def __init__(self, directory: str | None) -> None:
        self._directory = Path(directory) if directory else None
        self._open: dict[str, tuple[int, tuple[int, int]]] = {}
        self._own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC) if directory else -1
        self._libc = ctypes.CDLL(None, use_errno=True)  # os.setns is Python 3.12+

    def socket(self, caller: str, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
        """A new non-blocking IPv4 socket in the namespace of `ns/pod`."""
        namespace = self._namespace(caller)
        if namespace is None:
            made = socket.socket(socket.AF_INET, kind)
        else:
            self._enter(namespace)
            try:
                made = socket.socket(socket.AF_INET, kind)
            finally:
                self._enter(self._own)
        if kind is socket.SOCK_STREAM:  # asyncio does so only for sockets that name IPPROTO_TCP
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setblocking(False)  # noqa: FBT003 - positional-only
        return made

    def _namespace(self, caller: str) -> int | None:
        if self._directory is None:
            return None
        path = self._directory / file_name(caller)
        try:
            state = path.stat()
        except OSError:
            raise UnknownCaller(f"{caller} is not a running pod") from None
        inode = (state.st_dev, state.st_ino)
        fd, known = self._open.get(caller, (-1, (0, 0)))
        if known == inode:  # a pod that was started again has a new namespace under the old name
            return fd
        if fd >= 0:
            os.close(fd)
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._open[caller] = (fd, inode)
        return fd

    def _enter(self, fd: int) -> None:
        if self._libc.setns(fd, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"setns: {os.strerror(number)}")
