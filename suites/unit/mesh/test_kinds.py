from __future__ import annotations

import pytest

from meshtest.errors import ManifestError
from meshtest.mesh.kinds import KINDS, sort
from meshtest.mesh.manifests import load_text, manifests_of
from meshtest.mesh.yaml_source import documents

OBJECT = "apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\n"


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("networking.istio.io/v1alpha3", "VirtualService"),
        ("gateway.networking.k8s.io/v1beta1", "ReferenceGrant"),
        ("gateway.networking.k8s.io/v1alpha3", "TLSRoute"),
        ("networking.istio.io/v1", "Gateway"),
        ("gateway.networking.k8s.io/v1", "Gateway"),
        ("apps/v1", "DaemonSet"),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    ],
)
def test_kinds_of_a_mesh_are_acted_on(version: str, kind: str) -> None:
    assert len(sort(load_text(OBJECT.format(version=version, kind=kind))).acted_on) == 1


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("policy/v1", "PodDisruptionBudget"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ("monitoring.coreos.com/v1", "ServiceMonitor"),
        ("batch/v1", "CronJob"),
    ],
)
def test_kinds_that_mean_nothing_to_a_mesh_are_passed_over(version: str, kind: str) -> None:
    found = sort(load_text(OBJECT.format(version=version, kind=kind)))
    assert (len(found.acted_on), len(found.passed_over)) == (0, 1)


@pytest.mark.parametrize(
    ("version", "kind", "message"),
    [
        ("shop.example/v1", "Basket", 'x.yaml:2: kind: unsupported kind "Basket" of shop.example/v1'),
        ("istio.io/v1", "VirtualServce", "did you mean 'VirtualService'?"),
        ("networking.k8s.io/v1", "NetworkPolicy", "nothing here filters packets by it"),
        ("extensions.istio.io/v1alpha1", "WasmPlugin", "Istio's agent, which fetches WebAssembly modules"),
        ("kustomize.config.k8s.io/v1beta1", "Kustomization", "kustomize build"),
        ("install.istio.io/v1alpha1", "IstioOperator", "meshConfig"),
    ],
)
def test_kinds_that_nothing_acts_on_are_refused(version: str, kind: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        load_text(OBJECT.format(version=version, kind=kind), "x.yaml")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("version", "kind", "expected"),
    [
        ("networking.istio.io/v1alpha9", "Sidecar", "expected networking.istio.io/v1 or"),
        ("extensions/v1beta1", "Deployment", "expected apps/v1"),
        ("v1", "HTTPRoute", "expected gateway.networking.k8s.io/v1 or"),
        ("gateway.networking.k8s.io/v1alpha2", "GRPCRoute", "expected gateway.networking.k8s.io/v1"),
    ],
)
def test_a_version_that_no_cluster_serves_is_an_error_even_if_all_kinds_are_allowed(
    version: str, kind: str, expected: str
) -> None:
    with pytest.raises(ManifestError) as caught:
        load_text(OBJECT.format(version=version, kind=kind), allow_unsupported=True)
    assert expected in str(caught.value)


def test_unsupported_kinds_are_listed_if_they_are_allowed() -> None:
    baskets = load_text(OBJECT.format(version="x/v1", kind="Basket"), allow_unsupported=True)
    found = sort(baskets, allow_unsupported=True)
    assert [one.ref.kind for one in found.unsupported] == ["Basket"]


def test_one_error_tells_of_every_unsupported_kind() -> None:
    text = OBJECT.format(version="x/v1", kind="Basket") + "---\n" + OBJECT.format(version="x/v1", kind="Till")
    with pytest.raises(ManifestError) as caught:
        sort(manifests_of(documents(text, "x.yaml")))
    first, second = str(caught.value).splitlines()
    assert first.startswith('x.yaml:2: kind: unsupported kind "Basket"')
    assert second.startswith('x.yaml:6: kind: unsupported kind "Till"')


def test_no_kind_stands_in_the_table_twice() -> None:
    assert all((kind.group, kind.name) == key for key, kind in KINDS.items())
