"""The role: listens on every port of the workload until it is told to end.

`main(config, sock)` is what the runtime calls in a forked child, inside the pod's network namespace; `warm()`
may be called before forking, so that all children share what it imports.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import resource
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

from meshtest.standin.calls import Calls
from meshtest.standin.config import Config, ListenPort, Plays, Speaks
from meshtest.standin.http1 import Http1
from meshtest.standin.service import Service
from meshtest.standin.sniff import Sniff, Spoken
from meshtest.standin.tcp import Echo, ServerFirst

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from meshtest.standin.certificates import TlsPort

    Factory = Callable[[], asyncio.Protocol]

_BACKLOG = 4096
_GRACE = 5.0
"""Seconds that open connections get to end after SIGTERM."""


def warm() -> None:
    """Import what the protocols need that are not imported yet; HTTP/1.1 and TCP are, with this module."""
    for name in ("http2", "tls", "websocket"):
        importlib.import_module(f"meshtest.standin.{name}")


def main(config: Mapping[str, Any], sock: socket.socket | None = None) -> int:
    """Serve until SIGTERM or SIGINT."""
    del sock  # nothing is asked of it there
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (most, most)
    )  # a descriptor per connection; 1024 is soon reached
    asyncio.run(_serve(Config.from_dict(config)))
    return 0


async def _serve(config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = Server(config)
    await server.start()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    if config.ready_fd is not None:
        os.write(config.ready_fd, b"\n")
        os.close(config.ready_fd)
    await stop.wait()
    await server.stop(_GRACE)


class Server:
    """A stand-in that listens; `ports` says where, in the order of its configuration."""

    def __init__(self, config: Config, host: str = "0.0.0.0") -> None:  # noqa: S104 - a pod is reached by its address
        self._config = config
        self._host = host
        self._servers: list[asyncio.Server] = []
        self.ports: list[int] = []
        self._calls = Calls(config.calls) if config.calls else None
        self.service = _service(config, self._calls)

    async def start(self) -> None:
        """Listen on every port."""
        if any(port.speaks in {Speaks.H2C, Speaks.GRPC} for port in self._config.ports):
            importlib.import_module("meshtest.standin.http2")  # before anybody waits for an answer
        loop = asyncio.get_running_loop()
        for port in self._config.ports:
            factory = _factory(self.service, port)
            server = await loop.create_server(factory, self._host, port.number, backlog=_BACKLOG)
            self._servers.append(server)
            self.ports.append(server.sockets[0].getsockname()[1])

    async def stop(self, grace: float = 0.0) -> None:
        """Stop listening; open connections get `grace` seconds to end."""
        for server in self._servers:
            server.close()
        await self.service.close(grace)
        if self._calls is not None:
            self._calls.close()


def _service(config: Config, calls: Calls | None) -> Service:
    """What it plays; the modules of the rarer parts are loaded where they are played."""
    if config.plays is Plays.EXT_AUTHZ:
        from meshtest.standin.ext_authz import ExtAuthz  # noqa: PLC0415 - protobuf, only where it is needed

        return ExtAuthz(config)
    if config.plays is Plays.KEY_SET:
        from meshtest.standin.key_set import KeySetServer  # noqa: PLC0415 - as above

        return KeySetServer(config)
    if config.plays is Plays.COLLECTOR:
        from meshtest.standin.collector import Collector  # noqa: PLC0415 - as above

        return Collector(config)
    return Service(config, calls)


def _factory(service: Service, port: ListenPort) -> Factory:
    """What stands at the beginning of a connection to this port."""
    http1, http2, echo = partial(Http1, service), partial(_http2, service), partial(Echo, service)
    http: dict[Spoken, Factory] = {Spoken.HTTP1: http1, Spoken.HTTP2: http2, Spoken.OTHER: http1}
    anything: dict[Spoken, Factory] = {**http, Spoken.OTHER: echo}
    any_tls = _TlsFactory(service, port, partial(Sniff, service, anything))
    factories: dict[Speaks, Factory] = {
        Speaks.AUTO: partial(Sniff, service, {**anything, Spoken.TLS: any_tls}),
        Speaks.HTTP: partial(Sniff, service, http),
        Speaks.WEBSOCKET: partial(Sniff, service, http),
        Speaks.H2C: http2,
        Speaks.GRPC: http2,
        Speaks.TCP: echo,
        Speaks.SERVER_FIRST: partial(ServerFirst, service),
        Speaks.TLS: any_tls,
        Speaks.HTTPS: _TlsFactory(service, port, partial(Sniff, service, http)),
    }
    factory = factories[port.speaks]
    return partial(_after_proxy_header, service, factory) if port.proxy_protocol else factory


def _after_proxy_header(service: Service, inside: Factory) -> asyncio.Protocol:
    from meshtest.standin.proxy_protocol import ProxyHeader  # noqa: PLC0415 - only where it is expected

    return ProxyHeader(service, inside)


def _http2(service: Service) -> asyncio.Protocol:
    from meshtest.standin.http2 import Http2  # noqa: PLC0415 - h2 only where it is spoken

    return Http2(service)


class _TlsFactory:
    """A port's TLS; a throwaway certificate is made when the first client asks for it."""

    def __init__(self, service: Service, port: ListenPort, inside: Factory) -> None:
        self._service = service
        self._port = port
        self._inside = inside
        self._tls = self._make() if port.certificate else None

    def __call__(self) -> asyncio.Protocol:
        from meshtest.standin.tls import Tls  # noqa: PLC0415 - ssl only where it is spoken

        self._tls = self._tls or self._make()
        return Tls(self._service, self._tls, self._inside)

    def _make(self) -> TlsPort:
        from meshtest.standin.certificates import TlsPort  # noqa: PLC0415 - as above

        return TlsPort(self._service.config, self._port)
