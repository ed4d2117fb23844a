"""What the user says about the applications of a mesh, and which of it is about which pod. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from meshtest.errors import ScenarioError, nearest
from meshtest.live.external import Externals
from meshtest.mesh.environment import application_of, environment_of, expanded
from meshtest.mesh.volumes import disk_of
from meshtest.runtime.base import Image
from meshtest.scenario.external import external_hosts
from meshtest.scenario.images import EVERY, ImageSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from meshtest.mesh.model import Container, MeshModel, Pod
    from meshtest.mesh.probes import Probe

    Probes = tuple[Probe | None, Probe | None]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Applications:
    """What the user says about the applications of a mesh."""

    calls: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What stand-ins call: workload or service -> services or URLs."""
    commands: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Programs that run instead of stand-ins: workload -> argv."""
    images: Mapping[str, ImageSpec] = field(default_factory=dict)
    """Container images that run instead of stand-ins: workload or `*` -> image (docker runtime)."""
    proxies: Mapping[str, str] = field(default_factory=dict)
    """Images whose Envoy runs instead of meshtest's: workload or `*` -> image (docker runtime)."""
    key_set: Callable[[], str] = str
    """Makes the JWKS that stand-ins serve which play a server of keys."""
    external: Externals = field(default_factory=lambda: Externals({}))
    """Hosts outside the mesh."""

    @property
    def switches(self) -> Mapping[str, str]:
        """Of istiod: where every Envoy is Istio's own, they exchange metadata as in a cluster; stock Envoy cannot."""
        return {"PILOT_ENABLE_METADATA_EXCHANGE": "true"} if EVERY in self.proxies else {}


def in_code(
    *,
    calls: Mapping[str, Sequence[str]] | None = None,
    commands: Mapping[str, Sequence[str]] | None = None,
    images: Mapping[str, ImageSpec | str] | None = None,
    proxies: Mapping[str, str] | None = None,
    external: Mapping[str, Any] | None = None,
) -> Applications:
    """What Python code says; raises ScenarioError where something is not of its shape."""
    return Applications(
        calls=_table("calls", calls, "services or URLs", lambda each: _texts(each) or _texts([each])),
        commands=_table("commands", commands, "a program and its arguments, as a list", _texts),
        images=_table("images", images, "an image, or an ImageSpec", _image_spec),
        proxies=_table("proxies", proxies, "an image", lambda each: each if isinstance(each, str) else None),
        external=Externals(external_hosts(_table("external", external, "", lambda each: each))),
    )


def _table(key: str, given: Any, expected: str, read: Callable[[Any], T | None]) -> dict[str, T]:
    """What stands under names, each as `read` makes it; None is none of it."""
    if not isinstance(given or {}, Mapping):
        raise ScenarioError(f"{given!r} is no table of workloads", key=key, expected="{workload: ...}")
    found: dict[str, T] = {}
    for name, each in (given or {}).items():
        made = read(each) if isinstance(name, str) else None
        if made is None:
            raise ScenarioError(f"{each!r} is not right", key=f"{key}.{name}", expected=expected)
        found[name] = made
    return found


def _texts(each: Any) -> tuple[str, ...] | None:
    right = isinstance(each, (list, tuple)) and each and all(isinstance(word, str) for word in each)
    return tuple(each) if right else None


def _image_spec(each: Any) -> ImageSpec | None:
    if isinstance(each, str):
        return ImageSpec(image=each)
    return each if isinstance(each, ImageSpec) else None


def image_of(model: MeshModel, pod: Pod, chosen: ImageSpec) -> Image:
    """What the scenario and the pod's manifest say of its image, and the manifest of those that run before it."""
    found = _image(model, pod, application_of(pod), chosen, f"the manifest of {pod.workload_key}")
    before = {
        box.name: _image(model, pod, box, ImageSpec(), f"the init container {box.name} of {pod.workload_key}")
        for box in pod.preparing
    }
    return replace(found, before=before)


def _image(model: MeshModel, pod: Pod, box: Container | None, chosen: ImageSpec, who: str) -> Image:
    """A container of a pod: the chosen words win over the manifest's.

    Command, user and folder of the manifest belong to its own image; environment, volumes and limits hold for any.
    """
    if chosen.from_manifest and (box is None or not box.image):
        raise ScenarioError(f"{who} names no image", key="images", expected="the name of an image")
    named = box if chosen.from_manifest else None
    env = {**environment_of(model, pod, box), **chosen.env}
    command = chosen.command if chosen.command is not None else named and _words(named.command, env)
    args = chosen.args if chosen.args is not None else named and _words(named.args, env)
    limits = box.resources if box else {}
    memory = chosen.resources.memory or limits.get("limits.memory")
    return Image(
        reference=named.image if named else chosen.image,
        command=command or None,
        args=args or None,
        env=env,
        working_directory=named.working_directory if named else "",
        user=named.user if named else "",
        groups=box.groups if box else (),
        disk=disk_of(model, pod, box),
        cpus=chosen.resources.cpu or limits.get("limits.cpu"),
        memory=None if memory is None else int(memory),
    )


def _words(words: Sequence[str], env: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(expanded(word, env) for word in words)


def of_pod(applications: Applications, model: MeshModel, pod: Pod) -> bool:
    """Whether the user's own program runs in a pod, and not a stand-in."""
    chosen = lookup(applications.commands, model, pod), spec_of(applications, model, pod)
    return any(one is not None for one in chosen)


def spec_of(applications: Applications, model: MeshModel, pod: Pod) -> ImageSpec | None:
    """What is said of the image that runs in a pod; None where none runs."""
    return lookup(applications.images, model, pod) or applications.images.get(EVERY)


def probes_of(pod: Pod, chosen: ImageSpec | None) -> Probes:
    """The readiness and startup probes of a pod's manifest, unless the scenario says when its image is ready."""
    box = application_of(pod)
    if box is None or (chosen is not None and chosen.ready_ports is not None):
        return None, None
    return (chosen and chosen.readiness) or box.readiness, box.startup


def check_names(model: MeshModel, applications: Applications) -> None:
    """Raise ScenarioError where `calls` or `commands` name a workload that is not in the mesh."""
    for error in unknown_names(model, applications):
        raise error


def unknown_names(model: MeshModel, applications: Applications) -> Iterator[ScenarioError]:
    """An error for each name in `calls`, `commands` and the like that no workload or Service has."""
    known = sorted({pod.workload for pod in model.pods} | {service.name for service in model.services})
    named = {
        "calls": applications.calls,
        "commands": applications.commands,
        "images": applications.images,
        "proxies": applications.proxies,
    }
    for key, table in named.items():
        for name in table:
            if name == EVERY and key in {"images", "proxies"}:
                continue
            plain = name.rpartition("/")[2]
            if plain not in known:
                yield ScenarioError(
                    f"no workload or service {name!r} in the mesh",
                    key=f"{key}.{name}",
                    expected=f"one of {', '.join(known) or 'the manifests'}",
                    nearest=nearest(plain, known),
                )


def lookup(table: Mapping[str, T], model: MeshModel, pod: Pod) -> T | None:
    """What a table keyed by workload (or, less specific, by service) says for a pod."""
    for key in (pod.workload_key, pod.workload):
        if key in table:
            return table[key]
    for service in model.services if table else ():
        for key in (service.key, service.name):
            if key in table and service.selects(pod):
                return table[key]
    return None
