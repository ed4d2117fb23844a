"""Yes, no, or not decidable from the configuration alone, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Unknown:
    """What only the running mesh can tell."""

    reason: str

    def __bool__(self) -> bool:
        """Never taken for a yes or a no by mistake."""
        raise TypeError(f"not decidable: {self.reason}")


Truth = bool | Unknown


def every(items: Iterable[Truth]) -> Truth:
    """Whether all hold; one that does not decides, whatever is unknown beside it."""
    unknown: Unknown | None = None
    for item in items:
        if item is False:
            return False
        if isinstance(item, Unknown):
            unknown = item if unknown is None else unknown
    return True if unknown is None else unknown


def some(items: Iterable[Truth]) -> Truth:
    """Whether at least one holds."""
    return negated(every(negated(item) for item in items))


def negated(item: Truth) -> Truth:
    """The opposite; of what is unknown nothing is known."""
    return item if isinstance(item, Unknown) else not item
