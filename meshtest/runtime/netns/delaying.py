"""Packets that come late: a netem queue at each end of a pod's link (uapi/linux/pkt_sched.h, rtnetlink.h).

    pod: eth0 [netem] ──► router        what leaves the pod
    pod: eth0 ◄── [netem] veth: router  what comes to it

A queue holds up what is sent through its device, so each way has its own; loopback has none.
"""

from __future__ import annotations

import struct

from meshtest.runtime.netns import netlink
from meshtest.runtime.netns.netlink import Message, attribute, attributes, text

_NEW, _DELETE, _GET = 36, 37, 38
_ROOT = 0xFFFFFFFF
_HEADER = struct.Struct("=BxxxiIII")
_KIND, _OPTIONS, _STATISTICS = 1, 2, 7
_BASIC = 1
_LATENCY, _JITTER = 10, 11
_LIMIT = 100_000
"""Packets that are held up at once; more would be lost, which is another fault."""
_NANO = 1_000_000_000


def queue(device: int, delay: float, jitter: float) -> Message:
    """Hold up what is sent through a device, by seconds."""
    # latency, limit, loss, gap, duplicate, jitter; both times are given in nanoseconds below instead of in ticks
    options = struct.pack("=6I", 0, _LIMIT, 0, 0, 0, 0)
    options += attribute(_LATENCY, struct.pack("=q", round(delay * _NANO)))
    options += attribute(_JITTER, struct.pack("=q", round(jitter * _NANO)))
    body = _header(device) + text(_KIND, "netem") + attribute(_OPTIONS, options)
    return Message(_NEW, netlink.CREATE | netlink.EXCLUSIVE, body, "netem")


def removal(device: int) -> Message:
    """Take the queue away; what it holds is lost."""
    return Message(_DELETE, 0, _header(device), "netem's removal")


def held_up(device: int) -> int:
    """How many packets the queue of a device of this network namespace has let go."""
    with netlink.Netlink(netlink.ROUTE) as route:
        return sum(packets(body, device) for body in route.dump(_listing()))


def packets(body: bytes, device: int) -> int:
    """How many packets, if this is what the kernel tells of a device's netem."""
    found = dict(attributes(body[_HEADER.size :]))
    if _HEADER.unpack_from(body)[1] != device or found.get(_KIND, b"").rstrip(b"\0") != b"netem":
        return 0
    basic = dict(attributes(found.get(_STATISTICS, b""))).get(_BASIC, b"")
    return int(struct.unpack_from("=QI", basic)[1]) if basic else 0


def _listing() -> Message:
    return Message(_GET, netlink.DUMP, _header(0, 0), "queues")


def _header(device: int, parent: int = _ROOT) -> bytes:
    return _HEADER.pack(0, device, 0, parent, 0)
