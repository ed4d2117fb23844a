"""Plain TCP: who answers, then the echo of what was sent.

- tcp: the first bytes received are answered by one line of JSON, the description of the connection with
  `protocol: "TCP"` and `received` (how many first bytes), then by themselves; all others by themselves.
  Who only half-closes gets the line, too.
- server-first: greets with `meshtest workload=W pod=P namespace=NS` before a byte is received; then echoes.
"""

# ruff: noqa: D102 - asyncio's callbacks
from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.standin.base import Talk

if TYPE_CHECKING:
    import asyncio

    from meshtest.standin.service import Service


class Echo(Talk):
    """One connection."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._introduced = False

    def data_received(self, data: bytes) -> None:
        if not self._introduced:
            self._introduce(len(data))
        self._transport.write(data)

    def eof_received(self) -> None:
        if not self._introduced:
            self._introduce(0)

    def _introduce(self, received: int) -> None:
        self._introduced = True
        connection = self._service.connection(self._transport)
        if received:  # a probe only looks whether the port is open
            self._service.count(f"tcp:{connection.port}")
        self._transport.write(self._service.line(connection, protocol="TCP", received=received))


class ServerFirst(Echo):
    """A server that speaks first, as MySQL and SMTP do."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._introduce(0)

    def _introduce(self, received: int) -> None:  # noqa: ARG002 - nothing was received yet
        self._introduced = True
        config = self._service.config
        port = self._transport.get_extra_info("sockname")[1]
        self._service.count(f"tcp:{port}")
        greeting = f"meshtest workload={config.workload} pod={config.pod} namespace={config.namespace}\n"
        self._transport.write(greeting.encode())
