"""The addresses of a run's network."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The run's network: pods have `prefix.x.y`, meshtest's own stand at the end of it."""

    name: str
    prefix: str

    @property
    def subnet(self) -> str:
        """All of it."""
        return f"{self.prefix}.0.0/16"

    def has(self, address: str) -> bool:
        """Whether an address is of it."""
        return address.startswith(f"{self.prefix}.")

    @property
    def gateway(self) -> str:
        """The daemon's machine."""
        return f"{self.prefix}.255.254"

    @property
    def control_plane(self) -> str:
        """Where the control plane stands."""
        return f"{self.prefix}.255.253"

    @property
    def resolver(self) -> str:
        """Every pod's name server."""
        return f"{self.prefix}.255.252"

    def further(self, number: int) -> str:
        """Where the n-th further role between the pods stands; pods never get these."""
        return f"{self.prefix}.{254 - number // 3}.{252 + number % 3}"
