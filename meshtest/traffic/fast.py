"""The sender of HTTP/1.1 loads: callbacks instead of tasks, one write and one parse per request."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from meshtest.traffic.connect import Secure, name_of, wrap
from meshtest.traffic.http1 import Http1Connection, Template
from meshtest.traffic.model import Outcome, Protocol
from meshtest.traffic.pool import Pool
from meshtest.traffic.reply import Failed, Trail, cause
from meshtest.traffic.target import Target, target_of

if TYPE_CHECKING:
    from meshtest.traffic.connect import Address, Network
    from meshtest.traffic.load import Ended, LoadPlan
    from meshtest.traffic.model import Request
    from meshtest.traffic.reply import Reply

_SPOKEN = frozenset({Protocol.HTTP, Protocol.HTTP10, Protocol.HTTPS})


def suits(request: Request) -> bool:
    """Whether a load of this request can go this way."""
    offers_more = request.tls is not None and "h2" in (request.tls.alpn or ())
    return request.protocol in _SPOKEN and not request.follow_redirects and not offers_more


class _Kind:
    """One of the requests that a load sends in turn, and where it goes."""

    __slots__ = ("addresses", "key", "request", "secure", "template")

    def __init__(self, request: Request, target: Target, addresses: tuple[Address, ...]) -> None:
        self.request = request
        self.template = Template(request, target)
        self.secure = Secure.of(request, target)
        self.addresses = deque(addresses)
        name = self.secure.name if self.secure else None
        self.key = (addresses, request.tls, request.protocol, name, request.proxy_protocol)

    def turn(self) -> tuple[Address, ...]:
        """The addresses for the next connection: one after the other is the first, as if resolved anew."""
        self.addresses.rotate(-1)
        return tuple(self.addresses)


class FastSender:
    """Sends HTTP/1.1 requests of one load over pooled connections (or one each, where asked)."""

    def __init__(self, network: Network, plan: LoadPlan, kinds: list[_Kind]) -> None:
        self._network = network
        self._plan = plan
        self._kinds = kinds
        self._pool = Pool()
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(cls, network: Network, plan: LoadPlan) -> FastSender:
        """Resolve the names, once for the whole load; raises Failed."""
        kinds = []
        for request in plan.requests:
            target = target_of(request)
            kinds.append(_Kind(request, target, await network.addresses(plan.caller, request, target)))
        return cls(network, plan, kinds)

    def launch(self, index: int, ended: Ended) -> None:
        """Send request `index`."""
        kind = self._kinds[index % len(self._kinds)]
        connection = self._pool.take(kind.key) if kind.request.reuse else None
        if connection is not None:
            self._send(connection, kind, index, ended, kind.request.timeout)
            return
        task = self._loop.create_task(self._connect(kind, index, ended))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Close the pool, so that sidecars log connections that they treat as TCP."""
        for task in self._tasks:
            task.cancel()
        self._pool.close()

    async def _connect(self, kind: _Kind, index: int, ended: Ended) -> None:
        trail = Trail()
        deadline = self._loop.time() + kind.request.timeout
        try:
            async with asyncio.timeout_at(deadline):
                sock = await self._network.reach(
                    self._plan.caller, kind.turn(), trail, kind.request.proxy_protocol
                )
                trail.local = name_of(sock.getsockname())
                connection = await wrap(sock, lambda: Http1Connection(trail.remote), kind.secure)
        except Failed as exc:
            ended(index, trail.reply(exc.outcome, exc.error))
        except TimeoutError:
            ended(index, trail.reply(Outcome.TIMEOUT, "no connection in time"))
        except OSError as exc:  # out of descriptors, most likely
            ended(index, trail.reply(Outcome.REFUSED, cause(exc)))
        except Exception as exc:  # noqa: BLE001 - the load must end, and say why
            ended(index, exc)
        else:
            self._send(connection, kind, index, ended, deadline - self._loop.time())

    def _send(
        self, connection: Http1Connection, kind: _Kind, index: int, ended: Ended, timeout: float
    ) -> None:
        timer = self._loop.call_later(
            timeout, connection.give_up, Outcome.TIMEOUT, "no whole response in time"
        )

        def done(_: Http1Connection, reply: Reply) -> None:
            timer.cancel()
            if kind.request.reuse:
                self._pool.give(kind.key, connection)
            else:
                connection.shut()
            ended(index, reply)

        data = kind.template.render(self._plan.name(index).encode(), self._plan.marks_of(index).encode())
        connection.exchange(data, head_only=kind.template.head_only, done=done)
