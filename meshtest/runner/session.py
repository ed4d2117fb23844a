"""The options of a run, and how to speak past pytest's capture. Imported whenever pytest starts: nothing heavy."""

from __future__ import annotations

import contextlib
import sys
import zlib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OPTIONS = {
    "mesh_runtime": ("NAME", "runtime of the pods: auto, netns or docker", "auto"),
    "mesh_report": ("DIR", "where the journal and the HTML report go", "reports"),
    "mesh_seed": ("N", "seed of every random choice (default: a new one per run)", ""),
}
FLAGS = {
    "mesh_keep": "after a failure, wait at the terminal with the mesh as it is",
    "mesh_allow_unsupported": "list kinds and fields that meshtest does not act on instead of refusing them",
}
RUNTIMES = ("auto", "netns", "docker")


def add_options(parser: pytest.Parser) -> None:
    """Declare the command line options; each is an ini key as well."""
    group = parser.getgroup("meshtest", "service mesh tests")
    for name, (metavar, text, default) in OPTIONS.items():
        group.addoption(f"--{name.replace('_', '-')}", metavar=metavar, default=None, help=text)
        parser.addini(name, text, default=default)
    for name, text in FLAGS.items():
        group.addoption(f"--{name.replace('_', '-')}", action="store_true", default=None, help=text)
        parser.addini(name, text, type="bool", default=False)
    parser.addini("mesh_manifests", "manifests of the `mesh` fixture where a test names none", type="paths")


def check_options(config: pytest.Config) -> None:
    """Raise UsageError where an option has no meaning."""
    runtime = option(config, "mesh_runtime")
    if runtime not in RUNTIMES:
        raise pytest.UsageError(f"--mesh-runtime {runtime}: expected {', '.join(RUNTIMES)}")
    seed = option(config, "mesh_seed")
    if seed and not str(seed).isdecimal():
        raise pytest.UsageError(f"--mesh-seed {seed}: expected a whole number")
    if option(config, "mesh_keep") and config.getoption("numprocesses", None):
        raise pytest.UsageError(
            "--mesh-keep waits at the terminal, which workers of pytest-xdist do not have: drop -n"
        )


def option(config: pytest.Config, name: str) -> Any:
    """The value on the command line, else that of the ini file, else the default."""
    given = config.getoption(name, None)
    return config.getini(name) if given is None else given


def seed_of(config: pytest.Config) -> int | None:
    """The seed that is asked for; without one, all workers of a run share a new one."""
    given = option(config, "mesh_seed")
    if given:
        return int(given)
    run = getattr(config, "workerinput", {}).get("testrunuid")
    return zlib.crc32(str(run).encode()) if run else None


def progress(config: pytest.Config) -> Callable[[str], None]:
    """Lines about a slow step, past pytest's capture."""

    def say(line: str) -> None:
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        with uncaptured(config):
            if reporter is not None:
                reporter.write_line(line)
            else:  # a worker of pytest-xdist
                sys.stderr.write(f"{line}\n")

    return say


def uncaptured(config: pytest.Config) -> contextlib.AbstractContextManager[None]:
    """Where what is written reaches the terminal."""
    capture = config.pluginmanager.get_plugin("capturemanager")
    return contextlib.nullcontext() if capture is None else capture.global_and_fixture_disabled()


def report_directory(config: pytest.Config) -> Path:
    """On the command line relative to where pytest was called, else to the ini file."""
    here = config.invocation_params.dir
    given = config.getoption("mesh_report", None)
    if given is not None or config.inipath is None:
        return here / str(option(config, "mesh_report"))
    return config.inipath.parent / str(config.getini("mesh_report"))
