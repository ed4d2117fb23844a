from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from meshtest.errors import ManifestError, ScenarioError
from meshtest.mesh.mesh_config import settings_of
from meshtest.mesh.unsupported import only_istios

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.mesh.model import MeshModel

FILTER = """\
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {{name: own}}
spec:
  configPatches:
  - applyTo: HTTP_FILTER
    match: {{listener: {{filterChain: {{filter: {{name: istio.stats}}}}}}}}
    patch:
      operation: INSERT_BEFORE
      value:
        name: x
        typed_config: {}
"""
TELEMETRY = """\
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{name: own}}
spec:
  {}
"""
CODES = "portLevelSettings: [{outlierDetection: {outlierDetectionHttpErrorCodes: [500]}}]"


@pytest.mark.parametrize(
    ("name", "istios"),
    [
        ("type.googleapis.com/stats.PluginConfig", True),
        ("type.googleapis.com/io.istio.http.peer_metadata.Config", True),
        ("type.googleapis.com/istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig", True),
        ("type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange", True),
        ("type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua", False),
    ],
)
def test_which_types_are_istios_own(name: str, istios: bool) -> None:  # noqa: FBT001 - a case
    assert only_istios(name) is istios


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ('{"@type": type.googleapis.com/stats.PluginConfig}', r"typed_config\[@type\]"),
        (
            '{"@type": type.googleapis.com/udpa.type.v1.TypedStruct, type_url: x/stats.PluginConfig}',
            r"type_url",
        ),
    ],
)
def test_a_filter_that_stock_envoy_has_not_is_refused(
    build: Callable[..., MeshModel], config: str, path: str
) -> None:
    with pytest.raises(
        ManifestError, match=rf"mesh.yaml:12: spec.configPatches\[0\].*{path}: unsupported: stats.Plug"
    ):
        build(FILTER.format(config))


def test_other_filters_and_matches_of_istios_are_not(build: Callable[..., MeshModel]) -> None:
    build(FILTER.format('{"@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua}'))


def test_metrics_are_refused_and_other_telemetry_is_not(build: Callable[..., MeshModel]) -> None:
    with pytest.raises(
        ManifestError, match=r"mesh.yaml:5: spec.metrics: unsupported: metrics come from istio.stats"
    ):
        build(TELEMETRY.format("metrics: [{providers: [{name: prometheus}]}]"))
    build(TELEMETRY.format("accessLogging: [{providers: [{name: envoy}]}]"))


def test_all_are_told_at_once_and_let_through_where_that_is_allowed(build: Callable[..., MeshModel]) -> None:
    text = TELEMETRY.format("metrics: [{}]") + "---\n" + FILTER.format('{"@type": x/stats.PluginConfig}')
    with pytest.raises(ManifestError, match=r"(?s)spec.metrics.*mesh.yaml:.*stats.PluginConfig"):
        build(text)
    assert build(text, allow_unsupported=True).manifests


