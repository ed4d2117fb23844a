"""What Telemetry says of spans: which side sends them, what they are tagged with, and what the callee hears of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meshtest.checks.statistics import window

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh
    from meshtest.traffic.model import Span

PROVIDERS: dict[str, Any] = {
    "extensionProviders": [
        {"name": "zipkin", "zipkin": {"service": "collector.tracing.svc.cluster.local", "port": 9411}}
    ]
}
pytestmark = pytest.mark.mesh("../../fixtures/bookinfo", "../../fixtures/collector", mesh_config=PROVIDERS)

URL = "http://ratings:9080/ratings/0"
TAGGED = """
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: mesh, namespace: istio-system}
spec:
  tracing:
    - providers: [{name: zipkin}]
      randomSamplingPercentage: 100
      customTags:
        unset: {environment: {name: NOT_THERE, defaultValue: nothing}}
        user: {header: {name: end-user, defaultValue: nobody}}
        asked: {formatter: {value: "%REQ(:METHOD)% %REQ(:PATH)%"}}
"""
ONE_SIDE = """
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: mesh, namespace: istio-system}
spec:
  tracing:
    - match: {mode: SIDE}
      providers: [{name: zipkin}]
      randomSamplingPercentage: 100
"""
WITHOUT_ISTIOS = """
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: mesh, namespace: istio-system}
spec: {tracing: [{providers: [{name: zipkin}], randomSamplingPercentage: 100, enableIstioTags: false}]}
"""
UNTOLD = """
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: mesh, namespace: istio-system}
spec: {tracing: [{providers: [{name: zipkin}], randomSamplingPercentage: 100, disableContextPropagation: true}]}
"""
ALL = """
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: mesh, namespace: istio-system}
spec: {tracing: [{providers: [{name: zipkin}], randomSamplingPercentage: 100}]}
"""
BY_CHANCE = """
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: mesh, namespace: istio-system}
spec: {tracing: [{providers: [{name: zipkin}], randomSamplingPercentage: 50, useRequestIdForTraceSampling: USED}]}
"""


def asked(mesh: Mesh, policy: str, requests: int = 1, **fields: Any) -> list[Exchange]:
    mesh.apply(policy)
    sent = mesh.send("reviews-v2", URL, requests=requests, **fields)
    return list(mesh.collect(sent).exchanges)


def spans(mesh: Mesh, policy: str, **fields: Any) -> dict[str, Span]:
    """Those of one request, by their side."""
    (one,) = asked(mesh, policy, **fields)
    return {span.kind: span for span in one.spans or ()}


def test_tags_of_headers_formats_and_defaults(mesh: Mesh) -> None:
    for headers, user in (({}, "nobody"), ({"end-user": "jason"}, "jason")):
        tags = spans(mesh, TAGGED, headers=headers)["server"].tags
        told = {name: tags.get(name) for name in ("unset", "user", "asked")}
        assert told == {"unset": "nothing", "user": user, "asked": "GET /ratings/0"}


@pytest.mark.parametrize(
    ("side", "kinds"),
    [("CLIENT", {"client"}), ("SERVER", {"server"}), ("CLIENT_AND_SERVER", {"client", "server"})],
)
def test_one_side_alone(mesh: Mesh, side: str, kinds: set[str]) -> None:
    assert set(spans(mesh, ONE_SIDE.replace("SIDE", side))) == kinds


def test_istios_own_tags(mesh: Mesh) -> None:
    told = spans(mesh, ALL)["server"].tags
    assert (told["istio.canonical_service"], told["istio.canonical_revision"]) == ("ratings", "v1")
    tags = spans(mesh, WITHOUT_ISTIOS)["server"].tags
    assert not [name for name in tags if name.startswith("istio.")]


def test_the_callee_is_told_of_the_trace_or_not(mesh: Mesh) -> None:
    for policy, told in ((ALL, True), (UNTOLD, False)):
        (one,) = asked(mesh, policy)
        assert one.backend is not None
        assert ("x-b3-traceid" in one.backend.request.headers) is told


def test_the_request_id_tells_whether_a_trace_is_sampled(mesh: Mesh) -> None:
    """Envoy casts its dice with the request id and notes there how they fell; without it there are no dice."""
    for used, share in (("true", 0.5), ("false", 1.0)):
        found = asked(mesh, BY_CHANCE.replace("USED", used), 100)
        traced = [bool(one.spans) for one in found]
        noted = [one.backend.request.headers["x-request-id"][0][14] != "4" for one in found if one.backend]
        assert sum(traced) in window(100, share)
        assert noted == (traced if used == "true" else [False] * 100)
