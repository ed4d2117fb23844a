"""What is said of secrets that proxies cannot use."""

from __future__ import annotations

import pytest

from meshtest.live.notices import unserved
from meshtest.mesh.build import build_model
from meshtest.mesh.manifests import load_text

TEXT = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec: {selector: {istio: ingressgateway}, servers: []}
---
apiVersion: v1
kind: Secret
metadata: {name: shop, namespace: istio-system}
"""
MODEL = build_model(load_text(TEXT, "edge.yaml"))
NODE = MODEL.pods[0].node_id


@pytest.mark.parametrize(
    ("name", "kind", "line"),
    [
        ("kubernetes://shop", "Secret istio-system/shop", 7),
        ("kubernetes://shop-cacert", "Secret istio-system/shop-cacert", 7),
        ("kubernetes-gateway://istio-system/shop", "Secret istio-system/shop", 7),
        ("kubernetes://nothing", "Secret istio-system/nothing", None),
        ("configmap://default/roots-cacert", "ConfigMap default/roots-cacert", None),
    ],
)
def test_each_is_told_as_the_object_that_it_comes_from(name: str, kind: str, line: int | None) -> None:
    (notice,) = unserved({NODE: {name: ""}, "router~gone": {name: ""}}, MODEL)
    assert (notice.object, notice.location and notice.location.line) == (kind, line)
    assert "not there" in notice.message


def test_the_reason_of_envoy_is_told() -> None:
    (notice,) = unserved({NODE: {"kubernetes://shop": "no start line"}}, MODEL)
    assert notice.message == (
        "the Envoy of istio-system/istio-ingressgateway-0 refused it: no start line; handshakes that need it fail"
    )
