"""`images:` of a scenario: which container image runs as a workload's application, and how.

images:
"*": manifest                          # every workload runs the image that its manifest names
ratings: registry/ratings:pr-7         # but for this one
reviews: {image: manifest, env: {LOG: debug}, resources: {cpu: 500m, memory: 64Mi}, readyPorts: [9080]}
details: {image: manifest, readinessProbe: {httpGet: {path: /health, port: 9080}}}
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshtest.mesh.quantities import quantity_of
from meshtest.scenario.fields import Shape, Short, Spot, key, list_of, mapping_of, record, shown
from meshtest.scenario.probes import PROBE
from meshtest.scenario.scalars import integer, scalar_text, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.mesh.probes import Probe

MANIFEST = "manifest"
"""In place of an image: the one that the workload's manifest names."""
EVERY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Limits, as `resources.limits` of a container has them."""

    cpu: float | None = None
    memory: float | None = None
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec:
    """What runs, and what differs from the image's and the manifest's own words."""

    image: str = MANIFEST
    command: tuple[str, ...] | None = None
    """Replaces the image's entry point."""
    args: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    ready_ports: tuple[int, ...] | None = None
    """It is ready when these accept connections; None: every TCP port that the manifest declares."""
    readiness: Probe | None = None
    """In place of the manifest's probe."""
    resources: Resources = field(default_factory=Resources)

    @property
    def from_manifest(self) -> bool:
        """Whether the manifest names the image."""
        return self.image == MANIFEST


def quantity(what: str) -> Shape[float]:
    """A quantity as Kubernetes writes it: 500m, 0.5, 64Mi."""

    def read(value: Any, spot: Spot) -> float:
        number = quantity_of(str(value)) if isinstance(value, str | int | float) else None
        if not number:
            raise spot.error(f"{shown(value)} is no quantity", expected=what)
        return number

    return Shape(expected=what, read=read, schema={"type": ["string", "number"]})


RESOURCES = record(
    Resources,
    {
        "cpu": key("cpu", quantity("CPUs, such as 500m or 2")),
        "memory": key("memory", quantity("bytes, such as 64Mi")),
    },
)


def _verify(made: ImageSpec, spot: Spot) -> None:
    if made.ready_ports is not None and made.readiness is not None:
        raise spot.error("readyPorts and readinessProbe both stand here", expected="one of them")


_WORDS = list_of(scalar_text("a word of the command"), one=False, empty=True)
_IMAGE = text(f"an image, or {MANIFEST} for the one that the manifest names")
IMAGES = mapping_of(
    record(
        ImageSpec,
        {
            "image": key("image", _IMAGE),
            "command": key("command", _WORDS),
            "args": key("args", _WORDS),
            "env": key("env", mapping_of(scalar_text(), what="a mapping of variables", empty=True)),
            "readyPorts": key(
                "ready_ports", list_of(integer(least=1, most=65535, what="a port"), empty=True)
            ),
            "readinessProbe": key("readiness", PROBE),
            "resources": key("resources", RESOURCES),
        },
        verify=_verify,
        short=Short(attribute="image", shape=_IMAGE),
    ),
    what="workloads and their images",
)
