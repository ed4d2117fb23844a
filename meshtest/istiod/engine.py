"""The engine's client: one Go process with istiod's own code in it, asked over its standard streams.

    update(objects, proxies) ──► what changed for each proxy: listeners, clusters, routes, endpoints
    validate(objects)        ──► what a cluster would say to each object, nothing touched
    analyze(objects)         ──► what `istioctl analyze` says of all of them
    deployments(objects)     ──► what istiod's controller would deploy for the Gateways among them

An update is carried out wholly or not at all.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshtest.errors import EngineError, RuntimeFailure, ScenarioError
from meshtest.istiod.process import Process
from meshtest.mesh.model import ObjectRef
from meshtest.wire import RemoteError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from meshtest.errors import MeshTestError
    from meshtest.wire import Frame

Object = dict[str, Any]
"""A Kubernetes object as JSON."""
Resources = dict[str, dict[str, bytes]]
"""What a proxy has: type (CDS, LDS, ...) -> name -> serialized message."""

REPLAY = 60.0
"""Seconds for telling a new process all that was accepted before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One finding of the API server's checks, istiod's admission or istioctl's analyzers."""

    level: str
    """"error", "warning" or "info"."""
    code: str
    """What found it: "unknown-field", "schema", "cel", "admission", "decode", or an analyzer's "IST0101"."""
    object: ObjectRef
    path: str
    """The field, as `spec.http[0].route`; empty if it is about the whole object."""
    message: str

    def __str__(self) -> str:
        return f"{self.object}: {self.path + ': ' if self.path else ''}{self.message} [{self.code}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What an update changed; `header` and `payload` go to the control plane as they are."""

    header: dict[str, Any]
    payload: bytes
    messages: tuple[Message, ...]
    generation: int
    generated: int = 0
    """Proxies that istiod made something for, be it as before."""
    names: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    """Proxies that capture DNS, where that changed -> name -> addresses that their agents answer."""
    timings: Mapping[str, float] = field(default_factory=dict)
    """Milliseconds inside the engine."""


class Rejected(EngineError):  # noqa: N818 - says what happened
    """Raised when a cluster would refuse the objects; nothing was changed."""

    def __init__(self, text: str, messages: Sequence[Message]) -> None:
        self.messages = tuple(messages)
        super().__init__(text)


class EnginePanic(EngineError):  # noqa: N818 - says what happened
    """Raised when istiod's code panicked; the engine goes on with what was accepted before."""

    def __init__(self, text: str, stack: str) -> None:
        self.stack = stack
        super().__init__(text)


class Engine:
    """One istiod. Calls from several threads are answered one after the other.

    A process that died is started again with what was accepted before: panics in istiod's background work cannot be
    caught inside it.
    """

    def __init__(self, binary: Path, env: Mapping[str, str]) -> None:
        self._binary = binary
        self._env = dict(env)
        self._accepted = _Accepted()
        self._process = Process(binary, self._env)
        self._lock = threading.Lock()

    @classmethod
    def start(cls, binary: Path, *, env: Mapping[str, str] | None = None) -> Engine:
        """Start the process and return at once; its first answer waits until it is up.

        `env` are istiod's own switches (`PILOT_...`). The process ends with this one: its input ends then.
        """
        return cls(binary, env or {})

    @property
    def pid(self) -> int:
        """The id of the process that answers now."""
        return self._process.pid

    def update(
        self,
        *,
        set: Iterable[Object] = (),  # noqa: A002 - the protocol's word
        delete: Iterable[ObjectRef] = (),
        proxies: Iterable[Mapping[str, Any]] | None = None,
        remove_proxies: Iterable[str] = (),
        mesh_config: str | None = None,
        timeout: float = 30.0,
    ) -> Update:
        """Change objects, proxies or mesh configuration; wholly, or not at all (Rejected, EnginePanic).

        A proxy that is both removed and among `proxies` is a new one of the same name: it is told everything.
        """
        fields: dict[str, Any] = {
            "set": list(set),
            "delete": [ref.to_dict() for ref in delete],
            "removeProxies": list(remove_proxies),
            "meshConfig": mesh_config,
            **({} if proxies is None else {"proxies": list(proxies)}),
        }
        with self._lock:
            frame = self._ask("update", timeout=timeout, **fields)
            self._accepted.take(fields)
        return Update(
            header={"proxies": frame.header["proxies"]},
            payload=frame.payload,
            messages=_messages(frame.header["messages"]),
            names=frame.header["names"],
            generation=frame.header["generation"],
            generated=frame.header["generated"],
            timings=frame.header["timings"],
        )

    def resources(self, proxies: Iterable[str], *, timeout: float = 30.0) -> dict[str, Resources]:
        """Everything that these proxies have now; one that istiod does not know has nothing."""
        frame = self._call("resources", timeout=timeout, names=list(proxies))
        found: dict[str, Resources] = {}
        for proxy, told in frame.header["proxies"].items():
            own = found.setdefault(proxy, {})
            for kind, name, offset, size in told["set"]:
                own.setdefault(kind, {})[name] = frame.payload[offset : offset + size]
        return found

    def validate(
        self, objects: Iterable[Object], *, mesh_config: str | None = None, timeout: float = 30.0
    ) -> list[Message]:
        """What a cluster would say to each object; raises ScenarioError for a MeshConfig that istiod refuses."""
        frame = self._call("validate", timeout=timeout, set=list(objects), meshConfig=mesh_config)
        return list(_messages(frame.header["messages"]))

    def analyze(self, objects: Iterable[Object], *, timeout: float = 60.0) -> list[Message]:
        """What `istioctl analyze` says of all objects of a mesh."""
        return list(_messages(self._call("analyze", timeout=timeout, set=list(objects)).header["messages"]))

    def deployments(self, objects: Iterable[Object], *, timeout: float = 30.0) -> list[Object]:
        """The Deployments, Services and ServiceAccounts that istiod makes of the Gateway API's Gateways among these."""
        return list(self._call("deployments", timeout=timeout, set=list(objects)).header["objects"])

    def status(self, *, timeout: float = 30.0) -> list[Object]:
        """Gateways and routes with the status that istiod's controllers give them."""
        return list(self._call("status", timeout=timeout).header["objects"])

    def fields(
        self, kinds: Iterable[tuple[str, str]], *, timeout: float = 30.0
    ) -> dict[tuple[str, str], list[str]]:
        """Every field of kinds given by `apiVersion` (MeshConfig: none) and name, as `spec.http[].route[].weight`."""
        asked = {f"{version} {name}": (version, name) for version, name in kinds}
        told = [{"apiVersion": version, "kind": name} for version, name in asked.values()]
        found = self._call("fields", timeout=timeout, kinds=told).header["fields"]
        return {asked[key]: paths for key, paths in found.items()}

    def versions(self, *, timeout: float = 30.0) -> dict[str, str]:
        """Versions of Istio, the Gateway API and Toxiproxy inside."""
        return dict(self._call("ping", timeout=timeout).header["versions"])

    def close(self) -> None:
        """End the process and wait for its end."""
        self._process.close()

    def _call(self, op: str, *, timeout: float, **fields: Any) -> Frame:
        with self._lock:
            return self._ask(op, timeout=timeout, **fields)

    def _ask(self, op: str, *, timeout: float, **fields: Any) -> Frame:
        try:
            return self._process.ask(op, timeout=timeout, **fields)
        except RemoteError as exc:
            raise _error(exc) from exc
        except RuntimeFailure as first:
            self._restart()
            try:  # once more: it may have been killed from outside, and then nothing is wrong with the request
                return self._process.ask(op, timeout=timeout, **fields)
            except RemoteError as exc:
                raise _error(exc) from exc
            except RuntimeFailure as exc:
                words = self._restart()
                raise EnginePanic(f"{exc}: {words.splitlines()[0] if words else first}", words) from exc

    def _restart(self) -> str:
        """Start again from the accepted state; what the old process said last."""
        words = self._process.close(timeout=0.2)
        self._process = Process(self._binary, self._env)
        if not self._accepted.empty:
            try:
                self._process.ask("update", timeout=REPLAY, **self._accepted.fields())
            except RuntimeFailure as exc:
                raise EngineError(
                    f"the istiod engine ended and cannot be brought back: {exc}\n{words}"
                ) from exc
        return words


