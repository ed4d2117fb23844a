"""The stand-in itself, apart from any protocol: it decides how a request is answered and describes it.

    protocol ──Received──► decide ──Decision──► describe ──JSON──► protocol
                             │ (at once, or after delays and calls to others)

A description is one JSON object: `workload`, `namespace`, `pod`, `identity`, `peer` (address), `port`; of
TLS `sni`, `alpn`, `tlsVersion`, `clientCertificate`; `proxyProtocol` (`version`, `source`, `destination`);
of the request `method`, `path`, `host`, `protocol`, `headers`, `peerIdentity`, `attempt`, `body` (base64)
and `bodySize` if it has one; `calls` if it calls others.

From inside the pod (127.0.0.1 exactly), GET /_meshtest/calls answers `{"total", "paths"}`, GET
/_meshtest/received the last 1,000 requests, or what else was noted, and POST /_meshtest/reset forgets both.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshtest.standin.config import Config, Plays
from meshtest.standin.control import (
    CONTROL_HEADER,
    SET_HEADER,
    BadControl,
    Failures,
    Wish,
    read_wish,
    set_headers,
)
from meshtest.standin.facts import TLS_FACTS, Connection, Decision, Received, TlsFacts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

    Caller = Callable[[Mapping[str, Sequence[str]]], Awaitable[tuple[list[dict[str, Any]], bool]]]

KEPT_BODY = 1 << 20
"""Longer bodies are described by their length and their first bytes."""

_PLAIN = Decision()
_ELEMENTS = re.compile(r'(?:[^,"]|"(?:\\.|[^"\\])*")+')
_PAIRS = re.compile(r'(\w+)=("(?:\\.|[^"\\])*"|[^;]*)')
_PATHS = 10_000
_NOTES = 100_000
_REQUESTS = 1_000
_NOTED_BODY = 1 << 12
_IDENTITIES = 1_000


class Service:
    """One stand-in: who it is, what it counted, whom it calls.

    Args:
        call: calls all others with the headers to pass on; their reports, and whether all required answered.
    """

    def __init__(self, config: Config, call: Caller | None = None) -> None:
        self.config = config
        self._call = call
        self._failures = Failures()
        self._encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
        self._identities: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.transports: set[asyncio.Transport] = set()
        self.proxied: dict[tuple[str, int], dict[str, Any]] = {}
        """What the PROXY protocol said of a connection whose application has not begun to talk; by its peer."""
        self.total = 0
        self.paths: dict[str, int] = {}
        self.notes: deque[Mapping[str, Any]] = deque(maxlen=_NOTES)
        """What those that play something else than a workload remember of each request."""
        self._requests: deque[Received] = deque(maxlen=_REQUESTS if config.plays is Plays.WORKLOAD else 0)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run the answering of a request that takes its time."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self, grace: float) -> None:
        """Give answers under way `grace` seconds, then end every connection."""
        if self._tasks and grace:
            await asyncio.wait(self._tasks, timeout=grace)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for transport in list(self.transports):
            transport.close() if grace else transport.abort()
        await asyncio.sleep(0)  # their protocols hear of it in the next turn of the loop

    def connection(self, transport: asyncio.BaseTransport) -> Connection:
        """What is known of a connection before anything is read from it (but its TLS handshake)."""
        peer = transport.get_extra_info("peername") or ("", 0)
        port = (transport.get_extra_info("sockname") or ("", 0))[1]
        config = self.config
        facts: dict[str, Any] = {
            "workload": config.workload,
            "namespace": config.namespace,
            "pod": config.pod,
            "identity": config.identity,
            "peer": f"{peer[0]}:{peer[1]}",
            "port": port,
        }
        facts.update(_tls_facts(transport.get_extra_info(TLS_FACTS)))
        if (proxied := self.proxied.pop(peer, None)) is not None:
            facts["proxyProtocol"] = proxied
        prefix = self._encode(facts)[:-1] + ","
        local = peer[0] == "127.0.0.1"
        return Connection(peer=facts["peer"], port=port, local=local, prefix=prefix, facts=facts)

    def count(self, path: str) -> None:
        """Note that it was called."""
        self.total += 1
        seen = self.paths.get(path)
        if seen is not None:
            self.paths[path] = seen + 1
        elif len(self.paths) < _PATHS:
            self.paths[path] = 1

    def decide(self, received: Received) -> Decision | Awaitable[Decision]:
        """How to answer: at once, or when what has to happen first has happened."""
        path = received.path
        headers = received.headers
        if path.startswith("/_meshtest/") and received.connection.local:
            return self._answer_inside(received)
        self.count(path.partition("?")[0])
        self._requests.append(
            received
            if len(received.body) <= _NOTED_BODY
            else replace(received, body=received.body[:_NOTED_BODY])
        )
        extra = set_headers(headers[SET_HEADER]) if SET_HEADER in headers else ()
        wish = None
        if "?" in path or CONTROL_HEADER in headers or path.startswith("/status/"):
            try:
                wish = read_wish(path, headers)
            except BadControl as exc:
                return Decision(status=exc.status, body=self._encode({"message": str(exc)}).encode())
        if wish is None and self._call is None:
            return Decision(headers=extra) if extra else _PLAIN
        return self._decide_wish(received, wish or Wish(), extra)

    def describe(self, received: Received, decision: Decision) -> bytes:
        """The JSON that answers a request."""
        headers = received.headers
        attempt = headers.get("x-envoy-attempt-count")
        told: dict[str, Any] = {
            "method": received.method,
            "path": received.path,
            "host": received.host,
            "protocol": received.protocol,
            "peerIdentity": self._peer_identity(headers),
            "attempt": 1 if attempt is None else _attempt(attempt[-1]),
            "headers": headers,
        }
        if received.size:
            told["body"] = base64.b64encode(received.body).decode()
            told["bodySize"] = received.size
        if decision.calls is not None:
            told["calls"] = decision.calls
        return (received.connection.prefix + self._encode(told)[1:]).encode()

    def answer(self, received: Received, decision: Decision) -> bytes:
        """The whole body of an HTTP answer."""
        return self.describe(received, decision) if decision.body is None else decision.body

    def message(self, received: Received, decision: Decision) -> bytes:
        """The answer to a gRPC message, which is the request's body: the description in field 1."""
        return field(1, self.describe(received, decision))

    def line(self, connection: Connection, **facts: Any) -> bytes:
        """One line of JSON about a connection without requests."""
        return (self._encode({**connection.facts, **facts}) + "\n").encode()

    def _decide_wish(
        self, received: Received, wish: Wish, extra: tuple[tuple[str, str], ...]
    ) -> Decision | Awaitable[Decision]:
        if self._failures.next_fails(wish):
            reset = wish.failure is None and wish.grpc_status is None
            failed = Decision(
                status=wish.failure or 200, reset=reset, grpc_status=wish.grpc_status, headers=extra
            )
            return _after(wish.delay_retry, failed) if wish.delay_retry else failed
        decision = Decision(
            status=wish.status or 200,
            grpc_status=None if wish.uuid else wish.grpc_status,
            headers=extra,
        )
        if self._call is not None:
            return self._decide_calls(self._call, received, wish.delay, decision)
        return _after(wish.delay, decision) if wish.delay else decision

    async def _decide_calls(
        self, call: Caller, received: Received, delay: float, decision: Decision
    ) -> Decision:
        if delay:
            await asyncio.sleep(delay)
        calls, answered = await call(received.headers)
        return Decision(
            status=decision.status if answered else 502,
            grpc_status=decision.grpc_status if answered else 14,
            headers=decision.headers,
            calls=calls,
        )

    def _answer_inside(self, received: Received) -> Decision:
        route = received.path.partition("?")[0]
        if (received.method, route) == ("GET", "/_meshtest/calls"):
            return Decision(body=self._encode({"total": self.total, "paths": self.paths}).encode())
        if (received.method, route) == ("GET", "/_meshtest/received"):
            noted = [*self.notes, *map(_note, self._requests)]
            return Decision(body=self._encode(noted).encode())
        if (received.method, route) == ("POST", "/_meshtest/reset"):
            self.total = 0
            self.paths = {}
            self.notes.clear()
            self._requests.clear()
            return Decision(body=b"{}")
        return Decision(status=404, body=b"{}")

    def _peer_identity(self, headers: dict[str, list[str]]) -> str:
        values = headers.get("x-forwarded-client-cert")
        if values is None:
            return ""
        last = values[-1]
        known = self._identities.get(last)
        if known is None:
            if len(self._identities) >= _IDENTITIES:
                self._identities.clear()
            known = self._identities[last] = peer_identity(last)
        return known


