"""How connections come to a sidecar: REDIRECT, under which an application sees its sidecar call, and TPROXY.

Under TPROXY it sees the address of whoever called, over mTLS as well, and everything else stays as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest import Mesh, faults
from meshtest.errors import ManifestError, Unsupported
from meshtest.runtime import choose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.traffic.model import Exchange

pytestmark = pytest.mark.mesh

SIDECAR = "127.0.0.6"
MANIFESTS = """
apiVersion: v1
kind: Service
metadata: {name: seen}
spec:
  selector: {app: seen}
  ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 90, targetPort: 9090}]
---
apiVersion: v1
kind: Service
metadata: {name: hidden}
spec: {selector: {app: hidden}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: seen}
spec:
  selector: {matchLabels: {app: seen}}
  template:
    metadata:
      labels: {app: seen}
      annotations:
        sidecar.istio.io/interceptionMode: TPROXY
        traffic.sidecar.istio.io/excludeInboundPorts: "7070"
    spec:
      containers:
        - {name: app, image: app, ports: [{containerPort: 8080}, {containerPort: 9090}, {containerPort: 7070}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: hidden}
spec:
  selector: {matchLabels: {app: hidden}}
  template:
    metadata: {labels: {app: hidden}}
    spec: {containers: [{name: app, image: app, ports: [{containerPort: 8080}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: caller}
spec:
  selector: {matchLabels: {app: caller}}
  template:
    metadata: {labels: {app: caller}}
    spec: {containers: [{name: app, image: caller}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: legacy}
spec:
  selector: {matchLabels: {app: legacy}}
  template:
    metadata: {labels: {app: legacy}, annotations: {sidecar.istio.io/inject: "false"}}
    spec: {containers: [{name: app, image: caller}]}
"""
STRICT = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: seen}
spec: {selector: {matchLabels: {app: seen}}, mtls: {mode: STRICT}}
"""
NOT_THE_CALLER = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: seen}
spec:
  selector: {matchLabels: {app: seen}}
  action: DENY
  rules: [{from: [{source: {ipBlocks: [CALLER]}}]}]
"""


@pytest.fixture(scope="module")
def live(meshtest_runtime: str) -> Iterator[Mesh]:
    if choose(meshtest_runtime).socket_mark is None:
        pytest.skip("containers have no TPROXY, and say so")
    with Mesh.from_manifests(MANIFESTS, runtime=meshtest_runtime) as mesh:
        yield mesh


def test_who_has_none_says_so(meshtest_runtime: str) -> None:
    if choose(meshtest_runtime).socket_mark is not None:
        pytest.skip("namespaces have TPROXY")
    with pytest.raises(Unsupported, match="default/seen-0: interceptionMode TPROXY needs a sidecar that may"):
        Mesh.from_manifests(MANIFESTS, runtime=meshtest_runtime)


@pytest.fixture
def mesh(live: Mesh) -> Iterator[Mesh]:
    yield live
    live.replace()


def address(mesh: Mesh, pod: str) -> str:
    return next(each.ip for each in mesh.pods if each.key == pod)


def caller_of(mesh: Mesh, workload: str) -> str:
    """Who the application says called it last."""
    return str(mesh.received(workload)[-1]["peer"]).partition(":")[0]


def sides(one: Exchange) -> list[str]:
    return [hop.side for hop in one.hops]


@pytest.mark.parametrize(
    ("url", "host"), [("http://seen/", "seen"), ("http://seen:80/", "seen:80"), ("tcp://seen:90", "")]
)
def test_the_application_sees_who_calls(mesh: Mesh, url: str, host: str) -> None:
    one = mesh.request("caller", url)
    assert one.outcome == "response"
    assert sides(one) == ["outbound", "inbound"]
    assert one.peer_identity == "spiffe://cluster.local/ns/default/sa/default"
    assert one.backend is not None
    assert one.backend.request.host == host
    if url.startswith("http"):
        assert caller_of(mesh, "seen") == address(mesh, "default/caller-0")


def test_under_redirect_it_sees_its_sidecar(mesh: Mesh) -> None:
    assert mesh.request("caller", "http://hidden/").status == 200
    assert caller_of(mesh, "hidden") == SIDECAR


def test_callers_without_a_sidecar_are_seen_unless_mtls_is_asked_for(mesh: Mesh) -> None:
    one = mesh.request("legacy", "http://seen/")
    assert (one.status, sides(one), one.peer_identity) == (200, ["inbound"], "")
    assert caller_of(mesh, "seen") == address(mesh, "default/legacy-0")
    mesh.apply(STRICT)
    assert mesh.request("legacy", "http://seen/").outcome == "reset"
    assert mesh.request("caller", "http://seen/").status == 200


def test_a_pod_reaches_itself_through_its_sidecar_by_its_service_and_directly_by_its_address(
    mesh: Mesh,
) -> None:
    by_service = mesh.request("seen", "http://seen/")
    assert (by_service.status, sides(by_service)) == (200, ["outbound", "inbound"])
    own = address(mesh, "default/seen-0")
    directly = mesh.request("seen", f"http://{own}:8080/")
    assert (directly.status, sides(directly)) == (200, [])


def test_what_it_calls_goes_through_its_sidecar(mesh: Mesh) -> None:
    one = mesh.request("seen", "http://hidden/")
    assert (one.status, sides(one)) == (200, ["outbound", "inbound"])
    assert one.peer_identity == "spiffe://cluster.local/ns/default/sa/default"


def test_excluded_ports_go_past_it(mesh: Mesh) -> None:
    one = mesh.request("legacy", f"http://{address(mesh, 'default/seen-0')}:7070/")
    assert (one.status, sides(one)) == (200, [])
    assert caller_of(mesh, "seen") == address(mesh, "default/legacy-0")


def test_policies_and_faults_hold(mesh: Mesh) -> None:
    mesh.apply(NOT_THE_CALLER.replace("CALLER", address(mesh, "default/caller-0")))
    assert mesh.request("caller", "http://seen/").status == 403
    assert mesh.request("legacy", "http://seen/").status == 200
    mesh.replace()
    with mesh.inject(faults.abort(to="seen", http_status=418)):
        assert mesh.request("caller", "http://seen/").status == 418
    history = mesh.send("caller", "http://seen/", requests=100, concurrency=8)
    assert [each.status for each in history.exchanges] == [200] * 100
    assert all(each.complete and sides(each) == ["outbound", "inbound"] for each in history.exchanges)


@pytest.mark.parametrize("caller", ["caller", "legacy", "seen"])
@pytest.mark.parametrize("url", ["http://seen/", "http://hidden/", "tcp://seen:90"])
def test_explain_agrees(mesh: Mesh, caller: str, url: str) -> None:
    mesh.apply(NOT_THE_CALLER.replace("CALLER", address(mesh, "default/caller-0")))
    one, foretold = mesh.request(caller, url), mesh.explain(caller, url)
    own = (None, f"default/{one.backend.workload}") if one.backend else (one.status, "")
    assert [(way.outcome, way.status, way.workload) for way in foretold.ways] == [(one.outcome, *own)], str(
        foretold
    )


def test_the_proxy_config_of_the_mesh_says_it_for_everybody(mesh: Mesh) -> None:
    mesh.replace(mesh_config="defaultConfig: {interceptionMode: TPROXY}")
    assert mesh.request("caller", "http://hidden/").status == 200
    assert caller_of(mesh, "hidden") == address(mesh, "default/caller-0")


def test_a_mode_that_there_is_not_is_an_error_at_its_place(mesh: Mesh) -> None:
    with pytest.raises(ManifestError) as caught:
        mesh.apply(MANIFESTS.replace("interceptionMode: TPROXY", "interceptionMode: transparent"))
    assert "there is no interceptionMode 'transparent'; expected REDIRECT, TPROXY or NONE" in str(
        caught.value
    )
    assert "sidecar.istio.io/interceptionMode" in str(caught.value)
    assert mesh.request("caller", "http://seen/").status == 200
