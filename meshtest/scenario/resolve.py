"""Holds the names of a scenario against a mesh: who sends, who is hit, who should answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.errors import ScenarioError, nearest
from meshtest.mesh.outside import OUTSIDE
from meshtest.scenario.expect_callee import AnsweredBy, Call, MirroredTo
from meshtest.scenario.expect_policy import Allowed, Attempts, DeniedBy, Mtls
from meshtest.scenario.expect_time import Returns, Shifts
from meshtest.scenario.images import EVERY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from meshtest.errors import Location
    from meshtest.mesh.model import MeshModel, Pod
    from meshtest.scenario.expect import CheckSpec
    from meshtest.scenario.model import Scenario

ANYWHERE = "*"
Named = tuple[str, str, "Location", bool]
"""A name, its key path, where it stands, and whether a service may be meant."""


def find_pods(name: str, pods: Iterable[Pod]) -> list[Pod]:
    """The pods that a name means: of a workload or a single one; `name` (first in `default`) or `ns/name`."""
    if "/" in name:
        return [pod for pod in pods if name in (pod.key, pod.workload_key)]
    found = [pod for pod in pods if name in (pod.name, pod.workload)]
    return [pod for pod in found if pod.namespace == "default"] or found


def resolve(scenario: Scenario, model: MeshModel, later: Sequence[MeshModel] = ()) -> None:
    """Raise ScenarioError for the first name of the scenario that the mesh does not know.

    What is expected may be about pods that changes bring: `later` is the mesh after each of them.
    """
    for name, path, location, or_service in _names(scenario):
        models = (model, *later) if path.startswith("spec.expect") else (model,)
        knows = next((each for each in models if name in _known(each, or_service=or_service)), None)
        if knows is None:
            raise _unknown(name, path, location, models[-1], or_service=or_service)
        _unambiguous(name, path, location, knows)


def _known(model: MeshModel, *, or_service: bool) -> set[str]:
    pods = {word for pod in model.pods for word in (pod.workload, pod.workload_key, pod.name, pod.key)}
    services = {word for service in model.services for word in (service.name, service.key)}
    return pods | services if or_service else pods


def _unknown(
    name: str, path: str, location: Location, model: MeshModel, *, or_service: bool
) -> ScenarioError:
    plain = {pod.workload for pod in model.pods} | (
        {each.name for each in model.services} if or_service else set()
    )
    full = {pod.workload_key for pod in model.pods} | (
        {each.key for each in model.services} if or_service else set()
    )
    guess = nearest(name, plain | {pod.name for pod in model.pods}) or nearest(name, full)
    what = "workload or service" if or_service else "workload or pod"
    return ScenarioError(
        f"no {what} {name!r} in the mesh",
        location=location,
        key=path,
        expected=f"one of {', '.join(sorted(plain))}" if plain else "manifests with a workload",
        nearest=guess,
    )


def _unambiguous(name: str, path: str, location: Location, model: MeshModel) -> None:
    spaces = sorted({pod.namespace for pod in find_pods(name, model.pods)})
    if len(spaces) > 1:
        raise ScenarioError(
            f"{name!r} stands in several namespaces",
            location=location,
            key=path,
            expected=" or ".join(f"{space}/{name}" for space in spaces),
        )


def _names(scenario: Scenario) -> Iterator[Named]:
    for index, traffic in enumerate(scenario.traffic):
        path = f"spec.traffic[{index}].from" if len(scenario.traffic) > 1 else "spec.traffic.from"
        if traffic.sender != OUTSIDE:
            yield traffic.sender, path, _line(scenario, path, traffic.location), False
    for index, fault in enumerate(scenario.faults):
        for key, words, service in (("to", fault.to, True), ("from", fault.sender, True)):
            path = f"spec.faults[{index}].{key}"
            at = _line(scenario, path, fault.location)
            yield from ((word, path, at, service) for word in words if word != ANYWHERE)
    for caller, called in scenario.calls.items():
        path = f"spec.calls.{caller}"
        yield caller, path, scenario.at(path), True
        yield from ((word, path, scenario.at(path), True) for word in called if not _is_address(word))
    yield from ((each, "spec.commands", scenario.at("spec.commands"), False) for each in scenario.commands)
    for path, table in (("spec.images", scenario.images), ("spec.proxies", scenario.proxies)):
        yield from ((each, path, scenario.at(path), False) for each in table if each != EVERY)
    for index, check in enumerate(scenario.expect):
        path = f"spec.expect[{index}].{check.kind}"
        yield from ((word, path, check.location, service) for word, service in _of_check(check))


def _line(scenario: Scenario, path: str, default: Location) -> Location:
    found = scenario.at(path)
    return found if found.line > default.line else default


def _is_address(word: str) -> bool:
    return any(mark in word for mark in (":", "."))


def _of_check(check: CheckSpec) -> Iterator[tuple[str, bool]]:
    words: tuple[str, ...] = ()
    match check.what:
        case AnsweredBy(workloads=workloads, shares=shares):
            words = (*workloads, *shares)
        case Call(to=to, answered_by=answered_by):
            yield to, True
            words = answered_by
        case MirroredTo(to=to):
            words = (to,)
        case Attempts(by=place) | Mtls(to=place) | DeniedBy(at=place) | Allowed(at=place):
            words = (place,) if place else ()
        case Shifts(away_from=words) | Returns(to=words):
            pass
        case _:
            pass
    yield from ((word, False) for word in words)
