from __future__ import annotations

from dataclasses import replace

import pytest

from meshtest.errors import ManifestError
from meshtest.mesh.injection import InterceptionRules, interception, interception_mode
from meshtest.mesh.model import Pod, PodKind

POD = Pod(
    namespace="default",
    name="web-0",
    workload="web",
    workload_kind="Deployment",
    ip="10.244.0.2",
    kind=PodKind.SIDECAR,
    labels={},
)
TRAFFIC = "traffic.sidecar.istio.io/"


def rules(**annotations: str) -> InterceptionRules | None:
    return interception(
        replace(POD, annotations={TRAFFIC + key: value for key, value in annotations.items()})
    )


def test_everything_is_intercepted_but_istios_own_ports() -> None:
    assert rules() == InterceptionRules(exclude_inbound_ports=(15008, 15020, 15021, 15090))


@pytest.mark.parametrize(
    ("annotation", "value", "field", "expected"),
    [
        (
            "excludeInboundPorts",
            "8081, 8082",
            "exclude_inbound_ports",
            (8081, 8082, 15008, 15020, 15021, 15090),
        ),
        ("includeInboundPorts", "*", "include_inbound_ports", None),
        ("includeInboundPorts", "80,81", "include_inbound_ports", (80, 81)),
        ("includeInboundPorts", "", "include_inbound_ports", ()),
        ("excludeOutboundPorts", "3306", "exclude_outbound_ports", (3306,)),
        ("includeOutboundPorts", "443", "include_outbound_ports", (443,)),
        (
            "excludeOutboundIPRanges",
            "10.0.0.0/8,192.0.2.1/32",
            "exclude_outbound_ranges",
            ("10.0.0.0/8", "192.0.2.1/32"),
        ),
        ("includeOutboundIPRanges", "*", "include_outbound_ranges", None),
        ("includeOutboundIPRanges", "", "include_outbound_ranges", ()),
        ("excludeInterfaces", "net1, eth0", "include_inbound_ports", ()),
        ("excludeInterfaces", "net1, eth0", "include_outbound_ranges", ()),
        ("excludeInterfaces", "net1", "include_inbound_ports", None),
        ("excludeInterfaces", "", "include_outbound_ranges", None),
    ],
)
def test_annotations_change_what_is_intercepted(
    annotation: str, value: str, field: str, expected: tuple[int | str, ...] | None
) -> None:
    assert getattr(rules(**{annotation: value}), field) == expected


@pytest.mark.parametrize("kind", [PodKind.PLAIN, PodKind.GATEWAY])
def test_only_sidecars_intercept(kind: PodKind) -> None:
    assert interception(replace(POD, kind=kind)) is None


def test_interception_can_be_switched_off() -> None:
    assert interception(replace(POD, annotations={"sidecar.istio.io/interceptionMode": "NONE"})) is None


@pytest.mark.parametrize(
    ("annotation", "config", "mode"),
    [
        (None, None, "REDIRECT"),
        (None, "TPROXY", "TPROXY"),
        ("TPROXY", None, "TPROXY"),
        ("REDIRECT", "TPROXY", "REDIRECT"),
        ("NONE", "TPROXY", "NONE"),
    ],
)
def test_the_annotation_says_how_and_else_the_proxy_config(
    annotation: str | None, config: str | None, mode: str
) -> None:
    notes = {"sidecar.istio.io/interceptionMode": annotation} if annotation else {}
    pod = replace(POD, annotations=notes, proxy_config={"interceptionMode": config} if config else {})
    rules = interception(pod)
    assert interception_mode(pod) == mode
    assert (rules.transparent if rules else None) == {"REDIRECT": False, "TPROXY": True}.get(mode)


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ({TRAFFIC + "excludeInboundPorts": "http"}, "'http' is no port"),
        ({TRAFFIC + "excludeInterfaces": "eth0,a name"}, "'a name' is no name of a network interface"),
        ({TRAFFIC + "includeOutboundIPRanges": "everything"}, "'everything' is no IPv4 range"),
        (
            {"sidecar.istio.io/interceptionMode": "tproxy"},
            "no interceptionMode 'tproxy'; expected REDIRECT, TPROXY",
        ),
    ],
)
def test_wrong_annotations_are_errors(annotations: dict[str, str], message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        interception(replace(POD, annotations=annotations))
