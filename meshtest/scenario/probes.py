"""`readinessProbe:` of an image in a scenario: in the words of Kubernetes, and judged as in a manifest.

reviews: {image: manifest, readinessProbe: {httpGet: {path: /health, port: 9080}, periodSeconds: 1}}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshtest.mesh.fields import Fields
from meshtest.mesh.model import Manifest, ObjectRef
from meshtest.mesh.probes import HANDLERS, TIMES, Probe, read_probe
from meshtest.scenario.fields import Shape, shown

if TYPE_CHECKING:
    from meshtest.scenario.fields import Spot

_EXPECTED = "a probe as containers have it, such as {httpGet: {path: /health, port: 9080}}"
_SCENARIO = ObjectRef(api_version="meshtest.dev/v1", kind="Scenario", namespace="", name="")


def _read(value: Any, spot: Spot) -> Probe:
    if not isinstance(value, dict):
        raise spot.error(f"{shown(value)} is no probe", expected=_EXPECTED)
    document = spot.document
    here = Manifest(ref=_SCENARIO, body={}, location=document.location, lines=document.lines)
    return read_probe(Fields(manifest=here, value=value, path=spot.path), ())


PROBE: Shape[Probe] = Shape(
    expected=_EXPECTED,
    read=_read,
    schema={
        "type": "object",
        "properties": {
            **{handler: {"type": "object"} for handler in HANDLERS},
            **{name: {"type": "integer", "minimum": 0} for name in TIMES},
        },
        "additionalProperties": False,
    },
)
