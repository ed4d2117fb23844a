"""`python -m meshtest.istiod`: build the engine if it is not there yet, and print its path."""

from __future__ import annotations

import sys

from meshtest.errors import EngineError
from meshtest.istiod.binary import find_or_build


def main() -> int:
    """Print the path on standard output, progress and errors on standard error."""
    try:
        path = find_or_build(lambda line: sys.stderr.write(f"{line}\n"))
    except EngineError as exc:
        sys.stderr.write(f"meshtest.istiod: {exc}\n")
        return 1
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
