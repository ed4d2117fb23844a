"""Where every Envoy answers for itself: whether it is ready, and what it has counted (Istio's bootstrap).

No connection is redirected away from there, no policy holds, and nothing is logged. What a sidecar's application sends
to these ports of other pods is answered by its own sidecar too, whose listeners take every address.
"""

from __future__ import annotations

READINESS, METRICS = 15021, 15090
PATHS = {READINESS: "/healthz/ready", METRICS: "/stats/prometheus"}
"""What is answered there; nothing else is."""
OWN_PORTS = frozenset(PATHS)
