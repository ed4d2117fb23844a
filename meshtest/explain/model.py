"""What is found out about a request: the ways that it can go, each with the Envoys that it crosses."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from meshtest.traffic.model import Decision, Outcome

if TYPE_CHECKING:
    from meshtest.traffic.model import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """The timeouts and retries of a route; seconds, None where there is no bound."""

    timeout: float | None = None
    per_try: float | None = None
    idle: float | None = None
    retries: int = 0
    retry_on: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a virtual host decided."""

    configuration: str
    virtual_host: str
    name: str = ""
    by: Decision | None = None
    patience: Patience = Patience()
    mirrors: tuple[str, ...] = ()
    """Clusters that get a copy."""
    path: str = ""
    """As the next one sees it."""
    authority: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamTls:
    """The TLS that an Envoy speaks to an endpoint."""

    sni: str
    identity: str
    """The certificate that it shows; empty for none."""

    @property
    def mutual(self) -> bool:
        """Whether it shows a certificate."""
        return bool(self.identity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """One Envoy that a request crosses, or ends at."""

    pod: str
    """`namespace/name`."""
    workload: str
    """`namespace/workload`."""
    side: str
    """`outbound`, `inbound` or `gateway`."""
    listener: str = ""
    chain: str = ""
    layer: str = "tcp"
    """`http` or `tcp`."""
    tls: bool = False
    """Whether it terminated TLS."""
    peer: str = ""
    """The identity that it verified."""
    decisions: tuple[Decision, ...] = ()
    """What its policies said, in order; the last word of a denial is the last."""
    route: Route | None = None
    cluster: str = ""
    cluster_by: Decision | None = None
    """The DestinationRule that the cluster comes from."""
    endpoint: str = ""
    upstream_tls: UpstreamTls | None = None
    tunnel: str = ""
    """What it asks the endpoint for before anything else: `CONNECT host:port`, or POST."""
    details: str = ""
    """Envoy's words where it answered by itself (`%RESPONSE_CODE_DETAILS%`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way that a request can go."""

    outcome: Outcome = Outcome.RESPONSE
    status: int | None = None
    """Of an Envoy that answered by itself; None where the application answers."""
    answered_by: str = ""
    """The pod (`namespace/name`) whose application or Envoy answers, or an address outside the mesh."""
    workload: str = ""
    """The workload whose application got the request."""
    crossings: tuple[Crossing, ...] = ()
    share: float | None = 1.0
    """Of all such requests, by weights and percentages; None where that is not known."""
    one_of: int = 1
    """Among how many like it a load balancer chooses."""
    conditions: tuple[str, ...] = ()
    """What has to be so, where the configuration leaves it open."""
    location: str = ""
    """Where a redirect leads."""
    note: str = ""
    """Why it ends as it does."""

    def behind(self, crossing: Crossing) -> Way:
        """The same way as one Envoy before sees it."""
        return replace(self, crossings=(crossing, *self.crossings))

    def when(self, condition: str, share: float | None = None) -> Way:
        """The same way, on a condition; with the share of requests that meet it, where it is known."""
        left = None if share is None or self.share is None else self.share * share
        conditions = (condition, *self.conditions) if condition else self.conditions
        return replace(self, share=left, conditions=conditions)

    @property
    def denied_by(self) -> Decision | None:
        """The policy that refused the request."""
        found = [one for crossing in self.crossings for one in crossing.decisions if one.effect == "denied"]
        return found[-1] if found else None

    @property
    def routed_by(self) -> Decision | None:
        """The first object that routed it."""
        return next((one.route.by for one in self.crossings if one.route and one.route.by), None)

    @property
    def mtls(self) -> bool:
        """Whether an Envoy on the way verified an identity."""
        return any(crossing.tls and crossing.peer for crossing in self.crossings)

    @property
    def peer_identity(self) -> str:
        """The identity that the last sidecar on the way verified."""
        return next((one.peer for one in reversed(self.crossings) if one.side == "inbound" and one.peer), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All ways that a request can go."""

    caller: str
    """The caller's pod, `namespace/name`."""
    identity: str
    """What its sidecar, or a certificate of its own, says it is; empty without either."""
    request: Request
    ways: tuple[Way, ...] = field(default=())

    @property
    def allowed(self) -> bool | None:
        """Whether no way ends with a denial; None if some do."""
        denied = [way.denied_by is not None for way in self.ways]
        return not denied[0] if len(set(denied)) == 1 else None

    @property
    def workloads(self) -> tuple[str, ...]:
        """Every workload whose application may get it."""
        return tuple(sorted({way.workload for way in self.ways if way.workload}))

    def __str__(self) -> str:
        from meshtest.explain.words import told  # noqa: PLC0415 - the words stand on these nouns

        return told(self)
