"""What the resolver answers instead of the truth: for some names, to some pods, sooner or later."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import dnslib

if TYPE_CHECKING:
    from collections.abc import Sequence

_TTL = 0
"""A wrong answer is not to be remembered beyond its fault."""


class NameFaults:
    """The faults in force, in the order of their injection, and how many queries each has met."""

    def __init__(self) -> None:
        self.hits: Counter[str] = Counter()
        self._faults: Sequence[dict[str, Any]] = ()

    def replace(self, faults: Sequence[dict[str, Any]]) -> None:
        """Have exactly these, each with its `id` and the fields of `meshtest.runtime.base.NameFault`."""
        known = {fault["id"] for fault in self._faults}
        for fault in faults:
            if fault["id"] not in known:
                self.hits[fault["id"]] = 0
        self._faults = tuple(faults)

    def apply(self, question: dnslib.DNSRecord, source: str, reply: dnslib.DNSRecord) -> float:
        """Spoil a reply to `source` where a fault says so; returns the seconds by which it is to be late.

        Delays add up; of several wrong answers the one that was injected last lies on top.
        """
        name = str(question.q.qname).rstrip(".").lower()
        met = [fault for fault in self._faults if _meets(fault, name, source)]
        wrong = [fault for fault in met if fault["code"] or fault["addresses"]]
        if wrong:
            _spoil(reply, question, wrong[-1])
        self.hits.update(fault["id"] for fault in met if fault["delay"] or fault is wrong[-1])
        return float(sum(fault["delay"] for fault in met))


def _meets(fault: dict[str, Any], name: str, source: str) -> bool:
    if fault["sources"] and source not in fault["sources"]:
        return False
    return any(name == wanted or name.endswith(f".{wanted}") for wanted in fault["names"])


def _spoil(reply: dnslib.DNSRecord, question: dnslib.DNSRecord, fault: dict[str, Any]) -> None:
    reply.rr.clear()
    reply.header.rcode = getattr(dnslib.RCODE, fault["code"] or "NOERROR")
    if question.q.qtype in {dnslib.QTYPE.A, dnslib.QTYPE.ANY}:
        for address in fault["addresses"]:
            record = dnslib.RR(question.q.qname, dnslib.QTYPE.A, rdata=dnslib.A(address), ttl=_TTL)
            reply.add_answer(record)
