"""`tunnel` of a DestinationRule: a connection within an HTTP request to a forward proxy, which leads it outside.

client ──► its sidecar ─┬───────────────────► proxy.example.com ──► www.example.com
                        └──► egress gateway ──┘
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshtest import Mesh
from meshtest.envoy.pki import Authority
from meshtest.errors import ManifestError

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.mesh
PROXY, WWW = "proxy.example.com", "www.example.com"
TCP, TLS = f"tcp://{WWW}:9000", f"https://{WWW}/"
OUTSIDE = {
    WWW: {"ports": ["80/HTTP", "443/HTTPS", "9000/TCP"], "addresses": ["192.0.2.11"]},
    PROXY: {"ports": ["3128/TCP", "4128/TCP"]},
}
HOSTS = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: www}
spec:
  hosts: [www.example.com]
  addresses: [192.0.2.11]
  location: MESH_EXTERNAL
  resolution: DNS
  ports:
    - {number: 80, name: http, protocol: HTTP}
    - {number: 443, name: tls, protocol: TLS}
    - {number: 9000, name: tcp, protocol: TCP}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: proxy}
spec:
  hosts: [proxy.example.com]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{number: 3128, name: http-connect, protocol: HTTP}, {number: 4128, name: tls-connect, protocol: HTTP}]
"""
TO_PROXY = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: www}
spec:
  hosts: [www.example.com]
  tcp:
    - match: [{port: 9000}]
      route: [{destination: {host: proxy.example.com, subset: www-tcp, port: {number: 3128}}}]
  tls:
    - match: [{port: 443, sniHosts: [www.example.com]}]
      route: [{destination: {host: proxy.example.com, subset: www-tls, port: {number: 3128}}}]
"""
TUNNEL = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: tunnel}
spec:
  host: proxy.example.com
  trafficPolicy:
    portLevelSettings: [{port: {number: 4128}, tls: {mode: SIMPLE, insecureSkipVerify: true}}]
  subsets:
    - name: www-tcp
      trafficPolicy:
        tunnel:
          protocol: CONNECT
          targetHost: www.example.com
          targetPort: 9000
    - name: www-tls
      trafficPolicy:
        tunnel:
          protocol: CONNECT
          targetHost: www.example.com
          targetPort: 443
"""
NO_TUNNEL = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: tunnel}
spec: {host: proxy.example.com, subsets: [{name: www-tcp}, {name: www-tls}]}
"""
EVERY_SUBSET = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: www}
spec:
  hosts: [www.example.com]
  tcp: [{match: [{port: 9000}], route: [{destination: {host: proxy.example.com, port: {number: 3128}}}]}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: tunnel}
spec:
  host: proxy.example.com
  trafficPolicy: {tunnel: {protocol: POST, targetHost: 192.0.2.11, targetPort: 9000}}
"""
TWO_SUBSETS = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: www}
spec:
  hosts: [www.example.com]
  tcp:
    - match: [{port: 9000}]
      route:
        - {destination: {host: proxy.example.com, subset: one, port: {number: 3128}}, weight: 50}
        - {destination: {host: proxy.example.com, subset: other, port: {number: 3128}}, weight: 50}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: tunnel}
spec:
  host: proxy.example.com
  trafficPolicy: {tunnel: {targetHost: 192.0.2.11, targetPort: 9000}}
  subsets:
    - {name: one, trafficPolicy: {tunnel: {targetHost: www.example.com, targetPort: 9000}}}
    - {name: other, trafficPolicy: {tunnel: {targetHost: www.example.com, targetPort: 9000}}}
"""
HTTP_ROUTE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: www}
spec:
  hosts: [www.example.com]
  http: [{route: [{destination: {host: proxy.example.com, subset: www-tcp, port: {number: 3128}}}]}]
"""
EGRESS = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: egress}
spec:
  selector: {istio: egressgateway}
  servers:
    - {port: {number: 80, name: tls-80, protocol: TLS}, hosts: [www.example.com], tls: {mode: ISTIO_MUTUAL}}
    - {port: {number: 443, name: tls-443, protocol: TLS}, hosts: [www.example.com], tls: {mode: ISTIO_MUTUAL}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: egress}
