from __future__ import annotations

import pytest

from meshtest.live.foreign import foreign
from meshtest.mesh.build import build_model
from meshtest.mesh.manifests import load_text

GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, labels: {LABEL}}
spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}
"""
NAMESPACE = """
---
apiVersion: v1
kind: Namespace
metadata:
  name: default
  labels:
    istio.io/rev: other
"""
POD = """
---
apiVersion: v1
kind: Pod
metadata: {name: edge, labels: {gateway.networking.k8s.io/gateway-name: edge}}
spec: {containers: [{name: proxy, image: proxy}]}
"""
OTHER = "istio.io/rev: other"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (GATEWAY.replace("LABEL", ""), None),
        (GATEWAY.replace("LABEL", OTHER), 4),
        (GATEWAY.replace("LABEL", "") + NAMESPACE, 13),
        (GATEWAY.replace("LABEL", OTHER) + POD, None),
        (GATEWAY.replace("LABEL", OTHER).replace("Name: istio", "Name: else"), None),
        (
            GATEWAY.replace("LABEL", OTHER).replace(
                "{gatewayClass", "{addresses: [{value: a}], gatewayClass"
            ),
            None,
        ),
    ],
    ids=["unlabelled", "label", "namespace", "served", "other class", "pods of its own"],
)
def test_who_gets_no_pod_for_its_revision(text: str, line: int | None) -> None:
    found = list(foreign(build_model(load_text(text))))
    assert [each.location.line for each in found if each.location] == ([line] if line else [])
    assert len(found) == (line is not None)
