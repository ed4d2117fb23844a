from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.errors import ScenarioError
from meshtest.mesh.manifests import load as load_manifests
from meshtest.mesh.model import MeshModel, Pod, PodKind
from meshtest.scenario.placement import check_placement

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from meshtest.scenario import Scenario

POD = Pod(
    namespace="default",
    name="reviews-v2-0",
    workload="reviews-v2",
    workload_kind="Deployment",
    ip="10.244.0.1",
    kind=PodKind.SIDECAR,
    labels={},
)
ABORT = "fault: {abort: {httpStatus: 503, percentage: {value: 50}}}"
DELAY = "fault: {delay: {fixedDelay: 5s}}"
ROUTE = "route: [{destination: {host: ratings}}]"
RETRIES = "retries: {attempts: 2}"


def service(*routes: str, hosts: str = "ratings", more: str = "") -> MeshModel:
    http = "".join(f"    - {{{route}}}\n" for route in routes)
    text = (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: ratings}\n"
        f"spec:\n  hosts: [{hosts}]\n{more}  http:\n{http}"
    )
    return MeshModel(
        manifests=tuple(load_manifests([text])), pods=(POD,), services=(), objects=(), cluster_ips={}, zone={}
    )


def scenario(files: Any, check: str, **parts: str) -> Scenario:
    found: Scenario = files.one(expect=f"expect: [{check}]", **parts)
    return found


@pytest.mark.parametrize(
    ("route", "check", "asked"),
    [
        (f"{ROUTE}, {ABORT}, {RETRIES}", "attempts: 3", "asks for retries"),
        (f"{ROUTE}, {ABORT}, {RETRIES}", "attempts: {atMost: 3}", "asks for retries"),
        (f"{ROUTE}, {ABORT}", "attempts: {atLeast: 2}", "asks for retries"),
        (f"{ROUTE}, {DELAY}, timeout: 1s", "status: 504", "asks for a timeout"),
        (f"{ROUTE}, {DELAY}, timeout: 1s", "responseFlags: UT", "asks for a timeout"),
        (f"{ROUTE}, {DELAY}, timeout: 1s", "latency: {p99: {atMost: 2s}}", "asks for a timeout"),
    ],
)
def test_a_fault_before_the_router_cannot_exercise_what_comes_after(
    files: Any, route: str, check: str, asked: str
) -> None:
    with pytest.raises(ScenarioError) as caught:
        check_placement(scenario(files, check), service(route))
    said = str(caught.value)
    assert said.startswith("<text>:7: spec.http[0].fault:"), said
    assert asked in said
    assert "istio/istio#13705" in said
    assert "faults: [" in said


@pytest.mark.parametrize(
    ("route", "check", "parts"),
    [
        (f"{ROUTE}, {RETRIES}", "attempts: 3", {}),
        (f"{ROUTE}, {ABORT}, {RETRIES}", "attempts: 1", {}),
        (f"{ROUTE}, {ABORT}, {RETRIES}", "status: 503", {}),
        (f"{ROUTE}, {DELAY}, timeout: 1s", "latency: {min: {atLeast: 5s}}", {}),
        (f"{ROUTE}, {DELAY}, timeout: 9s", "latency: {p99: {atMost: 6s}}", {}),
        (f"{ROUTE}, fault: {{abort: {{httpStatus: 504}}}}", "status: 504", {}),
        (
            f"{ROUTE}, {ABORT}, {RETRIES}",
            "attempts: {atMost: 3}",
            {"faults": "faults: [{abort: {httpStatus: 503}, to: ratings}]"},
        ),
        (
            f"{ROUTE}, {ABORT}, {RETRIES}",
            "attempts: 3",
            {"expectFailure": "expectFailure: {check: attempts, because: saw}"},
        ),
        (f"match: [{{uri: {{prefix: /other}}}}], {ROUTE}, {ABORT}, {RETRIES}", "attempts: 3", {}),
        (f"match: [{{uri: {{regex: /r.*}}}}], {ROUTE}, {ABORT}, {RETRIES}", "attempts: 3", {}),
    ],
    ids=[
        "no fault", "no retry expected", "the fault itself", "the delay itself", "later than the delay", "its own 504",
        "a fault behind the router too", "a twin that must fail", "another route", "a route that is not certain",
    ],
)  # fmt: skip
def test_nothing_else_is_refused(files: Any, route: str, check: str, parts: Mapping[str, str]) -> None:
    check_placement(scenario(files, check, **parts), service(route))


def test_a_fault_on_everything_leaves_nothing_for_others(files: Any) -> None:
    route = f"{ROUTE}, fault: {{abort: {{httpStatus: 503}}}}, {RETRIES}"
    one = scenario(files, "attempts: 3", faults="faults: [{abort: {httpStatus: 503}, to: ratings}]")
    with pytest.raises(ScenarioError, match="asks for retries"):
        check_placement(one, service(route))


@pytest.mark.parametrize("hosts", ["ratings.default", "ratings.default.svc.cluster.local", "other, ratings"])
def test_names_of_a_host_are_the_same(files: Any, hosts: str) -> None:
    with pytest.raises(ScenarioError):
        check_placement(scenario(files, "attempts: 3"), service(f"{ROUTE}, {ABORT}, {RETRIES}", hosts=hosts))


@pytest.mark.parametrize(
    ("hosts", "more"), [("reviews", ""), ("ratings.other", ""), ("ratings", "  gateways: [shop]\n")]
)
def test_a_policy_for_somebody_else_is_no_matter(files: Any, hosts: str, more: str) -> None:
    model = service(f"{ROUTE}, {ABORT}, {RETRIES}", hosts=hosts, more=more)
    check_placement(scenario(files, "attempts: 3"), model)


def test_the_first_route_that_fits_counts(files: Any) -> None:
    exact = f"match: [{{uri: {{exact: /ratings/0}}}}], {ROUTE}"
    with pytest.raises(ScenarioError, match=r"spec.http\[1\].fault"):
        check_placement(
            scenario(files, "attempts: 3"),
            service(f"match: [{{method: {{exact: POST}}}}], {ROUTE}", f"{ROUTE}, {ABORT}, {RETRIES}"),
        )
    check_placement(scenario(files, "attempts: 3"), service(exact, f"{ROUTE}, {ABORT}, {RETRIES}"))
