"""A pytest plugin for `meshtest run --dry-run`: says what each scenario would do, and starts no pod.

Collection is pytest's, so `-k`, marks and conftest files count as they do in a real run.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.cli.chosen import made, when, which
from meshtest.cli.terminal import count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.errors import Location
    from meshtest.mesh.model import MeshModel
    from meshtest.runner.pool import MeshPool
    from meshtest.scenario.model import Scenario
    from meshtest.scenario.traffic import Traffic


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Print the plans instead of running anything; pytest itself deals with what could not be collected."""
    if session.testsfailed:
        return None
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None:
        for line in (line for item in session.items for line in (*_lines(item), "")):
            terminal.write_line(line)
    return True


def _lines(item: pytest.Item) -> Iterator[str]:
    scenario: Scenario | None = getattr(item, "scenario", None)
    if scenario is not None:
        from meshtest.runner.pool import MeshPool, PoolOptions  # noqa: PLC0415 - pytest imports this module early

        allowed = bool(item.config.getoption("mesh_allow_unsupported"))
        given = item.config.getoption("mesh_seed") or item.config.getini("mesh_seed")
        options = PoolOptions(
            root=item.config.rootpath, allow_unsupported=allowed, seed=int(given) if given else None
        )
        yield from plan(scenario, MeshPool(options))
        return
    marker = item.get_closest_marker("mesh")
    manifests = marker.args if marker and marker.args else item.config.getini("mesh_manifests")
    yield f"{item.nodeid}: a Python test"
    yield _entry("mesh", ", ".join(map(str, manifests)) or "none named")


def plan(scenario: Scenario, pool: MeshPool) -> Iterator[str]:
    """What a scenario would do, line by line."""
    model = pool.model(scenario)
    yield f"{scenario.name} ({_shown(scenario.location)})"
    if scenario.description:
        yield f"  {' '.join(scenario.description.split())}"
    yield _entry("mesh", _mesh(scenario, model))
    for caller, called in scenario.calls.items():
        yield _entry("calls", f"{caller} -> {', '.join(called) or 'nobody'}")
    for manifest in scenario.policies:
        yield _entry("policy", f"{manifest.ref} ({_shown(manifest.location)})")
    for traffic in scenario.traffic:
        yield _entry("traffic", _traffic(scenario, traffic, model))
    yield from _faults(scenario, model, pool.options.seed)
    for change in scenario.changes:
        yield _entry("change", change.words)
        yield _entry("", f"when: {made(change)}")
    for check in scenario.expect:
        yield _entry("expect", as_written(check.location, scenario))
    if scenario.expect_failure:
        wanted = scenario.expect_failure
        yield _entry("must fail", f"{wanted.check}, because {wanted.because}")


def _faults(scenario: Scenario, model: MeshModel, seed: int | None) -> Iterator[str]:
    from meshtest.faults.placing import placement  # noqa: PLC0415 - pytest imports this module early

    seed = scenario.seed if scenario.seed is not None else seed
    hit = which(scenario, model, seed)
    for fault in scenario.faults:
        yield _entry("fault", as_written(fault.location, scenario))
        yield _entry("", f"placed: {placement(fault, model, seed)}")
        yield _entry("", f"when: {when(fault)}")
        for text in hit.get(fault.name, ()):
            yield _entry("", f"meets: {text}")


def _entry(label: str, text: str) -> str:
    return f"  {label:<10}{text}"


def _mesh(scenario: Scenario, model: MeshModel) -> str:
    sidecars = count(sum(pod.has_envoy for pod in model.pods), "Envoy")
    pods, services = count(len(model.pods), "pod"), count(len(model.services), "service")
    paths = ", ".join(one.written for one in scenario.manifests) or "manifests of this file"
    return f"{paths}: {pods}, {sidecars}, {services}"


def _traffic(scenario: Scenario, traffic: Traffic, model: MeshModel) -> str:
    from meshtest.checks import requests_for  # noqa: PLC0415 - pytest imports this module early

    request = traffic.request
    number = requests_for(scenario, traffic)
    method = f"{request.method} " if request.url.startswith("http") else ""
    headers = "".join(f" [{name}: {value}]" for name, value in request.headers)
    pace = f" at {traffic.rate:g}/s for {traffic.lasts:g} s" if traffic.rate and traffic.lasts else ""
    name = f"{traffic.name}: " if len(scenario.traffic) > 1 else ""
    phase = {"before": ", before the faults", "after": ", after the recovery"}.get(traffic.phase, "")
    return (
        f"{name}{number} x {method}{request.url}{headers} from {_caller(traffic.sender, model)}{pace}{phase}"
    )


def _caller(name: str, model: MeshModel) -> str:
    from meshtest.scenario.resolve import find_pods  # noqa: PLC0415 - pytest imports this module early

    found = find_pods(name, model.pods)
    return f"{found[0].key} ({found[0].identity})" if found else name


def _shown(location: Location) -> str:
    from meshtest.mesh.sources import shown  # noqa: PLC0415 - pytest imports this module early

    return f"{shown(Path(location.file))}:{location.line}"


def as_written(location: Location, scenario: Scenario) -> str:
    """A list's item as it stands in the file, on one line, with the values of this line of the matrix."""
    lines = Path(location.file).read_text(encoding="utf-8").splitlines()[location.line - 1 :]
    indent = _indent(lines[0])
    block = [lines[0]]
    for line in lines[1:]:
        if line.strip() and (_indent(line) <= indent or line.startswith("---")):
            break
        block.append(line)
    plain = (re.sub(r"(^|\s)#.*", "", line).strip() for line in block)
    text = re.sub(r"\s+", " ", " ".join(line for line in plain if line)).removeprefix("- ")
    for name, value in scenario.matrix.items():
        text = text.replace(f"${{{name}}}", _flow(value))
    return text


def _flow(value: Any) -> str:
    """A value of the matrix as YAML in one line."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_flow(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
