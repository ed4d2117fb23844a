from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from meshtest.errors import ScenarioError
from meshtest.mesh.external import ExternalHost, ExternalPort
from meshtest.mesh.model import PodKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.mesh.model import MeshModel

    Build = Callable[..., MeshModel]

PORTS = (ExternalPort(number=8080),)
GROUP = """
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: legacy, namespace: vms}
spec:
  metadata: {labels: {app: legacy}, annotations: {note: x}}
  template: {serviceAccount: legacy, ports: {http: 8080}, locality: r1/z1, labels: {tier: old}}
---
"""
ENTRY = """
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: hand, namespace: vms, labels: {app: hand}}
spec: {address: 192.0.2.77, serviceAccount: hand}
"""


def entries(model: MeshModel) -> list[str]:
    return [body["metadata"]["name"] for body in model.objects if body["kind"] == "WorkloadEntry"]


def test_a_machine_of_a_group_has_its_identity_and_registers_itself(build: Build) -> None:
    hosts = {
        "vm": ExternalHost(ports=PORTS, workload_group="vms/legacy", addresses=("192.0.2.1", "192.0.2.2"))
    }
    model = build(GROUP, external=hosts)
    first, second = model.pods
    assert (first.key, first.workload, first.kind, first.locality) == (
        "vms/vm-0",
        "vm",
        PodKind.SIDECAR,
        "r1/z1",
    )
    assert first.identity == "spiffe://cluster.local/ns/vms/sa/legacy"
    assert {
        "app": "legacy",
        "tier": "old",
        "security.istio.io/tlsMode": "istio",
    }.items() <= first.labels.items()
    metadata = json.loads(first.annotations["proxy.istio.io/config"])["proxyMetadata"]
    assert metadata == {"ISTIO_META_DNS_CAPTURE": "true", "ISTIO_META_AUTO_REGISTER_GROUP": "legacy"}
    assert entries(model) == ["legacy-192.0.2.1", "legacy-192.0.2.2"]
    made = next(body for body in model.objects if body["metadata"]["name"] == "legacy-192.0.2.2")
    assert made["metadata"]["annotations"] == {"istio.io/autoRegistrationGroup": "legacy", "note": "x"}
    assert made["spec"] == {
        "serviceAccount": "legacy",
        "ports": {"http": 8080},
        "locality": "r1/z1",
        "labels": dict(second.labels),
        "address": "192.0.2.2",
    }


def test_one_that_is_registered_by_hand_stands_where_its_entry_says(build: Build) -> None:
    model = build(ENTRY, external={"vm": ExternalHost(ports=PORTS, workload_entry="vms/hand")})
    (machine,) = model.pods
    assert (machine.key, machine.ip, machine.service_account) == ("vms/vm", "192.0.2.77", "hand")
    assert machine.labels["app"] == "hand"
    assert entries(model) == ["hand"]
    assert model.zone == {"vm": ("192.0.2.77",)}


def test_it_keeps_its_address(build: Build) -> None:
    hosts = {"vm": ExternalHost(ports=PORTS, workload_group="vms/legacy")}
    before = build(GROUP, external=hosts)
    after = build(GROUP, external={"other": ExternalHost(ports=PORTS), **hosts}, previous=before)
    assert {pod.name: pod.ip for pod in after.pods} == {"other": "198.19.0.3", "vm": "198.19.0.2"}


def test_what_registers_it_has_to_be_there(build: Build) -> None:
    hosts = {"vm": ExternalHost(ports=PORTS, workload_group="vms/legacy")}
    with pytest.raises(
        ScenarioError, match=r"external\.vm\.workloadGroup: no WorkloadGroup 'vms/legacy' in the manifests"
    ):
        build(ENTRY, external=hosts)
