from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meshtest.errors import ScenarioError
from meshtest.mesh.model import MeshModel, Pod, PodKind, Service, ServicePort
from meshtest.scenario.senders import check_senders

if TYPE_CHECKING:
    from collections.abc import Mapping

USUAL = {"reviews-v2": {}, "ratings-v1": {}, "details-v1": {}, "batch": {"kind": PodKind.PLAIN}}


def mesh(**more: Mapping[str, Any]) -> MeshModel:
    pods = tuple(
        Pod(
            namespace="default",
            name=f"{name}-0",
            workload=name,
            workload_kind="Deployment",
            ip="10.244.0.1",
            **{"kind": PodKind.SIDECAR, "labels": {"app": name.partition("-")[0]}, **fields},
        )
        for name, fields in {**USUAL, **more}.items()
    )
    services = tuple(
        Service(namespace="default", name=name, ports=(ServicePort(number=9080),), selector={"app": name})
        for name in ("ratings", "details")
    )
    return MeshModel(manifests=(), pods=pods, services=services, objects=(), cluster_ips={}, zone={})


@pytest.mark.parametrize("kind", ["abort: {httpStatus: 503}", "latency: {latency: 10ms}", "down: {}"])
@pytest.mark.parametrize("sender", ["details", "details-v1", "default/details-v1", "[details-v1, batch]"])
def test_a_fault_on_calls_of_somebody_who_sends_nothing_is_refused(
    files: Any, kind: str, sender: str
) -> None:
    scenario = files.one(faults=f"faults:\n  - {kind}\n    to: ratings\n    from: {sender}")
    with pytest.raises(ScenarioError, match=r"details.* sends nothing in this scenario, so that") as caught:
        check_senders(scenario, mesh())
    assert "s.mesh.yaml:11: spec.faults[0].from: " in str(caught.value)
    assert "expected who sends the traffic (reviews-v2), or calls: for " in str(caught.value)


@pytest.mark.parametrize(
    ("sender", "more"),
    [
        ("reviews-v2", {}),
        ("[details, reviews-v2]", {}),
        ("details", {"calls": "calls: {details: [ratings]}"}),
        ("details", {"commands": "commands: {details-v1: [/bin/mine]}"}),
        ("details", {"images": "images: {details-v1: mine}"}),
        ("details", {"images": "images: {'*': manifest}"}),
        ("gate", {}),
    ],
    ids=["traffic", "one-of-them", "calls", "a-program", "an-image", "every-image", "a-gateway"],
)
def test_who_may_send_is_let_through(files: Any, sender: str, more: dict[str, str]) -> None:
    scenario = files.one(
        faults=f"faults: [{{abort: {{}}, to: ratings, from: {sender}}}]".replace("{}", "{httpStatus: 503}"),
        **more,
    )
    check_senders(scenario, mesh(gate={"kind": PodKind.GATEWAY}))


def test_sidecars_ask_whom_policies_lean_on(files: Any) -> None:
    scenario = files.one(faults="faults: [{down: {}, to: authz, from: details}]")
    check_senders(scenario, mesh(authz={"annotations": {"meshtest.dev/standin": "ext-authz"}}))


def test_a_program_of_the_users_own_may_be_one_of_those(files: Any) -> None:
    scenario = files.one(
        "commands: {ratings-v1: [/bin/mine]}", faults="faults: [{down: {}, to: ratings, from: details}]"
    )
    check_senders(scenario, mesh())


def test_what_meets_packets_or_processes_needs_no_calls(files: Any) -> None:
    scenario = files.one(faults="faults: [{partition: {}, to: ratings, from: details}]")
    check_senders(scenario, mesh())
