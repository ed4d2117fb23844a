from __future__ import annotations

from typing import Any

import pytest

from meshtest.scenario.fault_control_plane import Outage, PartialPush, RejectedPush, SlowPush
from meshtest.scenario.fault_identity import Certificate, Flaw, RootRemoved, Rotation, TlsLimits

INTRUDER = "spiffe://cluster.local/ns/default/sa/intruder"


@pytest.mark.parametrize(
    ("written", "action"),
    [
        ("certificate: expired, to: a", Certificate(flaw=Flaw.EXPIRED)),
        ("certificate: selfSigned, to: a", Certificate(flaw=Flaw.SELF_SIGNED)),
        (
            f"certificate: {{wrongIdentity: '{INTRUDER}'}}, to: a",
            Certificate(flaw=Flaw.WRONG_IDENTITY, spiffe=INTRUDER),
        ),
        (
            "certificate: {wrongTrustDomain: other.example}, to: a",
            Certificate(flaw=Flaw.WRONG_TRUST_DOMAIN, trust_domain="other.example"),
        ),
        ("rootRemoved: true, to: a", RootRemoved()),
        ("rotation: {every: 200ms}, to: a", Rotation(every=0.2)),
        ("rotation: {every: 10s, lifetime: 1s}, to: a", Rotation(every=10, lifetime=1)),
        ("tls: {maxVersion: TLSv1_1}, to: a", TlsLimits(max_version="TLSv1_1")),
        ("tls: {cipherSuites: AES128-SHA}, to: a", TlsLimits(cipher_suites=("AES128-SHA",))),
        ("controlPlane: down", Outage.DOWN),
        ("controlPlane: paused", Outage.PAUSED),
        ("slowPush: {delay: 2s}", SlowPush(delay=2)),
        ("partialPush: true, to: a", PartialPush()),
        ("rejectedPush: {}, to: [a, b]", RejectedPush()),
    ],
)
def test_faults_are_read(files: Any, written: str, action: object) -> None:
    (fault,) = files.one(faults=f"faults: [{{{written}}}]").faults
    assert fault.action == action
    assert not fault.of_requests


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            "certificate: expird, to: a",
            "s.mesh.yaml:8: spec.faults[0].certificate: unknown flaw of a certificate 'expird'",
        ),
        ("certificate: wrongIdentity, to: a", "'wrongIdentity' stands without its value"),
        ("certificate: {wrongIdentity: intruder}, to: a", "'intruder' is none; expected a SPIFFE identity"),
        ("certificate: {wrongTrustDomain: 'a/b'}, to: a", "expected a trust domain such as other.example"),
        (
            f"certificate: {{wrongTrustDomain: a.b, wrongIdentity: '{INTRUDER}'}}, to: a",
            "both stand here; expected one of them",
        ),
        ("certificate: expired", "misses 'to'"),
        (
            "certificate: expired, to: a, from: b",
            "certificate hits a workload whoever calls it; expected to, without from",
        ),
        (
            "certificate: expired, to: a, percentage: 10",
            "percentage chooses requests, but certificate meets whatever comes",
        ),
        ("rootRemoved: false, to: a", "false stands where true must"),
        ("rotation: {lifetime: 1h}, to: a", "misses 'every'"),
        ("rotation: {every: 1s, lifetime: 10ms}, to: a", "certificates tell their end in whole seconds"),
        ("tls: {maxVersion: TLSv1_3}, to: a", "TLSv1_3 is no limit"),
        ("tls: {maxVersion: TLS1.1}, to: a", "unknown version of TLS 'TLS1.1'"),
        ("tls: {cipherSuites: [RC4]}, to: a", "unknown cipher suite 'RC4'"),
        ("tls: {}, to: a", "the mapping is empty"),
        ("controlPlane: gone", "unknown outage 'gone'; expected down or paused"),
        ("controlPlane: down, to: a", "there is one control plane for all"),
        ("slowPush: {}", "misses 'delay'"),
        ("partialPush: true", "misses 'to'"),
    ],
)
def test_mistakes_are_told(files: Any, written: str, message: str) -> None:
    said = files.error(faults=f"faults: [{{{written}}}]")
    assert message in said
    assert "s.mesh.yaml:" in said
