"""Calling other services for each request received: a small HTTP/1.1 client with kept connections.

All calls of a request run at once and carry on its tracing headers, baggage and identity headers, as
Bookinfo's services do. What became of each is reported in the words of `meshtest.traffic`; names are
resolved by the system (so search domains hold) and remembered for a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from meshtest.standin.client import Client, Response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshtest.standin.config import Call

PASSED_ON = (
    "baggage",
    "traceparent",
    "tracestate",
    "x-request-id",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "x-ot-span-context",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "x-cloud-trace-context",
    "grpc-trace-bin",
    "sw8",
    "end-user",
    "user-agent",
    "cookie",
    "authorization",
    "jwt",
)
"""istio/istio: samples/bookinfo/src (reviews, productpage), and W3C baggage."""

_TIMEOUT = 10.0
_REMEMBERED = 1.0
_IDLE = 64
_TEXT = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A call, as far as it is the same each time."""

    url: str
    required: bool
    host: str
    port: int
    tls: bool
    head: bytes

    @classmethod
    def of(cls, call: Call) -> Target:
        """From its configuration."""
        url = urlsplit(call.url)
        if url.scheme not in {"http", "https"} or not url.hostname:
            raise ValueError(f"calls: cannot call {call.url!r}; expected http://HOST[:PORT][/PATH]")
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        authority = url.netloc.rpartition("@")[2]
        return cls(
            url=call.url,
            required=call.required,
            host=url.hostname,
            port=url.port or (443 if url.scheme == "https" else 80),
            tls=url.scheme == "https",
            head=f"GET {path} HTTP/1.1\r\nhost: {authority}\r\naccept: */*\r\n".encode(),
        )


class Calls:
    """The services that a stand-in calls, and its connections to them."""

    def __init__(self, calls: Sequence[Call], timeout: float = _TIMEOUT) -> None:
        self._targets = [Target.of(call) for call in calls]
        self._timeout = timeout
        self._idle: dict[tuple[str, int, bool], list[Client]] = {}
        self._names: dict[str, tuple[float, asyncio.Future[list[str]]]] = {}
        self._context: ssl.SSLContext | None = None

    async def __call__(self, headers: Mapping[str, Sequence[str]]) -> tuple[list[dict[str, Any]], bool]:
        """Call all with what has to be passed on; the reports, and whether those required answered well."""
        passed = "".join(
            f"{name}: {value}\r\n" for name in PASSED_ON if name in headers for value in headers[name]
        ).encode("latin-1")
        reports = await asyncio.gather(*(self._report(target, passed) for target in self._targets))
        failed = any(
            target.required and report.get("status", 599) >= 400
            for target, report in zip(self._targets, reports, strict=True)
        )
        return list(reports), not failed

    def close(self) -> None:
        """End the connections that are kept."""
        for clients in self._idle.values():
            for client in clients:
                client.abort()

    async def _report(self, target: Target, passed: bytes) -> dict[str, Any]:
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._ask(target, target.head + passed + b"\r\n")
        except (OSError, EOFError) as exc:
            return {"url": target.url, "outcome": _outcome(exc), "error": str(exc) or type(exc).__name__}
        return {"url": target.url, "outcome": "response", "status": response.status, "body": _body(response)}

    async def _ask(self, target: Target, request: bytes) -> Response:
        addresses = await self._resolve(target.host)
        client = self._kept(target, addresses)
        if client is not None:
            # A kept connection may have been closed while the request was on its way to it: then, once more.
            with contextlib.suppress(EOFError, ConnectionError):
                return await self._ask_over(client, target, request)
        return await self._ask_over(await self._connect(target, addresses), target, request)

    async def _ask_over(self, client: Client, target: Target, request: bytes) -> Response:
        try:
            response = await client.ask(request)
        except BaseException:
            client.abort()
            raise
        idle = self._idle.setdefault((client.address, target.port, target.tls), [])
        if client.open and len(idle) < _IDLE:
            idle.append(client)
        else:
            client.abort()
        return response

    def _kept(self, target: Target, addresses: Sequence[str]) -> Client | None:
        for address in addresses:
            idle = self._idle.get((address, target.port, target.tls), [])
            while idle:
                client = idle.pop()
                if client.open:
                    return client
        return None

    async def _connect(self, target: Target, addresses: Sequence[str]) -> Client:
        loop = asyncio.get_running_loop()
        failure: OSError = OSError("no address")
        for address in addresses:
            try:
                _, client = await loop.create_connection(
                    lambda address=address: Client(address),
                    address,
                    target.port,
                    ssl=self._tls() if target.tls else None,
                    server_hostname=target.host if target.tls else None,
                )
            except OSError as exc:
                failure = exc
            else:
                return client
        raise failure

    async def _resolve(self, host: str) -> list[str]:
        loop = asyncio.get_running_loop()
        known = self._names.get(host)
        if known is None or known[0] < loop.time():
            known = (loop.time() + _REMEMBERED, asyncio.ensure_future(_look_up(host)))
            self._names[host] = known
        # One caller's timeout must not end the look-up for the others.
        return await asyncio.shield(known[1])

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = ssl.create_default_context()
            self._context.check_hostname = False
            self._context.verify_mode = ssl.CERT_NONE
        return self._context


async def _look_up(host: str) -> list[str]:
    try:
        socket.inet_aton(host)
    except OSError:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, None, family=socket.AF_INET, type=socket.SOCK_STREAM)
        return [str(each[4][0]) for each in found]
    return [host]


def _outcome(exc: Exception) -> str:
    if isinstance(exc, TimeoutError):
        return "timeout"
    if isinstance(exc, socket.gaierror):
        return "unresolved"
    if isinstance(exc, ssl.SSLError):
        return "handshake-failure"
    return "reset" if isinstance(exc, ConnectionResetError | BrokenPipeError | EOFError) else "refused"


def _body(response: Response) -> Any:
    """The JSON of another stand-in, or the beginning of any other text."""
    if "json" in response.content_type:
        with contextlib.suppress(ValueError):
            return json.loads(response.body)
    return response.body[:_TEXT].decode("utf-8", "replace")
