"""Keeps the sidecars on what the manifests say: model -> istiod's engine -> control plane -> live everywhere."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshtest.envoy.bootstrap import node_metadata
from meshtest.errors import ConfigurationRejected
from meshtest.istiod.engine import Rejected, ref_of
from meshtest.live.blaming import blamed
from meshtest.live.introducing import introduction
from meshtest.live.notices import notices, refused, starving, unserved
from meshtest.mesh.addresses import is_ipv4
from meshtest.mesh.build import engine_proxies
from meshtest.wire import RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from meshtest.istiod.engine import Engine, Update
    from meshtest.live.notices import Notice
    from meshtest.mesh.model import MeshModel, ObjectRef, Pod
    from meshtest.waiting import Timeouts
    from meshtest.wire import Channel

_MARGIN = 5.0
"""Seconds that the server may take to answer besides what it waits for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """One change as it went live: seconds it took, and what istiod said about it."""

    engine: float
    push: float
    notices: tuple[Notice, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


def no_pods() -> None:
    """Nothing to start before a push can be acknowledged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedDisk:
    """What every proxy finds on its disk besides what is there."""

    files: Mapping[str, str] = field(default_factory=dict)
    """Path -> text."""
    roots: str = ""
    """PEM of authorities that its system trusts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the engine was last told."""

    objects: Mapping[ObjectRef, Mapping[str, Any]] = field(default_factory=dict)
    proxies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    mesh_config: str | None = None
    pods: Sequence[Pod] = field(default=(), repr=False, compare=False)
    """Those behind the proxies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Push:
    """What the server is told of one change: the Envoys there are, and what differs for them."""

    introduced: Mapping[str, Any]
    update: Update
    anew: Sequence[str] = ()
    """Those whose pod is replaced: another Envoy will say that it is the same."""
    gone: Sequence[str] = ()


class ControlPlane:
    """The engine and the server of one mesh, and the state they were last told of."""

    def __init__(
        self, engine: Engine, channel: Channel, timeouts: Timeouts, disk: SharedDisk | None = None
    ) -> None:
        self._engine = engine
        self._disk = disk or SharedDisk()
        self._channel = channel
        self._timeouts = timeouts
        self._told = Told()
        self._model: MeshModel | None = None
        self._met: Mapping[str, Any] | None = None
        """Whom the server knows of; None: what it knows has to be said again."""
        self._noted: list[_Push] = []
        self._away: frozenset[str] = frozenset()
        """Sidecars that stand still or have ended on purpose."""
        self.agents: dict[str, Mapping[str, Sequence[str]]] = {}
        """What the agents of proxies answer that capture DNS; by the id of the proxy."""
        self.on_names: Callable[[], None] = no_pods
        """Called when `agents` has changed."""
        self.outage = ""
        """`down` or `paused` while a fault has it so."""
        self.held = 0
        """Changes and starts of sidecars since the outage began."""

    def change(
        self,
        model: MeshModel,
        mesh_config: str | None,
        start_pods: Callable[[], None] = no_pods,
        again: Collection[str] = (),
    ) -> Pushed:
        """Go to this model; returns when it is live on every sidecar. `start_pods` runs while the push is on its way.

        The pods `again` start once more, though they are as they were.

        While the control plane is down or paused nobody waits for it: the change is live after the recovery.

        Raises ManifestError where a cluster would refuse it and ConfigurationRejected where an Envoy does; then the
        mesh is as it was.
        """
        before, anew = self._told, _replaced(self._model, model, again)
        began = time.monotonic()
        try:
            update = self._tell(state_of(model, mesh_config, before), anew)
        except Rejected as exc:
            raise refused(exc.messages, model, self._engine) from exc
        asked = time.monotonic()
        gone = [name for name in before.proxies if name not in self._told.proxies]
        try:
            push = _Push(introduced=introduction(model), update=update, anew=anew, gone=gone)
            details = self._push(model, push, start_pods)
        except ConfigurationRejected as exc:
            changed = _changed(before, self._told)
            added = [name for name in self._told.proxies if name not in before.proxies]
            back, self._met = self._tell(before), None
            self._channel.call("update", back.payload, timeout=self._timeouts.push, **back.header)
            self._channel.call("proxies", timeout=self._timeouts.push, remove=added)
            raise blamed(exc, model, changed) from exc
        return Pushed(
            engine=asked - began,
            push=time.monotonic() - asked,
            notices=(
                *notices(update.messages, model),
                *starving(details.get("starved", {}), model),
                *unserved(details.get("unserved", {}), model),
            ),
            details=details,
        )

    def _tell(self, state: Told, anew: Sequence[str] = ()) -> Update:
        """Have istiod generate what the difference to the last state needs; all of it for the proxies `anew`."""
        old = self._told
        update = self._engine.update(
            set=[dict(body) for body in _changed(old, state).values()],
            delete=[ref for ref in old.objects if ref not in state.objects],
            proxies=list(state.proxies.values()) if anew or state.proxies != old.proxies else None,
            remove_proxies=[*anew, *(name for name in old.proxies if name not in state.proxies)],
            mesh_config=(state.mesh_config or "") if state.mesh_config != old.mesh_config else None,
            timeout=self._timeouts.push,
        )
        self._told = state
        return update

    def _push(self, model: MeshModel, push: _Push, start_pods: Callable[[], None]) -> dict[str, Any]:
        if self.outage:
            self.held += 1
            self._noted.append(push)
            start_pods()
            details = {"held": f"the control plane is {self.outage}"}
        else:
            details = self._send(push, start_pods)
        self._model = model
        return details

    def _send(self, push: _Push, start_pods: Callable[[], None]) -> dict[str, Any]:
        within = self._timeouts.start if self._starts(push) else self._timeouts.push
        met = None if push.introduced == self._met and not push.anew else self._introduce(push)
        # Asked at once: the server takes them in turn, and to containers each question has a way to go.
        # A mesh's first question waits for the control plane itself.
        ticket = self._channel.start("update", push.update.payload, within=within, **push.update.header)
        start_pods()
        if met is not None:
            self._channel.result(met, timeout=within)
            self._met = push.introduced
        if push.update.names:
            self.agents |= {node: _ipv4(names) for node, names in push.update.names.items()}
            self.on_names()
        try:
            details = dict(self._channel.result(ticket, timeout=within + _MARGIN).header)
        except RemoteError as exc:
            if exc.kind == "Rejected":
                raise ConfigurationRejected(exc.message) from exc
            raise
        if push.gone:
            self._channel.call("proxies", timeout=self._timeouts.push, remove=push.gone)
        return details

    def _introduce(self, push: _Push) -> int:
        """Have the server know every Envoy and its files, without waiting for it."""
        return self._channel.start(
            "proxies",
            remove=push.anew,
            files=dict(self._disk.files),
            roots=self._disk.roots,
            **push.introduced,
        )

    def _starts(self, push: _Push) -> bool:
        """Whether some sidecar is only about to start."""
        known = {pod.node_id for pod in self._model.pods} if self._model else set()
        return bool(push.anew) or any(one["id"] not in known for one in push.introduced["proxies"])

    def suspend(self, outage: str) -> None:
        """Changes are noted from now on and not waited for: the control plane is `down` or `paused`."""
        self.outage, self.held = outage, 0
        self._channel.silent = f"it is {outage}"

    def resume(self) -> None:
        """The control plane is back: bring every sidecar to the present state, and wait for it.

        A new process knows nothing, so it is told everything; Envoys that still have it are sent no more of it.
        """
        outage, self.outage, self._channel.silent = self.outage, "", ""
        self._tell_who_is_away()
        noted, self._noted, self._met = self._noted, [], None
        if outage == "paused":
            for push in noted:
                self._send(push, no_pods)
        elif outage and self._model is not None:
            state = self._told
            self._tell(Told(objects=state.objects, mesh_config=state.mesh_config))
            self._send(_Push(introduced=introduction(self._model), update=self._tell(state)), no_pods)

    def leave_out(self, proxy: str) -> None:
        """Wait for this sidecar no more: it is about to stand still, or to end."""
        self._away |= {proxy}
        self._tell_who_is_away()

    def take_in(self, proxy: str, *, anew: bool) -> None:
        """Bring a sidecar that runs again what it has missed; one that was started `anew` has nothing."""
        self._away -= {proxy}
        self.held += bool(anew and self.outage)
        self._tell_who_is_away()

    def _tell_who_is_away(self) -> None:
        if not self.outage:  # else it is told when it is back
            within = self._timeouts.push
            self._channel.call("away", timeout=within + 1, within=within, proxies=sorted(self._away))


def _changed(old: Told, new: Told) -> dict[ObjectRef, Mapping[str, Any]]:
    return {ref: body for ref, body in new.objects.items() if old.objects.get(ref) != body}


def state_of(model: MeshModel, mesh_config: str | None, before: Told | None = None) -> Told:
    """What an engine is told of a mesh; where its pods are those of the state before, so are the proxies."""
    return Told(
        objects={ref_of(body): body for body in model.objects},
        proxies=before.proxies if before and before.pods is model.pods else _proxies(model),
        mesh_config=mesh_config,
        pods=model.pods,
    )


def _proxies(model: MeshModel) -> dict[str, Mapping[str, Any]]:
    by_ip = {pod.ip: pod for pod in model.pods}
    return {
        proxy["id"]: {**proxy, "metadata": node_metadata(by_ip[proxy["ip"]])}
        for proxy in engine_proxies(model)
    }


def _ipv4(names: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The names as a zone has them."""
    return {
        name.rstrip(".").lower(): [address for address in addresses if is_ipv4(address)]
        for name, addresses in names.items()
    }


def _replaced(old: MeshModel | None, new: MeshModel, again: Collection[str]) -> list[str]:
    """The node ids of Envoys whose pod is another one of the same name, or starts again."""
    before = {pod.key: pod for pod in old.pods} if old else {}
    return [
        pod.node_id
        for pod in new.pods
        if pod.has_envoy
        and (known := before.get(pod.key))
        and (pod.key in again or not pod.goes_on(known))
        and known.node_id == pod.node_id
    ]
