"""ServiceEntries in every resolution: where their hosts lead, from a sidecar that knows nothing else of the outside."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

OUTSIDE = {
    "api.example.com": {"ports": ["80/HTTP", "443/HTTPS", "9000/TCP"], "addresses": ["192.0.2.10"]},
    "www.example.com": {
        "ports": ["80/HTTP", "443/HTTPS", "9000/TCP"],
        "names": ["*.www.example.com"],
        "addresses": ["192.0.2.11"],
    },
    "legacy.example.com": {"ports": ["8080/HTTP"], "addresses": ["192.0.2.80"]},
}
pytestmark = pytest.mark.mesh(
    "../../fixtures/addressing",
    external=OUTSIDE,
    mesh_config={"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}},
)
CLIENT = "client"
FOREIGN = "198.51.100.7"
"""An address at which nobody is: what the sidecar makes of it counts."""
HTTP = "{number: 80, name: http, protocol: HTTP}"
TLS = "{number: 443, name: tls, protocol: TLS}"
TCP = "{number: 9000, name: tcp, protocol: TCP}"


def entry(*hosts: str, resolution: str, ports: str, name: str = "entry", **spec: str) -> str:
    rest = "".join(f"  {key}: {value}\n" for key, value in spec.items())
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}}}
spec:
  hosts: [{", ".join(f'"{host}"' for host in hosts)}]
  resolution: {resolution}
  ports: [{ports}]
{rest}---
"""


def rule(host: str, policy: str) -> str:
    head = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: rule}\n"
    return f"{head}spec: {{host: {host}, trafficPolicy: {{{policy}}}}}\n---\n"


def answered(one: Exchange) -> str:
    return one.backend.workload if one.backend else f"{one.outcome.value} {one.status}"


def answers(mesh: Mesh, url: str, requests: int = 40, **fields: Any) -> Counter[str]:
    sent = mesh.send(CLIENT, url, requests=requests, reuse=False, **fields)
    return Counter(answered(one) for one in sent.exchanges)


@pytest.fixture
def registered(mesh: Mesh) -> Mesh:
    """The mesh before any entry: nothing outside is reached."""
    assert mesh.request(CLIENT, "http://api.example.com/").status == 502
    return mesh


def test_none_goes_where_the_caller_does(registered: Mesh) -> None:
    registered.apply(entry("*.example.com", resolution="NONE", ports=f"{HTTP}, {TLS}"))
    assert answered(registered.request(CLIENT, "http://api.example.com/")) == "api.example.com"
    assert answered(registered.request(CLIENT, "https://a.www.example.com/")) == "www.example.com"
    assert registered.request(CLIENT, "http://api.example.com/", address=FOREIGN).status == 503
    assert (
        answered(registered.request(CLIENT, "http://www.example.com/", address="192.0.2.10"))
        == "api.example.com"
    )


@pytest.mark.parametrize(
    ("resolution", "answer"), [("DNS", "www.example.com"), ("DNS_ROUND_ROBIN", "www.example.com")]
)
def test_dns_goes_where_the_name_leads_whatever_the_address(
    registered: Mesh, resolution: str, answer: str
) -> None:
    registered.apply(entry("www.example.com", resolution=resolution, ports=f"{HTTP}, {TLS}"))
    for address in (FOREIGN, "192.0.2.10"):
        assert answered(registered.request(CLIENT, "http://www.example.com/", address=address)) == answer
        assert answered(registered.request(CLIENT, "https://www.example.com/", address=address)) == answer


def test_dns_endpoints_may_be_other_names_with_ports_of_their_own(registered: Mesh) -> None:
    endpoints = "[{address: api.example.com}, {address: legacy.example.com, ports: {http: 8080}}]"
    registered.apply(entry("shop.internal", resolution="DNS", ports=HTTP, endpoints=endpoints))
    found = answers(registered, "http://shop.internal/", address=FOREIGN)
    assert found.keys() == {"api.example.com", "legacy.example.com"}


