"""What of a scenario's policies goes into the journal."""

from __future__ import annotations

from meshtest.mesh.manifests import load_text
from meshtest.runner.result import without_secrets

SECRET = """
apiVersion: v1
kind: Secret
metadata: {name: shop}
data: {tls.crt: Y2VydA==}
stringData: {tls.key: a key}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: shop}
data: {ca.crt: a root}
"""


def test_a_secret_is_shown_without_what_it_keeps() -> None:
    secret, config_map = (without_secrets(one.body) for one in load_text(SECRET))
    assert secret["data"] == {"tls.crt": "(not shown)"}
    assert secret["stringData"] == {"tls.key": "(not shown)"}
    assert config_map["data"] == {"ca.crt": "a root"}
