"""Name faults: the cluster's resolver answers NXDOMAIN, SERVFAIL, a wrong address, or late.

    application ──query──► resolver: NXDOMAIN | SERVFAIL | address | later     per asking pod

Whose question it is decides what is tested. An application behind a sidecar resolves the name itself and gets a
cluster IP; its sidecar then routes by Host header and asks nobody. A sidecar asks only for clusters of type DNS
(ServiceEntry with `resolution: DNS`, ExternalName), and remembers the answer for as long as its TTL says.
What was resolved before is not asked again: connections that exist go on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshtest.errors import ScenarioError, Unsupported, nearest
from meshtest.faults.making import faulty, names
from meshtest.faults.places import ANYWHERE, pods_of
from meshtest.runtime.abilities import Misnames
from meshtest.runtime.base import NameFault
from meshtest.scenario.fault_name import Dns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshtest.faults.base import Ground
    from meshtest.mesh.model import MeshModel
    from meshtest.scenario.faults import FaultSpec
    from meshtest.traffic.model import Exchange


def dns(
    *,
    to: str | Sequence[str] | None = None,
    host: str | Sequence[str] | None = None,
    nxdomain: bool = False,
    servfail: bool = False,
    address: str | Sequence[str] | None = None,
    delay: float = 0.0,
    **where: Any,
) -> FaultSpec:
    """Have the names of Services (`to`) or any full name (`host`) resolve wrongly or late.

    Args:
        to: Services.
        host: full names, each with those below it.
        nxdomain: there is no such name.
        servfail: the server cannot say.
        address: a wrong IPv4 address, or several.
        delay: seconds before the answer, wrong or right.
        where: `from_` (only these pods are answered so), `name`, `during=(at, for)` in seconds.
    """
    action = Dns(nxdomain=nxdomain, servfail=servfail, address=names(address), delay=delay, host=names(host))
    return faulty("dns", action, to, where)


@dataclass(slots=True, kw_only=True)
class Names:
    """Names that resolve wrongly; its hits are queries."""

    id: str
    fault: NameFault
    placement: str
    ground: Ground = field(repr=False)
    members: tuple[str, ...] = ()
    unit: str = "queries"

    def inject(self) -> None:
        """Have the resolver answer wrongly."""
        self._resolver().misname(self.id, self.fault)

    def recover(self) -> None:
        """Have it answer rightly again."""
        self._resolver().misname(self.id, None)

    def hits(self, exchanges: Sequence[Exchange]) -> int:
        """How many queries were answered so, whoever asked."""
        del exchanges
        return self._resolver().misnamed(self.id)

    def _resolver(self) -> Misnames:
        if not isinstance(self.ground.sandbox, Misnames):
            raise Unsupported("this runtime's resolver always tells the truth")
        return self.ground.sandbox


def plan(spec: FaultSpec, fault_id: str, ground: Ground) -> Names:
    """The family: see the module's text."""
    action = spec.action
    if not isinstance(action, Dns):
        raise TypeError(f"{action!r} is no fault of names")
    askers = pods_of(spec.sender, spec, ground.model, key="from")
    fault = NameFault(
        names=full_names(spec, ground.model),
        sources=tuple(pod.ip for pod in askers),
        code="NXDOMAIN" if action.nxdomain else "SERVFAIL" if action.servfail else "",
        addresses=action.address,
        delay=action.delay,
    )
    return Names(id=fault_id, fault=fault, placement=placement(spec, ground.model), ground=ground)


def check(spec: FaultSpec, model: MeshModel) -> None:
    """Raise ScenarioError where it names no name."""
    full_names(spec, model)
    pods_of(spec.sender, spec, model, key="from")


def full_names(spec: FaultSpec, model: MeshModel) -> tuple[str, ...]:
    """The names that are meant, in lower case."""
    hosts = spec.action.host if isinstance(spec.action, Dns) else ()
    found = [host.lower().rstrip(".") for host in hosts]
    for name in spec.to:
        services = [s for s in model.services if name in (ANYWHERE, s.name, s.key)]
        if not services:
            known = sorted({service.name for service in model.services})
            raise ScenarioError(
                f"{name!r} is no Service, and only Services have names",
                location=spec.location, key="dns.to", nearest=nearest(name, known),
                expected=f"one of {', '.join(known)}, or host: for any other name",
            )  # fmt: skip
        found += [service.host for service in services]
    return tuple(dict.fromkeys(found))


def placement(spec: FaultSpec, model: MeshModel) -> str:
    """Where the fault sits, in words."""
    action = spec.action if isinstance(spec.action, Dns) else Dns()
    wrong = "NXDOMAIN" if action.nxdomain else "SERVFAIL" if action.servfail else ", ".join(action.address)
    late = f"{action.delay:g} s late" if action.delay else ""
    who = ", ".join(pod.key for pod in pods_of(spec.sender, spec, model, key="from")) or "everybody"
    answer = " ".join(filter(None, (wrong, late)))
    return f"the cluster's resolver: {answer} for {', '.join(full_names(spec, model))}, to {who}"
