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

FRONT = f"""---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: front}}
spec:
  selector: {{matchLabels: {{app: front}}}}
  template:
    metadata: {{labels: {{app: front}}}}
    spec: {{containers: [{{name: front, image: "{EXAMPLE_IMAGE}", ports: [{{containerPort: 8080}}]}}]}}
"""
