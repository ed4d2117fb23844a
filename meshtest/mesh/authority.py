"""Whose certificates a mesh has, as far as manifests and MeshConfig say it: a plugged-in authority, and further roots.

The Secret `cacerts` in istio-system is the authority that signs for workloads, in both forms that istiod takes
(istio/istio: pilot/pkg/bootstrap/istio_ca.go). `caCertificates` of MeshConfig are trusted besides it by proxies whose
agent asks for them, where istiod hands them out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshtest.errors import ManifestError, ScenarioError
from meshtest.mesh.fields import fields_of
from meshtest.mesh.model import ROOT_NAMESPACE
from meshtest.mesh.mounts import texts_of
from meshtest.mesh.objects import secret_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshtest.mesh.model import Manifest

SECRET = "cacerts"  # noqa: S105 - its name
HANDS_OUT = "ISTIO_MULTIROOT_MESH"
"""The switch of istiod without which `caCertificates` reach nobody."""
_OWN = ("ca-cert.pem", "ca-key.pem", "cert-chain.pem", "root-cert.pem")
_OF_TLS = ("tls.crt", "tls.key", "ca.crt")
_REVOKED = "ca-crl.pem"
_REVOKES = "PILOT_ENABLE_CA_CRL"
"""The switch of istiod, on unless it says no, by which it heeds that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PluggedAuthority:
    """What signs for the workloads of a mesh; all PEM."""

    certificate: str
    key: str = field(repr=False)
    chain: str
    """What is shown below a workload's certificate, before the root."""
    root: str
    """One certificate or more: whom the workloads trust."""
    revoked: str = ""
    """Revocation lists of it and of those above it; empty: nothing is revoked."""


def plugged_authority(
    manifests: Iterable[Manifest], switches: Mapping[str, str] | None = None
) -> PluggedAuthority | None:
    """The authority of the Secret `cacerts`; raises ManifestError for one with which istiod would not start."""
    for manifest in manifests:
        ref = manifest.ref
        if (ref.api_version, ref.kind, ref.namespace, ref.name) == ("v1", "Secret", ROOT_NAMESPACE, SECRET):
            revokes = (switches or {}).get(_REVOKES, "").lower() not in ("0", "f", "false")
            return _read(manifest, revokes=revokes)
    return None


def further_roots(pems: Sequence[str], switches: Mapping[str, str]) -> str:
    """The `caCertificates` that istiod hands out; raises ScenarioError where it would not start for one."""
    if switches.get(HANDS_OUT, "").lower() not in ("1", "t", "true"):
        return ""
    from meshtest.mesh.certificates import problem_of_root  # noqa: PLC0415 - dear, and only for those who have some

    for index, pem in enumerate(pems):
        if problem := problem_of_root(pem):
            key = f"meshConfig.caCertificates[{index}].pem"
            raise ScenarioError(problem, key=key, expected="the certificate of an authority, as PEM")
    return "".join(f"{pem.strip()}\n" for pem in dict.fromkeys(pems))


def _read(manifest: Manifest, *, revokes: bool) -> PluggedAuthority:
    texts = texts_of(secret_object(manifest))
    of_tls = _OF_TLS[0] in texts
    wanted = _OF_TLS if of_tls else _OWN
    for key in wanted:
        if not texts.get(key, "").strip():
            raise _error(
                manifest, key, "missing or empty, so istiod would not start", expected=", ".join(wanted)
            )
    certificate, key = texts[wanted[0]], texts[wanted[1]]
    root = texts[wanted[-1]]
    chain = f"{certificate.rstrip()}\n{root}" if of_tls else texts["cert-chain.pem"]
    revoked = texts.get(_REVOKED, "") if revokes and not of_tls else ""
    found = PluggedAuthority(certificate=certificate, key=key, chain=chain, root=root, revoked=revoked)
    if wrong := _problem(found):
        place, problem = wrong
        raise _error(manifest, (*wanted, _REVOKED)[place], f"{problem}, so istiod would not start")
    return found


def _error(manifest: Manifest, key: str, problem: str, *, expected: str = "") -> ManifestError:
    """A mistake at `key`, in whichever of both it stands."""
    top = fields_of(manifest)
    plain = top.mapping("stringData")
    return (plain if key in plain.value else top.mapping("data")).error(key, problem, expected=expected)


def _problem(found: PluggedAuthority) -> tuple[int, str] | None:
    """What is wrong with which of them: 0 the certificate, 1 the key, -2 the root, -1 the revocation lists."""
    from meshtest.mesh import certificates  # noqa: PLC0415 - dear, and only for those who bring an authority

    if problem := certificates.problem_of_root(found.certificate):
        return 0, problem
    if problem := certificates.problem_of_key(found.certificate, found.key):
        return 1, problem
    if problem := certificates.problem_of_path(found.certificate, found.chain, found.root):
        return -2, problem
    problem = certificates.problem_of_revocations(found.revoked, found.chain) if found.revoked else ""
    return (-1, problem) if problem else None
