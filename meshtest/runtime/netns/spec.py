"""The plan as it crosses to the supervisor: JSON out of the plan's values, and small values back from it."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from meshtest.errors import Unsupported
from meshtest.mesh.disk import Disk
from meshtest.mesh.names import file_name
from meshtest.runtime.base import Command, Image, Interception, Role

if TYPE_CHECKING:
    from meshtest.runtime.base import NetworkPlan, PodPlan, SandboxPlan

RESOLVER = "meshtest/resolver"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSpec:
    """What the supervisor needs to know of a pod."""

    key: str
    namespace: str
    ip: str
    hostname: str
    subdomain: str
    application: Role | Command | None
    bootstrap: str | None
    interception: Interception | None
    readiness_ports: tuple[int, ...]
    env: dict[str, str]
    hosts: dict[str, str]

    @property
    def slug(self) -> str:
        """Its name in file names: `NS_POD`."""
        return file_name(self.key)


def plan_to_json(plan: SandboxPlan) -> dict[str, Any]:
    """A whole plan."""
    return {
        "pods": [pod_to_json(pod) for pod in plan.pods],
        "network": network_to_json(plan.network),
        "control_plane": role_to_json(plan.control_plane),
        "driver": role_to_json(plan.driver),
        "envoy": plan.envoy,
        "concurrency": plan.concurrency,
    }


def pod_to_json(plan: PodPlan) -> dict[str, Any]:
    """One pod."""
    pod = plan.pod
    return {
        "key": pod.key,
        "namespace": pod.namespace,
        "ip": pod.ip,
        "hostname": pod.host_name,
        "subdomain": pod.subdomain,
        "application": _application_to_json(plan.application),
        "bootstrap": plan.bootstrap,
        "interception": asdict(plan.interception) if plan.interception else None,
        "readiness_ports": list(plan.readiness_ports),
        "env": dict(plan.env),
        "hosts": dict(plan.hosts),
    }


def pod_from_json(found: dict[str, Any]) -> PodSpec:
    """One pod, on the supervisor's side."""
    interception = found["interception"]
    listed: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in (interception or {}).items()
    }
    return PodSpec(
        **{
            **found,
            "application": application_from_json(found["application"]),
            "interception": Interception(**listed) if interception is not None else None,
            "readiness_ports": tuple(found["readiness_ports"]),
        }
    )


def network_to_json(network: NetworkPlan) -> dict[str, Any]:
    """Cluster IPs and names; JSON has no numbers as keys, so ports stand in a list."""
    return {
        "cluster_ips": {
            ip: [
                [port, [[backend.ip, backend.port] for backend in backends]]
                for port, backends in ports.items()
            ]
            for ip, ports in network.cluster_ips.items()
        },
        "zone": {name: list(values) for name, values in network.zone.items()},
        "agents": {
            address: {name: list(values) for name, values in names.items()}
            for address, names in network.agents.items()
        },
    }


def cluster_ips_from_json(found: dict[str, Any]) -> dict[str, dict[int, list[tuple[str, int]]]]:
    """Cluster IP -> port -> backends."""
    return {
        ip: {port: [(address, target) for address, target in backends] for port, backends in ports}
        for ip, ports in found["cluster_ips"].items()
    }


def _application_to_json(application: Role | Command | Image | None) -> dict[str, Any] | None:
    if application is None:
        return None
    if isinstance(application, Image):
        raise Unsupported(f"the netns runtime runs no images, such as {application.reference}")
    if isinstance(application, Role):
        return role_to_json(application)
    disk = {
        "folders": list(application.disk.folders),
        "files": [
            [path, base64.b64encode(content).decode(), mode]
            for path, (content, mode) in application.disk.files.items()
        ],
    }
    return {"argv": list(application.argv), "env": dict(application.env), "disk": disk}


def role_to_json(role: Role) -> dict[str, Any]:
    """One of meshtest's own processes."""
    return {"target": role.target, "config": dict(role.config)}


def application_from_json(found: dict[str, Any] | None) -> Role | Command | None:
    """What runs beside the sidecar."""
    if found is None:
        return None
    if "target" in found:
        return Role(target=found["target"], config=found["config"])
    files = {path: (base64.b64decode(content), mode) for path, content, mode in found["disk"]["files"]}
    disk = Disk(files=files, folders=tuple(found["disk"]["folders"]))
    return Command(argv=tuple(found["argv"]), env=found["env"], disk=disk)
