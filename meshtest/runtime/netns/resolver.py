"""The cluster's DNS: answers what the zone says, at once, and NXDOMAIN for everything else.

Runs as a role beside the router; the supervisor sends it `zone` frames, and `faults` frames for wrong answers. It
also plays the agents of pods that capture DNS: those are answered by names of their own first, except their Envoys,
whose questions pass the agent by; they have a port of their own.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import random
import selectors
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

import dnslib

from meshtest.mesh.addresses import PORT_PAST_AGENTS
from meshtest.runtime.netns.links import RESOLVER
from meshtest.runtime.netns.name_faults import NameFaults
from meshtest.runtime.netns.stream import FrameSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    ZoneOf = Callable[[str], "Zone"]

PORT = 53
_TTL = 5
_UDP_SIZE = 512
_LONGEST_CHAIN = 8
_CNAME = "CNAME "


class Zone:
    """What names mean; a pure function from question to answer but for the order of addresses."""

    def __init__(self, names: Mapping[str, Sequence[str]], rng: random.Random) -> None:
        self._names = names
        self._rng = rng

    def answer(self, question: dnslib.DNSRecord) -> dnslib.DNSRecord:
        """The whole reply to a question."""
        reply = question.reply()
        name = str(question.q.qname).rstrip(".").lower()
        values = self._find(name)
        if values is None:
            reply.header.rcode = dnslib.RCODE.NXDOMAIN
            return reply
        if question.q.qclass == dnslib.CLASS.IN and question.q.qtype in {dnslib.QTYPE.A, dnslib.QTYPE.ANY}:
            self._add(reply, name, _LONGEST_CHAIN)
        elif values and values[0].startswith(_CNAME):
            self._add(reply, name, 1)
        return reply

    def _find(self, name: str) -> Sequence[str] | None:
        """What stands there for the name itself, or for every name below one of its parents (`*.example.com`)."""
        values = self._names.get(name)
        parent = name
        while values is None and "." in parent:
            parent = parent.partition(".")[2]
            values = self._names.get(f"*.{parent}")
        return values

    def _add(self, reply: dnslib.DNSRecord, name: str, steps: int) -> None:
        values = list(self._find(name) or ())
        self._rng.shuffle(values)
        for value in values:
            if value.startswith(_CNAME):
                target = value.removeprefix(_CNAME).rstrip(".").lower()
                reply.add_answer(dnslib.RR(name, dnslib.QTYPE.CNAME, rdata=dnslib.CNAME(target), ttl=_TTL))
                if steps > 1:
                    self._add(reply, target, steps - 1)
            else:
                reply.add_answer(dnslib.RR(name, dnslib.QTYPE.A, rdata=dnslib.A(value), ttl=_TTL))


def respond(
    zone: Zone, raw: bytes, *, stream: bool, faults: NameFaults | None = None, source: str = ""
) -> tuple[bytes, float] | None:
    """The reply to a message as it came, and by how many seconds it is to be late; None to what is none."""
    try:
        question = dnslib.DNSRecord.parse(raw)
        if not question.questions:
            return None
    except dnslib.DNSError:
        return None
    reply = zone.answer(question)
    late = faults.apply(question, source, reply) if faults else 0.0
    packed: bytes = reply.pack()
    limit = max(
        [_UDP_SIZE, *(int(extra.edns_len) for extra in question.ar if extra.rtype == dnslib.QTYPE.OPT)]
    )
    if not stream and len(packed) > limit:
        packed = reply.truncate().pack()
    return packed, late


class Names:
    """The cluster's zone, and those of pods whose agents answer before it."""

    def __init__(self) -> None:
        self._rng = random.Random()  # noqa: S311 - spreads load, guards nothing
        self._agents: dict[str, Zone] = {}
        self.replace({}, {})

    def replace(
        self, zone: Mapping[str, Sequence[str]], agents: Mapping[str, Mapping[str, Sequence[str]]]
    ) -> None:
        """Answer by other names from now on; those of `agents` by the address of their pod."""
        self._zone = Zone(zone, self._rng)
        self._agents = {source: Zone({**zone, **names}, self._rng) for source, names in agents.items()}

    def of(self, source: str) -> Zone:
        """What an application at this address is answered by."""
        return self._agents.get(source, self._zone)

    def past_agents(self, _source: str) -> Zone:
        """What an Envoy is answered by."""
        return self._zone


