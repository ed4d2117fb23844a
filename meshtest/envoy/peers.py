"""Who has, or just had, a connection with a pod: the kernel's list of its network namespace.

It shows what was closed for a minute more (TIME_WAIT at the end that closed first), which is what is looked for: an
Envoy that drained a filter chain has closed connections, and whoever pooled them shall have noticed.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_REMOTE = 2
_PROC = Path("/proc")


def peers(process: int | None) -> frozenset[str] | None:
    """The addresses at the other ends, by one process in the namespace; None where it is out of sight (containers)."""
    if not process:
        return None
    try:
        lines = (_PROC / str(process) / "net" / "tcp").read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return None
    return frozenset(_address(line.split()[_REMOTE]) for line in lines)


def among(nodes: Iterable[str], seen: Iterable[frozenset[str] | None]) -> set[str]:
    """Those of the nodes (`sidecar~IP~...`) that were seen; all of them where somebody could not see."""
    views = list(seen)
    if None in views:
        return set(nodes)
    addresses = {address for view in views if view for address in view}
    return {node for node in nodes if node.split("~")[1] in addresses}


def _address(place: str) -> str:
    """`0100007F:1F90` is 127.0.0.1, port 8080: the number as this machine keeps it in memory."""
    number = bytes.fromhex(place.partition(":")[0])
    return str(ipaddress.IPv4Address(number[::-1]))
