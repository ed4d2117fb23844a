"""Request ids that name an exchange and are UUIDs as well: Envoy samples traces by them, and only by UUIDs. Pure.

    mt-RRRRRR-N  <->  mixed N - RRRR - tRR0 - ad74 - N      in hexadecimal; `t` is Envoy's: whether the trace is sampled

Envoy takes the first eight digits modulo 10000 for its dice (source/extensions/request_id/uuid).
"""

from __future__ import annotations

import re

_EXCHANGE = re.compile(r"mt-([0-9a-f]{4})([0-9a-f]{2})-(\d+)")
_REQUEST = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4})-[0-9a-f]([0-9a-f]{2})0-ad74-([0-9a-f]{12})")
_GOLDEN = 0x9E3779B1
"""Knuth's multiplicative hash: neighbours come to lie far apart, and evenly."""


def request_id(exchange: str) -> str:
    """The request id of an exchange; a name that is not the driver's own stays as it is."""
    found = _EXCHANGE.fullmatch(exchange)
    if found is None:
        return exchange
    number = int(found[3])
    mixed = (number * _GOLDEN ^ int(found[1], 16) << 16) & 0xFFFFFFFF
    return f"{mixed:08x}-{found[1]}-4{found[2]}0-ad74-{number:012x}"


def exchange_of(identity: str) -> str:
    """The exchange that a request id names; any other id is its own name."""
    found = _REQUEST.fullmatch(identity)
    return f"mt-{found[1]}{found[2]}-{int(found[3], 16)}" if found else identity
