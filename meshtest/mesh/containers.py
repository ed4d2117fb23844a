"""Containers of a pod: their ports, commands and plain environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.mesh.model import Container, ContainerPort

if TYPE_CHECKING:
    from meshtest.mesh.fields import Fields

PROTOCOLS = ("TCP", "UDP", "SCTP")


def containers_of(spec: Fields) -> tuple[Container, ...]:
    """The containers of a pod's spec, without those that only prepare it."""
    found = spec.items("containers")
    if not found:
        raise spec.error("containers", "missing", expected="at least one container")
    return tuple(_container(item) for item in found)


def container_ports(spec: Fields) -> tuple[ContainerPort, ...]:
    """The ports that containers declare; sidecars written as init containers count too."""
    sidecars = [item for item in spec.items("initContainers") if item.text("restartPolicy") == "Always"]
    return tuple(
        ContainerPort(
            number=port.port("containerPort"),
            name=port.text("name"),
            protocol=protocol_of(port),
        )
        for item in [*spec.items("containers"), *sidecars]
        for port in item.items("ports")
    )


def protocol_of(port: Fields) -> str:
    """The transport protocol of a port."""
    protocol = port.text("protocol", "TCP")
    if protocol not in PROTOCOLS:
        raise port.error("protocol", f"no protocol {protocol!r}", expected=" or ".join(PROTOCOLS))
    return protocol


def _container(item: Fields) -> Container:
    name = item.text("name")
    if not name:
        raise item.error("name", "missing", expected="a name")
    return Container(
        name=name,
        image=item.text("image"),
        command=item.words("command"),
        args=item.words("args"),
        env={
            one.text("name"): one.text("value") for one in item.items("env") if "valueFrom" not in one.value
        },
        fields={
            one.text("name"): path
            for one in item.items("env")
            if (path := one.mapping("valueFrom").mapping("fieldRef").text("fieldPath"))
        },
    )
