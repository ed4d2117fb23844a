from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meshtest.errors import Location, ScenarioError
from meshtest.mesh.external import ExternalHost, ExternalPort, ExternalTls
from meshtest.mesh.yaml_source import Document
from meshtest.scenario.external import EXTERNAL, external_hosts
from meshtest.scenario.fields import Spot

if TYPE_CHECKING:
    from pathlib import Path

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"


def test_ports_alone_are_enough() -> None:
    assert external_hosts({"api.example.com": ["80/HTTP", "443/HTTPS"]}) == {
        "api.example.com": ExternalHost(
            ports=(ExternalPort(number=80), ExternalPort(number=443, protocol="HTTPS"))
        )
    }


def test_everything_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(CERTIFICATE)
    found = external_hosts(
        {
            "*.example.com": {
                "ports": ({"number": 443, "protocol": "TLS", "proxyProtocol": True},),
                "names": "example.com",
                "addresses": ["192.0.2.1"],
                "tls": {"mode": "MUTUAL", "certificate": "private", "caCertificates": f"{tmp_path}/ca.pem"},
                "files": {"/etc/certs/ca.pem": "ca"},
            }
        }
    )["*.example.com"]
    assert found == ExternalHost(
        ports=(ExternalPort(number=443, protocol="TLS", proxy_protocol=True),),
        names=("example.com",),
        addresses=("192.0.2.1",),
        tls=ExternalTls(mode="MUTUAL", certificate="private", ca_certificates=CERTIFICATE),
        files={"/etc/certs/ca.pem": "ca"},
    )
    assert external_hosts({"a": found}) == {"a": found}
    assert external_hosts(None) == {}


@pytest.mark.parametrize(
    ("host", "message"),
    [
        (["80"], "external.a[[]0]: '80' is no port; expected NUMBER/PROTOCOL, the protocol one of HTTP, *"),
        (["0/HTTP"], "*'0/HTTP' is no port*"),
        (["80/HTTP", "80/TCP"], "*external.a.ports[[]1]: port 80 stands there twice"),
        ({"ports": ["80/HTTP"], "adresses": []}, "*unknown key 'adresses'*did you mean 'addresses'?"),
        ({"ports": ["80/HTTP"], "addresses": ["here"]}, "*'here' is no address; expected an IPv4 address"),
        ({"ports": ["80/HTTP"], "names": ["A B"]}, "*'A B' is no host name*"),
        (
            {"ports": ["80/HTTP"], "tls": {"mode": "MUTUAL"}},
            "*speaks no TLS; expected a port of HTTPS or TLS",
        ),
        ({"ports": ["443/HTTPS"], "tls": {"privateKey": CERTIFICATE}}, "*a certificate goes with its key*"),
        ({"ports": ["443/HTTPS"], "tls": {"caCertificates": "/no.pem"}}, "*no PEM at '/no.pem'*"),
        (
            {"ports": ["443/HTTPS"], "tls": {"caCertificates": CERTIFICATE}, "secrets": ["a/b"]},
            "*no client's certificate can be given out*",
        ),
        ({"ports": ["443/HTTPS"], "secrets": ["b"]}, "*'b' names no object; expected namespace/name"),
        (
            {"ports": ["80/HTTP"], "workloadGroup": "a/b", "workloadEntry": "a/b"},
            "*workloadGroup and workloadEntry both stand here; expected one of them",
        ),
        ({"ports": ["443/HTTPS"], "files": {"/a": "root"}}, "*unknown word 'root'; expected ca, *"),
    ],
)
def test_mistakes_are_named(host: Any, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        external_hosts({"a": host})
    pytest.LineMatcher([str(caught.value)]).fnmatch_lines([f"*{message}"])


def test_hosts_may_stand_in_a_file_beside_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text("api.example.com: [80/HTTP]\n")
    document = Document(value={}, location=Location(file=f"{tmp_path}/a.mesh.yaml", line=1), lines={})
    spot = Spot(document=document, path="spec.external")
    assert EXTERNAL.read("hosts.yaml", spot) == external_hosts({"api.example.com": ["80/HTTP"]})
    with pytest.raises(
        ScenarioError, match=r"a.mesh.yaml:1: spec.external: no file 'other.yaml'; expected hosts"
    ):
        EXTERNAL.read("other.yaml", spot)
    (tmp_path / "hosts.yaml").write_text("api.example.com:\n- 80\n")
    with pytest.raises(
        ScenarioError, match=r"hosts.yaml:2: api.example.com\[0\]|hosts.yaml:2: \S+: 80 is no port"
    ):
        EXTERNAL.read("hosts.yaml", spot)
    (tmp_path / "hosts.yaml").write_text("")
    with pytest.raises(ScenarioError, match=r"no hosts in 'hosts\.yaml'"):
        EXTERNAL.read("hosts.yaml", spot)


@pytest.mark.parametrize(
    ("hosts", "message"),
    [
        ({"A B": ["80/HTTP"]}, "*'A B' is no host name*"),
        ({"a.svc.cluster.local": ["80/HTTP"]}, "*no name outside the mesh*"),
        (
            {"a": ["80/HTTP"], "b": {"ports": ["80/HTTP"], "names": ["a"]}},
            "*external.b.names: a is a name of a already",
        ),
    ],
)
def test_names_that_cannot_be_are_refused(hosts: Any, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        external_hosts(hosts)
    pytest.LineMatcher([str(caught.value)]).fnmatch_lines([message])
