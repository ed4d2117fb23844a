"""The cluster's DNS: answers what the zone says, at once, and NXDOMAIN for everything else.

Runs as a role beside the router; the supervisor sends it `zone` frames.
"""

from __future__ import annotations

import random
import selectors
import socket
import struct
from typing import TYPE_CHECKING, Any

import dnslib

from meshtest.runtime.netns.links import RESOLVER
from meshtest.runtime.netns.stream import FrameSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
        values = self._names.get(name)
        if values is None:
            reply.header.rcode = dnslib.RCODE.NXDOMAIN
            return reply
        if question.q.qclass == dnslib.CLASS.IN and question.q.qtype in {dnslib.QTYPE.A, dnslib.QTYPE.ANY}:
            self._add(reply, name, _LONGEST_CHAIN)
        elif values and values[0].startswith(_CNAME):
            self._add(reply, name, 1)
        return reply

    def _add(self, reply: dnslib.DNSRecord, name: str, steps: int) -> None:
        values = list(self._names.get(name, ()))
        self._rng.shuffle(values)
        for value in values:
            if value.startswith(_CNAME):
                target = value.removeprefix(_CNAME).rstrip(".").lower()
                reply.add_answer(dnslib.RR(name, dnslib.QTYPE.CNAME, rdata=dnslib.CNAME(target), ttl=_TTL))
                if steps > 1:
                    self._add(reply, target, steps - 1)
            else:
                reply.add_answer(dnslib.RR(name, dnslib.QTYPE.A, rdata=dnslib.A(value), ttl=_TTL))


def respond(zone: Zone, raw: bytes, *, stream: bool) -> bytes | None:
    """The reply to a message as it came; None to what is none."""
    try:
        question = dnslib.DNSRecord.parse(raw)
        if not question.questions:
            return None
    except dnslib.DNSError:
        return None
    reply = zone.answer(question)
    packed: bytes = reply.pack()
    limit = max(
        [_UDP_SIZE, *(int(extra.edns_len) for extra in question.ar if extra.rtype == dnslib.QTYPE.OPT)]
    )
    if not stream and len(packed) > limit:
        packed = reply.truncate().pack()
    return packed


class Server:
    """UDP and TCP on the resolver's address, and the supervisor's frames, in one loop."""

    def __init__(self, control: FrameSocket, address: tuple[str, int]) -> None:
        self._control = control
        self._zone = Zone({}, random.Random())  # noqa: S311 - spreads load, guards nothing
        self._selector = selectors.DefaultSelector()
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._datagrams.bind(address)
        self._listener = socket.create_server(address, backlog=128)
        for sock in (self._datagrams, self._listener):
            sock.settimeout(0)
        self._on(self._datagrams, self._datagram)
        self._on(self._listener, self._accept)

    def serve(self) -> None:
        """Answer until the supervisor hangs up."""
        self._on(self._control.socket, lambda: None)
        while True:
            ready = self._selector.select()
            # A new zone holds for every question that comes after the supervisor sent it.
            if not self._control.receive():
                return
            for frame in self._control.frames():
                self._obey(frame)
            for key, _ in ready:
                key.data()

    def _on(self, sock: socket.socket, act: Callable[[], None]) -> None:
        self._selector.register(sock, selectors.EVENT_READ, act)

    def _obey(self, frame: dict[str, Any]) -> None:
        self._zone = Zone(frame["zone"], random.Random())  # noqa: S311 - as above
        self._control.send({"id": frame["id"]})

    def _datagram(self) -> None:
        try:
            raw, peer = self._datagrams.recvfrom(65535)
        except OSError:
            return  # an earlier reply that nobody wanted
        reply = respond(self._zone, raw, stream=False)
        if reply is not None:
            self._datagrams.sendto(reply, peer)

    def _accept(self) -> None:
        sock, _ = self._listener.accept()
        sock.settimeout(0)
        buffer = bytearray()
        self._on(sock, lambda: self._stream(sock, buffer))

    def _stream(self, sock: socket.socket, buffer: bytearray) -> None:
        try:
            found = sock.recv(65535)
            buffer += found
            while len(buffer) >= 2 and len(buffer) >= (end := 2 + struct.unpack_from(">H", buffer)[0]):
                reply = respond(self._zone, bytes(buffer[2:end]), stream=True)
                del buffer[:end]
                if reply is not None:
                    sock.sendall(struct.pack(">H", len(reply)) + reply)
        except OSError:
            found = b""
        if not found:
            self._selector.unregister(sock)
            sock.close()


def main(_: Mapping[str, Any], sock: socket.socket) -> int:
    """Serve until the supervisor hangs up."""
    Server(FrameSocket(sock), (RESOLVER, PORT)).serve()
    return 0
