"""The headers of a message as they came: pairs in order."""

from __future__ import annotations

from typing import Any, SupportsIndex, overload


class Headers(tuple[tuple[str, str], ...]):
    """Headers as pairs in order; by name, whatever its case, the first value."""

    __slots__ = ()

    @overload
    def __getitem__(self, key: str) -> str: ...
    @overload
    def __getitem__(self, key: SupportsIndex) -> tuple[str, str]: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[tuple[str, str], ...]: ...
    def __getitem__(self, key: str | SupportsIndex | slice) -> Any:
        """The first value of a name; KeyError where there is none. By number, the pair."""
        if not isinstance(key, str):
            return super().__getitem__(key)
        found = self.all(key)
        if not found:
            raise KeyError(key)
        return found[0]

    def __contains__(self, item: object) -> bool:
        return bool(self.all(item)) if isinstance(item, str) else super().__contains__(item)

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of a name, or the default."""
        return next(iter(self.all(name)), default)

    def all(self, name: str) -> list[str]:
        """Every value of a name, in order."""
        wanted = name.lower()
        return [value for own, value in self if own.lower() == wanted]
