"""Faults of names: the cluster's DNS answers wrongly, late, or not at all."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshtest.scenario.fields import Shape, key, list_of, record, shown
from meshtest.scenario.scalars import boolean, duration, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.scenario.fields import Spot


@dataclass(frozen=True, slots=True, kw_only=True)
class Dns:
    """`dns: {nxdomain: true}`, `{servfail: true}`, `{address: 10.0.0.9}`, `{delay: 2s}` or a wrong one with a delay.

    The names are those of the Services of `to:`, and those of `host`.
    """

    nxdomain: bool = False
    servfail: bool = False
    address: tuple[str, ...] = ()
    delay: float = 0.0
    host: tuple[str, ...] = ()
    """Full names; names below them are meant too."""


def _one_answer(dns: Dns, spot: Spot) -> None:
    answers = [dns.nxdomain, dns.servfail, bool(dns.address)]
    if sum(answers) > 1:
        raise spot.error("several answers stand here", expected="one of nxdomain, servfail and address")
    if not any(answers) and not dns.delay:
        raise spot.error("no fault stands here", expected="nxdomain, servfail, address or delay")


def _address() -> Shape[str]:
    expected = "an IPv4 address such as 10.0.0.9"

    def read(value: Any, spot: Spot) -> str:
        try:
            return str(ipaddress.IPv4Address(value if isinstance(value, str) else ""))
        except ValueError:
            raise spot.error(f"{shown(value)} is no IPv4 address", expected=expected) from None

    return Shape(expected=expected, read=read, schema={"type": "string", "format": "ipv4"})


NAME_FAULTS: Mapping[str, Shape[Any]] = {
    "dns": record(
        Dns,
        {
            "nxdomain": key("nxdomain", boolean()),
            "servfail": key("servfail", boolean()),
            "address": key("address", list_of(_address())),
            "delay": key("delay", duration()),
            "host": key("host", list_of(text("a DNS name such as api.example.com"))),
        },
        verify=_one_answer,
    ),
}