def field(number: int, value: bytes) -> bytes:
    """A length-delimited field of a protobuf message (numbers up to 15)."""
    size, length = len(value), bytearray()
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return bytes((number << 3 | 2,)) + bytes(length) + value


def _attempt(count: str) -> int:
    return int(count) if count.isdecimal() and len(count) < 10 else 1


def peer_identity(xfcc: str) -> str:
    """The URI of the last element of X-Forwarded-Client-Cert, the one that the own sidecar appended."""
    elements = _ELEMENTS.findall(xfcc)
    pairs = _PAIRS.findall(elements[-1]) if elements else []
    return next((value.strip('"') for name, value in pairs if name.upper() == "URI"), "")


def _note(received: Received) -> dict[str, Any]:
    """What is told later of a request."""
    return {
        "method": received.method,
        "path": received.path,
        "host": received.host,
        "protocol": received.protocol,
        "headers": received.headers,
        "body": received.body.decode(errors="replace"),
        "peer": received.connection.peer,
    }


def _tls_facts(tls: TlsFacts | None) -> dict[str, Any]:
    if tls is None:
        return {}
    told: dict[str, Any] = {"sni": tls.sni, "alpn": tls.alpn, "tlsVersion": tls.version}
    if tls.client_certificate is not None:
        told["clientCertificate"] = tls.client_certificate
    return told


async def _after(seconds: float, decision: Decision) -> Decision:
    await asyncio.sleep(seconds)  # the delay that the request asked for
    return decision
