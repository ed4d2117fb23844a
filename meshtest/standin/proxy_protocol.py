r"""The PROXY protocol in front of whatever a port speaks: who really connected, told by who passes the connection on.

"PROXY TCP4 10.0.0.1 10.0.0.2 40000 443\r\n", or version 2 in binary (haproxy.org: proxy-protocol.txt). What does not
begin so is closed, as HAProxy and nginx do.
"""

# ruff: noqa: D102 - asyncio's callbacks
from __future__ import annotations

import ipaddress
import struct
from typing import TYPE_CHECKING, Any

from meshtest.standin.base import Talk

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from meshtest.standin.service import Service

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_TEXT = b"PROXY "
_LONGEST_TEXT = 107
_HEAD = 16
_ADDRESSES = {0x1: 4, 0x2: 16}
"""Address family of version 2 -> bytes of an address."""


class Malformed(ValueError):  # noqa: N818 - says what the bytes are
    """Raised when a connection does not begin with the PROXY protocol."""


def parse(data: bytes) -> tuple[dict[str, Any], int] | None:
    """What a header says, and its length; None while it is not whole."""
    if data.startswith(SIGNATURE[: len(data)]):
        return _binary(data)
    if data.startswith(_TEXT[: len(data)]):
        return _text(data)
    raise Malformed


def _text(data: bytes) -> tuple[dict[str, Any], int] | None:
    line, end, _ = data[:_LONGEST_TEXT].partition(b"\r\n")
    if not end:
        if len(data) >= _LONGEST_TEXT:
            raise Malformed
        return None
    words = line.decode("latin-1").split(" ")
    told: dict[str, Any] = {"version": 1}
    if len(words) == 6 and words[1] in {"TCP4", "TCP6"}:
        told |= {"source": f"{words[2]}:{words[4]}", "destination": f"{words[3]}:{words[5]}"}
    elif words[1] != "UNKNOWN":
        raise Malformed
    return told, len(line) + 2


def _binary(data: bytes) -> tuple[dict[str, Any], int] | None:
    if len(data) < _HEAD:
        return None
    command, family, length = struct.unpack_from(">BBH", data, len(SIGNATURE))
    if command >> 4 != 2:
        raise Malformed
    if len(data) < _HEAD + length:
        return None
    told: dict[str, Any] = {"version": 2}
    size = _ADDRESSES.get(family >> 4, 0)
    if command & 0xF and size and length >= 2 * size + 4:
        places = [ipaddress.ip_address(data[start : start + size]) for start in (_HEAD, _HEAD + size)]
        ports = struct.unpack_from(">HH", data, _HEAD + 2 * size)
        told |= {
            name: f"{place}:{port}"
            for name, place, port in zip(("source", "destination"), places, ports, strict=True)
        }
    return told, _HEAD + length


class ProxyHeader(Talk):
    """The beginning of a connection; the rest is `inside`'s."""

    def __init__(self, service: Service, inside: Callable[[], asyncio.Protocol]) -> None:
        super().__init__(service)
        self._inside = inside
        self._data = b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        try:
            found = parse(self._data)
        except Malformed:
            self._transport.close()
            return
        if found is not None:
            told, length = found
            self._service.proxied[self._transport.get_extra_info("peername")] = told
            self._become(self._inside(), self._data[length:])
