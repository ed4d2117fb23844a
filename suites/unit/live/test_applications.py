from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.errors import ScenarioError
from meshtest.live.applications import Applications, check_names, image_of, in_code, probes_of
from meshtest.mesh.model import Container
from meshtest.mesh.probes import TCP, Probe
from meshtest.mesh.variables import Variable
from meshtest.scenario.images import ImageSpec, Resources

if TYPE_CHECKING:
    from meshtest.mesh.model import MeshModel, Pod

PROBE, OTHER = Probe(handler=TCP, port=1), Probe(handler=TCP, port=2)
BOX = Container(
    name="app",
    image="shop:1",
    command=("/shop", "--name=$(NAME)"),
    args=("$(NOBODY)",),
    working_directory="/srv",
    user="7",
    variables=(Variable(name="NAME", value="me"),),
    resources={"limits.cpu": 0.5, "limits.memory": 2.0**26, "requests.cpu": 0.1},
    readiness=PROBE,
)


def test_what_code_says_is_taken_in_its_usual_forms() -> None:
    found = in_code(
        calls={"a": "http://b/", "c": ["d", "e"]},
        commands={"a": ["server", "--port=80"]},
        images={"a": "shop:1", "b": ImageSpec(image="shop:2")},
        proxies={"*": "proxyv2"},
        external={"x.example": ["80/HTTP"]},
    )
    assert found.calls == {"a": ("http://b/",), "c": ("d", "e")}
    assert found.commands == {"a": ("server", "--port=80")}
    assert [each.image for each in found.images.values()] == ["shop:1", "shop:2"]
    assert found.proxies == {"*": "proxyv2"}
    assert (in_code().calls, in_code().images, in_code().commands) == ({}, {}, {})


@pytest.mark.parametrize(
    ("key", "given", "message"),
    [
        (
            "commands",
            {"a": "server --port=80"},
            r"commands.a: 'server --port=80' .*a program and its arguments",
        ),
        ("commands", {"a": []}, "commands.a: .* as a list"),
        ("commands", ["server"], r"commands: \['server'\] is no table"),
        ("calls", 3, "calls: 3 is no table"),
        ("calls", {"a": [1]}, "calls.a: .*services or URLs"),
        ("images", {"a": 1}, "images.a: 1 .*an image, or an ImageSpec"),
        ("proxies", {"*": None}, "proxies.*: None .*an image"),
        ("external", "x.example", "external: 'x.example' is no table"),
        ("images", {1: "shop"}, "images.1: "),
    ],
)
def test_what_has_not_its_shape_is_an_error_at_its_key(key: str, given: Any, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        in_code(**{key: given})


@pytest.fixture
def pod(model: MeshModel) -> Pod:
    return replace(model.pods[0], containers=(BOX,))


def test_a_manifests_image_runs_as_the_manifest_says(model: MeshModel, pod: Pod) -> None:
    image = image_of(model, pod, ImageSpec())
    assert (image.reference, image.working_directory, image.user) == ("shop:1", "/srv", "7")
    assert (image.command, image.args) == (("/shop", "--name=me"), ("$(NOBODY)",))
    assert (image.cpus, image.memory, image.env) == (0.5, 1 << 26, {"NAME": "me"})


def test_another_image_keeps_what_the_pod_gives_it(model: MeshModel, pod: Pod) -> None:
    image = image_of(model, pod, ImageSpec(image="other:2"))
    assert (image.reference, image.command, image.args) == ("other:2", None, None)
    assert (image.working_directory, image.user) == ("", "")
    assert (image.cpus, image.env) == (0.5, {"NAME": "me"})


def test_init_containers_are_as_the_manifest_says_whatever_image_the_application_is(
    model: MeshModel, pod: Pod
) -> None:
    boxes = replace(BOX, name="first"), Container(name="second", image="prepare:1")
    image = image_of(model, replace(pod, preparing=boxes), ImageSpec(image="other:2", env={"NAME": "you"}))
    assert list(image.before) == ["first", "second"]
    first, second = image.before.values()
    assert (first.reference, first.command, first.env) == ("shop:1", ("/shop", "--name=me"), {"NAME": "me"})
    assert (second.reference, second.command, second.memory) == ("prepare:1", None, None)


def test_an_init_container_without_image_is_an_error(model: MeshModel, pod: Pod) -> None:
    with pytest.raises(ScenarioError, match=r"the init container first of default/\S+ names no image"):
        image_of(model, replace(pod, preparing=(replace(BOX, name="first", image=""),)), ImageSpec())


def test_the_scenarios_words_win(model: MeshModel, pod: Pod) -> None:
    told = ImageSpec(
        command=("/a",), args=("b",), env={"NAME": "you"}, resources=Resources(cpu=2.0, memory=1.0)
    )
    image = image_of(model, pod, told)
    assert (image.command, image.args) == (("/a",), ("b",))
    assert (image.cpus, image.memory, image.env) == (2.0, 1, {"NAME": "you"})


@pytest.mark.parametrize(
    ("chosen", "probes"),
    [
        (None, (PROBE, None)),
        (ImageSpec(), (PROBE, None)),
        (ImageSpec(ready_ports=(80,)), (None, None)),
        (ImageSpec(readiness=OTHER), (OTHER, None)),
    ],
    ids=["program", "image", "image with ports", "image with another probe"],
)
def test_probes_are_the_manifests_unless_the_scenario_says_something_else(
    pod: Pod, chosen: ImageSpec | None, probes: tuple[Probe | None, Probe | None]
) -> None:
    assert probes_of(pod, chosen) == probes


@pytest.mark.parametrize(
    ("key", "applications"),
    [
        ("calls", Applications(calls={"rating": ["x"]})),
        ("commands", Applications(commands={"rating": ["x"]})),
    ],
)
def test_applications_of_unknown_workloads_are_an_error(
    model: MeshModel, key: str, applications: Applications
) -> None:
    with pytest.raises(
        ScenarioError, match=f"{key}.rating: no workload or service 'rating' .*mean 'ratings'?"
    ):
        check_names(model, applications)


def test_applications_are_named_by_workload_or_service(model: MeshModel) -> None:
    check_names(
        model, Applications(calls={"reviews": [], "default/reviews-v1": []}, commands={"legacy": ["x"]})
    )
