"""What the kernel knows of a pod's TCP connections, read where every pod has it, whatever programs its image has."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshtest import Mesh

_ESTABLISHED, _LISTENING = "01", "0A"
_KEEPALIVE = "02"
_TICKS = 100
"""Per second: USER_HZ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Socket:
    """One line of /proc/net/tcp (Linux: Documentation/networking/proc_net_tcp.rst)."""

    local: str
    """`ip:port`."""
    state: str
    keepalive: float | None
    """Seconds until the kernel asks whether the other end is there; None where it does not."""

    @property
    def port(self) -> int:
        """Its own port."""
        return int(self.local.rpartition(":")[2])


def established(mesh: Mesh, pod: str, port: int) -> list[Socket]:
    """The connections that a pod has from this port of its own."""
    return [one for one in _sockets(mesh, pod) if one.state == _ESTABLISHED and one.port == port]


def listening(mesh: Mesh, pod: str) -> set[str]:
    """Where somebody listens in a pod: `ip:port`."""
    return {one.local for one in _sockets(mesh, pod) if one.state == _LISTENING}


def _sockets(mesh: Mesh, pod: str) -> list[Socket]:
    found = mesh.execute(pod, ["cat", "/proc/net/tcp"])
    assert found.returncode == 0, found
    return [_socket(line.split()) for line in found.stdout.splitlines()[1:]]


def _socket(words: list[str]) -> Socket:
    address, _, port = words[1].partition(":")
    kind, _, ticks = words[5].partition(":")
    return Socket(
        local=f"{socket.inet_ntoa(struct.pack('=I', int(address, 16)))}:{int(port, 16)}",
        state=words[3],
        keepalive=int(ticks, 16) / _TICKS if kind == _KEEPALIVE else None,
    )