def test_dns_endpoints_may_be_services_of_the_cluster(registered: Mesh) -> None:
    endpoints = "[{address: naked.plain.svc.cluster.local}]"
    registered.apply(entry("shop.internal", resolution="DNS", ports=HTTP, endpoints=endpoints))
    assert answered(registered.request(CLIENT, "http://shop.internal/", address=FOREIGN)) == "naked"


def test_static_endpoints_share_by_weight(registered: Mesh) -> None:
    endpoints = "[{address: 192.0.2.10, weight: 9}, {address: 192.0.2.11, weight: 1}]"
    registered.apply(entry("shop.internal", resolution="STATIC", ports=HTTP, endpoints=endpoints))
    # One at a time: Envoy takes the requests under way off a host's weight.
    found = answers(registered, "http://shop.internal/", 400, address=FOREIGN, concurrency=1)
    assert found.keys() == {"api.example.com", "www.example.com"}
    assert 0.8 < found["api.example.com"] / 400 < 0.97


def test_static_endpoints_have_localities(registered: Mesh) -> None:
    endpoints = "[{address: 192.0.2.10, locality: north/n1}, {address: 192.0.2.11, locality: south/s1}]"
    registered.apply(
        entry("shop.internal", resolution="STATIC", ports=HTTP, endpoints=endpoints)
        + rule("shop.internal", "outlierDetection: {consecutive5xxErrors: 5}")
    )
    assert answers(registered, "http://shop.internal/", address=FOREIGN).keys() == {"api.example.com"}


def test_endpoints_of_a_subset(registered: Mesh) -> None:
    endpoints = "[{address: 192.0.2.10, labels: {v: one}}, {address: 192.0.2.11, labels: {v: two}}]"
    registered.apply(
        entry("shop.internal", resolution="STATIC", ports=HTTP, endpoints=endpoints)
        + """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop}
spec: {host: shop.internal, subsets: [{name: two, labels: {v: two}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec: {hosts: [shop.internal], http: [{route: [{destination: {host: shop.internal, subset: two}}]}]}
"""
    )
    assert answers(registered, "http://shop.internal/", address=FOREIGN).keys() == {"www.example.com"}


def test_dynamic_dns_resolves_what_the_request_names(registered: Mesh) -> None:
    registered.apply(entry("*.example.com", resolution="DYNAMIC_DNS", ports=f"{HTTP}, {TLS}"))
    for scheme in ("http", "https"):
        for host, answer in (("api", "api.example.com"), ("a.www", "www.example.com")):
            one = registered.request(CLIENT, f"{scheme}://{host}.example.com/", address=FOREIGN)
            assert answered(one) == answer


@pytest.mark.parametrize(
    ("addresses", "called"), [("[10.250.0.1]", "10.250.0.1"), ("[10.250.0.0/16]", "10.250.7.8")]
)
def test_tcp_is_told_apart_by_addresses(registered: Mesh, addresses: str, called: str) -> None:
    registered.apply(
        entry("a.internal", resolution="STATIC", ports=TCP, addresses=addresses, endpoints="[{address: 192.0.2.10}]")
        + entry(
            "b.internal", name="b", resolution="STATIC", ports=TCP, addresses="[10.251.0.1]",
            endpoints="[{address: 192.0.2.11}]",
        )
    )  # fmt: skip
    for address, answer in ((called, "api.example.com"), ("10.251.0.1", "www.example.com")):
        assert answered(registered.request(CLIENT, "tcp://x:9000", address=address, body="hello")) == answer
    assert (
        registered.request(CLIENT, "tcp://x:9000", address="10.252.0.1", body="hello").outcome.value
        == "reset"
    )


def test_none_with_addresses_lets_these_through_alone(registered: Mesh) -> None:
    registered.apply(entry("net.internal", resolution="NONE", ports=TCP, addresses="[192.0.2.8/30]"))
    found = [
        answered(registered.request(CLIENT, "tcp://x:9000", address=address, body="hello"))
        for address in ("192.0.2.10", "192.0.2.11")
    ]
    assert found == ["api.example.com", "www.example.com"]
    registered.replace(entry("net.internal", resolution="NONE", ports=TCP, addresses="[192.0.2.10/32]"))
    one = registered.request(CLIENT, "tcp://x:9000", address="192.0.2.11", body="hello")
    assert one.outcome.value == "reset"


