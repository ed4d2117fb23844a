"""`meshtest report`: makes the page again from the journal alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.cli.terminal import Terminal

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument(
        "directory",
        nargs="?",
        default="reports",
        metavar="DIR",
        help="the report's folder (default: reports)",
    )


def run(options: argparse.Namespace) -> int:
    """Write the page and say where it is and what it tells."""
    from meshtest.report.html import render  # noqa: PLC0415 - only this command needs it
    from meshtest.report.journal import Journal  # noqa: PLC0415 - as above
    from meshtest.report.terminal import summary_lines  # noqa: PLC0415 - as above

    folder = Path(options.directory)
    page = render(folder)
    _, results = Journal(directory=folder).read()
    terminal = Terminal()
    for line in summary_lines(results, page=str(page)):
        terminal.line(line)
    return 0
