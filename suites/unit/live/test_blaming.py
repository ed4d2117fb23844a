from __future__ import annotations

import pytest

from meshtest.errors import ConfigurationRejected
from meshtest.live.blaming import blamed
from meshtest.mesh.build import build_model
from meshtest.mesh.manifests import load_text

WORKLOAD = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: b, namespace: ns1}
spec:
  selector: {matchLabels: {app: b}}
  template: {metadata: {labels: {app: b}}, spec: {containers: [{name: app, image: x}]}}
"""
SAID = "ns1/b-0 refused LDS [virtualInbound]: no"


def envoy_filter(name: str, namespace: str = "ns1", app: str = "") -> str:
    selector = f"{{workloadSelector: {{labels: {{app: {app}}}}}}}" if app else "{}"
    head = "---\napiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\n"
    return f"{head}metadata: {{name: {name}, namespace: {namespace}}}\nspec: {selector}\n"


def said(*filters: str, changed: tuple[str, ...] = ()) -> str:
    model = build_model(load_text(WORKLOAD + "".join(filters), "f.yaml"))
    refs = {each.ref: each.body for each in model.manifests if not changed or each.ref.name in changed}
    return str(blamed(ConfigurationRejected(SAID), model, refs))


@pytest.mark.parametrize(
    "one",
    [envoy_filter("x"), envoy_filter("x", app="b"), envoy_filter("x", "istio-system")],
    ids=["namespace", "workload", "mesh"],
)
def test_the_filter_of_the_pod_that_refused_is_named_with_its_line(one: str) -> None:
    namespace = "istio-system" if "istio-system" in one else "ns1"
    wanted = f"f.yaml:8: EnvoyFilter {namespace}/x makes a configuration that Envoy refuses: {SAID}"
    assert said(one) == wanted


@pytest.mark.parametrize(
    "one", ["", envoy_filter("x", "ns2"), envoy_filter("x", app="c")], ids=["none", "elsewhere", "others"]
)
def test_filters_of_others_are_not_named(one: str) -> None:
    assert said(one) == SAID


def test_what_was_there_before_is_not_to_blame() -> None:
    text = said(envoy_filter("old"), envoy_filter("new"), changed=("new",))
    assert "EnvoyFilter ns1/new" in text
    assert "old" not in text


def test_several_are_listed() -> None:
    text = said(envoy_filter("x"), envoy_filter("z"))
    assert text.startswith(
        "one of these makes a configuration that Envoy refuses:\n  f.yaml:8: EnvoyFilter ns1/x"
    )
    assert text.endswith(SAID)
