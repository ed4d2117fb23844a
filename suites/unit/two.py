"""Two workloads for tests that write the second themselves: `front` calls `back`."""

import os

EXAMPLE_IMAGE = f"meshtest-example:{os.getpid()}"
"""The image of both where containers run: one for each process of tests, which removes it at its end."""

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: back}
spec: {selector: {app: back}, ports: [{port: 80, name: http, targetPort: 8080}]}
---"""
"""Of `back`."""


def running(name: str, image: str) -> str:
    """A Deployment of one container on port 8080."""
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: {name}, image: "{image}", ports: [{{containerPort: 8080}}]}}]}}
"""


FRONT = "---" + running("front", EXAMPLE_IMAGE)
