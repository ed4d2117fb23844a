"""`meshtest render`: the Envoy configuration that istiod makes for a workload; no pod is started.

manifests ──► model ──► engine ──► resources of one proxy ──► YAML, JSON, or what differs between two inputs
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshtest.cli.terminal import Terminal, say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

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
    from meshtest.mesh.build import BuildOptions, build_model  # noqa: PLC0415 - `--help` needs nothing of it
    from meshtest.mesh.manifests import load, merge  # noqa: PLC0415 - as above
    from meshtest.mesh.mesh_config import settings_of  # noqa: PLC0415 - as above

    given = load(options.paths, allow_unsupported=options.allow_unsupported)
    chosen = BuildOptions(
        settings=settings_of(_config(options, given)), allow_unsupported=options.allow_unsupported
    )
    model = build_model(given, made=_deployed(given), options=chosen)
    text = _text(_rendered(model, options), as_json=options.json)
    if options.against is None:
        sys.stdout.write(text)
        return 0
    applied = load(options.against, allow_unsupported=options.allow_unsupported)
    # Addresses stay those of the first input, so that only what the policies change differs.
    merged = merge(given, applied)
    chosen = replace(chosen, settings=settings_of(_config(options, merged)))
    other = build_model(merged, made=_deployed(merged), previous=model, options=chosen)
    changed = _text(_rendered(other, options), as_json=options.json)
    _print_difference(text, changed, options)
    return 0


def _deployed(manifests: Sequence[Manifest]) -> Sequence[Manifest]:
    """What istiod deploys for Gateways of the Gateway API."""
    from meshtest.istiod.binary import find_or_build  # noqa: PLC0415 - `--help` needs nothing of it
    from meshtest.istiod.deployments import GatewayDeployments  # noqa: PLC0415 - as above
    from meshtest.istiod.engine import Engine  # noqa: PLC0415 - as above
    from meshtest.mesh.gateway_api import is_gateway  # noqa: PLC0415 - as above

    if not any(map(is_gateway, manifests)):
        return ()
    engine = Engine.start(find_or_build(say))
    try:
        return GatewayDeployments(engine).of(manifests)
    finally:
        engine.close()


def _rendered(model: MeshModel, options: argparse.Namespace) -> _Configuration:
    from meshtest.live.requests import find_caller  # noqa: PLC0415 - `--help` needs nothing of it

    pod = find_caller(model, options.workload)
    if not pod.has_envoy:
        from meshtest.errors import ScenarioError  # noqa: PLC0415 - only for the mistake

        raise ScenarioError(f"{pod.workload_key} has no sidecar, so istiod makes no configuration for it")
    found = configuration(model, pod, _config(options, model.manifests))
    wanted = KINDS if options.type == "all" else [options.type]
    return {
        kind: {name: each for name, each in found[kind].items() if options.name in name}
        for kind in wanted
    }  # fmt: skip


def _config(options: argparse.Namespace, manifests: Iterable[Manifest]) -> str | None:
    """The MeshConfig of the option, or that of the manifests."""
    from pathlib import Path  # noqa: PLC0415 - `--help` needs nothing of it

    from meshtest.mesh.mesh_config import mesh_config_in  # noqa: PLC0415 - as above

    if options.mesh_config is None:
        return mesh_config_in(manifests)
    return Path(options.mesh_config).read_text(encoding="utf-8")


def configuration(model: MeshModel, pod: Pod, mesh_config: str | None = None) -> _Configuration:
    """What istiod makes for a pod's Envoy: `listeners`, `clusters`, `routes` and `endpoints` by name.

    Raises ManifestError where a cluster would refuse the manifests.
    """
    from meshtest.envoy.bootstrap import node_metadata  # noqa: PLC0415 - `--help` needs nothing of it
    from meshtest.envoy.dump import to_json  # noqa: PLC0415 - as above
    from meshtest.istiod.binary import find_or_build  # noqa: PLC0415 - as above
    from meshtest.istiod.engine import Engine, Rejected  # noqa: PLC0415 - as above
    from meshtest.live.notices import refused  # noqa: PLC0415 - as above
    from meshtest.mesh.proxies import engine_proxies  # noqa: PLC0415 - as above

    proxies = [
        {**one, "metadata": node_metadata(pod)} for one in engine_proxies(model) if one["id"] == pod.node_id
    ]
    engine = Engine.start(find_or_build(say))
    try:
        update = engine.update(
            set=[dict(body) for body in model.objects], proxies=proxies, mesh_config=mesh_config
        )
    except Rejected as exc:
        raise refused(exc.messages, model, engine) from exc
    finally:
        engine.close()
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
