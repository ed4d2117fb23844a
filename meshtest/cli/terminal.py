"""Lines for people: colour on a terminal that wants it, plain text elsewhere."""

from __future__ import annotations

import os
import sys
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_CODES = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1", "dim": "2"}


class Terminal:
    """Standard output, or another stream."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stdout
        wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self.colours = wanted and self._stream.isatty()

    def line(self, text: str = "") -> None:
        """Write one line at once, so that who reads a pipe sees it."""
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def paint(self, colour: str, text: str) -> str:
        """The text in a colour, where colours are wanted."""
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self.colours and text else text

    def table(self, rows: Sequence[Sequence[str]], indent: str = "  ") -> None:
        """Rows in columns; the first row is the heading."""
        if not rows:
            return
        widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
        for number, row in enumerate(rows):
            text = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            self.line(indent + (self.paint("dim", text) if number == 0 else text))


def say(text: str) -> None:
    """A line about what goes on, apart from what the command was asked for."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def count(number: int, noun: str) -> str:
    """`1 pod`, `2 pods`, `2 policies`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("cy") else f"{number} {noun}s"
