"""Faults of the control plane: it is gone or stands still, or its pushes are late, partial, bad or withheld.

- controlPlane: down                       # killed; started anew on recovery. Or: paused
- slowPush: {delay: 2s}                    # to: whom it is late for; all where it is not given
- partialPush: true                        # to: who does not get it
- rejectedPush: true                       # to: whose Envoy refuses (NACKs) what it is sent
- staleEndpoints: true                     # to: who learns of no change of endpoints
- secretsWithheld: true                    # to: who gets no certificate from now on
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from meshtest.scenario.fault_identity import flag
from meshtest.scenario.fields import Shape, key, record
from meshtest.scenario.scalars import duration, word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.scenario.fields import Spot


class Outage(Enum):
    """What becomes of the control plane's process."""

    DOWN = "down"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowPush:
    """Every push comes late, in seconds."""

    delay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialPush:
    """Pushes do not reach some sidecars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedPush:
    """Everything pushed is something that Envoy refuses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleEndpoints:
    """Endpoints stay what they were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsWithheld:
    """A sidecar that asks for its certificate gets no answer."""


_OUTAGE = word([outage.value for outage in Outage], "outage")


def _read_outage(value: Any, spot: Spot) -> Outage:
    return Outage(_OUTAGE.read(value, spot))


CONTROL_PLANE_FAULTS: Mapping[str, Shape[Any]] = {
    "controlPlane": Shape(expected=_OUTAGE.expected, read=_read_outage, schema=_OUTAGE.schema),
    "slowPush": record(SlowPush, {"delay": key("delay", duration(), required=True)}),
    "partialPush": flag(PartialPush()),
    "rejectedPush": flag(RejectedPush()),
    "staleEndpoints": flag(StaleEndpoints()),
    "secretsWithheld": flag(SecretsWithheld()),
}
OUTAGE = "controlPlane"
"""The kind that is about the process itself."""
MAY_MEAN_ALL = frozenset(CONTROL_PLANE_FAULTS) - {"partialPush"}
"""The kinds that may stand without `to:`."""
