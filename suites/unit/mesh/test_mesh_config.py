"""MeshConfig as an installation of Istio leaves it in a cluster."""

from __future__ import annotations

import pytest

from meshtest.mesh.manifests import load_text
from meshtest.mesh.mesh_config import mesh_config_in, text_of

MAP = """
apiVersion: v1
kind: ConfigMap
metadata: {{name: {name}, namespace: {namespace}}}
data:
  mesh: |-
    trustDomain: {domain}
"""


def of(name: str = "istio", namespace: str = "istio-system", domain: str = "td.example") -> str:
    return MAP.format(name=name, namespace=namespace, domain=domain)


def test_it_is_the_mesh_of_the_config_map_istio() -> None:
    assert text_of(mesh_config_in(load_text(of()))) == "trustDomain: td.example"


@pytest.mark.parametrize(("name", "namespace"), [("other", "istio-system"), ("istio", "default")])
def test_other_config_maps_are_none(name: str, namespace: str) -> None:
    assert mesh_config_in(load_text(of(name, namespace))) is None
