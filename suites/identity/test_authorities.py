"""An authority that is plugged in (the Secret `cacerts`), and roots that MeshConfig adds (`caCertificates`).

After istio/istio: tests/integration/security/ca_custom_root.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from meshtest import Mesh, faults
from meshtest.errors import ManifestError, ScenarioError

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.mesh

MANIFESTS = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: lone}
spec: {selector: {app: lone}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {containers: [{name: app, image: web, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata:
  name: lone
  labels: {app: lone}
  annotations: {proxy.istio.io/config: '{proxyMetadata: {PROXY_CONFIG_XDS_AGENT: "false"}}'}
spec: {containers: [{name: app, image: lone, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: caller, labels: {app: caller}}
spec: {containers: [{name: app, image: caller}]}
---
apiVersion: v1
kind: Pod
metadata: {name: naked, labels: {app: naked, sidecar.istio.io/inject: "false"}}
spec: {containers: [{name: app, image: naked}]}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
"""
SECRET = """
apiVersion: v1
kind: Secret
metadata: {name: cacerts, namespace: istio-system}
data: %s
"""
WHO = "spiffe://cluster.local/ns/default/sa/naked"
KEYS = ("ca-cert.pem", "ca-key.pem", "cert-chain.pem", "root-cert.pem")


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority with its key, and those that signed for it up to the root."""

    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    path: tuple[x509.Certificate, ...]

    @property
    def serial(self) -> str:
        """Of its own certificate, as Envoy tells it."""
        return serial_of(self.path[0])

    @property
    def root(self) -> str:
        """The last of the path."""
        return pem(self.path[-1])

    def secret(self, **other: str) -> str:
        """It as the Secret that is plugged in; `other` are keys that have something else."""
        own = pem(self.path[0]), key_pem(self.key), "".join(map(pem, self.path[:-1])) or self.root, self.root
        data = {**dict(zip(KEYS, own, strict=True)), **other}
        return SECRET % json.dumps({key: encoded(text) for key, text in data.items() if text})

    def client(self) -> dict[str, Any]:
        """A certificate of somebody in the mesh, as a caller without sidecar shows it."""
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = signed(
            x509.Name([]), key, self, x509.SubjectAlternativeName([x509.UniformResourceIdentifier(WHO)])
        )
        shown = "".join(map(pem, (leaf, *self.path[:-1])))
        return {"certificate": shown, "key": key_pem(key), "alpn": ["istio-http/1.1"]}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def signed(
    name: x509.Name, key: Any, by: Authority | None, extension: x509.ExtensionType, *, days: int = 30
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(by.path[0].subject if by else name)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - dt.timedelta(days=60)).not_valid_after(
        now + dt.timedelta(days=days)
    )
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = builder.add_extension(own, critical=False).add_extension(extension, critical=True)
    if by:
        above = x509.SubjectKeyIdentifier.from_public_key(by.key.public_key())
        named = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(above)
        builder = builder.add_extension(named, critical=False)
    return builder.sign(by.key if by else key, hashes.SHA256())


def authority(by: Authority | None = None, *, name: str = "Root CA", days: int = 30) -> Authority:
    """One that `by` signed for; without it, a root. All roots have the same name, as those of Istio's samples have."""
    key = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = signed(subject, key, by, x509.BasicConstraints(ca=True, path_length=None), days=days)
    return Authority(key, (certificate, *(by.path if by else ())))


