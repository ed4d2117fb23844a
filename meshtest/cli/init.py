"""`meshtest init`: a first scenario for the manifests of a folder: one workload calls another over mTLS.

folder ──► the folder of manifests with the most pods ──► caller and service ──► mesh-tests/first.mesh.yaml
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.cli.terminal import Terminal, count

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from meshtest.mesh.model import MeshModel, Pod, Service, ServicePort

FOLDER, FILE, README = "mesh-tests", "first.mesh.yaml", "README.md"
_DEEPEST = 4
_PASSED_OVER = frozenset(("node_modules", "venv", "__pycache__", FOLDER))
_HTTP = frozenset(("", "http", "http_proxy"))

_SCENARIO = """\
apiVersion: meshtest.dev/v1
kind: Scenario
metadata:
  name: {name}
  labels: {{feature: first-steps}}
spec:
  description: {description}
  manifests: [{manifests}]
  traffic:
    from: {caller}
    request: {{url: "{url}"}}
    requests: 10
  expect:
    - status: 200
"""
_MTLS = """\
    - mtls: {{peer: "{identity}"}}
"""
_README = """\
# Mesh tests

`{file}` starts the mesh of the manifests next door (no cluster is needed), sends a few requests from
`{caller}` to `{url}`, and checks that they are answered and travel over mTLS as the right identity.

    meshtest validate {folder}      # the manifests and the scenario, judged as a cluster judges them
    meshtest run {folder}           # or: pytest -m mesh {folder}

What to try next: put a policy (AuthorizationPolicy, VirtualService, ...) behind a `---` at the end of the file, add
`faults:`, and say under `expect:` what has to hold then.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Who calls whom in the first scenario."""

    caller: Pod
    service: Service
    port: ServicePort
    callees: Sequence[Pod]

    @property
    def mtls(self) -> bool:
        """Whether both ends have a sidecar."""
        return self.caller.has_envoy and all(pod.has_envoy for pod in self.callees)

    @property
    def one_namespace(self) -> bool:
        """Whether the caller may use the service's short name."""
        return self.caller.namespace == self.service.namespace

    @property
    def url(self) -> str:
        """What the caller asks for."""
        host = self.service.name if self.one_namespace else f"{self.service.name}.{self.service.namespace}"
        return f"http://{host}:{self.port.number}/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument(
        "directory", nargs="?", default=".", metavar="DIR", help="where the manifests are (default: .)"
    )


def run(options: argparse.Namespace) -> int:
    """Find manifests, write a scenario beside them, and say what to do with it."""
    root = Path(options.directory)
    target = root / FOLDER
    _check_free(root, target)
    manifests, model, pair = _best(root)
    texts = _texts(pair, [os.path.relpath(one, target) for one in manifests], target)
    target.mkdir(exist_ok=True)
    for name, text in texts.items():
        with (target / name).open("x", encoding="utf-8") as file:  # never overwrites
            file.write(text)
    terminal = Terminal()
    found = f"{count(len(model.pods), 'pod')} and {count(len(model.services), 'service')}"
    terminal.line(f"found {found} in {', '.join(map(str, manifests))}")
    for name in texts:
        terminal.line(f"wrote {target / name}")
    terminal.line(f"next: meshtest validate {target} && meshtest run {target}")
    return 0


def _check_free(root: Path, target: Path) -> None:
    from meshtest.errors import MeshTestError  # noqa: PLC0415 - `--help` needs nothing of it

    if not root.is_dir():
        raise MeshTestError(f"{root} is not a folder")
    for name in (FILE, README):
        if (target / name).exists():
            raise MeshTestError(f"{target / name} is there already; nothing was written")


