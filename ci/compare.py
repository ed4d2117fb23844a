"""Compare the verdicts in two journals; exit status 1 where they differ.

compare.py FOLDER FOLDER            both ran the same tests
compare.py FOLDER FOLDER --part     the second ran a part of them; says nothing where all agree

A test that one of the two skipped, because it cannot do what the test is about, has no verdict there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def verdicts(folder: Path) -> dict[str, str]:
    """Test -> verdict."""
    read = [
        json.loads(path.read_text(encoding="utf-8")) for path in sorted((folder / "journal").glob("*.json"))
    ]
    return {str(each["id"]): str(each["verdict"]) for each in read}


def _agree(first: str | None, second: str | None) -> bool:
    return first == second or {first, second} == {"pass", "skipped"}


def main(first: str, second: str, *, part: bool) -> int:
    """Print what differs."""
    one, other = verdicts(Path(first)), verdicts(Path(second))
    compared = other if part else {**one, **other}
    differing = sorted(name for name in compared if not _agree(one.get(name), other.get(name)))
    for name in differing:
        print(f"{name}: {one.get(name, 'not run')} in {first}, {other.get(name, 'not run')} in {second}")
    if differing or not part or not other:
        print(f"{len(one)} and {len(other)} verdicts, {len(differing)} differ")
    return 1 if differing or not other else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3], part="--part" in sys.argv[3:]))
