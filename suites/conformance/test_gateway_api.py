"""The tables of the Gateway API's own conformance tests, read as they are: requests, and what is to become of them.

They are not part of this project, and are read where Go's module cache has them:

    go mod download sigs.k8s.io/gateway-api/conformance@v1.6.0
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from meshtest import Mesh

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GO = Path(os.environ.get("GOPATH") or Path.home() / "go")
CACHE = Path(os.environ.get("GOMODCACHE") or GO / "pkg" / "mod") / "sigs.k8s.io" / "gateway-api"
FOLDER = max(CACHE.glob("conformance@*"), default=CACHE / "conformance")
if not FOLDER.is_dir():
    pytest.skip(f"{CACHE} has no conformance@VERSION", allow_module_level=True)

NOT_ISTIO = {
    "MeshHTTPRoute307Redirect",  # Istio's own run leaves it out
    "MeshFrontendHostname",  # likewise, with the feature MeshClusterIPMatching
    "HTTPRouteHTTPSListenerDetectMisdirectedRequests",  # likewise
}
NO_TABLE = {
    "HTTPRouteHTTPSListener",  # computes its requests
    "HTTPRouteRedirectPortAndScheme",  # three gateways, told apart by variables
    "HTTPRouteReferenceGrant",  # deletes the grant between its cases
    "HTTPRouteRetry",  # computes its requests
    "HTTPRouteServiceTypes",  # makes EndpointSlices of the pods that it finds
}
TABLES = ("[]http.ExpectedResponse", "http.ExpectedResponse")
MISTAKEN = {
    "MeshHTTPRouteNamedRule"
}  # its table has a wrong path, which upstream's client of meshes does not compare
LEFT_OUT = NOT_ISTIO | NO_TABLE | MISTAKEN


@dataclass(frozen=True)
class Upstream:
    """One conformance test."""

    name: str
    source: str
    manifests: tuple[str, ...]


def text(name: str) -> str:
    """A manifest with the name of Istio's class."""
    return (FOLDER / name).read_text().replace("{GATEWAY_CLASS_NAME}", "istio")


def upstream(pattern: str) -> list[Any]:
    """The tests in these files that have a table."""
    found = []
    for path in sorted(FOLDER.glob(pattern)):
        source = path.read_text()
        named = re.search(r'ShortName:\s+"(\w+)"', source)
        if named and "ExpectedResponse{" in source and named[1] not in LEFT_OUT:
            manifests = tuple(re.findall(r'"(tests/[^"]+\.yaml)"', source))
            found.append(pytest.param(Upstream(named[1], source, manifests), id=named[1]))
    return found


def apply(mesh: Mesh, test: Upstream) -> None:
    """Its manifests one after the other, since the later ones may replace objects of the earlier."""
    manifests = [text(name) for name in test.manifests]
    mesh.replace(*manifests[:1])
    for each in manifests[1:]:
        mesh.apply(each)


@pytest.mark.mesh(FOLDER / "mesh" / "manifests.yaml")
@pytest.mark.parametrize("test", upstream("tests/mesh/*.go"))
def test_mesh(
    mesh: Mesh,
    test: Upstream,
    literals: Callable[..., Any],
    asked: Callable[..., Any],
    differences: Callable[..., Any],
) -> None:
    apply(mesh, test)
    address = next(pod.ip for pod in mesh.pods if pod.workload_key == "gateway-conformance-mesh/echo-v2")
    words = {"ns": "gateway-conformance-mesh", "http.Ipv6SafeHost(v2.Address)": address}
    found = []
    for literal in literals(test.source, *TABLES, **words):
        consumer = "-consumer" if literal.name == "consumerCases" else ""
        for case in literal.value if literal.kind.startswith("[]") else [literal.value]:
            one = mesh.request(f"gateway-conformance-mesh{consumer}/echo-v1", **asked(case))
            found.append((case["Request"], differences(case, one)))
    assert found
    assert [each for each in found if each[1]] == []


@pytest.fixture(scope="module")
def edge(meshtest_runtime: str) -> Iterator[Mesh]:
    """The mesh that is behind all gateways of the conformance tests."""
    with Mesh.from_manifests(text("base/manifests.yaml"), runtime=meshtest_runtime) as mesh:
        yield mesh


def port_at(mesh: Mesh, gateway: str, url: str) -> int:
    """The port that the URL names where the gateway listens there; some hosts name one that nobody has."""
    service = next(each for each in mesh.services if each.name == f"{gateway}-istio")
    named = urlsplit(url).port
    return named if named in {port.number for port in service.ports} and named else 80


@pytest.mark.parametrize("test", upstream("tests/httproute-*.go"))
def test_gateways(
    edge: Mesh,
    test: Upstream,
    literals: Callable[..., Any],
    asked: Callable[..., Any],
    differences: Callable[..., Any],
) -> None:
    apply(edge, test)
    gateway, found = "same-namespace", []
    for literal in literals(test.source, *TABLES, "types.NamespacedName", ns="gateway-conformance-infra"):
        if literal.kind == "types.NamespacedName":
            gateway = literal.value["Name"] if literal.name.startswith("gw") else gateway
            continue
        for case in literal.value if literal.kind.startswith("[]") else [literal.value]:
            address, sent = f"{gateway}-istio.gateway-conformance-infra", asked(case)
            one = edge.request("outside", address=address, port=port_at(edge, gateway, sent["url"]), **sent)
            found.append((case["Request"], differences(case, one)))
    assert found
    assert [each for each in found if each[1]] == []
