"""What istiod, its analyzers and the Envoys have to say about objects, with their places in the user's files. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshtest.errors import ManifestError
from meshtest.mesh.places import find, locate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshtest.errors import Location
    from meshtest.istiod.engine import Engine, Message
    from meshtest.mesh.model import Manifest, MeshModel, ObjectRef, Pod

_SECRET = re.compile(r"(?P<type>[a-z-]+)://(?:(?P<namespace>[^/]+)/)?(?P<name>.+)")
_CA = "-cacert"
"""As istiod names secrets (istio/istio: pilot/pkg/model/credentials); the root of one has a suffix."""


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


def analysis(engine: Engine, model: MeshModel) -> tuple[Notice, ...]:
    """What `istioctl analyze` says about a mesh."""
    return notices(engine.analyze(dict(body) for body in model.objects), model)


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


def starving(starved: Mapping[str, Sequence[str]], model: MeshModel) -> Iterator[Notice]:
    """Proxies that have not got the files that a policy names; one notice for all that lack the same."""
    pods = {pod.node_id: pod.key for pod in model.pods}
    lacking: dict[tuple[str, ...], list[str]] = {}
    for node, names in starved.items():
        lacking.setdefault(tuple(names), []).append(pods.get(node, node))
    for lacked, keys in lacking.items():
        files = ", ".join(name.partition(":")[2].replace("~", ", ") for name in lacked)
        first, *others = sorted(keys)
        also = f" (nor has that of {', '.join(others)})" if others else ""
        yield Notice(
            level="warning",
            code="missing-file",
            message=f"its proxy has no {files}{also}: requests that need it will fail",
            object=f"Pod {first}",
        )


def refused(messages: Sequence[Message], model: MeshModel, engine: Engine) -> ManifestError:
    """The error for a change that a cluster would refuse: the first reason, what was likely meant, the others."""
    from meshtest.live.fixes import Guesses  # noqa: PLC0415 - only for the mistake

    if not messages:
        return ManifestError("istiod refused the manifests and gave no reason")
    first, *others = messages
    also = "".join(f"\n  also: {notice}" for notice in notices(others, model))
    guess = Guesses(engine, model).of(first)
    hint = f"; did you mean {guess!r}?" if guess else ""
    return ManifestError(
        f"{_name(first.object)}: {first.message}{hint}{also}", location=_place(model, first), key=first.path
    )


def _name(ref: ObjectRef | None) -> str:
    return str(ref) if ref else "manifest"


def _place(model: MeshModel, message: Message) -> Location | None:
    return locate(model, message.object, message.path) if message.object else None


def unserved(told: Mapping[str, Mapping[str, str]], model: MeshModel) -> Iterator[Notice]:
    """A warning for each.

    Args:
        told: proxy -> name of the secret -> why its Envoy refused it; empty where there is none of that name.
        model: the mesh that they are in.
    """
    pods = {pod.node_id: pod for pod in model.pods}
    for node, names in told.items():
        for name, said in sorted(names.items()) if node in pods else ():
            yield _notice(pods[node], name, said, model)


def _notice(pod: Pod, name: str, said: str, model: MeshModel) -> Notice:
    kind, namespace, own = _object(pod, name)
    manifest = _manifest(model, kind, namespace, own)
    why = (
        f"the Envoy of {pod.key} refused it: {said}"
        if said
        else f"{pod.key} asks for it, and it is not there, or not for that pod to have"
    )
    return Notice(
        level="warning",
        code="credential",
        message=f"{why}; handshakes that need it fail",
        object=f"{kind} {namespace}/{own}",
        location=manifest.location if manifest else None,
    )


def _object(pod: Pod, name: str) -> tuple[str, str, str]:
    found = _SECRET.fullmatch(name)
    if found is None:
        return "Secret", pod.namespace, name
    kind = "ConfigMap" if found["type"] == "configmap" else "Secret"
    return kind, found["namespace"] or pod.namespace, found["name"]


def _manifest(model: MeshModel, kind: str, namespace: str, name: str) -> Manifest | None:
    """Its own, or that of the Secret which holds certificate and root both."""
    return find(model, "", kind, namespace, name) or find(model, "", kind, namespace, name.removesuffix(_CA))