def _best(root: Path) -> tuple[list[Path], MeshModel, Pair]:
    """The manifests to start from: of those that a mesh can be made of, the ones with the most pods."""
    from meshtest.errors import ManifestError, MeshTestError  # noqa: PLC0415 - `--help` needs nothing of it
    from meshtest.mesh.build import build_model  # noqa: PLC0415 - as above
    from meshtest.mesh.manifests import load  # noqa: PLC0415 - as above

    found: list[tuple[list[Path], MeshModel, Pair]] = []
    problems: list[str] = []
    for paths in _folders(root):
        try:
            model = build_model(load(paths))
        except ManifestError as exc:
            problems.append(str(exc).splitlines()[0])
            continue
        if (pair := pair_of(model)) is not None:
            found.append((paths, model, pair))
    if not found:
        why = "\n".join(["", *problems]) if problems else "; in another folder? meshtest init DIR"
        raise MeshTestError(
            f"{root}: found no manifests with a Service on HTTP, a workload behind it, and a workload to call it{why}"
        )
    return max(found, key=lambda one: (one[2].mtls, len(one[1].pods)))


def _folders(root: Path) -> Iterator[list[Path]]:
    """What to name as manifests: a folder, or its files where scenarios stand between them."""
    from meshtest.mesh.sources import SUFFIXES  # noqa: PLC0415 - `--help` needs nothing of it

    for place, folders, names in os.walk(root):
        folder = Path(place)
        deep = len(folder.relative_to(root).parts) >= _DEEPEST
        folders[:] = (
            [] if deep else sorted(one for one in folders if one not in _PASSED_OVER and one[0] != ".")
        )
        files = sorted(folder / name for name in names if Path(name).suffix in SUFFIXES)
        plain = [path for path in files if not path.name.endswith((".mesh.yaml", ".mesh.yml"))]
        if plain:
            yield [folder] if plain == files else plain


def pair_of(model: MeshModel) -> Pair | None:
    """A workload, and a service that is not its own, both with sidecars if there are such."""
    from meshtest.mesh.model import PodKind  # noqa: PLC0415 - `--help` needs nothing of it

    callers = [pod for pod in model.pods if pod.kind is not PodKind.GATEWAY]
    targets = [target for service in model.services if (target := _target(model, service)) is not None]
    pairs = [
        Pair(caller=caller, service=service, port=port, callees=callees)
        for caller in callers
        for service, port, callees in targets
    ]
    # A workload that calls itself is better than none; `max` keeps the first of equals.
    return max(
        pairs, key=lambda one: (one.mtls, one.caller not in one.callees, one.one_namespace), default=None
    )


def _target(model: MeshModel, service: Service) -> tuple[Service, ServicePort, Sequence[Pod]] | None:
    from meshtest.mesh.model import PodKind  # noqa: PLC0415 - `--help` needs nothing of it
    from meshtest.mesh.ports import istio_protocol, service_targets  # noqa: PLC0415 - as above
    from meshtest.mesh.selectors import matches  # noqa: PLC0415 - as above

    near = [
        pod for pod in model.pods if pod.namespace == service.namespace and pod.kind is not PodKind.GATEWAY
    ]
    pods = [pod for pod in near if matches(service.selector, pod.labels)]
    if not service.selector or not pods:
        return None
    for port, _ in service_targets(service, pods[0]):
        if istio_protocol(port.number, port.name, port.app_protocol) in _HTTP:
            return service, port, pods
    return None


def _texts(pair: Pair, manifests: Sequence[str], target: Path) -> dict[str, str]:
    caller = pair.caller.workload if pair.caller.namespace == "default" else pair.caller.workload_key
    name = re.sub(r"[^a-z0-9]+", "-", f"{pair.caller.workload}-reaches-{pair.service.name}".lower())[
        :63
    ].strip("-")
    over = " over mTLS, as itself" if pair.mtls else ""
    scenario = _SCENARIO.format(
        name=name,
        description=f"{pair.caller.workload} reaches {pair.service.name}{over}.",
        manifests=", ".join(f'"{one}"' for one in manifests),
        caller=caller,
        url=pair.url,
    )
    if pair.mtls:
        scenario += _MTLS.format(identity=pair.caller.identity)
    return {FILE: scenario, README: _README.format(file=FILE, caller=caller, url=pair.url, folder=target)}
