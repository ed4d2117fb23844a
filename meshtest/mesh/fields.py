"""Typed reading of a manifest's fields; a wrong type is a ManifestError at its line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshtest.errors import Location, ManifestError
from meshtest.mesh.yaml_lines import child_path
from meshtest.mesh.yaml_source import nearest_location

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.mesh.model import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """A mapping somewhere in a manifest."""

    manifest: Manifest
    value: Mapping[str, Any]
    path: str = ""

    def mapping(self, key: str) -> Fields:
        """The mapping at `key`; an empty one if there is none."""
        value = self.value.get(key)
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise self.error(key, f"{value!r} is not a mapping")
        return Fields(manifest=self.manifest, value=value, path=child_path(self.path, key))

    def items(self, key: str) -> list[Fields]:
        """The mappings of the list at `key`."""
        value = self.value.get(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.error(key, "not a list of mappings")
        path = child_path(self.path, key)
        return [
            Fields(manifest=self.manifest, value=item, path=f"{path}[{index}]")
            for index, item in enumerate(value)
        ]

    def text(self, key: str, default: str = "") -> str:
        """The text at `key`."""
        value = self.value.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.error(key, f"{value!r} is not a text; quote it")
        return value

    def whole(self, key: str, default: int) -> int:
        """The whole number at `key`."""
        value = self.value.get(key)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.error(key, f"{value!r} is not a whole number")
        return value

    def truth(self, key: str) -> bool:
        """The boolean at `key`; false if there is none."""
        value = self.value.get(key)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise self.error(key, f"{value!r} is neither true nor false")
        return value

    def texts(self, key: str) -> dict[str, str]:
        """The mapping of texts at `key`, as labels are."""
        found = self.mapping(key)
        return {name: found.text(name) for name in found.value}

    def words(self, key: str) -> tuple[str, ...]:
        """The list of texts at `key`."""
        value = self.value.get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(key, "not a list of texts")
        return tuple(value)

    def port(self, key: str) -> int:
        """The port number at `key`, which has to be there."""
        number = self.whole(key, 0)
        if not 1 <= number <= 65535:
            problem = "missing" if self.value.get(key) is None else f"{number} is no port"
            raise self.error(key, problem, expected="1 to 65535")
        return number

    def at(self, key: str = "") -> Location:
        """Where `key` stands, or would."""
        path = child_path(self.path, key) if key else self.path
        return nearest_location(self.manifest.lines, path, self.manifest.location)

    def error(self, key: str, problem: str, *, expected: str = "") -> ManifestError:
        """A ManifestError about `key`."""
        path = child_path(self.path, key) if key else self.path
        return ManifestError(
            f"{self.manifest.ref}: {problem}" if not path else problem,
            location=self.at(key),
            key=path,
            expected=expected,
        )


def fields_of(manifest: Manifest) -> Fields:
    """The top of a manifest."""
    return Fields(manifest=manifest, value=manifest.body)
