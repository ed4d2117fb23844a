"""Who may call what: every caller against every port of every Service, each with the policy that decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshtest.mesh.model import PodKind
from meshtest.mesh.ports import istio_protocol
from meshtest.traffic.model import Decision, Outcome, Protocol, Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshtest.explain.model import Explanation, Way
    from meshtest.explain.walk import Walker
    from meshtest.mesh.model import MeshModel, Pod, Service, ServicePort

_HTTP = frozenset(("http", "http2", "grpc-web", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one caller gets at one port of one Service."""

    caller: str
    service: str
    port: int
    request: Request
    verdict: str
    by: tuple[Decision, ...]


def rows(walker: Walker, model: MeshModel, callers: Iterable[Pod], method: str, path: str) -> Iterator[Row]:
    """A row for each caller and port; Services of gateways and without pods are left out."""
    services = [one for one in model.services if _is_called(model, one)]
    for caller in callers:
        for service in services:
            for port in service.ports:
                if port.protocol == "TCP":
                    yield _row(walker, caller, service, port, method, path)


def callers_of(model: MeshModel) -> list[Pod]:
    """One pod for each workload that calls."""
    found = {pod.workload_key: pod for pod in reversed(model.pods) if pod.kind is not PodKind.GATEWAY}
    return list(reversed(found.values()))


def _is_called(model: MeshModel, service: Service) -> bool:
    return any(pod.kind is not PodKind.GATEWAY for pod in model.pods_behind(service))


def _row(walker: Walker, caller: Pod, service: Service, port: ServicePort, method: str, path: str) -> Row:
    request = _request(service, port, method, path)
    found = walker.explain(caller, request)
    return Row(
        caller=caller.workload_key,
        service=service.key,
        port=port.number,
        request=request,
        verdict=verdict(found),
        by=_deciding(found),
    )


def _request(service: Service, port: ServicePort, method: str, path: str) -> Request:
    spoken = istio_protocol(port.number, port.name, port.app_protocol)
    at = f"{service.host}:{port.number}"
    if spoken in _HTTP:
        return Request(url=f"http://{at}{path}", method=method)
    if spoken == "grpc":
        return Request(url=f"grpc://{at}{path}", method="POST", protocol=Protocol.GRPC)
    if spoken in {"https", "tls"}:
        return Request(url=f"tls://{at}", protocol=Protocol.TLS)
    return Request(url=f"tcp://{at}", protocol=Protocol.TCP)


def verdict(found: Explanation) -> str:
    """All endings in one word or a few."""
    return " or ".join(dict.fromkeys(_ending(way) for way in found.ways))


def _ending(way: Way) -> str:
    sure = "" if way.share is not None else " perhaps"
    if way.denied_by is not None:
        return f"denied{sure}"
    if way.workload:
        return f"allowed{sure}"
    if way.outcome is not Outcome.RESPONSE:
        return f"{way.outcome.value}{sure}"
    return f"{way.status or 'refused'}{sure}"


def _deciding(found: Explanation) -> tuple[Decision, ...]:
    """The rules that allowed or denied at the end of the ways."""
    deciding = [
        one
        for way in found.ways
        for crossing in way.crossings
        for one in crossing.decisions
        if one.effect in {"allowed", "denied"}
    ]
    return tuple(dict.fromkeys(deciding))