def test_tls_is_routed_by_the_name_that_it_shows(registered: Mesh) -> None:
    registered.apply(
        entry("api.example.com", "www.example.com", resolution="DNS", ports=TLS)
        + """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: sni}
spec:
  hosts: [api.example.com]
  tls:
    - match: [{port: 443, sniHosts: [api.example.com]}]
      route: [{destination: {host: www.example.com, port: {number: 443}}}]
"""
    )
    one = registered.request(CLIENT, "https://api.example.com/")
    assert (answered(one), one.backend and one.backend.request.sni) == ("www.example.com", "api.example.com")
    assert (
        registered.request(CLIENT, "https://legacy.example.com/", address="192.0.2.10").outcome.value
        != "response"
    )


@pytest.mark.parametrize(("port", "protocol", "alpn"), [(8888, "HTTP", "http/1.1"), (8882, "HTTP2", "h2")])
def test_tls_origination_speaks_what_the_port_is_declared_as(
    registered: Mesh, port: int, protocol: str, alpn: str
) -> None:
    ports = f"{{number: {port}, name: x, protocol: {protocol}, targetPort: 443}}"
    registered.apply(
        entry("api.example.com", resolution="DNS", ports=ports)
        + rule("api.example.com", "tls: {mode: SIMPLE}")
    )
    one = registered.request(CLIENT, f"http://api.example.com:{port}/")
    assert one.backend is not None
    assert (one.backend.request.sni, one.backend.request.alpn) == ("api.example.com", alpn)


def test_inside_the_mesh_pods_and_machines_are_selected_together(registered: Mesh) -> None:
    ports = "{number: 80, name: http, protocol: HTTP, targetPort: 8080}"
    selector = "{labels: {tier: mixed}}"
    registered.apply(
        entry(
            "mixed.internal",
            resolution="STATIC",
            location="MESH_INTERNAL",
            ports=ports,
            workloadSelector=selector,
        )
        + """
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: old, labels: {tier: mixed}}
spec: {address: 192.0.2.80}
---
apiVersion: v1
kind: Pod
metadata: {name: fresh, labels: {tier: mixed}}
spec: {containers: [{name: a, image: a, ports: [{containerPort: 8080}]}]}
"""
    )
    sent = registered.send(
        CLIENT, "http://mixed.internal/", address=FOREIGN, requests=40, reuse=False
    ).exchanges
    assert Counter(answered(one) for one in sent).keys() == {"fresh", "legacy.example.com"}
    # What the machine does not speak: mTLS, since nothing says that it has a sidecar.
    assert {answered(one): bool(one.hops[0].upstream_peer) for one in sent} == {
        "fresh": True,
        "legacy.example.com": False,
    }


def test_an_entry_for_another_namespace_is_none(registered: Mesh) -> None:
    hidden = entry("api.example.com", resolution="DNS", ports=HTTP, exportTo='["."]')
    registered.apply(hidden.replace("{name: entry}", "{name: entry, namespace: data}"))
    assert registered.request(CLIENT, "http://api.example.com/").status == 502
    assert answered(registered.request("data/db-0", "http://api.example.com/")) == "api.example.com"


def test_a_sidecar_may_let_everything_out_while_the_mesh_does_not(registered: Mesh) -> None:
    registered.apply("""
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: open}
spec: {workloadSelector: {labels: {app: client}}, outboundTrafficPolicy: {mode: ALLOW_ANY}}
""")
    one = registered.request(CLIENT, "http://api.example.com/")
    assert (answered(one), one.hops[0].cluster) == ("api.example.com", "PassthroughCluster")
    assert registered.request("data/db-0", "http://api.example.com/").status == 502


@pytest.mark.parametrize("version", ["V1", "V2"])
def test_the_proxy_protocol_goes_before_a_host_that_does_not_know_it(registered: Mesh, version: str) -> None:
    registered.apply(
        entry("api.example.com", resolution="DNS", ports=HTTP)
        + rule("api.example.com", f"proxyProtocol: {{version: {version}}}")
    )
    assert registered.request(CLIENT, "http://api.example.com/").status in {400, 502, 503}