@pytest.mark.parametrize(
    ("version", "kind", "spec", "place"),
    [
        (
            "gateway.networking.k8s.io/v1",
            "Gateway",
            "{gatewayClassName: istio, tls: {backend: {clientCertificateRef: {name: a}}}}",
            r"spec.tls.backend.clientCertificateRef: unsupported: istiod checks it",
        ),
        (
            "gateway.networking.k8s.io/v1",
            "HTTPRoute",
            "{rules: [{}, {sessionPersistence: {sessionName: a}}]}",
            r"spec.rules\[1\].sessionPersistence: unsupported",
        ),
        (
            "networking.istio.io/v1",
            "DestinationRule",
            f"{{subsets: [{{trafficPolicy: {{{CODES}}}}}]}}",
            r"spec.subsets\[0\].trafficPolicy.portLevelSettings\[0\].outlierDetection.outlierDetectionHttp",
        ),
        (
            "networking.istio.io/v1",
            "VirtualService",
            "{tcp: [{match: [{sourceSubnet: 10.0.0.0/8}]}]}",
            r"spec.tcp\[0\].match\[0\].sourceSubnet: unsupported",
        ),
        (
            "networking.istio.io/v1alpha3",
            "EnvoyFilter",
            "{configPatches: [{match: {listener: {portName: http}}}]}",
            r"spec.configPatches\[0\].match.listener.portName: unsupported",
        ),
        (
            "networking.istio.io/v1",
            "Sidecar",
            "{egress: [{port: {targetPort: 80}}]}",
            r"spec.egress\[0\].port.targetPort: unsupported",
        ),
        (
            "networking.istio.io/v1",
            "Sidecar",
            "{inboundConnectionPool: {http: {h2UpgradePolicy: UPGRADE}}}",
            "spec.inboundConnectionPool.http.h2UpgradePolicy: unsupported",
        ),
        (
            "networking.istio.io/v1",
            "Gateway",
            '{servers: [{defaultEndpoint: "127.0.0.1:80"}]}',
            r"spec.servers\[0\].defaultEndpoint: unsupported",
        ),
        (
            "networking.istio.io/v1",
            "Gateway",
            "{servers: [{port: {targetPort: 8080}}]}",
            r"spec.servers\[0\].port.targetPort: unsupported",
        ),
        (
            "networking.istio.io/v1",
            "Gateway",
            "{servers: [{tls: {tlsCertificates: [{caCertificates: /etc/ca.pem}]}}]}",
            r"spec.servers\[0\].tls.tlsCertificates\[0\].caCertificates: unsupported",
        ),
    ],
)
def test_what_istiod_makes_nothing_of_is_refused(
    build: Callable[..., MeshModel], version: str, kind: str, spec: str, place: str
) -> None:
    text = f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\nspec:\n  {spec}\n"
    with pytest.raises(ManifestError, match=rf"^mesh.yaml:5: {place}"):
        build(text)
    build(text, allow_unsupported=True)


def test_a_part_that_is_empty_is_as_one_left_out(build: Callable[..., MeshModel]) -> None:
    build(TELEMETRY.format("metrics: []"))


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ("proxyListenPort: 15101", "proxyListenPort"),
        ("proxyListenPort: 15001", ""),
        ("enableEnvoyAccessLogService: true", "enableEnvoyAccessLogService"),
        ("enableEnvoyAccessLogService: false", ""),
        (
            "extensionProviders: [{name: a}, {name: b, opencensus: {service: a, port: 1}}]",
            "extensionProviders[1].opencensus",
        ),
    ],
)
def test_what_nothing_acts_on_in_mesh_config_is_refused(
    build: Callable[..., MeshModel], config: str, path: str
) -> None:
    settings = settings_of(config)
    build("---", settings=settings, allow_unsupported=True)
    if path:
        with pytest.raises(ScenarioError, match=rf"^meshConfig.{re.escape(path)}: unsupported: "):
            build("---", settings=settings)
    else:
        build("---", settings=settings)


def test_istios_own_envoy_does_more(build: Callable[..., MeshModel]) -> None:
    build(TELEMETRY.format("metrics: [{providers: [{name: prometheus}]}]"), proxies={"*": "istio/proxyv2"})


def test_a_kind_that_istiod_has_a_switch_for_is_refused_without_it(build: Callable[..., MeshModel]) -> None:
    text = (
        "apiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: XBackendTrafficPolicy\nmetadata: {name: a}\n"
    )
    text += "spec: {retryConstraint: {budget: {percent: 20}}}\n"
    with pytest.raises(
        ManifestError, match=r"^mesh.yaml:4: spec: unsupported: .*PILOT_ENABLE_ALPHA_GATEWAY_API=true"
    ):
        build(text)
    with pytest.raises(ManifestError, match="PILOT_ENABLE_ALPHA_GATEWAY_API"):
        build(text, switches={"PILOT_ENABLE_ALPHA_GATEWAY_API": "false"})
    build(text, switches={"PILOT_ENABLE_ALPHA_GATEWAY_API": "true"})


def test_a_field_that_istiod_has_a_switch_for_is_refused_without_it(build: Callable[..., MeshModel]) -> None:
    text = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: a}
spec:
  ingress:
  - port: {number: 8443, protocol: HTTPS, name: https}
    defaultEndpoint: 127.0.0.1:8080
    tls: {mode: SIMPLE, serverCertificate: /a.crt, privateKey: /a.key}
"""
    with pytest.raises(
        ManifestError,
        match=r"^mesh.yaml:9: spec.ingress\[0\].tls: unsupported: .*ENABLE_TLS_ON_SIDECAR_INGRESS=true",
    ):
        build(text)
    build(text, switches={"ENABLE_TLS_ON_SIDECAR_INGRESS": "true"})
