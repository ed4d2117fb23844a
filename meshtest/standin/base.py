"""What all protocols of the stand-in share: a transport, and being known to the service while it is open."""

# ruff: noqa: D102 - asyncio's callbacks
from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshtest.standin.service import Service


class Talk(asyncio.Protocol):
    """The server's side of one connection; what the client does not take stops the reading of more."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport
        self._service.transports.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._service.transports.discard(self._transport)

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def _become(self, protocol: asyncio.Protocol, data: bytes) -> None:
        """Hand the connection over, with what was read already."""
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        if data:
            protocol.data_received(data)
