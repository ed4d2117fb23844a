"""What some runtimes and sandboxes can be asked besides: `isinstance` tells who can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshtest.runtime.base import Lost, NameFault, Role
    from meshtest.wire import Channel


@runtime_checkable
class Between(Protocol):
    """Optional ability of a sandbox: more processes of meshtest's own, in the network between the pods."""

    def address(self, name: str) -> str:
        """Where the process of this name can listen: an address that no pod has."""

    def role(self, name: str, role: Role) -> Channel:
        """Start a process, unless one of this name (`meshtest/...`) runs; returns the channel to it.

        A program of this machine that its configuration names under `argv` is there for it.
        """


@runtime_checkable
class LosesPackets(Protocol):
    """Optional ability of a sandbox: packets between pods get lost (Capability.PACKET_LOSS)."""

    def lose(self, name: str, lost: Sequence[Lost]) -> None:
        """Have packets vanish from now on, also those of connections that exist; `name` is the fault's own."""

    def lost(self, name: str) -> int:
        """How many packets have vanished so."""

    def restore(self, name: str) -> int:
        """Let packets through again and return how many have vanished; 0 for a fault that is unknown or over."""


@runtime_checkable
class DelaysPackets(Protocol):
    """Optional ability of a sandbox: packets of pods come late (Capability.NETEM)."""

    def delay(self, name: str, addresses: Sequence[str], delay: float, jitter: float) -> None:
        """Hold up, by seconds, every packet from and to these pods; `name` is the fault's own."""

    def delayed(self, name: str) -> int:
        """How many packets have been held up."""

    def undelay(self, name: str) -> int:
        """Let packets through at once again; how many were held up, 0 for a fault that is unknown or over."""


@runtime_checkable
class ArmsPackets(Protocol):
    """Optional ability of a sandbox whose packet faults take a while to prepare."""

    def arm(self, name: str, lost: Sequence[Lost]) -> None:
        """Get ready, so that `lose` with the same words holds at once."""


@runtime_checkable
class Misnames(Protocol):
    """Optional ability of a sandbox: its resolver answers wrongly."""

    def misname(self, name: str, fault: NameFault | None) -> None:
        """Have the resolver answer wrongly from now on, or rightly again; later faults lie over earlier ones."""

    def misnamed(self, name: str) -> int:
        """How many queries have been answered so."""


@runtime_checkable
class Limits(Protocol):
    """Optional ability of a sandbox: applications get less CPU or memory (Capability.RESOURCE_LIMITS)."""

    def limit(self, pod: str, cpus: float | None, memory: int | None) -> None:
        """Give a pod's application so many CPUs and bytes from now on; None: what it had at its start."""


@runtime_checkable
class Reserving(Protocol):
    """Optional ability of a runtime: several of its sandboxes share a network, so each has addresses of its own."""

    def reserve(self) -> str:
        """Make room for the next sandbox; returns the first two numbers of its pods' addresses."""

    def release(self) -> None:
        """Remove everything that was made since."""


@runtime_checkable
class Preparing(Protocol):
    """Optional ability of a runtime: what needs no plan starts before there is one."""

    def prepare(self, targets: Sequence[str]) -> None:
        """Begin with the next sandbox: start the role of the first target (the control plane), load the others.

        Returns at once; a failure shows when the sandbox is started.
        """

    def release(self) -> None:
        """End what was prepared and not used."""
