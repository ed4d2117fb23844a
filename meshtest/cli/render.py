"""`meshtest render`: the Envoy configuration that istiod makes for a workload; no pod is started.

manifests ──► model ──► engine ──► resources of one proxy ──► YAML, JSON, or what differs between two inputs
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from meshtest.cli.terminal import Terminal, say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from meshtest.istiod.engine import Engine
    from meshtest.mesh.model import Manifest, MeshModel, Pod

KINDS = {"listeners": "LDS", "clusters": "CDS", "routes": "RDS", "endpoints": "EDS"}
_COLOURS = {"+": "green", "-": "red", "@": "cyan"}
_Configuration = dict[str, dict[str, Any]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("workload", metavar="WORKLOAD", help="name or namespace/name of a workload or pod")
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="manifests: files, folders, globs; - is standard input"
    )
    parser.add_argument(
        "--type", choices=[*KINDS, "all"], default="all", help="which resources (default: all)"
    )
    parser.add_argument("--name", metavar="SUBSTR", default="", help="only resources with this in their name")
    parser.add_argument(
        "--against", nargs="+", metavar="PATH", help="show what differs once these are applied over PATH"
    )
    parser.add_argument("--mesh-config", metavar="FILE", help="Istio's MeshConfig, as in an IstioOperator")
    parser.add_argument("--json", action="store_true", help="JSON instead of YAML")
    parser.add_argument(
        "--allow-unsupported",
        action="store_true",
        help="pass over kinds that nothing acts on instead of refusing them",
    )


def run(options: argparse.Namespace) -> int:
    """Print the configuration, or the difference."""
    from meshtest.mesh.manifests import load, merge  # noqa: PLC0415 - `--help` needs nothing of it

    given = load(options.paths, allow_unsupported=options.allow_unsupported)
    model, found = _rendered(given, options)
    text = _text(found, as_json=options.json)
    if options.against is None:
        sys.stdout.write(text)
        return 0
    applied = load(options.against, allow_unsupported=options.allow_unsupported)
    # Addresses stay those of the first input, so that only what the policies change differs.
    _, found = _rendered(merge(given, applied), options, previous=model)
    _print_difference(text, _text(found, as_json=options.json), options)
    return 0


def _rendered(
    manifests: Sequence[Manifest], options: argparse.Namespace, previous: MeshModel | None = None
) -> tuple[MeshModel, _Configuration]:
    """The mesh of these manifests, and what istiod makes there for the workload that is asked about."""
    from meshtest.cli.mesh_config import written  # noqa: PLC0415 - `--help` needs nothing of it
    from meshtest.istiod.binary import find_or_build  # noqa: PLC0415 - as above
    from meshtest.istiod.deployments import GatewayDeployments  # noqa: PLC0415 - as above
    from meshtest.istiod.engine import Engine  # noqa: PLC0415 - as above
    from meshtest.live.mesh_settings import at_its_place  # noqa: PLC0415 - as above
    from meshtest.mesh.build import BuildOptions, build_model  # noqa: PLC0415 - as above
    from meshtest.mesh.mesh_config import settings_of, text_of  # noqa: PLC0415 - as above

    config = written(options, manifests)
    text = text_of(config)
    chosen = BuildOptions(settings=settings_of(text), allow_unsupported=options.allow_unsupported)
    engine = Engine.start(find_or_build(say))
    try:
        with at_its_place(config, engine):
            made = GatewayDeployments(engine).of(manifests)
            model = build_model(manifests, made=made, previous=previous, options=chosen)
            found = _configuration(engine, model, _pod(model, options.workload), text)
    finally:
        engine.close()
    wanted = KINDS if options.type == "all" else [options.type]
    return model, {
        kind: {name: each for name, each in found[kind].items() if options.name in name}
        for kind in wanted
    }  # fmt: skip


def _pod(model: MeshModel, workload: str) -> Pod:
    from meshtest.live.requests import find_caller  # noqa: PLC0415 - `--help` needs nothing of it

    pod = find_caller(model, workload)
    if not pod.has_envoy:
        from meshtest.errors import ScenarioError  # noqa: PLC0415 - only for the mistake

        raise ScenarioError(f"{pod.workload_key} has no sidecar, so istiod makes no configuration for it")
    return pod


def _configuration(engine: Engine, model: MeshModel, pod: Pod, mesh_config: str | None) -> _Configuration:
    """What istiod makes for a pod's Envoy: `listeners`, `clusters`, `routes` and `endpoints` by name.

    Raises ManifestError where a cluster would refuse the manifests.
    """
    from meshtest.envoy.bootstrap import node_metadata  # noqa: PLC0415 - `--help` needs nothing of it
    from meshtest.envoy.dump import to_json  # noqa: PLC0415 - as above
    from meshtest.istiod.engine import Rejected  # noqa: PLC0415 - as above
    from meshtest.live.notices import refused  # noqa: PLC0415 - as above
    from meshtest.mesh.proxies import engine_proxies  # noqa: PLC0415 - as above

    proxies = [
        {**one, "metadata": node_metadata(pod)} for one in engine_proxies(model) if one["id"] == pod.node_id
    ]
    try:
        update = engine.update(
            set=[dict(body) for body in model.objects], proxies=proxies, mesh_config=mesh_config
        )
    except Rejected as exc:
        raise refused(exc.messages, model, engine) from exc
    names = {short: kind for kind, short in KINDS.items()}
    found: _Configuration = {kind: {} for kind in KINDS}
    for kind, name, offset, size in update.header["proxies"].get(pod.node_id, {}).get("set", ()):
        if kind in names:
            value = to_json(kind, update.payload[offset : offset + size])
            found[names[kind]][name] = {key: each for key, each in value.items() if key != "@type"}
    ordered = {kind: dict(sorted(resources.items())) for kind, resources in found.items()}
    plain: _Configuration = json.loads(json.dumps(ordered))  # protobuf's JSON comes as OrderedDicts
    return plain


def _text(found: _Configuration, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(found, indent=2) + "\n"
    import yaml  # noqa: PLC0415 - loaded with the manifests anyway

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump(found, Dumper=dumper, sort_keys=False, allow_unicode=True, width=120))


def _print_difference(old: str, new: str, options: argparse.Namespace) -> None:
    import difflib  # noqa: PLC0415 - only with --against

    names = _shown(options.paths), _shown([*options.paths, *options.against])
    lines = list(difflib.unified_diff(old.splitlines(), new.splitlines(), *names, n=6, lineterm=""))
    terminal = Terminal()
    for line in lines:
        terminal.line(terminal.paint(_COLOURS[line[0]], line) if line[:1] in _COLOURS else line)
    if not lines:
        say(f"no difference for {options.workload}")


def _shown(paths: Sequence[str]) -> str:
    return " + ".join(paths)
