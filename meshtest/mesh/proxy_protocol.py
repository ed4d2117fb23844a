r"""The PROXY protocol as a load balancer writes it: who really connected, in front of what the connection carries.

"203.0.113.7:40000" ──► "PROXY TCP4 203.0.113.7 10.0.0.2 40000 80\r\n", or "v2 203.0.113.7" ──► version 2 in binary
(haproxy.org: proxy-protocol.txt).
"""

from __future__ import annotations

import ipaddress
import re
import struct

EXPECTED = "an address such as 203.0.113.7, 203.0.113.7:40000 or v2 203.0.113.7:40000"
PATTERN = r"^(v[12] )?(\d+(\.\d+){3}(:\d+)?|\[?[0-9a-fA-F:]*:[0-9a-fA-F:.]*(\]:\d+)?)$"
_WORDS = re.compile(
    r"(?:v(?P<version>[12]) )?"
    r"(?:(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[^:\[]+))(?::(?P<port>\d+))?|(?P<bare>[^:\[]*:[^\[]*:[^\[]*))"
)
_USUAL_PORT = 40000
_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_PROXIED, _TCP4, _TCP6 = 0x21, 0x11, 0x21


def header(source: str, destination: tuple[str, int]) -> bytes:
    """What stands in front of a connection from `source`, which raises ValueError if it says no address."""
    version, address, port = _parsed(source)
    to = ipaddress.ip_address(destination[0])
    if address.version != to.version:
        to = ipaddress.ip_address("::ffff:" + str(to)) if address.version == 6 else ipaddress.ip_address(0)
    if version == 1:
        return f"PROXY TCP{address.version} {address} {to} {port} {destination[1]}\r\n".encode()
    told = address.packed + to.packed + struct.pack("!HH", port, destination[1])
    family = _TCP4 if address.version == 4 else _TCP6
    return _SIGNATURE + struct.pack("!BBH", _PROXIED, family, len(told)) + told


def is_source(text: str) -> bool:
    """Whether a text says whom a connection is passed on for."""
    try:
        _parsed(text)
    except ValueError:
        return False
    return True


def address_of(source: str) -> str:
    """The address alone; empty for an empty text."""
    return str(_parsed(source)[1]) if source else ""


def _parsed(text: str) -> tuple[int, ipaddress.IPv4Address | ipaddress.IPv6Address, int]:
    found = _WORDS.fullmatch(text)
    if found is None:
        raise ValueError(text)
    port = int(found["port"] or _USUAL_PORT)
    if not 0 < port < 65536:
        raise ValueError(text)
    return int(found["version"] or 1), ipaddress.ip_address(found["v4"] or found["v6"] or found["bare"]), port
