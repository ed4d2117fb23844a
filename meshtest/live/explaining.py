"""Where the configuration that `explain` reads comes from: the engine of a running mesh, or one that only explains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.explain.configuration import Configuration
from meshtest.explain.policies import named
from meshtest.explain.walk import Walker
from meshtest.istiod.engine import Rejected
from meshtest.live.applications import of_pod
from meshtest.live.control import state_of
from meshtest.live.notices import refused
from meshtest.mesh.ports import standin_ports

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.istiod.engine import Engine
    from meshtest.live.applications import Applications
    from meshtest.mesh.model import MeshModel, Pod


def of_running(engine: Engine, model: MeshModel, applications: Applications) -> Walker:
    """Explains what the sidecars of a running mesh do, from what they were sent."""
    known: dict[str, Configuration] = {}

    def configuration(pod: Pod) -> Configuration:
        if pod.node_id not in known:
            known[pod.node_id] = Configuration(engine.resources([pod.node_id]).get(pod.node_id, {}))
        return known[pod.node_id]

    return Walker(model, configuration, _spoken(model, applications))


def _spoken(model: MeshModel, applications: Applications) -> Callable[[Pod, int], str | None]:
    """What is known of the applications: stand-ins say what they speak, users' own programs do not."""
    ports: dict[str, dict[int, str]] = {}

    def spoken(pod: Pod, port: int) -> str | None:
        if of_pod(applications, model, pod):
            return None
        if pod.key not in ports:
            ports[pod.key] = dict(standin_ports(model, pod))
        return ports[pod.key].get(port, "")

    return spoken


def of_manifests(engine: Engine, model: MeshModel, mesh_config: str | None = None) -> Walker:
    """Explains what the sidecars of a mesh would do; istiod makes the configuration of those that are asked about.

    Raises ManifestError where a cluster would refuse the manifests.
    """
    state = state_of(model, mesh_config)
    try:
        engine.update(set=[named(body) for body in state.objects.values()], mesh_config=mesh_config)
    except Rejected as exc:
        raise refused(exc.messages, model, engine) from exc
    told: list[str] = []
    known: dict[str, Configuration] = {}

    def configuration(pod: Pod) -> Configuration:
        if pod.node_id not in known:
            told.append(pod.node_id)
            engine.update(proxies=[state.proxies[name] for name in told])
            known[pod.node_id] = Configuration(engine.resources([pod.node_id]).get(pod.node_id, {}))
        return known[pod.node_id]

    return Walker(model, configuration)
