from __future__ import annotations

import pytest

from meshtest.errors import ScenarioError
from meshtest.mesh.probes import Probe
from meshtest.mesh.yaml_source import documents
from meshtest.scenario.fields import Spot
from meshtest.scenario.images import IMAGES, ImageSpec, Resources


def read(text: str) -> dict[str, ImageSpec]:
    (document,) = documents(text, "s.yaml")
    return IMAGES.read(document.value, Spot(document=document))


def test_what_a_scenario_says_of_an_image() -> None:
    assert read("""
"*": manifest
a: {image: b:1, args: [x], env: {A: b}, resources: {cpu: 500m, memory: 64Mi}, readyPorts: [80]}
c: {readinessProbe: {httpGet: {path: /health, port: 9080}, periodSeconds: 1}}
""") == {
        "*": ImageSpec(),
        "a": ImageSpec(
            image="b:1",
            args=("x",),
            env={"A": "b"},
            resources=Resources(cpu=0.5, memory=2.0**26),
            ready_ports=(80,),
        ),
        "c": ImageSpec(readiness=Probe(handler="httpGet", path="/health", port=9080, period=1)),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a:\n  readinessProbe: {httpGet: {path: /, port: web}}",
            "s.yaml:2: a.readinessProbe.httpGet.port: the container has no port 'web'; expected a number",
        ),
        ("a: {readinessProbe: {htpGet: {port: 1}}}", "unknown field; did you mean 'httpGet'?"),
        (
            "a: {readinessProbe: 80}",
            "a.readinessProbe: 80 is no probe; expected a probe as containers have it",
        ),
        (
            "a: {readyPorts: [1], readinessProbe: {tcpSocket: {port: 1}}}",
            "readyPorts and readinessProbe both stand here; expected one of them",
        ),
        (
            "a: {resources: {cpu: fast}}",
            "a.resources.cpu: 'fast' is no quantity; expected CPUs, such as 500m",
        ),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(ScenarioError) as error:
        read(text)
    assert message in str(error.value)
