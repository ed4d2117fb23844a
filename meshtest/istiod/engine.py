"""The engine's client: one Go process with istiod's own code in it, asked over its standard streams.

    update(objects, proxies) ──► what changed for each proxy: listeners, clusters, routes, endpoints
    validate(objects)        ──► what a cluster would say to each object, nothing touched
    analyze(objects)         ──► what `istioctl analyze` says of all of them

An update is carried out wholly or not at all.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshtest.errors import EngineError, RuntimeFailure
from meshtest.mesh.model import ObjectRef
from meshtest.wire import Channel, RemoteError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from meshtest.wire import Frame

Object = dict[str, Any]
"""A Kubernetes object as JSON."""

SWITCHES = {
    "PILOT_ENABLE_METADATA_EXCHANGE": "false",  # stock Envoy has no such filter
    "PILOT_JWT_ENABLE_REMOTE_JWKS": "envoy",  # else istiod fetches key sets itself
    "PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS": "true",
}
"""What istiod's own tests and stock Envoy need; read by istiod before its `main` runs."""


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
    timings: Mapping[str, float] = field(default_factory=dict)
    """Milliseconds inside the engine."""


class Rejected(EngineError):  # noqa: N818 - says what happened
    """Raised when a cluster would refuse the objects; nothing was changed."""

    def __init__(self, text: str, messages: Sequence[Message]) -> None:
        self.messages = tuple(messages)
        super().__init__(text)


class EnginePanic(EngineError):  # noqa: N818 - says what happened
    """Raised when istiod's code panicked on the update; the engine goes on with what was accepted before."""

    def __init__(self, text: str, stack: str) -> None:
        self.stack = stack
        super().__init__(text)


class Engine:
    """One istiod. Calls from several threads are answered one after the other."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None  # noqa: S101 - start() asks for pipes
        assert process.stdout is not None  # noqa: S101
        self._process = process
        self._channel = Channel("the istiod engine", process.stdout, process.stdin)
        self._lock = threading.Lock()

    @classmethod
    def start(cls, binary: Path, *, env: Mapping[str, str] | None = None) -> Engine:
        """Start the process and return at once; its first answer waits until it is up.

        `env` are istiod's own switches (`PILOT_...`). The process ends with this one: its input ends then.
        """
        try:
            process = subprocess.Popen(
                [os.fspath(binary), "serve"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **SWITCHES, **(env or {})},
            )
        except OSError as exc:
            raise EngineError(f"the istiod engine {binary} does not start: {exc}") from exc
        return cls(process)

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
        """Change objects, proxies or mesh configuration; wholly, or not at all (Rejected, EnginePanic)."""
        fields: dict[str, Any] = {
            "set": list(set),
            "delete": [ref.to_dict() for ref in delete],
            "removeProxies": list(remove_proxies),
            "meshConfig": mesh_config,
        }
        if proxies is not None:
            fields["proxies"] = list(proxies)
        frame = self._ask("update", timeout=timeout, **fields)
        return Update(
            header={"proxies": frame.header["proxies"]},
            payload=frame.payload,
            messages=_messages(frame.header["messages"]),
            generation=frame.header["generation"],
            timings=frame.header["timings"],
        )

    def validate(self, objects: Iterable[Object], *, timeout: float = 30.0) -> list[Message]:
        """What a cluster would say to each object: schema, CEL rules, istiod's admission."""
        return list(_messages(self._ask("validate", timeout=timeout, set=list(objects)).header["messages"]))

    def analyze(self, objects: Iterable[Object], *, timeout: float = 60.0) -> list[Message]:
        """What `istioctl analyze` says of all objects of a mesh."""
        return list(_messages(self._ask("analyze", timeout=timeout, set=list(objects)).header["messages"]))

    def status(self, *, timeout: float = 30.0) -> list[Object]:
        """Gateways and routes with the status that istiod's controllers give them."""
        return list(self._ask("status", timeout=timeout).header["objects"])

    def versions(self, *, timeout: float = 30.0) -> dict[str, str]:
        """Versions of Istio, the Gateway API and Toxiproxy inside."""
        return dict(self._ask("ping", timeout=timeout).header["versions"])

    def close(self) -> None:
        """End the process and wait for its end."""
        self._channel.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            with contextlib.suppress(OSError):
                self._process.stdout.close()

    def _ask(self, op: str, *, timeout: float, **fields: Any) -> Frame:
        with self._lock:
            try:
                return self._channel.call(op, timeout=timeout, **fields)
            except RemoteError as exc:
                raise _error(exc) from exc
            except RuntimeFailure as exc:
                raise EngineError(str(exc)) from exc


def _error(exc: RemoteError) -> EngineError:
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


def ref_of_json(item: Mapping[str, Any]) -> ObjectRef:
    """The reference in a message."""
    return ObjectRef(
        api_version=item["apiVersion"], kind=item["kind"], namespace=item["namespace"], name=item["name"]
    )
