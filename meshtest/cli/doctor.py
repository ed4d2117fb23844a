"""`meshtest doctor`: what this machine has and lacks for running meshes, and what to change."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshtest.cli.terminal import Terminal, say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from pathlib import Path

_INSIDE = {"istio": "Istio", "gatewayAPI": "Gateway API", "toxiproxy": "Toxiproxy"}
_SIGNS = {True: ("green", "✓"), False: ("red", "✗"), None: ("dim", "-")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line; `well` is None where it does not matter."""

    what: str
    well: bool | None
    text: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.epilog = "Exit status: 0 meshes can run here, 1 they cannot."
    parser.add_argument("--build", action="store_true", help="build the istiod engine if it is not there")
    parser.add_argument("--clean", action="store_true", help="remove what a docker runtime left behind")


def run(options: argparse.Namespace) -> int:
    """Look at everything, one line each."""
    terminal = Terminal()
    if options.clean:
        return _clean(terminal)
    well = True
    for look in (_python, _plugin, _envoy, _engine_look(build=options.build), _go, _netns, _docker):
        for found in look():
            colour, sign = _SIGNS[found.well]
            terminal.line(f"{terminal.paint(colour, sign)} {found.what:<8} {found.text}")
            well = well and found.well is not False
    return 0 if well else 1


def _python() -> Iterator[Finding]:
    yield Finding(
        what="python",
        well=True,
        text=f"{platform.python_version()} on {platform.system()} {platform.machine()}",
    )


def _plugin() -> Iterator[Finding]:
    from importlib.metadata import entry_points, version  # noqa: PLC0415 - `--help` needs nothing of it

    there = any(one.value == "meshtest.pytest_plugin" for one in entry_points(group="pytest11"))
    lack = (
        "" if there else "; it does not see meshtest's plugin: install the package (`pip install meshtest`)"
    )
    yield Finding(what="pytest", well=there, text=f"{version('pytest')}{lack}")


def _envoy() -> Iterator[Finding]:
    import subprocess  # noqa: PLC0415 - `--help` needs nothing of it

    from meshtest.envoy.binary import find_envoy  # noqa: PLC0415 - as above
    from meshtest.errors import RuntimeFailure  # noqa: PLC0415 - as above

    try:
        path = find_envoy()
        said = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (RuntimeFailure, OSError, subprocess.SubprocessError) as exc:
        yield Finding(what="envoy", well=False, text=str(exc))
        return
    words = said.strip().rpartition("version: ")[2].split("/")
    yield Finding(what="envoy", well=True, text=f"{words[1] if len(words) > 1 else said.strip()} ({path})")


def _engine_look(*, build: bool) -> Callable[[], Iterator[Finding]]:
    return lambda: _engine(build=build)


def _engine(*, build: bool) -> Iterator[Finding]:
    from meshtest.errors import EngineError  # noqa: PLC0415 - `--help` needs nothing of it
    from meshtest.istiod.engine import Engine  # noqa: PLC0415 - as above

    try:
        origin, path = _engine_place(build=build)
        if path is None:
            yield Finding(what="engine", well=_can_build(), text=origin)
            return
        engine = Engine.start(path)
        try:
            versions = engine.versions()
        finally:
            engine.close()
    except EngineError as exc:
        yield Finding(what="engine", well=False, text=str(exc))
        return
    told = ", ".join(f"{word} {versions[key]}" for key, word in _INSIDE.items() if key in versions)
    yield Finding(what="engine", well=True, text=f"{told} ({origin}: {path})")


def _engine_place(*, build: bool) -> tuple[str, Path | None]:
    """Which of the places has the engine, as `meshtest.istiod.binary` looks for it."""
    from meshtest.istiod import binary  # noqa: PLC0415 - `--help` needs nothing of it

    places = binary.Places(environ=os.environ)
    if (path := binary.given(places)) is not None:
        return binary.VARIABLE, path
    if (path := binary.installed(places.package)) is not None:
        return "package meshtest-istiod", path
    path = binary.cache_folder(places.environ) / binary.source_hash(places.source) / binary.NAME
    if path.is_file():
        return "built here", path
    if build:
        return "built now", binary.find_or_build(say)
    return "not there; the first mesh builds it once (about 4 minutes), or now: meshtest doctor --build", None


def _can_build() -> bool | None:
    """None, since it is no fault, where the first mesh can build the engine."""
    return None if _toolchain()[0] else False


def _toolchain() -> tuple[str, str]:
    from meshtest.errors import EngineError  # noqa: PLC0415 - `--help` needs nothing of it
    from meshtest.istiod.binary import SOURCE  # noqa: PLC0415 - as above
    from meshtest.istiod.build import find_go  # noqa: PLC0415 - as above

    try:
        go = find_go(SOURCE)
    except EngineError as exc:
        return "", str(exc)
    return go.version, f"{go.version} ({go.go})"


def _go() -> Iterator[Finding]:
    version, text = _toolchain()
    yield Finding(
        what="go", well=True if version else None, text=text if version else f"needed only to build: {text}"
    )


def _netns() -> Iterator[Finding]:
    from meshtest.runtime.netns.runtime import NetnsRuntime  # noqa: PLC0415 - `--help` needs nothing of it

    runtime = NetnsRuntime()
    problem = runtime.missing()
    if problem is not None:
        from meshtest.runtime.docker.runtime import DockerRuntime  # noqa: PLC0415 - as above

        instead = DockerRuntime().missing() is None
        yield Finding(what="netns", well=None if instead else False, text=problem)
        return
    can = ", ".join(sorted(one.value for one in runtime.capabilities()))
    who = "root" if os.geteuid() == 0 else "an ordinary user"
    yield Finding(what="netns", well=True, text=f"sandboxes run here as {who}; capabilities: {can}")


def _docker() -> Iterator[Finding]:
    from meshtest.runtime.docker.runtime import DockerRuntime  # noqa: PLC0415 - `--help` needs nothing of it

    runtime = DockerRuntime()
    problem = runtime.missing()
    if problem is not None:
        yield Finding(what="docker", well=None, text=problem)
        return
    left = len(runtime.left_behind())
    also = f"; {left} things that dead runs left: meshtest doctor --clean" if left else ""
    yield Finding(what="docker", well=True, text=f"{runtime.describe()}{also}")


def _clean(terminal: Terminal) -> int:
    from meshtest.runtime.docker.runtime import DockerRuntime  # noqa: PLC0415 - `--help` needs nothing of it

    runtime = DockerRuntime()
    problem = runtime.missing()
    removed = runtime.clean() if problem is None else 0
    if removed:
        terminal.line(f"removed {removed} containers, networks and volumes that dead runs had left")
    else:
        why = f"; docker: {problem}" if problem is not None else ""
        terminal.line(f"nothing to clean: netns leaves nothing behind, and no dead run left containers{why}")
    return 0
