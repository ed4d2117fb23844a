"""`meshtest explain`: where a request goes and which rule decides, or who may call what; no pod is started.

manifests ──► model ──► engine ──► configuration of the Envoys on the way ──► ways of a request ──► text, JSON
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshtest.cli.terminal import Terminal, count, say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from meshtest.explain.walk import Walker
    from meshtest.istiod.engine import Engine
    from meshtest.mesh.mesh_config import Written
    from meshtest.mesh.model import Manifest, MeshModel
    from meshtest.traffic.model import Decision

_HEADING = ("CALLER", "SERVICE", "PORT", "VERDICT", "BY")
_METHOD = re.compile(r"[A-Z]+\Z")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.usage = (
        "meshtest explain CALLER [METHOD] URL PATH ... [options]\n"
        "       meshtest explain [CALLER] PATH ... [options]"
    )
    parser.add_argument(
        "words",
        nargs="+",
        metavar="CALLER METHOD URL PATH",
        help="a workload or pod, what it asks for, and the manifests; without METHOD and URL: who may call what",
    )
    parser.add_argument("--header", action="append", default=[], metavar="NAME:VALUE", help="of the request")
    parser.add_argument("--host", help="Host header or :authority, where it is not the URL's")
    parser.add_argument(
        "--address",
        help="name or address to connect to, where it is not the URL's; `gateway` is the one of the mesh's gateway",
    )
    parser.add_argument("--port", type=int, help="where to connect, where it is not the URL's")
    parser.add_argument("--path", default="/", help="of the requests of the overview (default: /)")
    parser.add_argument("--apply", nargs="+", metavar="PATH", default=[], help="policies, applied over PATH")
    parser.add_argument("--mesh-config", metavar="FILE", help="Istio's MeshConfig, as in an IstioOperator")
    parser.add_argument("--json", action="store_true", help="JSON instead of text")
    parser.add_argument(
        "--allow-unsupported",
        action="store_true",
        help="pass over kinds that nothing acts on instead of refusing them",
    )


def run(options: argparse.Namespace) -> int:
    """Print the explanation, or the overview."""
    from meshtest.cli.mesh_config import written  # noqa: PLC0415 - `--help` needs nothing of it
    from meshtest.istiod.binary import find_or_build  # noqa: PLC0415 - as above
    from meshtest.istiod.engine import Engine  # noqa: PLC0415 - as above
    from meshtest.live.explaining import of_manifests  # noqa: PLC0415 - as above
    from meshtest.live.mesh_settings import at_its_place  # noqa: PLC0415 - as above
    from meshtest.mesh.mesh_config import text_of  # noqa: PLC0415 - as above

    caller, method, url, paths = _words(options.words)
    manifests = _manifests(paths, options)
    config = written(options, manifests)
    engine = Engine.start(find_or_build(say))
    try:
        with at_its_place(config, engine):
            model = _model(manifests, engine, config, options)
            walker = of_manifests(engine, model, text_of(config))
        if url is None:
            _overview(walker, model, caller, method, options)
        else:
            _explain(walker, model, caller, method, url, options)
    finally:
        engine.close()
    return 0


def _words(words: Sequence[str]) -> tuple[str, str, str | None, list[str]]:
    """Caller, method, URL (None for the overview) and manifests."""
    from meshtest.errors import ScenarioError  # noqa: PLC0415 - `--help` needs nothing of it

    at = next((number for number, word in enumerate(words) if "://" in word), None)
    if at is None:
        first = words[0]
        is_path = first == "-" or Path(first).exists() or any(mark in first for mark in "*?[")
        caller, paths = ("", words) if is_path else (first, words[1:])
        url = None
        method = "GET"
    else:
        before, url, paths = words[:at], words[at], words[at + 1 :]
        caller = before[0] if before else ""
        method = before[1] if len(before) > 1 else "GET"
        if not caller or len(before) > 2 or not _METHOD.match(method):
            raise ScenarioError(
                f"cannot tell caller and method in {' '.join(before)!r}",
                expected="CALLER METHOD URL PATH ...",
            )
    if not paths:
        raise ScenarioError("no manifests", expected="files, folders or globs behind the URL")
    return caller, method, url, list(paths)


def _manifests(paths: Sequence[str], options: argparse.Namespace) -> list[Manifest]:
    from meshtest.mesh.manifests import load, merge  # noqa: PLC0415 - `--help` needs nothing of it

    found = load(paths, allow_unsupported=options.allow_unsupported)
    if options.apply:
        found = merge(found, load(options.apply, allow_unsupported=options.allow_unsupported))
    return found


def _model(
    manifests: Sequence[Manifest], engine: Engine, config: Written | None, options: argparse.Namespace
) -> MeshModel:
    from meshtest.istiod.deployments import GatewayDeployments  # noqa: PLC0415 - as above
    from meshtest.mesh.build import BuildOptions, build_model  # noqa: PLC0415 - as above
    from meshtest.mesh.mesh_config import settings_of, text_of  # noqa: PLC0415 - as above

    chosen = BuildOptions(settings=settings_of(text_of(config)), allow_unsupported=options.allow_unsupported)
    return build_model(manifests, made=GatewayDeployments(engine).of(manifests), options=chosen)


def _explain(
    walker: Walker, model: MeshModel, caller: str, method: str, url: str, options: argparse.Namespace
) -> None:
    from meshtest.live.requests import find_caller, let_in, plain_request  # noqa: PLC0415 - as above

    fields: dict[str, Any] = {"method": method, "headers": _headers(options.header)}
    fields |= {name: getattr(options, name) for name in ("host", "port", "address") if getattr(options, name)}
    who = find_caller(model, caller)
    found = walker.explain(who, let_in(model, who, plain_request(url, fields)))
    sys.stdout.write(f"{_json(found) if options.json else found}\n")


def _headers(given: Sequence[str]) -> list[tuple[str, str]]:
    from meshtest.errors import ScenarioError  # noqa: PLC0415 - `--help` needs nothing of it

    pairs = [header.partition(":") for header in given]
    for name, colon, _ in pairs:
        if not colon or not name:
            raise ScenarioError(f"no header: {name!r}", key="--header", expected="NAME:VALUE")
    return [(name.strip(), value.strip()) for name, _, value in pairs]


def _json(found: Any) -> str:
    """Values as JSON: places as `file:line`, the bytes of bodies as text."""
    from dataclasses import fields, is_dataclass  # noqa: PLC0415 - only with --json

    from meshtest.errors import Location  # noqa: PLC0415 - as above

    def plain(value: Any) -> Any:
        if isinstance(value, Location):
            return str(value)
        if is_dataclass(value):
            return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
        if isinstance(value, (list, tuple)):
            return [plain(one) for one in value]
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        return getattr(value, "value", value)

    return json.dumps(plain(found), indent=2)


def _overview(
    walker: Walker, model: MeshModel, caller: str, method: str, options: argparse.Namespace
) -> None:
    from meshtest.explain.overview import callers_of, rows  # noqa: PLC0415 - `--help` needs nothing of it
    from meshtest.live.requests import find_caller  # noqa: PLC0415 - as above

    callers = [find_caller(model, caller)] if caller else callers_of(model)
    found = list(rows(walker, model, callers, method, options.path))
    if options.json:
        sys.stdout.write(f"{_json(found)}\n")
        return
    lines = [(one.caller, one.service, str(one.port), one.verdict, _by(one.by)) for one in found]
    Terminal().table([_HEADING, *lines], indent="")
    say(f"{method} {options.path} over HTTP, a connection elsewhere: {count(len(found), 'pair')}")


def _by(decisions: Sequence[Decision]) -> str:
    return ", ".join(_name(one) for one in decisions)


def _name(one: Decision) -> str:
    if not one.name:
        return "no ALLOW rule matches"
    where = f" ({one.location})" if one.location else ""
    return f"{one.namespace}/{one.name} rule {one.rule}{where}"
