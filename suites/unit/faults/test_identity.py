from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meshtest import faults
from meshtest.errors import ScenarioError
from meshtest.faults.identity import involves, terms
from meshtest.faults.judging import judge
from meshtest.faults.placing import placement
from meshtest.traffic.accesslog import hop_of
from meshtest.traffic.model import Exchange, Outcome, Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.mesh.model import MeshModel, Pod
    from meshtest.scenario.faults import FaultSpec

INTRUDER = "spiffe://cluster.local/ns/default/sa/intruder"


@pytest.mark.parametrize(
    ("spec", "asked"),
    [
        (faults.certificate(to="a", unknown_ca=True), {"ca": "unknown"}),
        (faults.certificate(to="a", self_signed=True), {"ca": "self-signed"}),
        (faults.certificate(to="a", identity=INTRUDER), {"spiffe": INTRUDER}),
        (
            faults.certificate(to="a", trust_domain="other.example"),
            {"spiffe": "spiffe://other.example/ns/default/sa/sa-ratings-v1"},
        ),
        (faults.root_removed(to="a"), {"root": "unknown"}),
        (
            faults.tls(to="a", max_version="TLSv1_1"),
            {"tls": {"max_version": "TLSv1_1", "cipher_suites": []}},
        ),
    ],
)
def test_the_control_plane_is_asked_for_it(
    model: MeshModel, spec: FaultSpec, asked: Mapping[str, Any]
) -> None:
    assert terms(spec.action, model.pods[2]) == asked


@pytest.mark.parametrize(
    ("spec", "sign"),
    [
        (faults.certificate(to="a", expired=True), -1),
        (faults.certificate(to="a", not_yet_valid=True), 1),
    ],
)
def test_windows_of_validity_lie_beside_now(model: MeshModel, spec: FaultSpec, sign: int) -> None:
    asked = terms(spec.action, model.pods[0])
    assert asked["not_before"] < asked["not_after"]
    assert asked["not_before"] * sign > 0 < asked["not_after"] * sign


def exchange(*lines: Mapping[str, Any]) -> Exchange:
    return Exchange(
        id="x", caller="default/reviews-v1-0", request=Request(url="http://ratings/"), outcome=Outcome.RESPONSE,
        started=0, latency=0, hops=tuple(hop_of(line) for line in lines),
    )  # fmt: skip


def _lines(pod: Pod) -> list[tuple[str, dict[str, Any], bool]]:
    outbound = {"pod": "default/reviews-v1-0", "side": "outbound"}
    inbound = {"pod": pod.key, "side": "inbound"}
    there, elsewhere = f"{pod.ip}:9080", "10.9.9.9:9080"
    return [
        ("made as server", {**inbound, "tls": "TLSv1.3"}, True),
        ("refused as server", {**inbound, "downstream_failure": "TLS_error"}, True),
        ("plaintext", inbound, False),
        ("tried by the caller", {**outbound, "upstream": there, "upstream_failure": "TLS_error"}, True),
        ("made by the caller", {**outbound, "upstream": there, "upstream_tls": "TLSv1.3"}, True),
        ("no answer of TCP", {**outbound, "upstream": there, "flags": "UF"}, False),
        ("to somebody else", {**outbound, "upstream": elsewhere, "upstream_tls": "TLSv1.3"}, False),
    ]


def test_a_handshake_with_the_workload_at_an_end_is_a_hit(model: MeshModel) -> None:
    pod = model.pods[2]
    for name, line, hit in _lines(pod):
        assert involves(exchange(line), [pod]) is hit, name


def test_as_a_client_it_is_seen_by_the_other_side(model: MeshModel) -> None:
    pod = model.pods[2]
    line = {"pod": "x/other-0", "side": "inbound", "downstream_failure": "TLS_error"}
    assert involves(exchange({**line, "downstream_direct_remote": f"{pod.ip}:4711"}), [pod])
    assert not involves(exchange({**line, "downstream_direct_remote": "10.9.9.9:4711"}), [pod])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "no flaw given"),
        ({"expired": True, "self_signed": True}, "expired and selfSigned given"),
        ({"identity": "intruder"}, "'intruder' is none"),
        ({"expired": True, "attempts": [1]}, "unknown argument 'attempts'"),
    ],
)
def test_mistakes_in_python_are_told(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        faults.certificate(to="a", **wrong)


def test_who_has_no_sidecar_has_no_certificate(model: MeshModel) -> None:
    with pytest.raises(ScenarioError, match=r"test_identity.py:\d+: certificate.to: 'legacy' has no sidecar"):
        judge([faults.certificate(to="legacy", expired=True)], model, ())


def test_two_certificates_for_one_workload_are_refused(model: MeshModel) -> None:
    two = [faults.certificate(to="ratings-v1", expired=True), faults.root_removed(to="ratings")]
    with pytest.raises(ScenarioError, match="TLS of default/ratings-v1-0 is under certificate"):
        judge(two, model, ())


def test_placement_says_whose_and_what(model: MeshModel) -> None:
    said = placement(faults.tls(to="default/ratings", max_version="TLSv1_1"), model)
    assert said.startswith("default/ratings-v1: TLS of its sidecar, as client and as server")
