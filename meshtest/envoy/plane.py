"""The control plane's operations: what pytest's process asks for, in terms of proxies, secrets and Envoys."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshtest.envoy import decorate, distort, identities, sds
from meshtest.envoy.ads import Proxy, Rejected, apply_changes
from meshtest.envoy.away import Away
from meshtest.envoy.dump import to_json
from meshtest.envoy.endpoints import Swaps, endpoints, reassigned, without_endpoints
from meshtest.envoy.faults_filter import script, script_path
from meshtest.envoy.holding import Holds
from meshtest.envoy.live import Envoy
from meshtest.envoy.peers import among
from meshtest.envoy.pki import Authorities
from meshtest.envoy.plane_faults import FaultOperations, deadline_of
from meshtest.envoy.proxies import Proxies
from meshtest.envoy.sharing import Batch
from meshtest.errors import RuntimeFailure
from meshtest.mesh.addresses import RESOLVER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from meshtest.envoy.holding import Hold
    from meshtest.envoy.resources import Changes, Resource
    from meshtest.wire import Frame

    Operation = Callable[[Frame], Awaitable[tuple[dict[str, Any], bytes]]]

_ADMIN_TIMEOUT, _NOTICE_TIMEOUT = 5.0, 0.5


class ControlPlane(FaultOperations):
    """The state behind ADS and SDS, and the operations on it."""

    def __init__(self, directory: str, seed: str = "", resolver: str = RESOLVER) -> None:
        self.directory = directory
        self._resolver = resolver
        self.proxies = Proxies()
        self.secrets = sds.Secrets()
        self._away = Away(self.secrets)
        self._starved, self._poisoned = set(), set()
        self._swaps = Swaps(directory)
        self._authorities = Authorities(seed)
        self._identities = identities.Identities(self.secrets, self._authorities)
        self._holds = Holds()
        self._decorator = decorate.Decorator()
        self._envoys: dict[str, Envoy] = {}
        self._updating = asyncio.Lock()

    async def handle(self, frame: Frame) -> tuple[dict[str, Any], bytes]:
        """Answer one request."""
        operations: Mapping[str, Operation] = {
            "proxies": self._proxies,
            "update": self._update,
            "edges": self._edges,
            "endpoints": self._endpoints,
            "ready": self._ready,
            **self.of_faults(),
            "issue": self._issue,
            "admin": self._admin,
            "dump": self._dump,
        }
        return await operations[str(frame.header["op"])](frame)

    async def _proxies(self, frame: Frame) -> tuple[dict[str, Any], bytes]:
        for node in frame.header.get("remove", ()):  # first: a pod that is replaced is both
            self.proxies.by_id.pop(node, None)
            self._identities.forget(node)
            if envoy := self._envoys.pop(node, None):
                envoy.close()
        if "authority" in frame.header:
            self._identities.plug_in(frame.header["authority"])
        for told in frame.header.get("proxies", ()):
            self._meet(told)
        if self.secrets.disk.furnish(frame.header):
            self.secrets.read_again()
        self.proxies.arrived.notify()
        return {"proxies": len(self.proxies.by_id), "root": self._authorities.mesh.root}, b""

    def _meet(self, told: Mapping[str, Any]) -> None:
        """Take in a proxy, new or known; a certificate is made when its identity is new."""
        node, identity = str(told["id"]), str(told["identity"])
        if node not in self._envoys:
            gateway = told.get("kind") == "gateway"
            context = decorate.Context(
                self.directory,
                told["pod"],
                gateway=gateway,
                native=bool(told.get("native")),
                transparent=bool(told.get("transparent")),
                resolver=self._resolver,
            )
            marks = Path(script_path(self.directory, context.pod))
            marks.write_text(script(context.pod, told["workload"]), encoding="utf-8")
            self.proxies.by_id[node] = Proxy(context, told["workload"])
            self._afflict(node)
            self._envoys[node] = Envoy(self.proxies.by_id[node], self.directory)
        proxy = self.proxies.by_id[node]
        proxy.context = decorate.furnished(proxy.context, told.get("files") or {})
        self._identities.meet(node, identity, told.get("roots", ""))

    async def _update(self, frame: Frame) -> tuple[dict[str, Any], bytes]:
        begun = time.perf_counter()
        deadline = deadline_of(frame)
        async with self._updating:
            changed = self._take(frame.header["proxies"], frame.payload)
            self._let_through_later()
            decorated = time.perf_counter()
            acked = await self._deliver(changed, deadline, bystanders=set(self._envoys))
            moved = self._identities.moved()
            await _all(self._away.unless(node, self._identities.delivered(node, deadline)) for node in moved)
            await self.secrets.signal.until(self.secrets.files_known, deadline)
        ended = time.perf_counter()
        times = {"decorate": (decorated - begun) * 1e3, "live": (ended - decorated) * 1e3}
        starved = {node: names for node in self._envoys if (names := self.secrets.starved(node))}
        unserved = {
            node: found for node, proxy in self.proxies.by_id.items() if (found := proxy.without_secrets())
        }
        ms = {key: round(value, 2) for key, value in times.items()}
        return {"acked": acked, "ms": ms, "starved": starved, "unserved": unserved}, b""

    def _take(self, told: Mapping[str, Any], payload: bytes, past: Hold | None = None) -> dict[str, Changes]:
        """Decorate what is new; the changes of every proxy named, empty ones of new proxies included."""
        told = self._holds.sift(dict(told), payload, self.proxies.by_id, past)
        batch = Batch(payload, self._decorated)
        changed: dict[str, Changes] = {}
        for node, change in told.items():
            proxy = self.proxies.by_id.get(node)
            if proxy is None:
                raise RuntimeFailure(f"there is no proxy {node}")
            fresh: dict[str, dict[str, Resource]] = {}
            for kind, name, offset, size in change.get("set", ()):
                raw = batch.raw(offset, size)
                known = proxy.resources.get(kind, {}).get(name)
                if known is None or known.raw != raw:
                    made = batch.resource(kind, raw, proxy, self._swaps.of(node))
                    fresh.setdefault(kind, {})[name] = made
            changes = apply_changes(proxy, fresh, (tuple(pair) for pair in change.get("removed", ())))
            if changes or not proxy.primed:
                changed[node] = changes
        return changed

    def _decorated(self, kind: str, raw: bytes, proxy: Proxy) -> bytes:
        value = self._decorator.decorate(kind, raw, proxy.context)
        return distort.refusable(kind, value) if proxy.poisoned else value

    async def _deliver(self, changed: Mapping[str, Changes], deadline: float, *, bystanders: set[str]) -> int:
        """Bring every change to its Envoy, unless it is away; all have finished or failed when this returns."""
        for node in changed:
            self.proxies.by_id[node].refusals.clear()
        present = [node for node in changed if node not in self._away]
        for node in changed.keys() - present:
            self._envoys[node].begin()
        await _all(self._away.unless(node, self._bring(node, changed[node], deadline)) for node in present)
        await _all(self._away.unless(node, self._envoys[node].through_worker(deadline)) for node in present)
        if any(changes.touches("CDS", "LDS") for changes in changed.values()):
            # A drained chain has closed its connections; whoever pooled them shall have noticed.
            others = among(bystanders - changed.keys(), [self._envoys[node].peers() for node in present])
            await _all(self._away.unless(node, self._notice(node)) for node in others)
        await _all(self._starve(node, deadline) for node in changed.keys() - present)
        return len(present)

    async def _notice(self, node: str) -> None:
        """Let an Envoy see which connections were closed; one that is paused or gone holds nobody up."""
        if self.proxies.by_id[node].stream is not None:
            with contextlib.suppress(RuntimeFailure, TimeoutError):
                await self._envoys[node].through_worker(asyncio.get_running_loop().time() + _NOTICE_TIMEOUT)

    async def _bring(self, node: str, changes: Changes, deadline: float) -> None:
        proxy, envoy = self.proxies.by_id[node], self._envoys[node]
        try:
            if proxy.primed:
                await envoy.bring(changes, deadline)
            else:
                envoy.begin()
                await envoy.ready(deadline)
        except Rejected as exc:
            if _as_it_shall(proxy, exc):
                return
            raise Rejected(await envoy.explained(exc.refusals)) from exc
        except (RuntimeFailure, TimeoutError) as exc:
            missing = self.secrets.missing(node)
            hint = f"; nobody has given the secrets {', '.join(missing)}" if missing else ""
            raise RuntimeFailure(f"{exc or proxy.context.pod + ': timed out'}{hint}") from exc

    async def _edges(self, frame: Frame) -> tuple[dict[str, Any], bytes]:
        """Which endpoints among these addresses proxies send to; of those that have none, what else they have."""
        found: dict[str, dict[str, list[str]]] = {}
        others: dict[str, dict[str, str]] = {}
        for node in frame.header["proxies"]:
            known = self.proxies.by_id[node].resources
            found[node] = endpoints(known.get("EDS", {}), frame.header["ips"])
            if not found[node]:
                others[node] = without_endpoints(known.get("CDS", {}))
        return {"found": found, "others": others}, b""

    async def _endpoints(self, frame: Frame) -> tuple[dict[str, Any], bytes]:
        """Have proxies reach endpoints elsewhere (`swap`), and no longer by some of those addresses (`release`)."""
        deadline = deadline_of(frame)
        changed: dict[str, Changes] = {}
        async with self._updating:
            for node in self._swaps.change(frame.header.get("swap", {}), frame.header.get("release", {})):
                if proxy := self.proxies.by_id.get(node):
                    fresh = {"EDS": reassigned(proxy.resources.get("EDS", {}), self._swaps.of(node))}
                    changed[node] = apply_changes(proxy, fresh, ())
            live = {node: changes for node, changes in changed.items() if self.proxies.by_id[node].stream}
            await self._deliver(live, deadline, bystanders=set())
        return {"changed": sorted(node for node, changes in changed.items() if changes)}, b""

    async def _ready(self, frame: Frame) -> tuple[dict[str, Any], bytes]:
        """Wait until Envoys that were started again have everything and take requests."""
        deadline = deadline_of(frame)
        async with self._updating:
            chosen = frame.header.get("only") or [n for n, p in self.proxies.by_id.items() if p.primed]
            await _all(self._away.unless(node, self._catch_up(node, deadline)) for node in chosen)
            await _all(self._starve(node, deadline) for node in chosen)
        return {}, b""

    async def _starve(self, node: str, deadline: float) -> None:
        """One that gets no certificate comes as far as asking for it."""
        if node in self._away and not self._away.stands_still(node):
            await self.secrets.asked_in_vain(node, deadline)

    async def _catch_up(self, node: str, deadline: float) -> None:
        """Bring one what it has missed, and wait until that is live."""
        proxy, envoy = self.proxies.by_id[node], self._envoys[node]
        if not await self._identities.delivered(node, deadline):
            raise RuntimeFailure(f"{node} has not acknowledged its certificate")
        if proxy.stream is not None:
            await self._bring(node, proxy.stream.lacking(), deadline)
        try:
            await envoy.ready(deadline)
        except Rejected as exc:
            if _as_it_shall(proxy, exc):
                return
            raise
        await envoy.through_worker(deadline)

    async def _issue(self, frame: Frame) -> tuple[dict[str, Any], bytes]:
        header = frame.header
        issued = self._authorities.issue(
            str(header["spiffe"]), dns=tuple(header.get("dns", ())), **identities.terms(header)
        )
        return {"cert": issued.certificate, "key": issued.key, "ca": issued.root}, b""

    async def _admin(self, frame: Frame) -> tuple[dict[str, Any], bytes]:
        header = frame.header
        envoy = self._envoys[str(header["proxy"])]
        if self._away.stands_still(str(header["proxy"])):
            raise RuntimeFailure(f"{envoy.proxy.context.pod}: its Envoy stands still or has ended")
        try:
            async with asyncio.timeout(float(header.get("within", _ADMIN_TIMEOUT))):
                answer = await envoy.admin.ask(str(header["path"]), str(header.get("method", "GET")))
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as exc:
            raise RuntimeFailure(f"{envoy.proxy.context.pod}: its Envoy does not answer: {exc}") from exc
        return {"status": answer.status}, answer.body

    async def _dump(self, frame: Frame) -> tuple[dict[str, Any], bytes]:
        proxy = self.proxies.by_id[str(frame.header["proxy"])]
        raw = bool(frame.header.get("raw"))
        dumped = {
            kind: {
                name: to_json(kind, found.raw if raw else found.value)
                for name, found in sorted(named.items())
            }
            for kind, named in proxy.resources.items()
            if kind != "SDS"
        }
        return {}, json.dumps(dumped).encode()


def _as_it_shall(proxy: Proxy, exc: Rejected) -> bool:
    """Whether a fault has everything be refused, which is counted."""
    if proxy.poisoned:
        proxy.refused += len(exc.refusals)
        proxy.refusals.clear()
    return proxy.poisoned


async def _all(work: Iterable[Awaitable[object]]) -> None:
    """Run everything to its end, then raise what went wrong, refusals first."""
    results = await asyncio.gather(*work, return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    rejected = [failure for failure in failures if isinstance(failure, Rejected)]
    if rejected:
        raise Rejected([refusal for failure in rejected for refusal in failure.refusals])
    for failure in failures:
        if not isinstance(failure, RuntimeFailure):
            raise failure
    if failures:
        raise RuntimeFailure("\n".join(str(failure) for failure in failures))
