"""The process that keeps a sandbox's Toxiproxy server: it runs between the pods, and pytest's process asks it.

    caller's sidecar ═══ mTLS ═══ listener ─[toxics]─ upstream ═══ mTLS ═══ callee's sidecar
                                  Toxiproxy server ◄─ HTTP on loopback ─ this process ◄─ frames ─ pytest

A listener belongs to one edge: a caller's sidecar and an `ip:port` of the callee. Faults that are on one edge at the
same time share it; their toxics follow each other in the order of injection.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toxiproxy import Toxiproxy
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

from meshtest import wire
from meshtest.errors import RuntimeFailure
from meshtest.waiting import wait_until

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

    from toxiproxy import Proxy

_FIRST_PORT = 21001
_START = 10.0


def main(config: dict[str, Any], sock: socket.socket) -> NoReturn:
    """Serve until the peer of `sock` hangs up; `config`: the server's `argv`, its `api` port, listeners' `address`."""
    os.environ.update(NO_PROXY="*", no_proxy="*")  # the API is on this loopback, whatever the user's proxy is
    asyncio.run(_serve(config, sock))
    raise AssertionError("serving ends the process")


async def _serve(config: dict[str, Any], sock: socket.socket) -> NoReturn:
    edges = Edges(Server(config["argv"], config["api"]), config["address"])
    sock.setblocking(False)  # noqa: FBT003 - the standard library's signature
    reader, writer = await asyncio.open_connection(sock=sock)
    await wire.serve(reader, writer, edges.handle)
    os._exit(0)


class Server:
    """Toxiproxy's server, a child of this process: it ends when this process does."""

    def __init__(self, argv: Sequence[str], port: int) -> None:
        self._argv = argv
        self._process: subprocess.Popen[bytes] | None = None
        self.api = Toxiproxy()
        self.api.update_api_consumer("127.0.0.1", port)

    def running(self) -> Toxiproxy:
        """Its API; started if it has not been yet."""
        if self._process is None:
            # The engine's own server ends with its standard input, which is open as long as this process lives.
            self._process = subprocess.Popen(self._argv, stdin=subprocess.PIPE)
            wait_until(self._answers, _START, lambda: f"{self._argv[0]} does not answer as Toxiproxy does")
        if self._process.poll() is not None:
            raise RuntimeFailure(f"the Toxiproxy server has ended with status {self._process.returncode}")
        return self.api

    def _answers(self) -> bool:
        return self._process is None or self._process.poll() is not None or bool(self.api.running())


@dataclass(slots=True)
class Hold:
    """What one fault has put on one edge."""

    toxics: list[str] = field(default_factory=list)
    down: bool = False


@dataclass(slots=True)
class Edge:
    """One listener."""

    node: str
    endpoint: str
    proxy: Proxy
    holds: dict[str, Hold] = field(default_factory=dict)

    def told(self) -> list[str]:
        """As pytest's process is told of it."""
        return [self.node, self.endpoint, self.proxy.listen]


class Edges:
    """Every listener of the sandbox, and the operations on them."""

    def __init__(self, server: Server, address: str) -> None:
        self._server = server
        self._address = address
        self._ports = itertools.count(_FIRST_PORT)
        self._names = itertools.count(1)
        self._edges: dict[tuple[str, str], Edge] = {}
        self._leaving: dict[str, list[Edge]] = {}

    async def handle(self, frame: wire.Frame) -> tuple[dict[str, Any], bytes]:
        """Answer one request; one at a time, since nothing in here waits for another."""
        operations = {
            "start": self._start,
            "attach": self._attach,
            "detach": self._detach,
            "remove": self._remove,
        }
        try:
            return operations[str(frame.header["op"])](frame.header), b""
        except (OSError, KeyError, ProxyExists, NotFound, InvalidToxic) as exc:
            raise RuntimeFailure(f"Toxiproxy: {type(exc).__name__}: {exc}") from exc

    def _start(self, header: Mapping[str, Any]) -> dict[str, Any]:
        """Have the server run before anybody needs it."""
        del header
        self._server.running()
        return {}

    def _attach(self, header: Mapping[str, Any]) -> dict[str, Any]:
        """Put a fault on edges; traffic may come to their listeners when this has been answered."""
        fault = str(header["fault"])
        held = [self._edge(node, endpoint) for node, endpoint in header["edges"]]
        shared = any(edge.holds for edge in held)
        for edge in held:
            hold = edge.holds.setdefault(fault, Hold())
            for toxic in header["toxics"]:
                hold.toxics.append(f"toxic-{next(self._names)}")
                edge.proxy.add_toxic(name=hold.toxics[-1], **toxic)
            if header["down"]:
                hold.down = True
                edge.proxy.disable()
        return {"edges": [edge.told() for edge in held], "shared": shared}

    def _edge(self, node: str, endpoint: str) -> Edge:
        if (node, endpoint) not in self._edges:
            port = next(self._ports)
            proxy = self._server.running().create(
                upstream=endpoint, name=f"edge-{port}", listen=f"{self._address}:{port}"
            )
            self._edges[node, endpoint] = Edge(node, endpoint, proxy)
        return self._edges[node, endpoint]

    def _detach(self, header: Mapping[str, Any]) -> dict[str, Any]:
        """Say which listeners nobody but this fault holds; no other fault gets them any more."""
        fault = str(header["fault"])
        alone = [edge for edge in self._edges.values() if not edge.holds.keys() - {fault}]
        for edge in alone:
            del self._edges[edge.node, edge.endpoint]
        self._leaving.setdefault(fault, []).extend(alone)
        return {"edges": [edge.told() for edge in self._leaving[fault]]}

    def _remove(self, header: Mapping[str, Any]) -> dict[str, Any]:
        """Take a fault away; connections through listeners that were its own alone are closed."""
        fault = str(header["fault"])
        for edge in self._leaving.pop(fault, []):
            with contextlib.suppress(NotFound):
                edge.proxy.destroy()
        for edge in self._edges.values():
            hold = edge.holds.pop(fault, Hold())
            for name in hold.toxics:
                with contextlib.suppress(NotFound):
                    edge.proxy.destroy_toxic(name)
            if hold.down and not any(other.down for other in edge.holds.values()):
                edge.proxy.enable()
        return {}
