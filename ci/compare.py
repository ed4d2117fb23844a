"""Compare the verdicts in two journals: `compare.py FOLDER FOLDER`; exit status 1 where they differ."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def verdicts(folder: Path) -> dict[str, str]:
    """Test -> verdict."""
    found: dict[str, str] = {}
    for path in sorted((folder / "journal").rglob("*.json*")):
        for entry in _entries(path.read_text(encoding="utf-8")):
            found[str(entry["id"])] = str(entry["verdict"])
    return found


def _entries(text: str) -> list[dict[str, Any]]:
    try:
        whole = json.loads(text)
        listed = whole if isinstance(whole, list) else [whole]
    except json.JSONDecodeError:
        listed = [json.loads(line) for line in text.splitlines() if line.strip()]
    return [entry for entry in listed if "verdict" in entry and "id" in entry]


def main(first: str, second: str) -> int:
    """Print what differs."""
    one, other = verdicts(Path(first)), verdicts(Path(second))
    differing = sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
    for name in differing:
        print(f"{name}: {one.get(name, 'not run')} in {first}, {other.get(name, 'not run')} in {second}")
    print(f"{len(one)} and {len(other)} verdicts, {len(differing)} differ")
    return 1 if differing or not one else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