def revoked(by: Authority, *certificates: x509.Certificate) -> str:
    """The list of an authority on which these stand."""
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateRevocationListBuilder().issuer_name(by.path[0].subject)
    builder = builder.last_update(now - dt.timedelta(days=1)).next_update(now + dt.timedelta(days=1))
    for one in certificates:
        entry = x509.RevokedCertificateBuilder().serial_number(one.serial_number)
        builder = builder.add_revoked_certificate(entry.revocation_date(now - dt.timedelta(hours=1)).build())
    return builder.sign(by.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def serial_of(certificate: x509.Certificate) -> str:
    """A serial number byte by byte, as Envoy writes it."""
    number = certificate.serial_number
    return number.to_bytes((number.bit_length() + 7) // 8, "big").hex()


def trusted_by(mesh: Mesh, pod: str) -> set[str]:
    """The serial numbers of the roots that a sidecar verifies others by."""
    held = json.loads(mesh.admin(pod, "/certs"))["certificates"]
    return {each["serial_number"] for one in held for each in one["ca_cert"]}


def chain_of(mesh: Mesh) -> list[str]:
    """Whose certificates a caller shows below its own, as the callee's sidecar hands them on."""
    one = mesh.request("caller", "http://web/")
    assert one.backend is not None
    (details,) = one.backend.request.headers["x-forwarded-client-cert"]
    chain = unquote(re.findall('Chain="([^"]+)"', details)[0])
    return [serial_of(each) for each in x509.load_pem_x509_certificates(chain.encode())[1:]]


def by_itself(mesh: Mesh, of: Authority, to: str = "web") -> str:
    """What becomes of a request of the caller without sidecar that shows a certificate by an authority."""
    one = mesh.request("naked", f"https://{to}:80/", tls=of.client())
    return str(one.status or one.outcome)


@pytest.fixture(scope="module")
def plugged() -> Authority:
    return authority(authority(), name="Intermediate CA")


@pytest.fixture(scope="module")
def other() -> Authority:
    return authority()


@pytest.fixture(scope="module")
def running(meshtest_runtime: str, plugged: Authority) -> Iterator[Mesh]:
    details = {"forwardedClientCert": "APPEND_FORWARD", "setCurrentClientCertDetails": {"chain": True}}
    with Mesh.from_manifests(
        MANIFESTS,
        plugged.secret(),
        mesh_config={"defaultConfig": {"proxyHeaders": details}},
        runtime=meshtest_runtime,
    ) as made:
        yield made


@pytest.fixture
def mesh(running: Mesh) -> Mesh:
    running.replace()
    return running


def test_workloads_have_certificates_of_the_plugged_authority_and_trust_its_root(
    mesh: Mesh, plugged: Authority, other: Authority
) -> None:
    one = mesh.request("caller", "http://web/")
    assert (one.status, one.peer_identity) == (200, "spiffe://cluster.local/ns/default/sa/default")
    root = serial_of(plugged.path[-1])
    assert trusted_by(mesh, "web") == {root}
    assert chain_of(mesh) == [plugged.serial, root]
    assert (by_itself(mesh, plugged), by_itself(mesh, other)) == ("200", "handshake-failure")


def test_another_authority_signs_when_the_secret_changes(
    mesh: Mesh, plugged: Authority, other: Authority
) -> None:
    mesh.apply(other.secret())
    assert mesh.request("caller", "http://web/").status == 200
    assert trusted_by(mesh, "caller") == {other.serial}
    assert (by_itself(mesh, plugged), by_itself(mesh, other)) == ("handshake-failure", "200")
    mesh.delete(other.secret())
    assert mesh.request("caller", "http://web/").status == 200
    assert (by_itself(mesh, plugged), by_itself(mesh, other)) == ("handshake-failure", "handshake-failure")


def test_what_the_authority_above_has_revoked_is_trusted_no_more(mesh: Mesh) -> None:
    above = authority()
    below = authority(above, name="Intermediate CA")
    chain = {"cert-chain.pem": "".join(map(pem, below.path))}
    lists = revoked(below) + revoked(above)
    mesh.apply(below.secret(**chain, **{"ca-crl.pem": lists}))
    assert by_itself(mesh, below) == "200"
    lists = revoked(below) + revoked(above, below.path[0])
    mesh.apply(below.secret(**chain, **{"ca-crl.pem": lists}))
    assert (by_itself(mesh, below), by_itself(mesh, above)) == ("handshake-failure", "200")
    one = mesh.request("caller", "http://lone/")  # which it has no connection to
    assert one.status == 503
    assert "certificate_revoked" in one.hops[0].raw["upstream_failure"].lower()
    with pytest.raises(ManifestError, match="no list is signed by CN=Root CA") as caught:
        mesh.apply(below.secret(**chain, **{"ca-crl.pem": revoked(below)}))
    assert caught.value.key == "data[ca-crl.pem]"


def test_the_authority_outlives_the_control_plane(mesh: Mesh, plugged: Authority) -> None:
    with mesh.inject(faults.control_plane_down()):
        assert by_itself(mesh, plugged) == "200"
    assert trusted_by(mesh, "web") == {serial_of(plugged.path[-1])}
    assert (by_itself(mesh, plugged), mesh.request("caller", "http://web/").status) == ("200", 200)


def test_an_authority_that_istiod_would_not_start_with_is_told_of(
    mesh: Mesh, plugged: Authority, other: Authority
) -> None:
    late = authority(days=-1)
    for key, secret, problem in (
        ("root-cert.pem", plugged.secret(**{"root-cert.pem": ""}), "missing or empty"),
        (
            "ca-key.pem",
            plugged.secret(**{"ca-key.pem": key_pem(other.key)}),
            "not the key of the certificate",
        ),
        ("root-cert.pem", plugged.secret(**{"root-cert.pem": other.root}), "does not lead to it"),
        ("root-cert.pem", late.secret(), "does not lead to it"),
        ("ca-cert.pem", plugged.secret(**{"ca-cert.pem": "nothing"}), "no certificate in PEM"),
    ):
        with pytest.raises(ManifestError, match=problem) as caught:
            mesh.apply(secret)
        assert caught.value.key == f"data[{key}]"
    assert by_itself(mesh, plugged) == "200"


READER = """
apiVersion: v1
kind: Pod
metadata: {name: reader, labels: {app: reader, sidecar.istio.io/inject: "false"}}
spec:
  containers:
  - name: app
    image: reader
    ports: [{containerPort: 8080}]
    volumeMounts: [{name: root, mountPath: /var/run/mesh}]
  volumes: [{name: root, configMap: {name: istio-ca-root-cert}}]
"""


@pytest.mark.parametrize("brought", [True, False], ids=["plugged-in", "its-own"])
def test_every_namespace_has_the_root_in_a_config_map(plugged: Authority, *, brought: bool) -> None:
    serve = [sys.executable, "-m", "http.server", "8080", "--directory", "/var/run/mesh"]
    texts = [MANIFESTS, READER, *([plugged.secret()] if brought else [])]
    with Mesh.from_manifests(*texts, commands={"default/reader": serve}) as mesh:
        (reader,) = (pod for pod in mesh.pods if pod.name == "reader")
        root = mesh.request("naked", f"http://{reader.ip}:8080/root-cert.pem").body.decode()
        assert (root == plugged.root) is brought
        for ca, status in ((root, 200), (authority().root, None)):
            told = {**mesh.issue(WHO), "ca": ca, "alpn": ["istio-http/1.1"]}
            assert mesh.request("naked", "https://web:80/", tls=told).status == status


def test_further_roots_are_trusted_by_proxies_that_ask_for_them(
    meshtest_runtime: str, plugged: Authority, other: Authority
) -> None:
    def start(**switches: str) -> Mesh:
        return Mesh.from_manifests(
            MANIFESTS,
            plugged.secret(),
            mesh_config={
                "caCertificates": [{"pem": other.root}],
                "defaultConfig": {"proxyMetadata": {"PROXY_CONFIG_XDS_AGENT": "true"}},
            },
            engine_env=switches,
            runtime=meshtest_runtime,
        )

    with start(ISTIO_MULTIROOT_MESH="true") as mesh:
        assert (by_itself(mesh, plugged), by_itself(mesh, other)) == ("200", "200")
        assert (by_itself(mesh, plugged, "lone"), by_itself(mesh, other, "lone")) == (
            "200",
            "handshake-failure",
        )
        assert mesh.request("caller", "http://lone/").status == 200
        third = authority()
        asking = {"proxyMetadata": {"PROXY_CONFIG_XDS_AGENT": "true"}}
        mesh.replace(mesh_config={"caCertificates": [{"pem": third.root}], "defaultConfig": asking})
        assert (by_itself(mesh, third), by_itself(mesh, other)) == ("200", "handshake-failure")
        with pytest.raises(ScenarioError, match=r"caCertificates\[0\]\.pem: no certificate in PEM"):
            mesh.replace(mesh_config={"caCertificates": [{"pem": "nothing"}]})
    with start() as mesh:  # istiod hands none out
        assert (by_itself(mesh, plugged), by_itself(mesh, other)) == ("200", "handshake-failure")
