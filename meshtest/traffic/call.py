"""One request on its way: what is sent, by whom, under which id; and the connections it may share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from meshtest.traffic.connect import Secure, name_of, wrap
from meshtest.traffic.headers import all_headers
from meshtest.traffic.pool import Pool
from meshtest.traffic.reply import Trail
from meshtest.traffic.target import target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from meshtest.traffic.connect import Network, P
    from meshtest.traffic.model import Request
    from meshtest.traffic.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request of one caller."""

    network: Network
    caller: str
    request: Request
    exchange: str
    marks: Sequence[str] = ()
    pool: Pool = field(default_factory=Pool)
    trail: Trail = field(default_factory=Trail)
    target: Target

    @classmethod
    def of(
        cls, network: Network, caller: str, request: Request, exchange: str, marks: Sequence[str], pool: Pool
    ) -> Call:
        """Take the request's URL apart; raises ScenarioError."""
        return cls(
            network=network,
            caller=caller,
            request=request,
            exchange=exchange,
            marks=marks,
            pool=pool,
            target=target_of(request),
        )

    def to(self, request: Request) -> Call:
        """The same exchange, going on to where a redirect leads."""
        return replace(self, request=request, target=target_of(request))

    def headers(self) -> list[tuple[str, str]]:
        """The user's headers and the driver's own."""
        return all_headers(self.request, self.exchange, self.marks)

    @property
    def destination(self) -> tuple[Hashable, ...]:
        """What requests that share a connection have in common."""
        asked, target = self.request, self.target
        return self.caller, asked.address, target.authority, target.port, asked.tls, asked.proxy_protocol

    async def connect(self, make: Callable[[], P]) -> P:
        """Resolve, connect and shake hands; the trail learns the addresses on the way. Raises Failed."""
        addresses = await self.network.addresses(self.caller, self.request, self.target)
        sock = await self.network.reach(self.caller, addresses, self.trail, self.request.proxy_protocol)
        self.trail.local = name_of(sock.getsockname())
        return await wrap(sock, make, Secure.of(self.request, self.target))
