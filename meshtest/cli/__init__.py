"""The command `meshtest`: finds the subcommand, runs it, and turns errors into one line and an exit status.

    0  well        1  the command found something wrong        2  the user's file or command line is wrong
    3  the environment is wrong        130  Ctrl-C

A subcommand is a module of this package with `add_arguments(parser)` and `run(options) -> int`; only the one that
is asked for is imported.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "run": "run scenarios and tests on a mesh: pytest -m mesh",
    "validate": "judge manifests and scenarios as a cluster judges them",
    "up": "start a mesh to play with",
    "render": "show the Envoy configuration that istiod makes for a workload",
    "explain": "where a request goes and which rule decides; or who may call what",
    "report": "make the report again from its journal",
    "doctor": "say what this machine lacks, and what to change",
    "init": "write a first scenario for the manifests of a folder",
}
USER, ENVIRONMENT, INTERRUPTED = 2, 3, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; the exit status."""
    given = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 is no reason to fail
    try:
        status = _dispatch(given)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough; without this Python complains once more at its own end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as exc:  # noqa: BLE001 - what is not expected is raised again
        return _told(exc)
    return status


def _dispatch(given: list[str]) -> int:
    words, rest = _split(given)
    parser = _parser(next((word for word in words if not word.startswith("-")), None))
    options = parser.parse_args(words)
    if options.command is None:
        parser.print_help()
        return 0
    options.rest = rest
    return int(options.module.run(options))


def _split(given: list[str]) -> tuple[list[str], list[str]]:
    """What is for `meshtest run`, and what after `--` is for pytest; other commands know no such thing."""
    if given[:1] != ["run"] or "--" not in given:
        return given, []
    at = given.index("--")
    return given[:at], given[at + 1 :]


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="meshtest",
        description="Chaos and policy tests for service meshes: istiod's own code, real Envoy, real mTLS.",
        epilog="`meshtest COMMAND --help` says more.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, summary in COMMANDS.items():
        sub = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if name == chosen:
            module = import_module(f"meshtest.cli.{name}")
            module.add_arguments(sub)
            sub.set_defaults(module=module)
    if chosen is not None and chosen not in COMMANDS:
        from meshtest.errors import nearest  # noqa: PLC0415 - only for the mistake

        guess = nearest(chosen, COMMANDS)
        hint = f"did you mean {guess!r}?" if guess else f"choose from {', '.join(COMMANDS)}"
        parser.error(f"no command {chosen!r}; {hint}")
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import meshtest  # noqa: PLC0415 - this package's parent, known by now

        sys.stdout.write(f"meshtest {meshtest.__version__}\n")
        parser.exit()


def _told(exc: Exception) -> int:
    """Say an expected error in its own words; anything else is a bug and keeps its traceback."""
    from meshtest.errors import MeshTestError, RuntimeFailure  # noqa: PLC0415 - only where something failed

    if isinstance(exc, OSError) and exc.filename is not None:
        sys.stderr.write(f"meshtest: {exc.filename}: {exc.strerror}\n")
        return ENVIRONMENT
    if not isinstance(exc, MeshTestError):
        raise exc
    # `file:line: ...` stays at the start of the line, where editors look for it.
    prefix = "" if getattr(exc, "location", None) else "meshtest: "
    sys.stderr.write(f"{prefix}{exc}\n")
    return ENVIRONMENT if isinstance(exc, RuntimeFailure) else USER
