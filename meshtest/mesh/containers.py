"""Containers of a pod: their ports, and what it takes to run them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.mesh.model import Container, ContainerPort
from meshtest.mesh.probes import probe_of
from meshtest.mesh.quantities import quantity_of
from meshtest.mesh.variables import imports_of, variables_of
from meshtest.mesh.volumes import volumes_of

if TYPE_CHECKING:
    from meshtest.mesh.fields import Fields

_ISTIOS = ("istio-init", "istio-validation", "enable-core-dump")
"""In pods that were injected before (istio/istio: pkg/kube/inject); what they do is done."""
PROTOCOLS = ("TCP", "UDP", "SCTP")


def containers_of(spec: Fields) -> tuple[Container, ...]:
    """The containers of a pod's spec, without those that only prepare it."""
    found = spec.items("containers")
    if not found:
        raise spec.error("containers", "missing", expected="at least one container")
    return tuple(_container(spec, item) for item in found)


def preparing_of(spec: Fields) -> tuple[Container, ...]:
    """The init containers of a pod's spec, but for Istio's own and those that are sidecars."""
    return tuple(
        _container(spec, item)
        for item in spec.items("initContainers")
        if item.text("restartPolicy") != "Always" and item.text("name") not in _ISTIOS
    )


def container_ports(spec: Fields) -> tuple[ContainerPort, ...]:
    """The ports that containers declare; sidecars written as init containers count too."""
    sidecars = [item for item in spec.items("initContainers") if item.text("restartPolicy") == "Always"]
    return tuple(port for item in [*spec.items("containers"), *sidecars] for port in _ports(item))


def _ports(item: Fields) -> tuple[ContainerPort, ...]:
    return tuple(
        ContainerPort(
            number=port.port("containerPort"),
            name=port.text("name"),
            protocol=protocol_of(port),
        )
        for port in item.items("ports")
    )


def protocol_of(port: Fields) -> str:
    """The transport protocol of a port."""
    protocol = port.text("protocol", "TCP")
    if protocol not in PROTOCOLS:
        raise port.error("protocol", f"no protocol {protocol!r}", expected=" or ".join(PROTOCOLS))
    return protocol


def _container(spec: Fields, item: Fields) -> Container:
    name = item.text("name")
    if not name:
        raise item.error("name", "missing", expected="a name")
    ports = _ports(item)
    return Container(
        name=name,
        image=item.text("image"),
        command=item.words("command"),
        args=item.words("args"),
        working_directory=item.text("workingDir"),
        user=_user(spec, item),
        group=_group(spec),
        groups=_groups(spec),
        service_links=spec.value.get("enableServiceLinks") is None or spec.truth("enableServiceLinks"),
        variables=variables_of(item),
        imports=imports_of(item),
        volumes=volumes_of(spec, item),
        resources=_resources(item),
        startup=probe_of(item, "startupProbe", ports),
        readiness=probe_of(item, "readinessProbe", ports),
    )


def _user(spec: Fields, item: Fields) -> str:
    """A container's own words win over its pod's."""
    places = [item.mapping("securityContext"), spec.mapping("securityContext")]
    user, group = (
        next((at.whole(key, 0) for at in places if at.value.get(key) is not None), None)
        for key in ("runAsUser", "runAsGroup")
    )
    if user is None:
        return ""
    return str(user) if group is None else f"{user}:{group}"


def _group(spec: Fields) -> int | None:
    context = spec.mapping("securityContext")
    return None if context.value.get("fsGroup") is None else context.whole("fsGroup", 0)


def _groups(spec: Fields) -> tuple[int, ...]:
    """Those that the pod names, and the one that its volumes belong to."""
    context = spec.mapping("securityContext")
    stated = context.value.get("supplementalGroups") or []
    wrong = not isinstance(stated, list) or any(not isinstance(one, int) or one < 0 for one in stated)
    if wrong:
        raise context.error(
            "supplementalGroups", f"{stated!r} is no list of groups", expected="such as [2000]"
        )
    return tuple(dict.fromkeys([*stated, *(() if (own := _group(spec)) is None else (own,))]))


def _resources(item: Fields) -> dict[str, float]:
    resources = item.mapping("resources")
    found: dict[str, float] = {}
    for kind in ("limits", "requests"):
        stated = resources.mapping(kind)
        for key, value in stated.value.items():
            number = quantity_of(str(value)) if isinstance(value, (str, int, float)) else None
            if number is None:
                raise stated.error(key, f"{value!r} is no quantity", expected="such as 500m, 2 or 64Mi")
            found[f"{kind}.{key}"] = number
    return found
