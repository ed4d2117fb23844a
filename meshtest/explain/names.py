"""What a host name means to a pod, without asking the resolver."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshtest.mesh.model import MeshModel

_LONGEST_CHAIN = 8


def addresses(model: MeshModel, namespace: str, host: str) -> tuple[str, ...]:
    """Every address that a pod of this namespace may get for a host; none where it does not resolve."""
    from meshtest.traffic.resolve import candidates  # noqa: PLC0415 - asyncio comes with it

    if is_address(host):
        return (host,)
    if host.lower().rstrip(".") == "localhost":
        return ("127.0.0.1",)
    for name in candidates(host, namespace):
        found = in_zone(model, name)
        if found:
            return found
    return ()


def in_zone(model: MeshModel, name: str) -> tuple[str, ...]:
    """The addresses of a full name."""
    for _ in range(_LONGEST_CHAIN):
        values = model.zone.get(name.lower().rstrip("."), ())
        alias = next((value for value in values if value.startswith("CNAME ")), None)
        if alias is None:
            return tuple(values)
        name = alias.removeprefix("CNAME ")
    return ()


def is_address(host: str) -> bool:
    """Whether it is an address rather than a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