class _Accepted:
    """What the engine was told and accepted, to tell it again."""

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str, str, str], Object] = {}
        self._proxies: dict[str, Mapping[str, Any]] = {}
        self._mesh_config: str | None = None
        self.empty = True

    def take(self, fields: Mapping[str, Any]) -> None:
        self.empty = False
        for ref in fields["delete"]:
            self._objects.pop(_key(ref, ref), None)
        for body in fields["set"]:
            self._objects[_key(body, body["metadata"])] = body
        for name in fields["removeProxies"]:
            self._proxies.pop(name, None)
        if "proxies" in fields:
            self._proxies = {proxy["id"]: proxy for proxy in fields["proxies"]}
        if fields["meshConfig"] is not None:
            self._mesh_config = fields["meshConfig"]

    def fields(self) -> dict[str, Any]:
        return {
            "set": list(self._objects.values()),
            "proxies": list(self._proxies.values()),
            "meshConfig": self._mesh_config,
        }


def _key(kind: Mapping[str, Any], meta: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Objects are told apart by group, not by version."""
    group, slash, _ = str(kind["apiVersion"]).partition("/")
    return (group if slash else "", kind["kind"], meta.get("namespace", ""), meta["name"])


def _error(exc: RemoteError) -> MeshTestError:
    if exc.kind == "MeshConfig":
        return ScenarioError(exc.message.removeprefix("meshConfig: "), key="meshConfig")
    if exc.kind == "Rejected":
        return Rejected(exc.message, _messages(exc.details.get("messages", ())))
    if exc.kind == "Panic":
        return EnginePanic(exc.message, str(exc.details.get("stack", "")))
    return EngineError(f"the istiod engine: {exc.message}")


def _messages(items: Iterable[Mapping[str, Any]]) -> tuple[Message, ...]:
    return tuple(
        Message(
            level=item["level"],
            code=item["code"],
            object=ref_of_json(item["object"]),
            path=item["path"],
            message=item["message"],
        )
        for item in items
    )


def ref_of(body: Object | Mapping[str, Any]) -> ObjectRef:
    """The reference of an object."""
    group, kind, metadata = body["apiVersion"], body["kind"], body["metadata"]
    return ObjectRef(
        api_version=group, kind=kind, namespace=metadata.get("namespace", ""), name=metadata["name"]
    )


def ref_of_json(item: Mapping[str, Any]) -> ObjectRef:
    """The reference in a message."""
    return ObjectRef(
        api_version=item["apiVersion"], kind=item["kind"], namespace=item["namespace"], name=item["name"]
    )