class Server:
    """UDP and TCP on the resolver's address, and the supervisor's frames, in one loop."""

    def __init__(self, control: FrameSocket, host: str) -> None:
        self._control = control
        self._names = Names()
        self._faults = NameFaults()
        self._late: list[tuple[float, int, Callable[[], object]]] = []
        """When, a number to keep the order, and how a reply that has to wait goes out."""
        self._numbers = itertools.count()
        self._selector = selectors.DefaultSelector()
        self._open((host, PORT), self._names.of)
        self._open((host, PORT_PAST_AGENTS), self._names.past_agents)

    def _open(self, address: tuple[str, int], zone_of: ZoneOf) -> None:
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind(address)
        listener = socket.create_server(address, backlog=128)
        for sock in (datagrams, listener):
            sock.settimeout(0)
        self._on(datagrams, lambda: self._datagram(datagrams, zone_of))
        self._on(listener, lambda: self._accept(listener, zone_of))

    def serve(self) -> None:
        """Answer until the supervisor hangs up."""
        self._on(self._control.socket, lambda: None)
        while True:
            ready = self._selector.select(self._pause())
            # A new zone holds for every question that comes after the supervisor sent it.
            if not self._control.receive():
                return
            for frame in self._control.frames():
                self._obey(frame)
            for key, _ in ready:
                key.data()
            self._send_late()

    def _pause(self) -> float | None:
        return max(0.0, self._late[0][0] - time.monotonic()) if self._late else None

    def _send_late(self) -> None:
        while self._late and self._late[0][0] <= time.monotonic():
            self._send(heapq.heappop(self._late)[2])

    def _reply(self, reply: tuple[bytes, float] | None, send: Callable[[bytes], object]) -> None:
        if reply is None:
            return
        packed, late = reply
        if late:
            due = time.monotonic() + late
            heapq.heappush(self._late, (due, next(self._numbers), lambda: send(packed)))
        else:
            self._send(lambda: send(packed))

    def _send(self, act: Callable[[], object]) -> None:
        with contextlib.suppress(OSError):  # whoever asked has gone, or the network is faulty on purpose
            act()

    def _on(self, sock: socket.socket, act: Callable[[], None]) -> None:
        self._selector.register(sock, selectors.EVENT_READ, act)

    def _obey(self, frame: dict[str, Any]) -> None:
        if "zone" in frame:
            self._names.replace(frame["zone"], frame.get("agents", {}))
        if "faults" in frame:
            self._faults.replace(frame["faults"])
        self._control.send({"id": frame["id"], "hits": dict(self._faults.hits)})

    def _datagram(self, datagrams: socket.socket, zone_of: ZoneOf) -> None:
        try:
            raw, peer = datagrams.recvfrom(65535)
        except OSError:
            return  # an earlier reply that nobody wanted
        reply = respond(zone_of(peer[0]), raw, stream=False, faults=self._faults, source=peer[0])
        self._reply(reply, lambda packed: datagrams.sendto(packed, peer))

    def _accept(self, listener: socket.socket, zone_of: ZoneOf) -> None:
        sock, peer = listener.accept()
        sock.settimeout(0)
        buffer = bytearray()
        self._on(sock, lambda: self._stream(sock, peer[0], zone_of, buffer))

    def _stream(self, sock: socket.socket, source: str, zone_of: ZoneOf, buffer: bytearray) -> None:
        try:
            found = sock.recv(65535)
        except OSError:
            found = b""
        buffer += found
        while len(buffer) >= 2 and len(buffer) >= (end := 2 + struct.unpack_from(">H", buffer)[0]):
            raw = bytes(buffer[2:end])
            reply = respond(zone_of(source), raw, stream=True, faults=self._faults, source=source)
            del buffer[:end]
            self._reply(reply, lambda packed: sock.sendall(struct.pack(">H", len(packed)) + packed))
        if not found:
            self._selector.unregister(sock)
            sock.close()


def main(_: Mapping[str, Any], sock: socket.socket) -> int:
    """Serve until the supervisor hangs up."""
    Server(FrameSocket(sock), RESOLVER).serve()
    return 0
