"""`meshtest run`: pytest, told to run what needs a mesh.

This process becomes pytest, so that signals and terminals are pytest's; `outcome` gives it meshtest's exit status.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from typing import NoReturn

_OPTIONS = {
    "runtime": ("NAME", "runtime of the pods: auto, netns or docker"),
    "report": ("DIR", "where the journal and the HTML report go (default: reports)"),
    "seed": ("N", "seed of every random choice"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options; those of pytest stand after `--`."""
    parser.usage = "meshtest run [PATH ...] [options] [-- PYTEST-ARGUMENT ...]"
    parser.epilog = (
        "Exit status: 0 all passed, 1 one failed, 2 none failed but some are unknown, else as pytest."
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="scenario files, tests and folders")
    parser.add_argument(
        "-k", dest="expression", metavar="EXPR", help="only those whose names match, as in pytest"
    )
    for name, (metavar, text) in _OPTIONS.items():
        parser.add_argument(f"--{name}", metavar=metavar, help=text)
    parser.add_argument(
        "--allow-unsupported",
        action="store_true",
        help="list kinds that nothing acts on instead of refusing them",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done; start no pod")


def run(options: argparse.Namespace) -> NoReturn:
    """Become pytest."""
    sys.stdout.flush()
    # -P: as `pytest` does, and unlike `python -m pytest`, leave the current folder off the import path.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "pytest", *arguments(options)])  # noqa: S606 - no shell is the point


def arguments(options: argparse.Namespace) -> list[str]:
    """What pytest is told."""
    found = ["-m", "mesh", "-p", "meshtest.cli.outcome"]
    if options.dry_run:
        found += ["-p", "meshtest.cli.plan", "-q", "--no-header"]
    if options.expression is not None:
        found += ["-k", options.expression]
    for name in _OPTIONS:
        value = getattr(options, name)
        if value is not None:
            found += [f"--mesh-{name}", value]
    if options.allow_unsupported:
        found.append("--mesh-allow-unsupported")
    found += [*options.paths, *options.rest]
    if options.dry_run and find_spec("xdist"):
        found.append("-n0")  # a plan is made where the items are
    return found
