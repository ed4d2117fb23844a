"""Refuses a fault that sits where it cannot exercise the policy that the scenario asks about.

    caller's sidecar:  [Istio's `fault`] ─► router (retries, timeout) ─► edge ─► callee's sidecar [meshtest's `faults`]
                        nothing mends it     mends what comes from here on

Istio's own `fault` block answers or waits before the router, so no retry and no timeout of the same route ever sees it
(istio/istio#13705). A scenario that expects attempts or a timeout from it would pass or fail for another reason. Pure;
in doubt nothing is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from meshtest.errors import Location, ScenarioError
from meshtest.mesh.yaml_source import nearest_location
from meshtest.scenario.expect_answer import Latency, Status
from meshtest.scenario.expect_policy import Attempts, ResponseFlags
from meshtest.scenario.resolve import find_pods
from meshtest.scenario.scalars import seconds_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshtest.mesh.model import Manifest, MeshModel
    from meshtest.scenario.expect import CheckSpec
    from meshtest.scenario.model import Scenario
    from meshtest.scenario.traffic import Traffic

Route = tuple["Manifest", int, "Mapping[str, Any]"]
"""A VirtualService, the number of one of its HTTP routes, and the route."""
WHY = (
    "Istio's own fault comes before the router of the caller's sidecar, so neither its retries nor its timeout see it "
    "(istio/istio#13705)"
)
INSTEAD = (
    "no `fault` in the route, and in the scenario `faults: [{abort: {httpStatus: 503}, to: CALLEE}]` or "
    "`[{delay: {fixedDelay: 2s}, to: CALLEE}]`, which sit behind the router"
)


def check_placement(scenario: Scenario, model: MeshModel) -> None:
    """Raise ScenarioError for the first check whose policy no fault of the scenario can exercise."""
    failing = scenario.expect_failure.check if scenario.expect_failure else ""
    for check in scenario.expect:
        if check.title == failing:
            continue  # a twin that shows just this
        for traffic in scenario.traffic:
            if check.traffic in ("", traffic.name):
                _check(check, traffic, scenario, model)


def _check(check: CheckSpec, traffic: Traffic, scenario: Scenario, model: MeshModel) -> None:
    found = route_of(traffic, model)
    if found is None:
        return
    manifest, number, route = found
    fault = route.get("fault")
    if not fault or _others_may_fail(scenario, fault):
        return
    asked = _asks(check, route, fault)
    if asked:
        path = f"spec.http[{number}].fault"
        raise ScenarioError(
            f"{asked} ({check.location}), but nothing here exercises it: {WHY}",
            location=_line(manifest, path),
            key=path,
            expected=INSTEAD,
        )


def _others_may_fail(scenario: Scenario, fault: Mapping[str, Any]) -> bool:
    """Whether something behind the router may fail or be late, and requests get that far."""
    abort = fault.get("abort")
    always = abort is not None and _percentage(abort) >= 100
    return bool(scenario.faults or scenario.commands) and not always


def _asks(check: CheckSpec, route: Mapping[str, Any], fault: Mapping[str, Any]) -> str:
    """What a check expects of retries or the timeout, in words; empty: nothing."""
    match check.what:
        case Attempts(bounds=bounds, by=""):
            least = max(bounds.at_least or 0, bounds.exactly or 0)
            if least >= 2 or (route.get("retries") and (bounds.at_most or 0) >= 2):
                return f"attempts: {bounds.text()} asks for retries on a route with `fault`"
        case ResponseFlags(flags=flags) if "UT" in flags and len(flags) == 1:
            return "responseFlags: UT asks for a timeout on a route with `fault`"
        case Status(statuses=statuses) if statuses.words == ("504",):
            aborts = (fault.get("abort") or {}).get("httpStatus")
            return "" if aborts == 504 else "status: 504 asks for a timeout on a route with `fault`"
        case Latency(limits=limits):
            delay = fault.get("delay") or {}
            waits = seconds_of(delay.get("fixedDelay", "")) if _percentage(delay) >= 100 else None
            most = [bound.at_most for bound in limits.values() if bound.at_most is not None]
            if waits is not None and route.get("timeout") and most and min(most) < waits:
                return f"latency below {waits:g}s asks for a timeout on a route with `fault`"
        case _:
            pass
    return ""


def _percentage(fault: Mapping[str, Any]) -> float:
    """Of requests; all of them where nothing is said."""
    return float((fault.get("percentage") or {}).get("value", 0 if "percentage" in fault else 100))


def route_of(traffic: Traffic, model: MeshModel) -> Route | None:
    """The route of a VirtualService that surely takes the requests; None where that is not certain."""
    pods = find_pods(traffic.sender, model.pods)
    host = urlsplit(traffic.request.url).hostname if traffic.request.host is None else traffic.request.host
    if not pods or not host or traffic.request.protocol not in ("http", "h2c", "grpc", "http/1.0"):
        return None
    wanted = _full(host, pods[0].namespace)
    for manifest in model.manifests:
        if manifest.ref.kind == "VirtualService" and wanted in _hosts(manifest):
            return _first(manifest, traffic)
    return None


def _hosts(manifest: Manifest) -> Iterator[str]:
    spec = manifest.body.get("spec") or {}
    if "mesh" in (spec.get("gateways") or ["mesh"]):
        yield from (_full(str(host), manifest.ref.namespace) for host in spec.get("hosts") or ())


def _full(host: str, namespace: str) -> str:
    """`name.namespace` of a name inside the cluster; any other name as it is."""
    name, _, rest = host.removesuffix(".svc.cluster.local").removesuffix(".svc").partition(".")
    return f"{name}.{rest or namespace}"


def _first(manifest: Manifest, traffic: Traffic) -> Route | None:
    for number, route in enumerate((manifest.body.get("spec") or {}).get("http") or ()):
        matches = [_matches(match, traffic) for match in route.get("match") or ()]
        if not matches or True in matches:
            return manifest, number, route
        if None in matches:
            return None
    return None


def _matches(match: Mapping[str, Any], traffic: Traffic) -> bool | None:
    """Whether a request fits; None where that takes more than this module knows."""
    path = urlsplit(traffic.request.url).path or "/"
    headers = {name.lower(): value for name, value in traffic.request.headers}
    known: list[bool | None] = []
    for key, value in match.items():
        if key == "uri":
            known.append(_string(value, path))
        elif key == "method":
            known.append(_string(value, traffic.request.method))
        elif key == "headers":
            known += [_string(each, headers.get(name.lower())) for name, each in value.items()]
        elif key != "name":
            known.append(None)
    if False in known:
        return False
    return None if None in known else True


def _string(match: Mapping[str, Any], value: str | None) -> bool | None:
    if value is None:
        return False
    if set(match) == {"exact"}:
        return bool(value == match["exact"])
    if set(match) == {"prefix"}:
        return value.startswith(str(match["prefix"]))
    return None


def _line(manifest: Manifest, path: str) -> Location:
    return nearest_location(manifest.lines, path, manifest.location)