spec:
  host: istio-egressgateway.istio-system.svc.cluster.local
  trafficPolicy: {tls: {mode: ISTIO_MUTUAL, sni: www.example.com}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: to-gateway}
spec:
  hosts: [www.example.com]
  gateways: [mesh]
  tcp:
    - match: [{port: 9000}]
      route: [{destination: {host: istio-egressgateway.istio-system.svc.cluster.local, port: {number: 80}}}]
  tls:
    - match: [{port: 443, sniHosts: [www.example.com]}]
      route: [{destination: {host: istio-egressgateway.istio-system.svc.cluster.local, port: {number: 443}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: to-proxy}
spec:
  hosts: [www.example.com]
  gateways: [egress]
  tcp:
    - match: [{port: 80}]
      route: [{destination: {host: proxy.example.com, subset: www-tcp, port: {number: 3128}}}]
    - match: [{port: 443}]
      route: [{destination: {host: proxy.example.com, subset: www-tls, port: {number: 3128}}}]
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, meshtest_runtime: str) -> Iterator[Mesh]:
    """A mesh with a forward proxy outside it, and nothing else of the outside known."""
    shown = Authority("proxy").issue("", dns=(PROXY,))
    pem = tmp_path_factory.mktemp("proxy") / "server.pem"
    pem.write_text(shown.certificate + shown.key)
    program = Path(__file__).with_name("forward_proxy.py")
    with Mesh.from_manifests(
        "fixtures/addressing",
        external=OUTSIDE,
        commands={PROXY: [sys.executable, str(program), "3128", "4128", str(pem)]},
        mesh_config={"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}},
        runtime=meshtest_runtime,
    ) as made:
        yield made


@pytest.fixture
def mesh(running: Mesh) -> Mesh:
    """It, with a proxy that was asked for nothing yet."""
    asked(running)
    return running


def asked(mesh: Mesh) -> list[str]:
    """What the forward proxy was asked for since the last time."""
    found: list[str] = json.loads(mesh.request("plain/naked", f"http://{PROXY}:3128/asked").body)
    return found


def reached(mesh: Mesh, url: str) -> str:
    """Whose application answers the client, or how it ends."""
    one = mesh.request("client", url, body=b"hello\r\n" if url == TCP else b"")
    return one.backend.workload if one.backend else one.outcome.value


both = pytest.mark.parametrize(("url", "to"), [(TCP, f"{WWW}:9000"), (TLS, f"{WWW}:443")], ids=["tcp", "tls"])
ports = pytest.mark.parametrize(
    ("port", "over"), [(3128, ""), (4128, " over TLS")], ids=["plain", "over-tls"]
)


@both
@ports
def test_a_sidecar_asks_the_proxy_for_a_tunnel(mesh: Mesh, url: str, to: str, port: int, over: str) -> None:
    mesh.replace(HOSTS, TO_PROXY.replace("3128", str(port)), TUNNEL)
    assert reached(mesh, url) == WWW
    assert asked(mesh) == [f"CONNECT {to}{over}"]


@ports
def test_it_may_ask_with_post(mesh: Mesh, port: int, over: str) -> None:
    """Not by a client of TLS: Envoy 1.40 dies of a segmentation fault when one hangs up on such a tunnel."""
    mesh.replace(HOSTS, TO_PROXY.replace("3128", str(port)), TUNNEL.replace("CONNECT", "POST"))
    assert reached(mesh, TCP) == WWW
    assert asked(mesh) == [f"POST {WWW}:9000{over}"]


@both
def test_the_tunnel_is_foretold(mesh: Mesh, url: str, to: str) -> None:
    mesh.replace(HOSTS, TO_PROXY, TUNNEL)
    found = mesh.explain("client", url)
    (way,) = found.ways
    assert (way.workload, way.crossings[0].tunnel) == (WWW, f"CONNECT {to}")
    assert f"in a tunnel that it is asked for with CONNECT {to}" in str(found)
    assert way.conditions == (f"if {PROXY} opens the tunnel",)


@both
def test_without_a_rule_the_proxy_gets_the_bytes_themselves(mesh: Mesh, url: str, to: str) -> None:
    """The twin."""
    del to
    mesh.replace(HOSTS, TO_PROXY, NO_TUNNEL)
    assert reached(mesh, url) != WWW
    assert asked(mesh) == ["hello" if url == TCP else "bytes"]


@both
def test_without_a_route_the_proxy_is_not_asked(mesh: Mesh, url: str, to: str) -> None:
    del to
    mesh.replace(HOSTS, TUNNEL)
    assert reached(mesh, url) == WWW
    assert asked(mesh) == []


def test_a_tunnel_that_the_proxy_cannot_open_closes_the_connection(mesh: Mesh) -> None:
    mesh.replace(HOSTS, TO_PROXY, TUNNEL.replace(WWW, "nobody.example.com"))
    assert reached(mesh, TCP) == "reset"
    assert set(asked(mesh)) == {"CONNECT nobody.example.com:9000"}


def test_a_rule_without_subsets_holds_for_the_host(mesh: Mesh) -> None:
    mesh.replace(HOSTS, EVERY_SUBSET)
    assert reached(mesh, TCP) == WWW
    assert asked(mesh) == ["POST 192.0.2.11:9000"]


def test_between_weighted_subsets_the_hosts_own_tunnel_is_taken(mesh: Mesh) -> None:
    """istio/istio: pilot/pkg/networking/core/networkfilter.go, a listener has one tunnel for all its clusters."""
    mesh.replace(HOSTS, TWO_SUBSETS)
    assert [reached(mesh, TCP) for _ in range(4)] == [WWW] * 4
    assert asked(mesh) == ["CONNECT 192.0.2.11:9000"] * 4


def test_http_routes_have_no_tunnel(mesh: Mesh) -> None:
    mesh.replace(HOSTS, HTTP_ROUTE, TUNNEL)
    assert mesh.request("client", f"http://{WWW}/", method="PUT").status == 503
    assert set(asked(mesh)) == {"PUT"}


@both
def test_an_egress_gateway_asks_for_all(mesh: Mesh, url: str, to: str) -> None:
    mesh.replace(HOSTS, EGRESS, TUNNEL)
    one = mesh.request("client", url, body=b"hello")
    assert one.backend is not None
    assert one.backend.workload == WWW
    assert [(hop.side, bool(hop.peer)) for hop in one.hops] == [("outbound", False), ("gateway", True)]
    assert asked(mesh) == [f"CONNECT {to}"]


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("CONNECT", "PUT", ':2: DestinationRule default/tunnel: tunnel protocol must be "CONNECT" or "POST"'),
        (
            WWW,
            "'*.example.com'",
            ":2: DestinationRule default/tunnel: tunnel target host must be valid FQDN or IP address",
        ),
        (
            "443",
            "70000",
            ":2: DestinationRule default/tunnel: tunnel target port is invalid: port number 70000",
        ),
        ("443", "https", ":21: spec.subsets[1].trafficPolicy.tunnel.targetPort: "),
        ("targetHost", "targethost", ":20: spec.subsets[1].trafficPolicy.tunnel.targethost: "),
        (
            "targetPort: 443",
            "targetPort: 443\n        proxyProtocol: {version: V2}",
            ":2: DestinationRule default/tunnel: tunnel and proxyProtocol must not be set together",
        ),
    ],
    ids=["protocol", "host", "port", "type", "field", "both"],
)
def test_mistakes_are_told_at_their_line(mesh: Mesh, right: str, wrong: str, told: str) -> None:
    before, _, after = TUNNEL.rpartition(right)
    with pytest.raises(ManifestError) as error:
        mesh.apply(HOSTS, f"{before}{wrong}{after}")
    assert told in str(error.value).splitlines()[0]


def test_a_misspelt_field_is_guessed(mesh: Mesh) -> None:
    with pytest.raises(ManifestError, match="targetHost"):
        mesh.apply(TUNNEL.replace("targetHost", "targetHots", 1))
