"""A large mesh: 100 workloads with sidecars and 300 policies, from text to ACK everywhere, and what one change costs.

python ci/bench/large.py [workloads]      (default: 100; three policies each)
"""

from __future__ import annotations

import sys
import time

from bench import show

WORKLOAD = """\
---
apiVersion: v1
kind: Service
metadata: {{name: app-{n}, namespace: shop}}
spec: {{selector: {{app: app-{n}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: app-{n}, namespace: shop}}
spec:
  selector: {{matchLabels: {{app: app-{n}}}}}
  template:
    metadata: {{labels: {{app: app-{n}, version: v1}}}}
    spec: {{containers: [{{name: app, image: "registry.example/app:1", ports: [{{containerPort: 8080}}]}}]}}
"""

NAMESPACE = """\
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
"""

ROUTE = """\
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: app-{n}, namespace: shop}}
spec:
  hosts: [app-{n}]
  http:
    - match: [{{uri: {{prefix: "/old{change}"}}}}]
      rewrite: {{uri: "/new"}}
      route: [{{destination: {{host: app-{n}}}}}]
    - timeout: 5s
      route: [{{destination: {{host: app-{n}}}}}]
"""

DESTINATION = """\
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: app-{n}, namespace: shop}}
spec:
  host: app-{n}
  trafficPolicy: {{outlierDetection: {{consecutive5xxErrors: 5}}, connectionPool: {{tcp: {{maxConnections: 100}}}}}}
"""

DENIAL = """\
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: app-{n}, namespace: shop}}
spec:
  selector: {{matchLabels: {{app: app-{n}}}}}
  action: DENY
  rules: [{{to: [{{operation: {{paths: ["/secret{change}"]}}}}]}}]
"""


def main(workloads: int) -> None:
    """Start it, give it its policies, and change one of each kind."""
    from meshtest import Mesh

    numbers = range(workloads)
    policies = [text.format(n=n, change=0) for n in numbers for text in (ROUTE, DESTINATION, DENIAL)]
    began = time.perf_counter()
    with Mesh.from_manifests(NAMESPACE + "".join(WORKLOAD.format(n=n) for n in numbers)) as mesh:
        print(f"{workloads} workloads started in {time.perf_counter() - began:.2f} s", flush=True)
        every = "".join(policies)
        times = []
        for _ in range(3):
            mesh.replace()
            began = time.perf_counter()
            mesh.apply(every)
            times.append(time.perf_counter() - began)
        show(f"{len(policies)} policies, from text to ACK everywhere", times)
        for name, text in (("VirtualService", ROUTE), ("AuthorizationPolicy", DENIAL)):
            times = []
            for change in range(1, 16):
                began = time.perf_counter()
                mesh.apply(text.format(n=7, change=change))
                times.append(time.perf_counter() - began)
            show(f"one {name} changed", times[5:])
            answer = mesh.request("shop/app-1", f"http://app-7/{'secret' if text is DENIAL else 'x'}15")
            assert answer.status == (403 if text is DENIAL else 200), answer


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
