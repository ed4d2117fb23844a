"""Keeps the sidecars on what the manifests say: model changes -> istiod's engine -> control plane -> live everywhere."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshtest.envoy.bootstrap import node_metadata
from meshtest.errors import ConfigurationRejected, ManifestError, RuntimeFailure
from meshtest.istiod.engine import Rejected
from meshtest.mesh.build import engine_proxies, locate
from meshtest.wire import RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from meshtest.errors import Location
    from meshtest.istiod.engine import Engine, Message, Update
    from meshtest.mesh.model import MeshModel, ObjectRef, Pod
    from meshtest.waiting import Timeouts
    from meshtest.wire import Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What istiod or its analyzers say about an object, with its place in the user's file."""

    level: str
    code: str
    message: str
    object: str
    location: Location | None = None

    def __str__(self) -> str:
        where = f"{self.location}: " if self.location else ""
        code = f" [{self.code}]" if self.code else ""
        return f"{where}{self.level}{code}: {self.object}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """One change as it went live: seconds it took, and what istiod said about it."""

    engine: float
    push: float
    notices: tuple[Notice, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


def no_pods() -> None:
    """Nothing to start before a push can be acknowledged."""


class ControlPlane:
    """The engine and the server of one mesh, and the model they were last told of."""

    def __init__(self, engine: Engine, channel: Channel, timeouts: Timeouts) -> None:
        self._engine = engine
        self._channel = channel
        self._timeouts = timeouts
        self._objects: dict[str, Mapping[str, Any]] = {}
        self._proxies: dict[str, Mapping[str, Any]] = {}
        self._mesh_config: str | None = None

    def ask(self, model: MeshModel, mesh_config: str | None) -> Update:
        """Have istiod generate what the change needs; raises ManifestError where a cluster would refuse it."""
        objects = {_key(obj): obj for obj in model.objects}
        proxies = {proxy["id"]: proxy for proxy in _proxies(model)}
        try:
            update = self._engine.update(
                [obj for key, obj in objects.items() if self._objects.get(key) != obj],
                [_reference(obj) for key, obj in self._objects.items() if key not in objects],
                proxies=list(proxies.values()) if proxies != self._proxies else None,
                remove_proxies=[name for name in self._proxies if name not in proxies],
                mesh_config=mesh_config if mesh_config != self._mesh_config else None,
                timeout=self._timeouts.push,
            )
        except Rejected as exc:
            raise refused(exc.messages, model) from exc
        self._objects, self._proxies, self._mesh_config = objects, proxies, mesh_config
        return update

    def push(self, model: MeshModel, update: Update, start_pods: Callable[[], None] = no_pods) -> dict[str, Any]:
        """Make an answer of istiod live on every sidecar; `start_pods` runs while the push is on its way."""
        pods = [pod for pod in model.pods if pod.has_envoy]
        self._channel.call("proxies", timeout=self._timeouts.push, proxies=[_workload(pod) for pod in pods])
        ticket = self._channel.start("update", update.payload, **update.header)
        start_pods()
        try:
            answer = self._channel.result(ticket, timeout=self._timeouts.start)
        except RemoteError as exc:
            if exc.kind == "Rejected":
                raise ConfigurationRejected(exc.message) from exc
            raise
        return dict(answer.header)

    def change(
        self, model: MeshModel, mesh_config: str | None, start_pods: Callable[[], None] = no_pods
    ) -> Pushed:
        """Go from the last model to this one, or, where an Envoy refuses it, back."""
        before = (dict(self._objects), dict(self._proxies), self._mesh_config)
        began = time.monotonic()
        update = self.ask(model, mesh_config)
        asked = time.monotonic()
        try:
            details = self.push(model, update, start_pods)
        except RuntimeFailure:
            raise
        except ConfigurationRejected:
            self._go_back(*before)
            raise
        return Pushed(
            engine=asked - began,
            push=time.monotonic() - asked,
            notices=notices(update.messages, model),
            details=details,
        )

    def _go_back(
        self, objects: dict[str, Mapping[str, Any]], proxies: dict[str, Mapping[str, Any]], mesh_config: str | None
    ) -> None:
        update = self._engine.update(
            [obj for key, obj in objects.items() if self._objects.get(key) != obj],
            [_reference(obj) for key, obj in self._objects.items() if key not in objects],
            proxies=list(proxies.values()) if proxies != self._proxies else None,
            remove_proxies=[name for name in self._proxies if name not in proxies],
            mesh_config=(mesh_config or "") if mesh_config != self._mesh_config else None,
            timeout=self._timeouts.push,
        )
        self._objects, self._proxies, self._mesh_config = objects, proxies, mesh_config
        self._channel.call("update", update.payload, timeout=self._timeouts.push, **update.header)


def analysis(engine: Engine, model: MeshModel) -> tuple[Notice, ...]:
    """What `istioctl analyze` says about a mesh."""
    return notices(engine.analyze(list(model.objects)), model)


def notices(messages: Sequence[Message], model: MeshModel) -> tuple[Notice, ...]:
    """The engine's messages with their places in the user's files."""
    return tuple(
        Notice(
            level=message.level,
            code=message.code,
            message=message.message,
            object=str(message.object) if message.object else "",
            location=_place(model, message),
        )
        for message in messages
    )


def refused(messages: Sequence[Message], model: MeshModel) -> ManifestError:
    """The error for a change that a cluster would refuse: the first reason, then the others."""
    if not messages:
        return ManifestError("istiod refused the manifests and gave no reason")
    first, *others = messages
    also = "".join(f"\n  also: {notice}" for notice in notices(others, model))
    return ManifestError(
        f"{_name(first.object)}: {first.message}{also}", location=_place(model, first), key=first.path
    )


def _name(ref: ObjectRef | None) -> str:
    return str(ref) if ref else "manifest"


def _place(model: MeshModel, message: Message) -> Location | None:
    return locate(model, message.object, message.path) if message.object else None


def _key(obj: Mapping[str, Any]) -> str:
    ref = _reference(obj)
    return f"{ref['apiVersion'].partition('/')[0]}|{ref['kind']}|{ref['namespace']}|{ref['name']}"


def _reference(obj: Mapping[str, Any]) -> dict[str, str]:
    metadata = obj["metadata"]
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "namespace": metadata.get("namespace", ""),
        "name": metadata["name"],
    }


def _proxies(model: MeshModel) -> list[dict[str, Any]]:
    by_ip = {pod.ip: pod for pod in model.pods}
    return [{**proxy, "metadata": node_metadata(by_ip[proxy["ip"]])} for proxy in engine_proxies(model)]


def _workload(pod: Pod) -> dict[str, Any]:
    return {
        "id": pod.node_id,
        "pod": pod.key,
        "workload": pod.workload_key,
        "identity": pod.identity,
        "kind": pod.kind.value,
    }
