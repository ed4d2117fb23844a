"""Faults of connections: the real Toxiproxy server on chosen edges between callers and callees.

    caller ─ its sidecar (retries, timeouts, ejection) ══ mTLS ══► Toxiproxy ══ mTLS ══► callee's sidecar ─ callee

The caller's sidecar gets, for the callee's endpoints, the address of a Toxiproxy listener; all else about them stays,
so that mTLS goes end to end. Envoy drops the connections it had pooled for an endpoint that is gone: the first
request after `inject` goes through Toxiproxy already, and streams under way stay where they are. The callee sees
Toxiproxy's address as its peer's: a policy that asks for addresses (`ipBlocks`) instead of identities will notice.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from meshtest.errors import ScenarioError, Unsupported
from meshtest.faults.detours import Detour
from meshtest.faults.making import faulty
from meshtest.faults.places import named
from meshtest.runtime.abilities import Between
from meshtest.scenario import fault_connection as toxics
from meshtest.scenario.fault_connection import Down, Stream, Toxic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from meshtest.faults.base import Ground
    from meshtest.mesh.model import MeshModel, Pod
    from meshtest.scenario.faults import FaultSpec

_MILLI, _MICRO = 1000, 1_000_000


def latency(*, to: str | Sequence[str], latency: float, jitter: float = 0.0, **where: Any) -> FaultSpec:
    """Let bytes arrive `latency` seconds later, give or take `jitter`.

    Args:
        to: workloads, services or pods that are called.
        latency: seconds.
        jitter: seconds.
        where: `from_` (workloads, services or pods; every caller with a sidecar without it), `stream` (`upstream`,
            `downstream` or `both`), `toxicity` (share of the connections, 0 to 1), `name`, `during=(at, for)`.
    """
    return _toxic("latency", toxics.Latency, to, where, latency=latency, jitter=jitter)


def bandwidth(*, to: str | Sequence[str], rate: int, **where: Any) -> FaultSpec:
    """Let bytes through at `rate` KB per second; `where` as for `latency`."""
    return _toxic("bandwidth", toxics.Bandwidth, to, where, rate=rate)


def slow_close(*, to: str | Sequence[str], delay: float, **where: Any) -> FaultSpec:
    """Close connections `delay` seconds late; `where` as for `latency`.

    What is late is TCP's goodbye. Over mTLS sidecars say goodbye inside TLS first, and those bytes are not kept back.
    """
    return _toxic("slowClose", toxics.SlowClose, to, where, delay=delay)


def timeout(*, to: str | Sequence[str], timeout: float = 0.0, **where: Any) -> FaultSpec:
    """Let nothing through, and close after `timeout` seconds or (0) never; `where` as for `latency`."""
    return _toxic("timeout", toxics.Timeout, to, where, timeout=timeout)


def reset_peer(*, to: str | Sequence[str], timeout: float = 0.0, **where: Any) -> FaultSpec:
    """Reset connections `timeout` seconds after the first bytes; `where` as for `latency`."""
    return _toxic("resetPeer", toxics.ResetPeer, to, where, timeout=timeout)


def slicer(
    *, to: str | Sequence[str], average_size: int, size_variation: int = 0, delay: float = 0.0, **where: Any
) -> FaultSpec:
    """Cut the bytes into pieces with `delay` seconds between them; `where` as for `latency`."""
    sizes = {"average_size": average_size, "size_variation": size_variation}
    return _toxic("slicer", toxics.Slicer, to, where, **sizes, delay=delay)


def limit_data(*, to: str | Sequence[str], limit: int, **where: Any) -> FaultSpec:
    """Close connections after `limit` bytes; `where` as for `latency`."""
    return _toxic("limitData", toxics.LimitData, to, where, bytes=limit)


def down(*, to: str | Sequence[str], **where: Any) -> FaultSpec:
    """Refuse every connection; `where` as for `latency`, without `stream` and `toxicity`."""
    return faulty("down", Down(), to, where)


def _toxic(
    kind: str, make: Callable[..., Toxic], to: str | Sequence[str], where: dict[str, Any], **attributes: float
) -> FaultSpec:
    every = {name: where.pop(name) for name in ("stream", "toxicity") if name in where}
    return faulty(kind, make(**every, **attributes), to, where, depth=3)


_TOXICS: Mapping[type[Toxic], tuple[str, Mapping[str, int]]] = {
    toxics.Latency: ("latency", {"latency": _MILLI, "jitter": _MILLI}),
    toxics.Bandwidth: ("bandwidth", {"rate": 1}),
    toxics.SlowClose: ("slow_close", {"delay": _MILLI}),
    toxics.Timeout: ("timeout", {"timeout": _MILLI}),
    toxics.ResetPeer: ("reset_peer", {"timeout": _MILLI}),
    toxics.Slicer: ("slicer", {"average_size": 1, "size_variation": 1, "delay": _MICRO}),
    toxics.LimitData: ("limit_data", {"bytes": 1}),
}
"""What Toxiproxy calls them, and the unit in which it counts each attribute."""


def told(toxic: Toxic) -> list[dict[str, Any]]:
    """A toxic as Toxiproxy is told of it, once for each way."""
    kind, units = _TOXICS[type(toxic)]
    attributes = {name: round(getattr(toxic, name) * unit) for name, unit in units.items()}
    both = (Stream.UPSTREAM, Stream.DOWNSTREAM)
    return [
        {"type": kind, "stream": way.value, "toxicity": toxic.toxicity, "attributes": attributes}
        for way in (both if toxic.stream is Stream.BOTH else (toxic.stream,))
    ]


def check(spec: FaultSpec, model: MeshModel) -> None:
    """Raise ScenarioError where there is no such edge, as far as manifests can tell."""
    senders, receivers = callers(spec, model), callees(spec, model)
    if len({pod.key for pod in (*senders, *receivers)}) == 1:
        raise ScenarioError(
            f"both sides are the same pod, {receivers[0].key}, which no line leads to itself",
            location=spec.location, key=f"{spec.kind}.from", expected="another workload",
        )  # fmt: skip
    services = [each for each in model.services if any(pod in receivers for pod in model.pods_behind(each))]
    elsewhere = any(manifest.ref.kind == "ServiceEntry" for manifest in model.manifests)
    if not elsewhere and not any(service.cluster_ip for service in services):
        raise ScenarioError(
            f"{', '.join(spec.to)} is behind {'headless Services only' if services else 'no Service'}, so that no"
            " sidecar has a list of its endpoints",
            location=spec.location,
            key=f"{spec.kind}.to",
            expected="a callee behind a Service with a cluster IP; or a fault of packets, such as loss or partition",
        )


def plan(spec: FaultSpec, fault_id: str, ground: Ground) -> Detour:
    """The family: see the module's text."""
    check(spec, ground.model)
    senders, receivers = callers(spec, ground.model), callees(spec, ground.model)
    if not isinstance(ground.sandbox, Between):
        raise Unsupported(f"{spec.location}: {spec.kind}: this runtime has no place for Toxiproxy; use netns")
    if importlib.util.find_spec("toxiproxy") is None:
        raise Unsupported(
            f"{spec.location}: {spec.kind} needs toxiproxy-python: pip install 'meshtest[toxiproxy]'"
        )
    action = spec.action
    return Detour(
        id=fault_id,
        spec=spec,
        ground=ground,
        sandbox=ground.sandbox,
        senders=senders,
        receivers=receivers,
        toxics=told(action) if isinstance(action, Toxic) else [],
        placement=placement(spec, ground.model),
    )


