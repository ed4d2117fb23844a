"""The texts that manifests stand in: files, folders, globs, standard input, or text itself."""

from __future__ import annotations

import glob
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshtest.errors import Location, ManifestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Source = str | Path | Mapping[str, Any] | Sequence[Any]

SUFFIXES = (".json", ".yaml", ".yml")  # the ones that kubectl takes from a folder
KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """The content of one source and what messages call it."""

    name: str
    text: str

    @property
    def start(self) -> Location:
        """Its first line."""
        return Location(file=self.name, line=1)


_SHOWN = 100
"""Characters of what is no name that a message shows."""


def read(sources: Iterable[Source], *, base: Path | None = None) -> Iterator[Text]:
    """Every text that the sources name, in their order; a file that several of them name comes once."""
    seen: set[Path] = set()
    for source in [sources] if isinstance(sources, (str, Path, Mapping)) else sources:
        if isinstance(source, Mapping):
            yield Text(name="<mapping>", text=json.dumps(source, default=str))
        elif isinstance(source, (list, tuple)):
            yield from read(source, base=base)
        elif not isinstance(source, (str, Path)):
            raise ManifestError(
                f"{source!r} is no manifest", expected="a file, a folder, a glob, YAML or a mapping"
            )
        elif source == "-":
            yield Text(name="<stdin>", text=sys.stdin.read())
        elif isinstance(source, str) and not _lines(source):
            raise ManifestError(
                "no object in this text",
                location=Location(file="<text>", line=1),
                expected="manifests, or a file, a folder or a glob",
            )
        elif isinstance(source, str) and is_text(source):
            yield Text(name="<text>", text=source)
        else:
            for path in _files(str(source), base):
                if path.resolve() not in seen:
                    seen.add(path.resolve())
                    yield Text(name=shown(path), text=_content(path))


def _lines(source: str) -> list[str]:
    """The lines that say something."""
    return [line for line in map(str.strip, source.splitlines()) if line and not line.startswith("# ")]


def is_text(source: str) -> bool:
    """Whether a source is YAML itself rather than the name of a file."""
    return ":" in source and ("\n" in source or source.lstrip().startswith("{"))


def shown(path: Path) -> str:
    """A path as messages show it: from the current folder where it is below it."""
    clean = Path(*_without_parents(path))
    here = Path.cwd()
    return str(clean.relative_to(here) if clean.is_absolute() and clean.is_relative_to(here) else clean)


def _without_parents(path: Path) -> list[str]:
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and parts and parts[-1] not in {"..", path.anchor}:
            parts.pop()
        else:
            parts.append(part)
    return parts


def _files(source: str, base: Path | None) -> list[Path]:
    path = base / source if base else Path(source)
    try:
        if path.is_dir():
            return _folder(path)
        if path.exists():
            return [path]
    except OSError as exc:  # too long for a name
        raise ManifestError(f"no such file or folder: {source[:_SHOWN]}...: {exc.strerror}") from exc
    if not glob.has_magic(source):
        raise ManifestError(f"no such file or folder: {source}{_from(base)}")
    found = sorted(map(Path, glob.glob(str(path), recursive=True)))  # noqa: PTH207 - an absolute pattern too
    if not found:
        raise ManifestError(f"no file matches {source}{_from(base)}")
    return [file for match in found for file in (_folder(match) if match.is_dir() else [match])]


def _from(base: Path | None) -> str:
    return f" (looked for in {shown(base)})" if base else ""


def _folder(path: Path) -> list[Path]:
    if any((path / name).exists() for name in KUSTOMIZATIONS):
        command = f"kustomize build {shown(path)}"
        raise ManifestError(
            f"{shown(path)} holds a kustomization; give the output of `{command}` ('-' reads it)"
        )
    if (path / "Chart.yaml").exists():
        command = f"helm template {shown(path)}"
        raise ManifestError(f"{shown(path)} holds a chart; give the output of `{command}` ('-' reads it)")
    found = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and file.is_file())
    if not found:
        raise ManifestError(f"no *.yaml, *.yml or *.json in the folder {shown(path)}")
    return found


def _content(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        location = Location(file=shown(path), line=1)
        raise ManifestError("this file is not UTF-8 text", location=location) from None
    except OSError as error:
        raise ManifestError(f"cannot read {shown(path)}: {error.strerror}") from None
