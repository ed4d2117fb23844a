"""`meshtest up`: a mesh to play with, until Ctrl-C; nothing of it stays."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.cli.terminal import Terminal, count, say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import NoReturn

    from meshtest.live.mesh import Mesh
    from meshtest.live.notices import Notice

_HEADINGS = ("POD", "IP", "SIDECAR", "IDENTITY"), ("SERVICE", "CLUSTER-IP", "PORTS")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="manifests: files, folders, globs; - is standard input"
    )
    parser.add_argument(
        "--apply", nargs="+", metavar="PATH", default=[], help="policies to apply once it is up"
    )
    parser.add_argument("--mesh-config", metavar="FILE", help="Istio's MeshConfig, as in an IstioOperator")
    parser.add_argument(
        "--runtime", metavar="NAME", default="auto", help="auto, netns or docker (default: auto)"
    )
    parser.add_argument(
        "--allow-unsupported",
        action="store_true",
        help="pass over kinds that nothing acts on instead of refusing them",
    )


def run(options: argparse.Namespace) -> int:
    """Start it, show it, and keep it until it is no longer wanted."""
    _answer_signals()
    from meshtest.live.mesh import Mesh  # noqa: PLC0415 - `--help` needs nothing of it

    config = Path(options.mesh_config).read_text(encoding="utf-8") if options.mesh_config else None
    with Mesh.from_manifests(
        *options.paths,
        runtime=options.runtime,
        mesh_config=config,
        allow_unsupported=options.allow_unsupported,
    ) as mesh:
        tell(mesh.notices)
        if options.apply:
            tell(mesh.apply(*options.apply).notices)
        _introduce(mesh)
        return _keep(mesh)


def _answer_signals() -> None:
    """End in good order on both; shells start background jobs with SIGINT ignored."""

    def terminate(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, terminate)


def _keep(mesh: Mesh) -> int:
    if sys.stdin.isatty():
        from meshtest.cli.prompt import Prompt  # noqa: PLC0415 - only where somebody types

        return Prompt(mesh).loop()
    while True:
        signal.pause()


def _introduce(mesh: Mesh) -> None:
    terminal = Terminal()
    seconds = mesh.timings["start"]
    terminal.line(f"{count(len(mesh.pods), 'pod')} up in {seconds:.1f} s ({mesh.runtime})")
    terminal.line()
    show(mesh, terminal)
    terminal.line()
    example = _example(mesh)
    if sys.stdin.isatty():
        terminal.line(f"Try: {example}   (help says what else; Ctrl-C ends it)")
    else:
        terminal.line(f"Ctrl-C ends it. On a terminal there is a prompt: {example}")


def _example(mesh: Mesh) -> str:
    from meshtest.cli.init import pair_of  # noqa: PLC0415 - `--help` needs nothing of it

    pair = pair_of(mesh.model)
    return f"request {pair.caller.workload_key} {pair.url}" if pair else "pods"


def show(mesh: Mesh, terminal: Terminal) -> None:
    """Pods and services with their addresses."""
    pods = [(pod.key, pod.ip, _sidecar(pod.kind.value), pod.identity) for pod in mesh.pods]
    terminal.table([_HEADINGS[0], *pods])
    services = [
        (
            service.key,
            service.cluster_ip or (service.external_name and f"-> {service.external_name}") or "headless",
            ", ".join(f"{port.number}/{port.name or port.protocol.lower()}" for port in service.ports),
        )
        for service in mesh.services
    ]
    if services:
        terminal.line()
        terminal.table([_HEADINGS[1], *services])


def _sidecar(kind: str) -> str:
    return {"sidecar": "yes", "plain": "no"}.get(kind, kind)


def tell(notices: Sequence[Notice]) -> None:
    """What istiod has to say about the manifests."""
    for notice in notices:
        say(str(notice))