def callers(spec: FaultSpec, model: MeshModel) -> tuple[Pod, ...]:
    """The pods whose sidecars make the connections: those that `from:` means, else all."""
    found = tuple(pod for name in spec.sender for pod in named(name, spec, model, key="from"))
    for pod in found:
        if not pod.has_envoy:
            raise ScenarioError(
                f"{pod.key} has no sidecar that could send its connections through Toxiproxy",
                location=spec.location,
                key=f"{spec.kind}.from",
                expected="callers with a sidecar; for others a fault of packets, or of the callee's inbound side",
            )
    return found or tuple(pod for pod in model.pods if pod.has_envoy)


def callees(spec: FaultSpec, model: MeshModel) -> tuple[Pod, ...]:
    """The pods that `to:` means."""
    if "*" in spec.to:
        return tuple(model.pods)
    found = (pod for name in spec.to for pod in named(name, spec, model, key="to"))
    return tuple({pod.key: pod for pod in found}.values())


def placement(spec: FaultSpec, model: MeshModel) -> str:
    """Where the fault sits, in words."""
    who = _workloads(callers(spec, model)) if spec.sender else "all callers"
    whom = _workloads(callees(spec, model))
    return f"between the sidecars of {who} and {whom}: behind the caller's retries, timeouts and outlier detection"


def _workloads(pods: Sequence[Pod]) -> str:
    return ", ".join(dict.fromkeys(pod.workload_key for pod in pods))
