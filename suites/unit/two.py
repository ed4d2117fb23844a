"""Two workloads for tests that write the second themselves: `front` calls `back`."""

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: back}
spec: {selector: {app: back}, ports: [{port: 80, name: http, targetPort: 8080}]}
---"""
"""Of `back`."""

FRONT = """---
apiVersion: apps/v1
kind: Deployment
metadata: {name: front}
spec:
  selector: {matchLabels: {app: front}}
  template:
    metadata: {labels: {app: front}}
    spec: {containers: [{name: front, image: "meshtest-example:1", ports: [{containerPort: 8080}]}]}
"""
