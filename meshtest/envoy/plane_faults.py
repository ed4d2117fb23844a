"""What faults ask of the control plane: other certificates, and pushes that are late, partial, bad or withheld."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from meshtest.envoy import decorate, distort, identities, sds
from meshtest.envoy.ads import apply_changes
from meshtest.envoy.holding import Hold
from meshtest.envoy.resources import Resource
from meshtest.errors import RuntimeFailure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from meshtest.envoy.ads import Proxy
    from meshtest.envoy.away import Away
    from meshtest.envoy.holding import Holds
    from meshtest.envoy.live import Envoy
    from meshtest.envoy.proxies import Proxies
    from meshtest.envoy.resources import Changes
    from meshtest.wire import Frame

    Operation = Callable[[Frame], Awaitable[tuple[dict[str, Any], bytes]]]

PUSH_TIMEOUT = 30.0
EVERY_WORKLOAD = "*"


def deadline_of(frame: Frame) -> float:
    """When a request has to be answered, on the loop's clock."""
    return asyncio.get_running_loop().time() + float(frame.header.get("within", PUSH_TIMEOUT))


class FaultOperations:
    """The half of the control plane's operations that faults use; the other half brings configuration."""

    proxies: Proxies
    secrets: sds.Secrets
    _identities: identities.Identities
    _holds: Holds
    _envoys: dict[str, Envoy]
    _updating: asyncio.Lock
    _away: Away
    _starved: set[str]
    """Workloads whose replicas get no certificates."""
    _poisoned: set[str]
    """Proxies that are sent what they refuse."""

    def of_faults(self) -> Mapping[str, Operation]:
        """By the names under which they are asked for."""
        return {
            "identity": self._identity,
            "rotation": self._rotation,
            "hold": self._hold,
            "release": self._release,
            "poison": self._poison,
            "withhold": self._withhold,
            "told": self._told,
            "away": self._leave,
            "expect": self._expect,
        }

    def _take(self, told: Mapping[str, Any], payload: bytes, past: Hold | None = None) -> dict[str, Changes]:
        raise NotImplementedError

    def _decorated(self, kind: str, raw: bytes, proxy: Proxy) -> bytes:
        raise NotImplementedError

    async def _deliver(self, changed: Mapping[str, Changes], deadline: float, *, bystanders: set[str]) -> int:
        raise NotImplementedError

    async def _catch_up(self, node: str, deadline: float) -> None:
        raise NotImplementedError

    async def _identity(self, frame: Frame) -> tuple[dict[str, Any], bytes]:
        """Have a proxy show another certificate, trust another root or speak other TLS; `reset` ends all of it."""
        header = frame.header
        node = str(header["proxy"])
        deadline = deadline_of(frame)
        context = self.proxies.by_id[node].context
        if header.get("reset"):
            self._identities.reset(node)
            limits = None
        else:
            self._identities.certify(node, str(header.get("spiffe", "")), **identities.terms(header))
            if header.get("root"):
                self._identities.distrust(node)
            limits = distort.Limits.of(header["tls"]) if "tls" in header else context.limits
        if await self._away.unless(node, self._identities.delivered(node, deadline)) is False:
            raise RuntimeFailure(f"{node} has not acknowledged its new certificate")
        if header.get("reconnect", True):
            async with self._updating:
                await self._reconnect(node, limits, deadline, last=bool(header.get("reset")))
        return {}, b""

    async def _rotation(self, frame: Frame) -> tuple[dict[str, Any], bytes]:
        """Rotate a proxy's certificate from now on (`every` and `lifetime`, seconds); how often that has happened."""
        header = frame.header
        node = str(header["proxy"])
        if "every" in header:
            self._identities.rotate(node, float(header["every"]), float(header["lifetime"]))
        return {"count": self._identities.rotated(node)}, b""

    async def _reconnect(
        self, node: str, limits: distort.Limits | None, deadline: float, *, last: bool
    ) -> None:
        """Have an Envoy open every mesh connection anew: pooled ones belong to the old certificate."""
        proxy = self.proxies.by_id[node]
        proxy.context = decorate.next_generation(proxy.context, limits, last=last)
        await self._redecorate(node, ("CDS", "LDS"), deadline)

    async def _redecorate(self, node: str, kinds: Iterable[str], deadline: float) -> None:
        """Send a proxy again what it has, as it is to look now."""
        proxy = self.proxies.by_id[node]
        fresh: dict[str, dict[str, Resource]] = {}
        for kind in kinds:
            for name, known in proxy.resources.get(kind, {}).items():
                fresh.setdefault(kind, {})[name] = Resource.of(
                    known.raw, self._decorated(kind, known.raw, proxy)
                )
        changes = apply_changes(proxy, fresh, ())
        if proxy.primed and proxy.stream is not None:
            await self._deliver({node: changes}, deadline, bystanders=set(self._envoys))

    async def _hold(self, frame: Frame) -> tuple[dict[str, Any], bytes]:
        """Keep pushes back from some proxies, for a fault with this id."""
        header = frame.header
        self._holds.by_id[str(header["fault"])] = Hold(
            nodes=frozenset(header["proxies"]),
            kinds=frozenset(header.get("kinds", ())),
            delay=header.get("delay"),
        )
        return {}, b""

    def _let_through_later(self) -> None:
        """Have what was just kept for a while pass when its time has come."""
        for hold in self._holds.by_id.values():
            if hold.delay is not None and len(hold.kept) > len(hold.late):
                hold.late.add(asyncio.create_task(self._let_through_late(hold, hold.delay)))

    async def _let_through_late(self, hold: Hold, delay: float) -> None:
        await asyncio.sleep(delay)  # the fault itself
        async with self._updating:
            if hold.kept:
                await self._let_through(hold, 1, asyncio.get_running_loop().time() + PUSH_TIMEOUT)

    async def _let_through(self, hold: Hold, number: int, deadline: float) -> None:
        """Take in the first so many of the updates that were kept."""
        batches, hold.kept[:number] = hold.kept[:number], []
        for told, payload in batches:
            changed = self._take({n: c for n, c in told.items() if n in self._envoys}, payload, past=hold)
            await self._deliver(changed, deadline, bystanders=set(self._envoys))

    async def _release(self, frame: Frame) -> tuple[dict[str, Any], bytes]:
        """End a hold; returns when what it kept is live."""
        deadline = deadline_of(frame)
        hold = self._holds.by_id.pop(str(frame.header["fault"]), None)
        if hold is None:
            return {"hits": 0}, b""
        for task in hold.late:
            task.cancel()
        results = await asyncio.gather(*hold.late, return_exceptions=True)
        async with self._updating:
            await self._let_through(hold, len(hold.kept), deadline)
        for result in results:
            if isinstance(result, Exception):
                raise result
        return {"hits": hold.hits}, b""

    async def _poison(self, frame: Frame) -> tuple[dict[str, Any], bytes]:
        """Have everything that is sent to proxies be refused, or (`on` false) mend it again."""
        deadline = deadline_of(frame)
        refused = 0
        nodes = set(frame.header["proxies"])
        self._poisoned = self._poisoned | nodes if frame.header["on"] else self._poisoned - nodes
        async with self._updating:
            for node in frame.header["proxies"]:
                if (proxy := self.proxies.by_id.get(node)) is None:
                    continue
                proxy.poisoned = node in self._poisoned
                proxy.refused = 0 if proxy.poisoned else proxy.refused
                await self._redecorate(node, ("LDS", "RDS", "CDS"), deadline)
                refused += proxy.refused
        return {"hits": refused}, b""

    async def _withhold(self, frame: Frame) -> tuple[dict[str, Any], bytes]:
        """Answer these proxies no more when they ask for certificates, or (`on` false) answer them again.

        `workloads` are those whose replicas to come are meant as well; `*` is every one.
        """
        deadline = deadline_of(frame)
        workloads = set(frame.header.get("workloads", ()))
        nodes = set(frame.header["proxies"]) | self._replicas(workloads)
        if frame.header["on"]:
            self.secrets.withhold(nodes)
            self._starved |= workloads
            return {"hits": 0}, b""
        self._starved -= workloads
        self.secrets.answer_again(nodes)
        for node in nodes & self._envoys.keys():
            if self.proxies.by_id[node].stream is not None:
                await self._away.unless(node, self._catch_up(node, deadline))
        return {}, b""

    def _afflict(self, node: str) -> None:
        """Have a new Envoy meet the faults of its workload, and those of an earlier one of its name."""
        proxy = self.proxies.by_id[node]
        proxy.poisoned = node in self._poisoned
        if self._starved & {proxy.workload, EVERY_WORKLOAD}:
            self.secrets.withhold([node])

    def _replicas(self, workloads: set[str]) -> set[str]:
        if EVERY_WORKLOAD in workloads:
            return set(self.proxies.by_id)
        return {node for node, proxy in self.proxies.by_id.items() if proxy.workload in workloads}

    async def _leave(self, frame: Frame) -> tuple[dict[str, Any], bytes]:
        """Which Envoys stand still or have ended (`proxies`: all of them); those that are back catch up."""
        deadline = deadline_of(frame)
        back = self._away.become(frame.header["proxies"])
        for node in back & self._envoys.keys():
            async with self._updating:
                # One that was started again is not connected yet: it asks for everything by itself.
                if self.proxies.by_id[node].stream is not None:
                    await self._away.unless(node, self._catch_up(node, deadline))
        return {}, b""

    async def _expect(self, frame: Frame) -> tuple[dict[str, Any], bytes]:
        """Say who asked an earlier control plane for certificates: they have one only when they have asked again."""
        self.secrets.expected |= set(frame.header["proxies"])
        return {}, b""

    async def _told(self, frame: Frame) -> tuple[dict[str, Any], bytes]:
        """What faults of the control plane have touched so far, and who is connected."""
        hold = self._holds.by_id.get(str(frame.header.get("fault", "")))
        nodes = {*frame.header.get("proxies", ()), *self._replicas(set(frame.header.get("workloads", ())))}
        known = [self.proxies.by_id[node] for node in nodes if node in self.proxies.by_id]
        return {
            "held": hold.hits if hold else 0,
            "refused": sum(proxy.refused for proxy in known),
            "withheld": sum(self.secrets.unanswered.get(node, 0) for node in nodes),
            "connected": [
                node
                for node, proxy in self.proxies.by_id.items()
                if proxy.stream is not None and not self._away.stands_still(node)
            ],
            "secrets": sorted(self.secrets.watching(sds.IDENTITY) | self.secrets.expected),
        }, b""
