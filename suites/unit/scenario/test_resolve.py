# ruff: noqa: E501 - tables of one line per mistake read best unbroken
from __future__ import annotations

from typing import Any

import pytest

from meshtest.errors import ScenarioError
from meshtest.mesh.model import MeshModel, Pod, PodKind, Service
from meshtest.scenario import resolve


def pod(workload: str, namespace: str = "default") -> Pod:
    return Pod(
        namespace=namespace,
        name=f"{workload}-0",
        workload=workload,
        workload_kind="Deployment",
        ip="10.244.0.1",
        kind=PodKind.SIDECAR,
        labels={},
    )


MODEL = MeshModel(
    manifests=(),
    pods=(pod("reviews-v2"), pod("ratings-v1"), pod("twice", "a"), pod("twice", "b"), pod("only", "a")),
    services=(Service(namespace="default", name="ratings", ports=()),),
    objects=(),
    cluster_ips={},
    zone={},
)


@pytest.mark.parametrize(
    "name", ["reviews-v2", "default/reviews-v2", "reviews-v2-0", "only", "a/twice", "outside"]
)
def test_names_of_the_mesh_resolve(files: Any, name: str) -> None:
    resolve(files.one(traffic=f"traffic: {{from: {name}, request: http://b/}}"), MODEL)


def test_a_fault_may_go_to_a_service_or_everywhere(files: Any) -> None:
    for place in ("ratings", "default/ratings", "'*'"):
        resolve(files.one(faults=f"faults: [{{delay: {{fixedDelay: 1s}}, to: {place}}}]"), MODEL)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            "traffic:\n  from: review-v2\n  request: http://b/",
            "s.mesh.yaml:7: spec.traffic.from: no workload or pod 'review-v2' in the mesh; expected one of only, ratings-v1, reviews-v2, twice; did you mean 'reviews-v2'?",
        ),
        ("traffic: {from: twice, request: http://b/}", "'twice' stands in several namespaces; expected a/twice or b/twice"),
        ("traffic: {from: ratings, request: http://b/}", "no workload or pod 'ratings'"),
        ("faults: [{delay: {fixedDelay: 1s}, to: rating}]", "spec.faults[0].to: no workload or service 'rating'"),
        ("faults: [{delay: {fixedDelay: 1s}, to: ratings, from: x}]", "spec.faults[0].from: no workload or service 'x'"),
        ("calls: {reviews-v2: [rating]}", "spec.calls.reviews-v2: no workload or service 'rating'"),
        ("calls: {review: [ratings]}", "spec.calls.review: no workload or service 'review'"),
        ("commands: {default/x: [a]}", "no workload or pod 'default/x'"),
        ("expect: [answeredBy: ratings-v2]", "spec.expect[0].answeredBy: no workload or pod 'ratings-v2'"),
        ("expect: [answeredBy: {shares: {x: 100%}}]", "no workload or pod 'x'"),
        ("expect: [call: {to: x, status: 200}]", "no workload or service 'x'"),
        ("expect: [mtls: {to: x}]", "no workload or pod 'x'"),
        ("expect: [deniedBy: {at: x}]", "no workload or pod 'x'"),
        ("expect: [shifts: {awayFrom: x, within: 1s}]", "no workload or pod 'x'"),
    ],
)  # fmt: skip
def test_names_that_the_mesh_does_not_know(files: Any, part: str, message: str) -> None:
    parts = {"traffic": "traffic: {from: reviews-v2, request: http://b/}", part.partition(":")[0]: part}
    with pytest.raises(ScenarioError) as caught:
        resolve(files.one(**parts), MODEL)
    assert message in str(caught.value).replace(f"{files.folder}/", "")


def test_urls_and_hosts_outside_need_no_workload(files: Any) -> None:
    part = "calls: {reviews-v2: ['http://ratings:9080/', httpbin.org]}"
    resolve(files.one(part, traffic="traffic: {from: reviews-v2, request: http://b/}"), MODEL)
